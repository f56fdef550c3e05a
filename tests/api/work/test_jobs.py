"""Long actions through the API."""

from __future__ import annotations

import io
import zipfile

import pytest

from mediagen.engine.work import jobs
from mediagen.models import ApiToken, AssetExport, BackgroundJob, MediaAsset
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


# ---------------------------------------------------------------------- many at once


def ended(caller, **body):
    begun = caller.send(URL, body)
    assert begun.status_code == 202, begun.content
    jobs.work_off()
    return caller.get(begun["Location"]).json()


def test_many_are_approved_by_a_filter_whose_number_was_said_first(caller):
    sea = [MediaAssetFactory(ready=True, provider_name="sdxl") for _ in range(3)]
    waits = MediaAssetFactory(provider_name="sdxl")
    other = MediaAssetFactory(ready=True, provider_name="flux")
    theirs = MediaAssetFactory(ready=True, provider_name="sdxl", library=MediaLibraryFactory(owner=UserFactory()))
    which = {"kind": "review", "filter": {"provider": "sdxl"}}

    count = caller.send(f"{URL}count/", which).json()["count"]
    assert count == 4
    assert problem(caller.send(URL, {**which, "step": "approve", "expected": 3})) == "conflict"
    body = ended(caller, **which, step="approve", expected=count)

    assert (body["state"], body["done"], body["failed"]) == ("done", 3, 1)
    assert body["errors"][0]["asset_id"] == str(waits.pk)
    status = dict(MediaAsset.objects.values_list("pk", "status"))
    assert [status[asset.pk] for asset in (*sea, waits, other, theirs)] == ["approved"] * 3 + ["draft"] * 3
    again = ended(caller, kind="review", step="approve", asset_ids=[str(sea[0].pk)])
    assert (again["done"], again["failed"]) == (1, 0)  # a worker that died half way has taken it already


def test_many_are_tagged_and_moved(caller):
    asset, library = MediaAssetFactory(ready=True), MediaLibraryFactory(owner=caller.user, name="Press")
    ids = [str(asset.pk)]

    assert ended(caller, kind="tag", asset_ids=ids, add=["sea", "old"])["done"] == 1
    assert ended(caller, kind="tag", filter={"tag": ["sea"]}, remove=["old"])["done"] == 1
    assert ended(caller, kind="move", asset_ids=ids, library="press")["done"] == 1

    asset.refresh_from_db()
    assert (asset.tag_names, asset.library) == (["sea"], library)


def test_nothing_is_moved_where_one_may_not_put_it_any_more(caller):
    asset, library = MediaAssetFactory(ready=True), MediaLibraryFactory(owner=caller.user)
    begun = caller.send(URL, {"kind": "move", "asset_ids": [str(asset.pk)], "library": str(library.pk)})
    library.owner = UserFactory()
    library.save()
    jobs.work_off()
    assert caller.get(begun["Location"]).json()["state"] == "failed"
    asset.refresh_from_db()
    assert asset.library != library


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "review", "step": "approve"}, "asset_ids"),
        ({"kind": "review", "step": "approve", "filter": {}}, "filter"),
        ({"kind": "review", "step": "approve", "filter": {"libary": "x"}}, "filter.libary"),
        ({"kind": "review", "step": "approve", "filter": {"state": "soon"}}, "filter.state"),
        ({"kind": "review", "step": "approve", "filter": {"q": {"a": 1}}}, "filter.q"),
        ({"kind": "review", "step": "approve", "filter": {"q": "a"}, "asset_ids": [str(uuid7())]}, "asset_ids"),
        ({"kind": "review", "step": "sell", "filter": {"q": "a"}}, "step"),
        ({"kind": "review", "filter": {"q": "a"}}, "step"),
        ({"kind": "tag", "asset_ids": [str(uuid7())]}, "add"),
        ({"kind": "tag", "asset_ids": [str(uuid7())], "add": ["a" * 101]}, "add.0"),
        ({"kind": "move", "asset_ids": [str(uuid7())]}, "library"),
        ({"kind": "move", "asset_ids": [str(uuid7())], "library": "nowhere"}, "library"),
        ({"kind": "tag", "asset_ids": [str(uuid7())], "add": ["a"], "step": "approve"}, "step"),
    ],
)
def test_what_many_cannot_be_told_is_said(caller, body, field):
    MediaAssetFactory(ready=True, name="a")
    response = caller.send(URL, body)
    assert (response.status_code, response.json()["field"]) == (400, field), response.content
    assert not BackgroundJob.objects.exists()


class TestExport:
    def test_of_a_filter_whose_number_was_said(self, caller):
        tagged = [MediaAssetFactory(ready=True, name=f"fox {number}") for number in range(2)]
        waiting = MediaAssetFactory(name="fox that waits")
        locked = MediaAssetFactory(ready=True, name="fox", library=MediaLibraryFactory(owner=UserFactory()))
        body = {"kind": "export", "filter": {"q": "fox"}}
        count = caller.send(f"{URL}count/", body).json()["count"]

        begun = caller.send(URL, {**body, "expected": count, "target": "canva", "folder": "FAtest"})
        assert begun.status_code == 202, begun.json()
        jobs.work_off()

        said = caller.get(begun["Location"]).json()
        assert (said["done"], said["failed"], len(said["exports"])) == (2, 1, 2)
        assert said["errors"][0]["asset_id"] == str(waiting.pk)
        exports = AssetExport.objects.all()
        assert {str(one.pk) for one in exports} == set(said["exports"])
        assert {one.asset_id for one in exports} == {asset.pk for asset in tagged}
        assert {(one.file_key, one.created_by) for one in exports} == {("FAtest", caller.user)}
        assert not locked.exports.exists()

    def test_a_worker_that_died_sends_none_twice(self, caller):
        asset = MediaAssetFactory(ready=True)
        begun = caller.send(URL, {"kind": "export", "asset_ids": [str(asset.pk)], "target": "canva"}).json()
        jobs.work_off()
        BackgroundJob.objects.filter(pk=begun["id"]).update(state="pending", done=0, result={})
        jobs.work_off()
        assert AssetExport.objects.count() == 1
        assert caller.get(begun["url"]).json()["exports"] == [str(AssetExport.objects.get().pk)]

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({}, "target"),
            ({"target": "figma"}, "file_key"),
            ({"target": "canva", "file_key": "abcDEF123456789012345"}, "file_key"),
            ({"target": "canva", "library": "x"}, "library"),
        ],
    )
    def test_what_cannot_be_is_refused_before_it_begins(self, caller, given, field):
        response = caller.send(URL, {"kind": "export", "asset_ids": [str(uuid7())], **given})
        assert (response.status_code, response.json()["field"]) == (400, field)
