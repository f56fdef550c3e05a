"""What has changed among all assets since the last look."""

from __future__ import annotations

import pytest

from mediagen.engine.events.changes import Look
from mediagen.models import MediaAsset
from tests.factories import GenerationAttemptFactory, MediaAssetFactory

pytestmark = pytest.mark.django_db


def told(look):
    return {change.asset_id: (change.is_new, change.is_gone) for change in look.changes()}


def test_new_ones_changed_ones_and_deleted_ones_are_named_once():
    there, other = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    look = Look()

    fresh = MediaAssetFactory(ready=True)
    there.save()
    assert told(look) == {fresh.pk: (True, False), there.pk: (False, False)}
    assert told(look) == {}
    other.status = "deleted"
    other.save()
    assert told(look) == {other.pk: (False, True)}


def test_an_attempt_is_a_change_of_its_asset():
    asset = MediaAssetFactory(generation_state="running")
    look = Look()

    attempt = GenerationAttemptFactory(asset=asset, in_flight=True)
    assert told(look) == {asset.pk: (False, False)}
    assert told(look) == {}
    type(attempt).objects.filter(pk=attempt.pk).update(state="failed")
    assert told(look) == {asset.pk: (False, False)}


def test_a_look_is_two_or_three_queries(django_assert_max_num_queries):
    MediaAssetFactory.create_batch(5, generation_state="running")
    look = Look()
    MediaAsset.objects.update(name="x")

    with django_assert_max_num_queries(3):
        look.changes()
