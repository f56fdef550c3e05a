"""Finding assets by words, whatever people type."""

import pytest
from django.contrib.auth.models import AnonymousUser

from mediagen.engine.library.access import Access
from mediagen.engine.library.search import matching, words
from mediagen.models import MediaAsset
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory, UserFactory

pytestmark = pytest.mark.django_db


def found(text):
    return set(matching(MediaAsset.objects.all(), text))


def test_every_word_must_stand_somewhere():
    pier = MediaAssetFactory(prompt="a pier at dawn", name="", alt_text="wooden planks")
    other = MediaAssetFactory(prompt="a pier at night", name="")
    other.tags.add(MediaTagFactory(name="Wooden things"))

    assert found("pier") == {pier, other}
    assert found("PIER dawn") == {pier}
    assert found("pier wooden") == {pier, other}
    assert found("pier noon") == set()
    assert found("") == found("   ") == {pier, other}


def test_quoted_words_belong_together():
    pier = MediaAssetFactory(prompt="at dawn a pier", name="")

    assert found('"dawn a pier"') == {pier}
    assert found('"pier dawn"') == set()


def test_signs_of_the_database_are_plain_letters():
    half = MediaAssetFactory(prompt="50% off_season", name="")
    MediaAssetFactory(prompt="500 offXseason", name="")

    assert found("50%") == {half}
    assert found("off_season") == {half}


@pytest.mark.parametrize("text", ['"', "'", '""', "it's", "\x00", "a\x00b", "\\", "%" * 500, "x " * 5000, "'); DROP"])
def test_no_text_is_an_error(text):
    MediaAssetFactory()

    assert isinstance(found(text), set)


def test_only_so_much_of_a_text_counts():
    assert words("w " * 50) == ["w"] * 10
    assert sum(map(len, words("x" * 1000))) == 200
    assert words('one "two three" four') == ["one", "two three", "four"]


def test_an_asset_with_many_fitting_tags_comes_once():
    asset = MediaAssetFactory()
    asset.tags.add(*(MediaTagFactory(name=f"sea {number}") for number in range(3)))

    assert list(matching(MediaAsset.objects.all(), "sea")) == [asset]


def test_a_page_for_those_who_see_everything_does_not_sort_the_whole_table():
    """A condition on the library makes SQLite read all rows before it shows the newest."""
    may_all = UserFactory(may=["view_all_libraries", "view_mediaasset"])
    for user in (UserFactory(is_superuser=True), may_all):
        assert "WHERE" not in str(Access(user).all_assets().query)


def test_everybody_else_sees_what_their_libraries_hold():
    user = UserFactory(may=["view_mediaasset"])
    mine = MediaAssetFactory(library=MediaLibraryFactory(owner=user))
    MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()))

    assert set(Access(user).all_assets()) == {mine}
    for stranger in (UserFactory(is_superuser=True, is_active=False), UserFactory(), AnonymousUser()):
        assert not Access(stranger).all_assets().exists()
