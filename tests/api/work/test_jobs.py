"""Long actions through the API."""

from __future__ import annotations

import io
import zipfile

import pytest

from mediagen.engine.work import jobs
from mediagen.models import ApiToken, BackgroundJob, MediaAsset
from mediagen.types import uuid7
from tests.api.callers import Caller, problem
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

URL = "/api/v1/jobs/"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def caller(db) -> Caller:
    return Caller()


def test_a_zip_from_beginning_to_end(caller, client):
    mine = MediaAssetFactory(ready=True)
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))

    begun = caller.send(URL, {"kind": "zip", "asset_ids": [str(mine.pk), str(foreign.pk), str(uuid7())]})
    address = begun["Location"]

    assert (begun.status_code, begun.json()["state"], begun.json()["total"]) == (202, "pending", 3)
    assert problem(caller.get(address + "file/")) == "conflict"
    jobs.work_off()
    body = caller.get(address).json()
    assert (body["state"], body["done"], body["failed"]) == ("done", 1, 2)
    assert len({error["message"] for error in body["errors"]}) == 1
    for response in (caller.get(address + "file/"), client.get(body["file_url"])):
        archive = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
        assert len(archive.namelist()) == 2
    assert [row["id"] for row in caller.get(URL).json()["results"]] == [body["id"]]
    assert problem(caller.post(address + "cancel/")) == "conflict"


def test_is_cancelled(caller):
    address = caller.send(URL, {"kind": "zip", "asset_ids": [str(uuid7())]})["Location"]
    assert caller.post(address + "cancel/").json()["state"] == "cancelled"


def test_of_others_and_of_other_tokens_nothing_is_seen(caller):
    address = caller.send(URL, {"kind": "zip", "asset_ids": [str(uuid7())]})["Location"]
    ApiToken.objects.all()

    for other in (Caller(), Caller(caller.user, scopes=("read",))):
        assert problem(other.get(address)) == "not-found"
        assert problem(other.post(address + "cancel/")) == "not-found"
        assert problem(other.get(address + "file/")) == "not-found"
        assert other.get(URL).json()["results"] == []


def test_variants_and_more_of_the_same(caller):
    asset = MediaAssetFactory(ready=True)
    ids = [str(asset.pk)]
    caller.send(URL, {"kind": "variants", "asset_ids": ids, "sizes": ["8x8"]})
    caller.send(URL, {"kind": "generate_again", "asset_ids": ids, "how": "same"})

    jobs.work_off()

    made = [row["made"] for row in caller.get(URL).json()["results"]]
    assert sorted(made) == sorted(
        [str(pk)] for pk in MediaAsset.objects.filter(parent=asset).values_list("pk", flat=True)
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "zip"}, "asset_ids"),
        ({"kind": "zip", "asset_ids": []}, "asset_ids"),
        ({"kind": "zip", "asset_ids": ["x"]}, "asset_ids"),
        ({"kind": "launch", "asset_ids": [str(uuid7())]}, "kind"),
        ({"kind": "variants", "asset_ids": [str(uuid7())]}, "sizes"),
        ({"kind": "variants", "asset_ids": [str(uuid7())], "sizes": ["x"]}, "sizes"),
        ({"kind": "zip", "asset_ids": [str(uuid7())], "sizes": ["8x8"]}, "sizes"),
        ({"kind": "generate_again", "asset_ids": [str(uuid7())], "how": "provider"}, "provider"),
    ],
)
def test_what_cannot_be_is_said(caller, body, field):
    response = caller.send(URL, body)
    assert response.status_code == 400
    assert response.json()["field"].startswith(field)
    assert not BackgroundJob.objects.exists()


def test_what_a_token_may_not_is_refused_at_once():
    caller = Caller(scopes=("read",))
    for kind in ("variants", "generate_again", "retry_failed", "delete"):
        body = {"kind": kind, "asset_ids": [str(uuid7())], **({"sizes": ["8x"]} if kind == "variants" else {})}
        assert problem(caller.send(URL, body)) == "forbidden"
    assert caller.send(URL, {"kind": "zip", "asset_ids": [str(uuid7())]}).status_code == 202
