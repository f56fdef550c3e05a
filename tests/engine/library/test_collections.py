"""Boards and kept searches: who sees which pictures, and in which order."""

from __future__ import annotations

import pytest

from mediagen.engine.library import Access, collections
from mediagen.errors import InvalidRequest, NotAllowed
from mediagen.models import MediaLibrary
from tests.api.callers import EVERYTHING
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db


def person(*may: str) -> Access:
    return Access(UserFactory(may=may or EVERYTHING, is_staff=False))


def names(access, board):
    return [asset.name for asset in collections.pictures(access, board)]


def test_a_board_shows_nobody_a_picture_that_they_may_not_see():
    mine, other = person(), person()
    secret = MediaLibraryFactory(owner=mine.user)
    shared = MediaLibraryFactory()
    assets = [
        MediaAssetFactory(ready=True, name="open", library=shared),
        MediaAssetFactory(name="hidden", library=secret),
    ]

    board = collections.create(mine, "Both", library=shared, asset_ids=[asset.pk for asset in assets])

    assert names(mine, board) == ["open", "hidden"]
    assert list(collections.visible(other)) == [board]
    assert names(other, board) == ["open"]
    assert collections.add(other, board, [assets[1].pk]) == 0
    assert list(collections.visible(person("add_mediaasset"))) == []


def test_a_board_of_ones_own_is_seen_by_nobody_else_and_shared_where_one_may_change_only():
    mine, other, looker = person(), person(), person("view_mediaasset")
    board = collections.create(mine, "Mine")
    foreign = MediaLibraryFactory(owner=UserFactory())

    assert not collections.visible(other).exists()
    with pytest.raises(NotAllowed):
        collections.change(mine, board, library=foreign)
    own = collections.create(looker, "A looker's")
    assert list(collections.changeable(looker)) == [own]
    with pytest.raises(NotAllowed):
        collections.change(looker, own, library=MediaLibraryFactory())
    collections.change(mine, board, library=MediaLibraryFactory())
    assert list(collections.changeable(other)) == [board]
    assert list(collections.changeable(looker)) == [own]
    with pytest.raises(NotAllowed):
        collections.change(other, board, library=None)


def test_the_order_is_that_of_the_hand_and_what_one_does_not_see_keeps_its_place():
    mine, other = person(), person()
    shared, secret = MediaLibraryFactory(), MediaLibraryFactory(owner=mine.user)
    assets = {
        name: MediaAssetFactory(ready=True, name=name, library=secret if name == "x" else shared).pk for name in "abxcd"
    }
    board = collections.create(mine, "Order", library=shared, asset_ids=assets.values())
    elsewhere = collections.create(mine, "Another", asset_ids=list(assets.values())[::-1])

    collections.place(board, [assets["d"], assets["b"]], before=assets["a"])
    assert names(mine, board) == ["b", "d", "a", "x", "c"]
    collections.place(board, [assets["b"]], after=assets["x"])
    assert names(mine, board) == ["d", "a", "x", "b", "c"]
    collections.arrange(board, [assets[name] for name in "abcd"])
    assert names(other, board) == ["a", "b", "c", "d"]
    assert names(mine, board) == ["a", "b", "x", "c", "d"]
    collections.remove(board, [assets["a"]])
    collections.add(mine, board, [assets["a"], assets["b"]])
    assert names(mine, board) == ["b", "x", "c", "d", "a"]
    assert names(mine, elsewhere) == ["d", "c", "x", "b", "a"]


def test_a_search_keeps_what_narrows_and_takes_no_pictures():
    mine = person()

    search = collections.create(mine, "Boats", query="q=boat&state=&before=x&sort=cost&part=1&mine=1")

    assert search.query == "q=boat&sort=cost&mine=1"
    for wrong in ("before=x", "state=burnt", "q=" + "x" * 3000):
        with pytest.raises(InvalidRequest):
            collections.query_of(wrong)
    with pytest.raises(InvalidRequest):
        collections.add(mine, search, [MediaAssetFactory().pk])
    with pytest.raises(InvalidRequest):
        collections.change(mine, search, name="  ")


def test_collections_outlive_their_library_and_their_owner():
    mine = person()
    library = MediaLibraryFactory()
    board = collections.create(mine, "Kept", library=library)

    MediaLibrary.objects.filter(pk=library.pk).delete()
    assert list(collections.visible(mine)) == [board]
    mine.user.delete()
    assert list(collections.visible(Access(UserFactory(is_superuser=True)))) == [board]
