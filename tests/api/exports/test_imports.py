"""imports/ and assets/ by address: who may, where it lands, and what is never fetched."""

from __future__ import annotations

import pytest

from mediagen.engine.files import fetched_uploads
from mediagen.models import AssetExport, MediaAsset, ProviderConfig
from tests.api.callers import EVERYTHING, SCOPES, Caller, problem
from tests.factories import AssetExportFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.pictures import png

pytestmark = pytest.mark.django_db

API = "/api/v1/"
FIGMA, CANVA, ASSETS = f"{API}imports/figma/", f"{API}imports/canva/", f"{API}assets/"
KEY = "abcDEF123456789012345"
FILE = f"https://www.figma.com/design/{KEY}/Spring?node-id=1-2"


@pytest.fixture
def caller():
    return Caller(UserFactory(may=[*EVERYTHING, "import_mediaasset"]))


def test_figma_by_addresses(caller):
    response = caller.send(FIGMA, {"file": FILE, "nodes": [FILE, "1:3"], "scale": 2})
    body = response.json()
    assert response.status_code == 201, body
    assert [asset["source"] for asset in body["assets"]] == ["imported", "imported"]
    assert (body["failures"], body["assets"][0]["is_placeholder"]) == ([], True)
    assert {asset.created_by for asset in MediaAsset.objects.all()} == {caller.user}


def test_canva_by_address(caller):
    response = caller.send(CANVA, {"design": "https://www.canva.com/design/DAFVztcvd9z/edit", "tags": ["sea"]})
    body = response.json()
    assert response.status_code == 201, body
    assert (body["source"], set(body["tags"])) == ("imported", {"canva_imported", "sea"})


def test_a_token_of_one_library_neither_sees_nor_fills_another(caller):
    own, other = MediaLibraryFactory(), MediaLibraryFactory()
    placed = MediaAssetFactory(ready=True, library=other)
    AssetExportFactory(asset=placed, target="figma", state="placed", file_key=KEY, external_id="1:2", dry_run=False)
    AssetExport.objects.update(placed_at="2026-01-01T00:00:00Z")
    bound = Caller(caller.user, scopes=SCOPES, library=own)
    (asset,) = bound.send(FIGMA, {"file": KEY, "nodes": ["1:2"]}).json()["assets"]
    assert (asset["library"], asset["parent"]) == (str(own.pk), None)
    for path, body in ((FIGMA, {"file": KEY, "nodes": ["1:2"]}), (CANVA, {"design": "DAFVztcvd9z"})):
        assert bound.send(path, {**body, "library": str(other.pk)}).json()["field"] == "library"
    (free,) = caller.send(FIGMA, {"file": KEY, "nodes": ["1:2"]}).json()["assets"]
    assert (free["library"], free["parent"]) == (str(other.pk), str(placed.pk))
    blind = Caller(caller.user, scopes=("generate",))  # adds where it reads nothing
    (made,) = blind.send(FIGMA, {"file": KEY, "nodes": ["1:2"]}).json()["assets"]
    assert (made["library"] != str(other.pk), made["parent"]) == (True, None)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (FIGMA, {"file": "https://example.com/x", "nodes": ["1:2"]}, "file"),
        (FIGMA, {"file": KEY, "nodes": ["x"]}, "nodes"),
        (CANVA, {"design": "../x"}, "design"),
    ],
)
def test_what_cannot_be_an_address(caller, path, body, field):
    response = caller.send(path, body)
    assert (response.status_code, response.json()["field"]) == (400, field)


def test_nobody_there_is_a_problem_and_no_crash(caller):
    ProviderConfig.objects.exclude(name="noop_media").update(enabled=False)
    response = caller.send(CANVA, {"design": "DAFVztcvd9z"})
    assert (response.status_code, problem(response)) == (502, "not-delivered")


class TestByAddress:
    def test_it_becomes_an_asset(self, caller, monkeypatch):
        async def fetch(address):
            return png()

        monkeypatch.setattr(fetched_uploads, "_fetch", fetch)
        body = {"address": "https://pictures.example.com/red%20fox.png", "alt_text": "A fox", "tags": ["fox"]}
        response = caller.send(ASSETS, body)
        asset = response.json()
        assert response.status_code == 201, asset
        assert (asset["name"], asset["alt_text"], asset["tags"]) == ("red fox", "A fox", ["fox"])

    @pytest.mark.parametrize("address", ["http://127.0.0.1/x.png", "https://10.0.0.8/x.png", "file:///etc/passwd", "x"])
    def test_never_from_inside(self, caller, address):
        response = caller.send(ASSETS, {"address": address})
        assert (response.status_code, response.json()["field"]) == (400, "address")
        assert not MediaAsset.objects.exists()

    def test_what_is_no_picture(self, caller, monkeypatch):
        async def fetch(address):
            return b"<html>"

        monkeypatch.setattr(fetched_uploads, "_fetch", fetch)
        response = caller.send(ASSETS, {"address": "https://pictures.example.com/"})
        assert (response.status_code, problem(response), response.json()["field"]) == (415, "not-a-picture", "address")
