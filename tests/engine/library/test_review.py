"""The review's steps, with who and when, and edits that undo nobody's work."""

import pytest

from mediagen.engine.library import review
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset, MediaTag
from mediagen.types import utcnow, uuid7
from tests.factories import MediaAssetFactory, UserFactory

pytestmark = pytest.mark.django_db

LEGAL = {
    ("approve", "draft"): "approved",
    ("publish", "draft"): "published",
    ("publish", "approved"): "published",
    ("archive", "draft"): "archived",
    ("archive", "approved"): "archived",
    ("archive", "published"): "archived",
    ("restore", "archived"): "draft",
}


@pytest.mark.parametrize("step", review.STEPS)
@pytest.mark.parametrize("status", ["draft", "approved", "published", "archived", "deleted"])
def test_every_step_from_every_status(step, status):
    user, began = UserFactory(), utcnow()
    asset = MediaAssetFactory(ready=True, status=status)

    done = review.review([asset.pk], step, by=user)

    asset.refresh_from_db()
    if target := LEGAL.get((step, status)):
        assert (done.changed, done.elsewhere) == ((asset.pk,), 0)
        assert (asset.status, asset.reviewed_by) == (target, user)
        assert began <= asset.reviewed_at <= asset.updated_at <= utcnow()
    else:
        assert (done.changed, done.elsewhere) == ((), 1)
        assert (asset.status, asset.reviewed_by, asset.reviewed_at) == (status, None, None)


@pytest.mark.parametrize("state", ["pending", "running", "failed", "cancelled"])
def test_what_has_no_picture_is_not_approved_but_can_be_put_away(state):
    user, asset = UserFactory(), MediaAssetFactory(generation_state=state)

    assert review.review([asset.pk], "approve", by=user).without_picture == 1
    assert review.review([asset.pk], "publish", by=user).changed == ()
    assert review.review([asset.pk], "archive", by=user).changed == (asset.pk,)
    assert review.review([asset.pk], "restore", by=user).changed == (asset.pk,)


def test_many_are_counted_by_what_became_of_them(django_assert_num_queries):
    user = UserFactory()
    ready, drawn = MediaAssetFactory(ready=True), MediaAssetFactory(placeholder=True)
    failed, gone = MediaAssetFactory(failed=True), MediaAssetFactory(ready=True, status="deleted")
    ids = [ready.pk, drawn.pk, failed.pk, gone.pk, ready.pk, uuid7()]

    with django_assert_num_queries(4):  # the transaction's savepoint, twice
        done = review.review(ids, "approve", by=user)

    assert set(done.changed) == {ready.pk, drawn.pk}
    assert (done.placeholders, done.without_picture, done.elsewhere) == (1, 1, 1)
    assert set(MediaAsset.objects.filter(status="approved")) == {ready, drawn}


def test_notes_replace_earlier_ones_only_when_given():
    user, asset = UserFactory(), MediaAssetFactory(ready=True, review_notes="the horizon is crooked")

    review.review([asset.pk], "approve", by=user)
    asset.refresh_from_db()
    assert asset.review_notes == "the horizon is crooked"

    review.review([asset.pk], "archive", by=user, notes="replaced")
    asset.refresh_from_db()
    assert asset.review_notes == "replaced"


def test_nonsense_is_refused_before_anything_is_changed(monkeypatch):
    user, asset = UserFactory(), MediaAssetFactory(ready=True)
    monkeypatch.setattr(review, "MAX_AT_ONCE", 2)

    with pytest.raises(InvalidRequest, match="There are: approve, publish"):
        review.review([asset.pk], "praise", by=user)
    with pytest.raises(InvalidRequest, match="3 assets are too many"):
        review.review([asset.pk, uuid7(), uuid7()], "approve", by=user)

    assert MediaAsset.objects.filter(status="draft").count() == 1
    assert review.review([], "approve", by=user).changed == ()


def test_describing_writes_these_fields_and_no_other():
    asset = MediaAssetFactory(name="before", description="before")
    MediaAsset.objects.filter(pk=asset.pk).update(generation_state="running", lease_token=9, description="by another")
    asset.name = "after"
    before = utcnow()

    review.describe(asset, ["name"])

    asset.refresh_from_db()
    assert (asset.name, asset.description) == ("after", "by another")
    assert (asset.generation_state, asset.lease_token) == ("running", 9)
    assert asset.updated_at >= before


def test_describing_nothing_writes_nothing(django_assert_num_queries):
    asset = MediaAssetFactory()

    with django_assert_num_queries(0):
        review.describe(asset, [])


def test_what_is_known_from_the_generation_is_not_described():
    with pytest.raises(InvalidRequest, match="cost, prompt"):
        review.describe(MediaAssetFactory(), {"name", "prompt", "cost"})


def test_tags_come_and_go_by_name_and_others_stay():
    asset = MediaAssetFactory()
    asset.tags.add(*MediaTag.objects.ensure(["generated", "Old", "sea"]))

    review.change_tags(asset.tags, add=["New", "SEA"], remove=["old", "never there"])

    assert asset.tag_names == ["New", "generated", "sea"]
    with pytest.raises(InvalidRequest):
        review.change_tags(asset.tags, add=["x" * 101], remove=["sea"])
    assert asset.tag_names == ["New", "generated", "sea"]
