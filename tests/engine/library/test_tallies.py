"""What a library holds, kept by the transaction that changes it, however the change is made."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from mediagen.models import LibraryTally, MediaAsset, MediaLibrary
from mediagen.models.kept_by_database import recount
from tests.factories import MediaAssetFactory, MediaLibraryFactory

pytestmark = pytest.mark.django_db


def held(*libraries):
    rows = MediaLibrary.objects.with_counters().in_bulk([library.pk for library in libraries])
    return [(rows[library.pk].asset_count, rows[library.pk].total_bytes) for library in libraries]


def test_every_way_to_change_an_asset_is_counted():
    one, other = MediaLibraryFactory(), MediaLibraryFactory()
    assets = MediaAssetFactory.create_batch(3, library=one, ready=True, file_size=10)
    MediaAssetFactory(library=one)
    assert held(one, other) == [(3, 30), (0, 0)]

    MediaAsset.objects.filter(pk=assets[0].pk).update(library=other)
    MediaAsset.objects.filter(pk=assets[1].pk).update(status="deleted")
    assert held(one, other) == [(1, 10), (1, 10)]
    MediaAsset.objects.filter(pk=assets[1].pk).update(status="draft", file_size=25)
    MediaAsset.objects.filter(pk=assets[2].pk).update(generation_state="running")
    assert held(one, other) == [(1, 25), (1, 10)]
    MediaAsset.objects.bulk_create([MediaAssetFactory.build(library=other, ready=True, file_size=5)])
    assert held(one, other) == [(1, 25), (2, 15)]
    with transaction.atomic():
        MediaAsset.objects.all().delete()
        assert held(one, other) == [(0, 0), (0, 0)]
        transaction.set_rollback(True)
    assert held(one, other) == [(1, 25), (2, 15)]


@pytest.mark.skipif("connection.vendor == 'mysql'", reason="counted there")
def test_they_are_what_a_count_finds_and_cost_one_small_read(django_assert_num_queries):
    library = MediaLibraryFactory()
    MediaAssetFactory.create_batch(2, library=library, ready=True, file_size=10)
    before = held(library)
    recount(connection)
    assert held(library) == before == [(2, 20)]
    with django_assert_num_queries(1) as asked:
        held(library)
    assert "mediaasset" not in asked.captured_queries[0]["sql"]


def test_a_library_goes_with_its_tallies():
    asset = MediaAssetFactory(ready=True)
    library = asset.library
    asset.delete()
    library.delete()
    assert not LibraryTally.objects.exists()
