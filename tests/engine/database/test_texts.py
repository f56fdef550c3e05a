"""Texts are compared alike on every database: keys to the letter, words that people search in any case."""

from __future__ import annotations

import pytest

from mediagen.engine.library.libraries import check_free, get_or_create_library
from mediagen.errors import Conflict
from mediagen.models import MediaAsset, MediaTag
from tests.factories import MediaAssetFactory, MediaLibraryFactory

pytestmark = pytest.mark.django_db
APART = ["order", "Order", "order ", "\u00f6rder"]


def test_keys_that_differ_in_case_an_accent_or_a_blank_are_apart():
    library = MediaLibraryFactory()
    made = {key: MediaAssetFactory(library=library, idempotency_key=key).pk for key in APART}
    assert {key: MediaAsset.objects.get(idempotency_key=key).pk for key in APART} == made
    assert [tag.name for tag in MediaTag.objects.ensure(["cafe", "caf\u00e9"])] == ["cafe", "caf\u00e9"]


def test_any_case_is_found_where_it_is_asked_for():
    asset = MediaAssetFactory(prompt="A Lighthouse", library=get_or_create_library("Harbour"))
    assert MediaAsset.objects.get(prompt__icontains="lightHOUSE") == asset
    assert MediaAsset.objects.get(library__name__istartswith="HARB") == asset
    assert not MediaAsset.objects.filter(library__name="harbour").exists()
    with pytest.raises(Conflict):
        check_free("harbour")
