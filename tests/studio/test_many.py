"""Many pictures at once, by their ids and by a search."""

from __future__ import annotations

import pytest
from django.urls import reverse

from mediagen.engine.work import jobs
from mediagen.models import BackgroundJob, MediaAsset
from tests.factories import AssetUsageFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db

MANY = reverse("mediagen:studio-many")


def do(client, what, *assets, headers=JSON, **said):
    return client.post(MANY, {"do": what, "id": [asset.pk for asset in assets], **said}, headers=headers)


def states():
    return sorted(MediaAsset.objects.values_list("status", flat=True))


def test_those_that_are_ticked_are_reviewed_and_the_others_are_named(boss):
    ready, waiting = MediaAssetFactory(ready=True), MediaAssetFactory()
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))

    answer = do(boss, "approve", ready, waiting, foreign).json()

    assert states() == ["approved", "draft", "draft"]
    assert answer["message"].endswith("Left out: 1 without a picture, 1 that are not yours to change.")
    assert str(ready.pk) in answer["changed"]


def test_they_are_tagged_and_moved(boss):
    assets = [MediaAssetFactory(ready=True) for _ in range(2)]
    there = MediaLibraryFactory()
    foreign = MediaLibraryFactory(owner=UserFactory())

    do(boss, "tag", *assets, add="coast, fog")
    do(boss, "tag", *assets, remove="fog")
    moved = do(boss, "move", *assets, library=there.pk)

    assert [asset.tag_names for asset in assets] == [["coast"]] * 2
    assert moved.status_code == 200
    assert set(MediaAsset.objects.values_list("library", flat=True)) == {there.pk}
    assert do(boss, "move", *assets, library=foreign.pk).status_code == 400


def test_what_is_deleted_comes_back_and_what_is_in_use_stays(boss):
    assets = [MediaAssetFactory(ready=True) for _ in range(3)]
    AssetUsageFactory(asset=assets[0])

    answer = do(boss, "delete", *assets).json()

    assert answer["gone"]
    assert "1 that are in use" in answer["message"]
    assert states() == ["deleted", "deleted", "draft"]
    boss.post(answer["undo"]["address"], answer["undo"]["fields"], headers=JSON)
    assert states() == ["draft"] * 3


def test_all_that_a_search_finds_is_counted_and_asked_about_without_a_script(boss):
    for name in ("a red boat", "a blue boat", "a tree"):
        MediaAssetFactory(ready=True, prompt=name)
    chosen = {"all": "1", "query": "q=boat"}

    assert boss.get(MANY, {"q": "boat"}, headers=JSON).json()["count"] == 2
    asked = do(boss, "archive", headers={}, **chosen)
    assert "2 pictures are found." in asked.content.decode()
    assert states() == ["draft"] * 3
    assert do(boss, "archive", headers={}, count="2", **chosen).status_code == 302
    assert states() == ["archived", "archived", "draft"]


@pytest.mark.parametrize(("what", "most"), [("download", 1000), ("archive", 1)])
def test_a_download_and_more_than_a_request_takes_are_a_job(boss, monkeypatch, what, most):
    monkeypatch.setattr("mediagen.engine.library.review.MAX_AT_ONCE", most)
    assets = [MediaAssetFactory(ready=True) for _ in range(2)]

    address = do(boss, what, *assets).json()["job"]

    before = boss.get(address, headers=JSON).json()
    assert (before["is_over"], before["file"]) == (False, "")
    assert jobs.work_off() == 1
    after = boss.get(address, headers=JSON).json()
    assert (after["is_over"], after["text"], bool(after["file"])) == (True, "2 of 2 done", what == "download")
    assert "2 of 2 done" in boss.get(address).content.decode()


def test_rights_are_asked_for_whatever_was_shown(person):
    asset = MediaAssetFactory(ready=True)
    looker = person()

    refused = [do(looker, what, asset).status_code for what in ("approve", "tag", "move", "delete")]

    assert refused == [403] * 4
    assert 'value="approve"' not in looker.get(reverse("mediagen:studio")).content.decode()
    assert do(looker, "download", asset).status_code == 202
    job = BackgroundJob.objects.get()
    assert person().get(reverse("mediagen:studio-job", args=[job.pk])).status_code == 404


@pytest.mark.parametrize("said", [{}, {"do": "burn"}, {"do": "archive"}, {"do": "archive", "id": "x"}])
def test_nonsense_is_a_word(boss, said):
    assert boss.post(MANY, said, headers=JSON).status_code == 400
    assert boss.post(MANY, said).status_code == 400
