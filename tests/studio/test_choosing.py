"""Candidates of one request: rated, compared, one picked and the others put away."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from mediagen.models import MediaAsset
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db

COMPARE = reverse("mediagen:studio-compare")


@pytest.fixture
def candidates():
    library, generation = MediaLibraryFactory(), uuid.uuid4()
    return [MediaAssetFactory(ready=True, library=library, generation_id=generation) for _ in range(4)]


def do(client, asset, action, *, headers=JSON, **fields):
    return client.post(reverse("mediagen:studio-action", args=[asset.pk, action]), fields, headers=headers)


def statuses(assets):
    found = MediaAsset.objects.in_bulk([asset.pk for asset in assets])
    return [found[asset.pk].status for asset in assets]


def test_one_is_picked_and_the_drafts_of_its_request_are_archived(boss, candidates):
    elsewhere = MediaAssetFactory(ready=True, library=candidates[0].library)
    MediaAsset.objects.filter(pk=candidates[3].pk).update(status="published")

    answer = do(boss, candidates[1], "pick").json()

    assert answer["message"] == "Picked. The other 2 are archived."
    assert statuses([*candidates, elsewhere]) == ["archived", "approved", "archived", "published", "draft"]
    boss.post(answer["undo"]["address"], answer["undo"]["fields"], headers=JSON)
    assert statuses(candidates) == ["draft", "approved", "draft", "published"]


def test_of_compared_ones_only_those_that_one_may_review_are_archived(boss, candidates):
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    other = MediaAssetFactory(ready=True)

    do(boss, candidates[0], "pick", among=[other.pk, foreign.pk, candidates[0].pk])

    assert statuses([candidates[0], candidates[1], other, foreign]) == ["approved", "draft", "archived", "draft"]


def test_a_rating_is_one_to_five_or_none(boss, candidates):
    asset = candidates[0]

    assert [do(boss, asset, "rate", rating=given).status_code for given in ("4", "6", "x")] == [200, 409, 409]
    asset.refresh_from_db()
    assert asset.rating == 4
    assert "★4" in do(boss, asset, "rate", rating="4").json()["tile"]
    do(boss, asset, "rate", rating="")
    asset.refresh_from_db()
    assert asset.rating is None


def test_two_to_four_stand_side_by_side(boss, person, candidates):
    foreign = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))

    two = boss.get(COMPARE, {"id": [candidates[0].pk, candidates[1].pk, foreign.pk]}).content.decode()
    looked = person().get(COMPARE, {"id": [candidates[0].pk, candidates[1].pk]}).content.decode()

    assert (two.count("Use this one"), two.count('data-action="rate"'), "data-over" in two) == (2, 2, True)
    assert "Use this one" not in looked
    assert str(foreign.pk) not in two
    assert "Choose two to four" in boss.get(COMPARE, {"id": candidates[0].pk}).content.decode()
    assert boss.get(COMPARE, {"id": "x"}).status_code == 404
    back = do(boss, candidates[0], "rate", headers={}, rating="3", next=f"{COMPARE}?id={candidates[0].pk}")
    assert back.url == f"{COMPARE}?id={candidates[0].pk}&said=rate"
    assert do(boss, candidates[0], "rate", headers={}, next="//evil.test/").url.startswith("/mediagen/assets/")


def test_the_story_shows_the_other_candidates(boss, candidates):
    told = boss.get(reverse("mediagen:studio-story", args=[candidates[0].pk])).content.decode()

    assert told.count("data-show=") == 3
    assert 'data-action="pick"' in told
    assert f"{COMPARE}?id={candidates[0].pk}&amp;id=" in told
