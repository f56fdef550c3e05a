"""Lists are read from indexes in their order, whoever asks: nothing is sorted, no table is scanned for a page.

Of small tables a database knows that reading them whole is quicker: PostgreSQL is told not to.
"""

from __future__ import annotations

import pytest
from django.db import connection

from mediagen.engine.library import Access, narrowed, reach
from mediagen.engine.library.filters import AssetFilters
from mediagen.models import MediaAsset
from tests.factories import GroupFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor not in ('sqlite', 'postgresql')", reason="its plans are not looked at"),
]
FILTERS = [
    {},
    {"status": "approved"},
    {"state": "failed"},
    {"provider": "flux"},
    {"model": "core"},
    {"format": "webp"},
    {"q": "lighthouse"},
]


LOOK = ["mediagen.view_mediaasset"]


@pytest.fixture(params=["superuser", "owner", "member"])
def access(request, monkeypatch):
    """Who sees all, the owner of 5 of 10 libraries, a member of 2 of them; without ANALYZE, as new sites are."""
    monkeypatch.setattr(reach, "PAGE", 1)  # so that 60 rows are many
    people = {
        "superuser": UserFactory(is_superuser=True),
        "owner": UserFactory(may=LOOK),
        "member": UserFactory(may=LOOK),
    }
    group = GroupFactory()
    people["member"].groups.add(group)
    libraries = [MediaLibraryFactory(owner=people["owner" if n % 2 else "superuser"]) for n in range(10)]
    for library in libraries[:2]:
        library.viewer_groups.add(group)
    rows = [MediaAssetFactory.build(library=libraries[n % 10], ready=True, prompt=f"lighthouse {n}") for n in range(60)]
    MediaAsset.objects.bulk_create(rows)
    return Access(people[request.param])


def plan(rows) -> str:
    if connection.vendor == "sqlite":
        return rows.explain()
    with connection.cursor() as cursor:
        for way in ("seqscan", "sort", "bitmapscan", "hashagg"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
    return rows.explain()


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_page_is_read_in_order(access, wanted):
    rows = narrowed(access.assets(), AssetFilters.of(wanted), access).order_by("-id")[:51]
    assert len(rows) <= 51
    said = plan(rows)
    if connection.vendor == "sqlite":
        assert "TEMP B-TREE FOR ORDER BY" not in said.upper()
        assert "SCAN MEDIAGEN_MEDIAASSET\n" not in said.upper() + "\n"
    else:
        assert "Seq Scan on mediagen_mediaasset" not in said


def test_few_rows_among_many_are_fetched_and_sorted():
    """A small library in a large site: reading all in order would look at a million rows for ten."""
    access = Access(UserFactory(may=LOOK))
    mine = MediaLibraryFactory(owner=access.user)
    MediaAssetFactory(library=mine, ready=True)
    other = MediaLibraryFactory(owner=UserFactory())
    MediaAsset.objects.bulk_create([MediaAssetFactory.build(library=other, ready=True) for _ in range(60)])
    rows = access.assets().order_by("-id")[:51]
    if connection.vendor == "sqlite":
        assert "mediagen_asset_library" in rows.explain() or "mediagen_asset_counted" in rows.explain()
    assert len(rows) == 1
