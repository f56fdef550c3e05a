"""Lists of assets narrowed by what people send, right or wrong."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.http import QueryDict

from mediagen.engine.library import filters
from mediagen.engine.library.filters import AssetFilters, narrowed
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset
from mediagen.models.kept_by_database import KEEPS_TALLIES, has_words
from mediagen.types import uuid7
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory

pytestmark = pytest.mark.django_db


def found(**values):
    return set(narrowed(MediaAsset.objects.all(), AssetFilters.of(values)))


def asked(query):
    return set(narrowed(MediaAsset.objects.all(), AssetFilters.of(QueryDict(query))))


def test_each_filter_finds_what_it_says():
    old = datetime(2026, 1, 2, 12, tzinfo=UTC)
    generation, batchless = uuid7(), MediaAssetFactory()
    asset = MediaAssetFactory(
        ready=True,
        prompt="a pier",
        status="approved",
        source="uploaded",
        is_placeholder=True,
        dry_run=True,
        parent=batchless,
        generation_id=generation,
    )
    MediaAsset.objects.filter(pk=asset.pk).update(created_at=old)
    fits = {
        "q": "pier",
        "library": str(asset.library_id),
        "state": "ready",
        "status": "approved",
        "source": "uploaded",
        "provider": "sdxl",
        "model": "core",
        "format": "PNG",
        "min_width": "64",
        "max_width": "64",
        "min_height": "48",
        "max_height": 48,
        "created_from": "2026-01-02",
        "created_to": "2026-01-02",
        "is_placeholder": "true",
        "dry_run": "1",
        "min_cost": "0.03",
        "max_cost": "0.03",
        "parent": str(batchless.pk),
        "generation_id": str(generation),
        "content_hash": asset.content_hash.upper(),
    }
    misses = {
        "q": "noon",
        "library": str(uuid7()),
        "state": "failed",
        "status": "draft",
        "source": "imported",
        "provider": "flux",
        "model": "other",
        "format": "webp",
        "min_width": "65",
        "max_width": "63",
        "min_height": "49",
        "max_height": "47",
        "created_from": "2026-01-02T12:00:01Z",
        "created_to": "2026-01-02T12:00:00Z",
        "is_placeholder": "false",
        "dry_run": "no",
        "min_cost": "0.031",
        "max_cost": "0.029",
        "parent": str(asset.pk),
        "generation_id": str(uuid7()),
        "content_hash": "0" * 64,
    }
    for name, value in fits.items():
        assert asset in found(**{name: value}), name
    for name, value in misses.items():
        assert asset not in found(**{name: value}), name
    assert found(**fits) == {asset}
    assert found(batch=str(uuid7())) == set()


def test_nothing_given_narrows_nothing():
    assets = {MediaAssetFactory(), MediaAssetFactory(ready=True)}

    assert found() == found(q="", state="", tag="", min_width="", created_to="", library="") == assets
    assert not any([AssetFilters(), AssetFilters.of({"page": "3"})])
    assert all([AssetFilters(dry_run=False), AssetFilters(state="ready"), AssetFilters(min_width=0)])


def test_a_library_by_its_slug():
    library = MediaLibraryFactory(name="Press pictures")
    asset = MediaAssetFactory(library=library)
    MediaAssetFactory()

    assert found(library="press-pictures") == found(library=library) == {asset}
    assert found(library="no-such") == set()


def test_several_words_of_one_kind_mean_any_of_them_and_several_tags_mean_all():
    ready, failed, waiting = MediaAssetFactory(ready=True), MediaAssetFactory(failed=True), MediaAssetFactory()
    sea, sky = MediaTagFactory(name="Sea"), MediaTagFactory(name="Sky, blue")
    ready.tags.add(sea, sky)
    failed.tags.add(sea)

    assert asked("state=ready,failed") == asked("state=ready&state=failed") == {ready, failed}
    assert asked("tag=sea") == {ready, failed}
    assert asked("tag=SEA&tag=sky, blue") == {ready}
    assert asked("tag=unknown") == set()
    assert waiting in asked("")


@pytest.mark.parametrize("rare", [0, 5_000])
def test_frequent_and_rare_tags_find_the_same(monkeypatch, rare):
    monkeypatch.setattr(filters, "RARE_TAG", rare)
    tagged = MediaAssetFactory()
    tagged.tags.add(MediaTagFactory(name="sea"), MediaTagFactory(name="sea side"))
    MediaAssetFactory()

    assert list(narrowed(MediaAsset.objects.all(), AssetFilters(tag="Sea"))) == [tagged]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "done"),
        ("status", "draft,nonsense"),
        ("source", "magic"),
        ("min_width", "-1"),
        ("max_width", "10e3"),
        ("max_height", "9" * 5000),
        ("created_from", "yesterday"),
        ("created_from", "2026-02-30"),
        ("created_to", "0001-01-01T00:00:00+12:00"),
        ("created_to", "9999-12-31"),
        ("is_placeholder", "maybe"),
        ("min_cost", "NaN"),
        ("max_cost", "1e999"),
        ("parent", "12"),
        ("batch", "x" * 500),
        ("generation_id", "\ud800"),
        ("q", "a\x00b"),
        ("provider", "\ud800"),
        ("tag", "\x00"),
        ("library", "\x00"),
        ("q", 3),
    ],
)
def test_what_cannot_be_read_is_said_with_its_field(name, value):
    with pytest.raises(InvalidRequest) as caught:
        AssetFilters.of({name: value})

    assert caught.value.field == name


def test_a_naive_time_is_the_sites_time(settings):
    settings.TIME_ZONE = "Europe/Vienna"

    assert AssetFilters(created_from="2026-07-01T02:00").created_from.utcoffset() == timedelta(hours=2)
    assert AssetFilters(created_from="2026-07-01T02:00 02:00").created_from.utcoffset() == timedelta(hours=2)
    assert AssetFilters(min_cost="0.10").min_cost == Decimal("0.1")


def test_no_count_over_everything_and_no_join(django_assert_num_queries):
    MediaAssetFactory(ready=True).tags.add(MediaTagFactory(name="sea"))

    has_words(connection)  # asked once a connection
    is_indexed = connection.vendor in KEEPS_TALLIES
    # The tag, how frequent it is, tags of the word, how rare it is, the page.
    with django_assert_num_queries(4 + is_indexed) as queries:
        assets = narrowed(MediaAsset.objects.all(), AssetFilters(tag="sea", state="ready", q="lighthouse"))
        assert len(assets.order_by("-id")[:50]) == 1
    assert "JOIN" not in queries.captured_queries[-1]["sql"]
