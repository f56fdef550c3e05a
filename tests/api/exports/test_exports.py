"""exports/: what may be asked, by whom, and how an export stands."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from mediagen.models import AssetExport, ExportState
from tests.api.callers import Caller
from tests.factories import AssetExportFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

EXPORTS = "/api/v1/exports/"
KEY = "abcDEF123456789012345"


@pytest.fixture
def asset(db):
    return MediaAssetFactory(ready=True, name="Red fox")


def signed_in(*may: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(UserFactory(may=may, **fields))
    return client


@pytest.fixture
def editor(db) -> Client:
    return signed_in("view_mediaasset", "change_mediaasset")


def post(client: Client, path: str = EXPORTS, **body: Any):
    return client.post(path, body, content_type="application/json")


def test_an_export_to_canva_is_answered_at_once_and_waits(editor, asset):
    response = post(editor, asset=asset.asset_id, target="canva", title="Spring", folder="FAtest")
    body = response.json()
    assert response.status_code == 202, body
    assert (body["state"], body["title"], body["folder"], body["file_key"]) == ("pending", "Spring", "FAtest", "")
    assert editor.get(body["url"]).json() == body
    assert AssetExport.objects.get(pk=body["id"]).created_by is not None


def test_an_export_to_figma_is_sent(editor, asset, monkeypatch):
    monkeypatch.setenv("FIGMA_API_TOKEN", "made-up")
    response = post(editor, asset=asset.asset_id, target="figma", file_key=KEY, page_id="0-1", x=1, y=-2.5)
    body = response.json()
    assert response.status_code == 201, body
    assert (body["state"], body["dry_run"], body["file_key"], body["page_id"]) == ("placed", True, KEY, "0:1")
    assert (body["x"], body["y"], body["folder"]) == (1.0, -2.5, "")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "asset"),
        ({"target": "sketch"}, "target"),
        ({"target": "figma"}, "file_key"),
        ({"target": "figma", "file_key": "?"}, "file_key"),
        ({"target": "figma", "file_key": KEY, "folder": "F"}, "folder"),
        ({"target": "figma", "file_key": KEY, "x": "1"}, "x"),
        ({"target": "canva", "file_key": KEY}, "file_key"),
        ({"target": "canva", "folder": "a b"}, "folder"),
        ({"target": "canva", "title": "x" * 256}, "title"),
        ({"target": "canva", "create_design": 1}, "create_design"),
        ({"target": "canva", "colour": "red"}, "colour"),
        ({"target": "canva", "asset": "nonsense"}, "asset"),
        ({"target": "canva", "asset": str(uuid.UUID(int=1))}, "asset"),
    ],
)
def test_what_cannot_be(editor, asset, body, field):
    whole = {"asset": asset.asset_id, **body} if body else {"target": "canva"}
    response = post(editor, **whole)
    assert (response.status_code, response.json()["field"]) == (400, field), response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert not AssetExport.objects.exists()


def test_an_asset_without_a_picture(editor):
    response = post(editor, asset=MediaAssetFactory().asset_id, target="canva")
    assert (response.status_code, response.json()["field"]) == (400, "asset_id")


def test_a_list_can_be_narrowed_and_paged(editor, asset):
    for number in range(3):
        AssetExportFactory(asset=asset, target="canva", file_key="", frame_name=str(number))
    AssetExportFactory(asset=asset, state=ExportState.FAILED)
    assert len(editor.get(EXPORTS).json()["results"]) == 4
    assert len(editor.get(EXPORTS, {"target": "canva"}).json()["results"]) == 3
    assert len(editor.get(EXPORTS, {"state": "failed"}).json()["results"]) == 1
    assert len(editor.get(EXPORTS, {"asset": str(uuid.UUID(int=1))}).json()["results"]) == 0
    page = editor.get(EXPORTS, {"page_size": 3}).json()
    assert len(page["results"]) == 3
    assert len(editor.get(page["next"]).json()["results"]) == 1
    for query in ({"target": "x"}, {"state": "x"}, {"asset": "x"}):
        assert editor.get(EXPORTS, query).status_code == 400


def test_cancel_and_retry(editor, asset):
    made = post(editor, asset=asset.asset_id, target="canva").json()
    assert post(editor, f"{made['url']}retry/").status_code == 409
    cancelled = post(editor, f"{made['url']}cancel/")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert post(editor, f"{made['url']}cancel/").status_code == 409
    again = post(editor, f"{made['url']}retry/")
    assert (again.status_code, again.json()["state"]) == (202, "pending")


def test_a_figma_export_that_never_waited_cannot_be_retried(editor, asset):
    export = AssetExportFactory(asset=asset, state=ExportState.FAILED)
    assert post(editor, f"{EXPORTS}{export.pk}/retry/").status_code == 409


@pytest.mark.parametrize(
    ("may", "sees", "makes"),
    [
        ((), 403, 403),
        (("view_mediaasset",), 200, 403),
        (("change_mediaasset",), 403, 202),
        (("view_mediaasset", "change_mediaasset"), 200, 202),
        (("view_mediaasset", "add_mediaasset", "delete_mediaasset", "approve_mediaasset"), 200, 403),
    ],
)
def test_who_may_do_what(asset, may, sees, makes):
    client = signed_in(*may)
    export = AssetExportFactory(asset=asset, target="canva", file_key="")
    assert client.get(EXPORTS).status_code == sees
    assert client.get(f"{EXPORTS}{export.pk}/").status_code == sees
    assert post(client, asset=asset.asset_id, target="canva").status_code == makes
    expected = {403: 403}.get(makes, 404 if sees == 403 else 200)
    assert post(client, f"{EXPORTS}{export.pk}/cancel/").status_code == expected


def test_nobody_may_do_anything(asset):
    assert Client().get(EXPORTS).status_code == 401
    assert post(Client(), asset=asset.asset_id, target="canva").status_code == 401


def test_what_one_may_not_read_does_not_exist(editor):
    hidden = AssetExportFactory(
        asset=MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory())), target="canva"
    )
    assert editor.get(EXPORTS).json()["results"] == []
    there = editor.get(f"{EXPORTS}{hidden.pk}/")
    missing = editor.get(f"{EXPORTS}{uuid.UUID(int=1)}/")
    assert (there.status_code, there.json()) == (404, missing.json())
    for step in ("cancel", "retry"):
        assert post(editor, f"{EXPORTS}{hidden.pk}/{step}/").status_code == 404
    refused = post(editor, asset=hidden.asset.asset_id, target="canva")
    unknown = post(editor, asset=str(uuid.UUID(int=1)), target="canva")
    assert (refused.status_code, refused.json()) == (400, unknown.json())


def test_a_token_needs_its_scope(asset):
    reader, changer = Caller(scopes=("read",)), Caller(scopes=("read", "change"))
    assert reader.get(EXPORTS).status_code == 200
    assert post(reader, asset=asset.asset_id, target="canva").status_code == 403
    assert post(changer, asset=asset.asset_id, target="canva").status_code == 202
