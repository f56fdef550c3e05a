"""Libraries that are kept between pictures are those of the tables, at every picture."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mediagen.engine.library import LibrariesNow
from mediagen.models import MediaLibrary, MediaTag

pytestmark = pytest.mark.django_db(transaction=True)


def now(library_id=None):
    return LibrariesNow().of(library_id)


def gone(library):
    library.delete()


def renamed(library):
    MediaLibrary.objects.filter(pk=library.pk).update(name="Stock")


@pytest.mark.parametrize("becomes", [gone, renamed])
def test_a_default_library_that_was_made_and_went_is_made_again(becomes):
    first, _ = now()
    becomes(first)
    second, _ = now()
    assert second.pk != first.pk
    assert MediaLibrary.objects.get(name="Default") == second


def test_what_an_admin_changes_counts_at_the_very_next_picture():
    library = MediaLibrary.objects.create(name="L")
    for limit in (None, Decimal(5), None, Decimal(7)):
        MediaLibrary.objects.filter(pk=library.pk).update(budget_limit=limit)
        assert now(library.pk)[0].budget_limit == limit
    tag = MediaTag.objects.create(name="sea")
    library.default_tags.add(tag)
    assert now(library.pk)[1] == [tag]
    tag.delete()
    assert now(library.pk)[1] == []
