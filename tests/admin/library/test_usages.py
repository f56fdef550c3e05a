"""Usage, exports and long actions in the admin."""

import pytest
from django.core.files.base import ContentFile

from mediagen.engine.library import usage
from mediagen.models import AssetUsage
from tests.admin.conftest import act, page, said
from tests.factories import (
    AssetExportFactory,
    AssetUsageFactory,
    BackgroundJobFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

EDITOR = (
    "view_mediaasset",
    "change_mediaasset",
    "view_assetusage",
    "add_assetusage",
    "change_assetusage",
    "view_assetexport",
)
NOTHING = dict.fromkeys(("impressions", "clicks", "engagements", "conversions", "shares", "comments"), "0")


def hidden():
    """An asset in a library of somebody else."""
    return MediaAssetFactory(ready=True, name="secret", library=MediaLibraryFactory(owner=UserFactory()))


def test_a_use_is_added_with_its_figures_by_the_engine(admin_client):
    asset = MediaAssetFactory(ready=True)
    data = {**NOTHING, "asset": asset.pk, "campaign": "Spring ", "channel": "web", "impressions": "200", "clicks": "5"}

    response = admin_client.post(page("assetusage", "add"), {**data, "url": "https://example.com/"})

    assert response.status_code == 302, response.context["adminform"].form.errors
    row = AssetUsage.objects.get()
    assert (row.campaign, row.impressions, row.clicks) == ("Spring", 200, 5)
    asset.refresh_from_db()
    assert asset.usage_count == 1
    text = admin_client.get(page("assetusage")).content.decode()
    assert "2.50 %" in text


def test_figures_are_corrected_and_an_ended_use_stays_ended(admin_client):
    asset = MediaAssetFactory(ready=True)
    usage.record_usage(asset, "Spring")
    row = usage.end_usage(asset, "Spring")

    data = {**NOTHING, "impressions": "9", "url": "https://example.com/x"}
    response = admin_client.post(page("assetusage", "change", row.pk), data)

    assert response.status_code == 302
    row.refresh_from_db()
    assert (row.impressions, row.url) == (9, "https://example.com/x")
    assert row.ended_at is not None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"campaign": " "}, "campaign"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"clicks": "-1"}, "clicks"),
        ({"clicks": str(2**64)}, "clicks"),
    ],
)
def test_what_the_engine_would_refuse_is_said_at_the_field(admin_client, changes, field):
    asset = MediaAssetFactory(ready=True)

    response = admin_client.post(
        page("assetusage", "add"), {**NOTHING, "asset": asset.pk, "campaign": "Spring", **changes}
    )

    assert field in response.context["adminform"].form.errors
    assert not AssetUsage.objects.exists()


def test_the_action_ends_uses(admin_client):
    rows = [AssetUsageFactory(), AssetUsageFactory()]

    response = act(admin_client, "assetusage", "end", *[row.pk for row in rows])

    assert said(response) == ["2 uses ended."]
    assert not AssetUsage.objects.filter(ended_at__isnull=True).exists()


def test_filters_take_what_is_typed(admin_client):
    spring, ended = AssetUsageFactory(), AssetUsageFactory(campaign="Autumn")
    usage.end_usage(ended.asset, "Autumn")

    def found(**query):
        return list(admin_client.get(page("assetusage"), query).context["cl"].result_list)

    assert found(campaign="Spring") == [spring]
    assert found(running="0") == [ended]
    assert found(campaign="Spring", channel="web") == []
    text = admin_client.get(page("assetusage"), {"campaign": "Spring", "running": "1"}).content.decode()
    assert '<input type="hidden" name="running" value="1">' in text
    assert '<input type="text" name="campaign" value="Spring">' in text


def test_uses_and_exports_of_hidden_assets_are_not_there(signed_in):
    asset = hidden()
    row, export = AssetUsageFactory(asset=asset), AssetExportFactory(asset=asset)
    client = signed_in(*EDITOR)

    for model, pk in (("assetusage", row.pk), ("assetexport", export.pk)):
        assert list(client.get(page(model)).context["cl"].result_list) == []
        assert client.get(page(model, "change", pk)).status_code == 302
    response = client.post(page("assetusage", "add"), {**NOTHING, "asset": asset.pk, "campaign": "Spring"})
    assert "asset" in response.context["adminform"].form.errors
    act(client, "assetusage", "end", row.pk)
    row.refresh_from_db()
    assert row.ended_at is None


def test_an_export_links_to_pages_only(admin_client):
    AssetExportFactory(url="javascript:alert(1)", frame_name="hero", state="placed")
    AssetExportFactory(url="https://www.figma.com/file/x", frame_name="hero two", state="failed", message="no rights")

    text = admin_client.get(page("assetexport")).content.decode()

    assert "javascript:alert" not in text
    assert '<a href="https://www.figma.com/file/x" rel="noopener noreferrer">hero two</a>' in text
    assert "no rights" in text


# ---------------------------------------------------------------------- long actions


def test_a_job_is_followed_by_who_started_it_only(signed_in):
    client, other = signed_in("view_mediaasset"), signed_in("view_mediaasset")
    job = BackgroundJobFactory(created_by=client.user, state="running", done=1, failed=1, message="1 is gone")
    own = page("backgroundjob", "change", job.pk)

    text = client.get(own).content.decode()
    answer = client.get(page("backgroundjob", "progress", job.pk))

    assert "2 of 4, 1 failed" in text
    assert f'data-mediagen-follow="{page("backgroundjob", "progress", job.pk)}"' in text
    assert "Refresh" in text
    assert answer.json()["is_over"] is False
    assert "1 is gone" in answer.json()["html"]
    assert other.get(own).status_code == 302
    assert other.get(page("backgroundjob", "progress", job.pk)).status_code == 404
    assert list(other.get(page("backgroundjob")).context["cl"].result_list) == []
    assert signed_in().get(page("backgroundjob")).status_code == 403


def test_a_finished_job_gives_its_file_to_who_started_it(signed_in):
    client, other = signed_in("view_mediaasset"), signed_in("view_mediaasset")
    job = BackgroundJobFactory(created_by=client.user, state="done", done=4)
    address = page("backgroundjob", "file", job.pk)
    assert client.get(address).status_code == 404
    job.file.save("assets.zip", ContentFile(b"zip"))

    response = client.get(address)

    assert b"".join(response.streaming_content) == b"zip"
    assert response["Content-Disposition"].startswith("attachment")
    assert other.get(address).status_code == 404
    text = client.get(page("backgroundjob", "change", job.pk)).content.decode()
    assert "data-mediagen-over" in text
    assert address in text
    job.file.storage.delete(job.file.name)
    assert client.get(address).status_code == 404
