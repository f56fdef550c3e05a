"""Many assets into another library, and their tags."""

import pytest

from mediagen.engine.library import bulk
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory

pytestmark = pytest.mark.django_db


def test_assets_move_and_those_that_are_there_already_do_not_count():
    there = MediaLibraryFactory()
    asset, inside = MediaAssetFactory(), MediaAssetFactory(library=there)

    assert bulk.move([asset.pk, inside.pk], there) == 1
    assert set(there.assets.all()) == {asset, inside}


def test_an_idempotency_key_that_is_taken_there_is_given_up():
    there = MediaLibraryFactory()
    MediaAssetFactory(library=there, idempotency_key="k")
    clashing, other = MediaAssetFactory(idempotency_key="k"), MediaAssetFactory(idempotency_key="other")

    assert bulk.move([clashing.pk, other.pk], there) == 2
    clashing.refresh_from_db()
    other.refresh_from_db()
    assert (clashing.idempotency_key, other.idempotency_key) == (None, "other")


def test_tags_are_added_and_removed_whatever_their_case(django_assert_max_num_queries):
    assets = [MediaAssetFactory() for _ in range(3)]
    old, kept = MediaTagFactory(name="Old"), MediaTagFactory(name="Kept")
    for asset in assets:
        asset.tags.add(old, kept)

    with django_assert_max_num_queries(12):
        assert bulk.tag([asset.pk for asset in assets], add=["New  tag", "KEPT"], remove=["oLD"]) == 3

    assert all(asset.tag_names == ["Kept", "New tag"] for asset in MediaAsset.objects.all())


def test_what_can_be_no_tag_changes_nothing():
    asset = MediaAssetFactory()
    asset.tags.add(MediaTagFactory(name="sea"))

    with pytest.raises(InvalidRequest):
        bulk.tag([asset.pk], add=["  "], remove=["sea"])

    assert asset.tag_names == ["sea"]
