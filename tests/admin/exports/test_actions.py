"""“Export to ...” on assets, and the two actions of the list of exports: forms, messages, and who may."""

from __future__ import annotations

import pytest

from mediagen.models import AssetExport, ExportState, ProviderConfig
from tests.admin.conftest import act, page, said
from tests.factories import AssetExportFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

KEY = "abcDEF123456789012345"
EDITOR = ("view_mediaasset", "change_mediaasset", "view_assetexport")


@pytest.fixture
def asset(db):
    return MediaAssetFactory(ready=True, name="Red fox")


@pytest.fixture
def editor(signed_in):
    return signed_in(*EDITOR, is_staff=True)


def test_canva_asks_first_and_then_the_export_waits(editor, asset):
    asked = act(editor, "mediaasset", "export_canva", asset.pk)
    text = asked.content.decode()
    assert asked.status_code == 200
    assert 'name="folder"' in text
    assert "Export to Canva" in text
    assert not AssetExport.objects.exists()
    done = act(editor, "mediaasset", "export_canva", asset.pk, _go="1", title="Spring", create_design="on")
    assert "on its way" in said(done)[-1]
    export = AssetExport.objects.get()
    assert (export.target, export.state, export.frame_name, export.created_by) == (
        "canva", ExportState.PENDING, "Spring", editor.user,
    )  # fmt: skip
    assert export.options["create_design"] is True


def test_canva_without_a_design(editor, asset):
    act(editor, "mediaasset", "export_canva", asset.pk, _go="1", title="")
    export = AssetExport.objects.get()
    assert (export.options["create_design"], export.frame_name) == (False, "Red fox")


def test_figma_is_sent_at_once(editor, asset, monkeypatch):
    monkeypatch.setenv("FIGMA_API_TOKEN", "made-up")
    assert 'name="file_key"' in act(editor, "mediaasset", "export_figma", asset.pk).content.decode()
    address = f"https://www.figma.com/design/{KEY}/Campaign"
    done = act(editor, "mediaasset", "export_figma", asset.pk, _go="1", file_key=address)
    assert "plugin" in said(done)[-1]
    assert (AssetExport.objects.get().target, AssetExport.objects.get().file_key) == ("figma", KEY)


@pytest.mark.parametrize(
    ("action", "values", "words"),
    [
        ("export_figma", {"file_key": ""}, "This field is required"),
        ("export_figma", {"file_key": "?"}, "must be a Figma file key"),
        ("export_canva", {"folder": "a b"}, "must be the id of a Canva folder"),
    ],
)
def test_what_cannot_be_is_said_beside_the_field(editor, asset, action, values, words):
    response = act(editor, "mediaasset", action, asset.pk, _go="1", **values)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not AssetExport.objects.exists()


def test_a_refusal_of_figma_is_told(editor, asset):
    ProviderConfig.objects.filter(name="figma_api").update(enabled=False)
    done = act(editor, "mediaasset", "export_figma", asset.pk, _go="1", file_key=KEY)
    assert "Red fox" in said(done)[-1]
    assert AssetExport.objects.get().state == ExportState.FAILED


def test_who_may_export(signed_in, asset):
    viewer = signed_in("view_mediaasset", is_staff=True)
    assert "export_canva" not in viewer.get(page("mediaasset")).content.decode()
    act(viewer, "mediaasset", "export_canva", asset.pk, _go="1", title="x")
    assert not AssetExport.objects.exists()


def test_assets_of_others_and_without_a_picture_are_left_out(editor, asset):
    others = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    act(editor, "mediaasset", "export_canva", asset.pk, others.pk, MediaAssetFactory().pk, _go="1", title="")
    assert [export.asset for export in AssetExport.objects.all()] == [asset]


def test_the_list_cancels_and_retries(editor, asset):
    export = AssetExportFactory(asset=asset, target="canva", file_key="")
    done = act(editor, "assetexport", "cancel", export.pk)
    assert said(done)[-1] == "1 cancelled."
    assert "cannot be cancelled" in said(act(editor, "assetexport", "cancel", export.pk))[-1]
    assert said(act(editor, "assetexport", "retry", export.pk))[-1] == "1 on their way again."
    assert AssetExport.objects.get().state == ExportState.PENDING
    assert "nothing to retry" in said(act(editor, "assetexport", "retry", export.pk))[-1]


def test_who_only_reads_has_no_such_action(signed_in, asset):
    export = AssetExportFactory(asset=asset, target="canva", file_key="")
    viewer = signed_in("view_mediaasset", "view_assetexport", is_staff=True)
    assert 'value="cancel"' not in viewer.get(page("assetexport")).content.decode()
    act(viewer, "assetexport", "cancel", export.pk)
    assert AssetExport.objects.get().state == ExportState.PENDING
