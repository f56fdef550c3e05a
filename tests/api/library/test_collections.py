from __future__ import annotations

import pytest

from mediagen.models import Collection
from tests.api.callers import Caller
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

URL = "/api/v1/collections/"

pytestmark = pytest.mark.django_db


def test_a_board_is_made_filled_ordered_and_deleted():
    caller, library = Caller(), MediaLibraryFactory()
    a, b, c = (str(MediaAssetFactory(ready=True, library=library).pk) for _ in range(3))
    hidden = str(MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory())).pk)

    made = caller.send(URL, {"name": "Cover", "library": str(library.pk), "assets": [b, a, hidden]})
    address = made["Location"]
    assert (made.status_code, made.json()["kind"], made.json()["assets"]) == (201, "board", [b, a])
    changed = caller.send(address, {"assets": [c, b]}, "patch")
    assert changed.json()["assets"] == [c, b]
    assert caller.send(address, {"add": [a], "remove": [c]}, "patch").json()["assets"] == [b, a]
    stale = {"If-Match": '"1"'}
    assert caller.send(address, {"name": "x"}, "patch", **stale).status_code == 412
    assert [one["may_change"] for one in Caller().get(URL).json()["results"]] == [True]
    assert caller.delete(address).status_code == 204
    assert not Collection.objects.exists()


def test_a_search_and_what_is_refused():
    caller = Caller()
    bound = Caller(caller.user, library=MediaLibraryFactory())

    made = caller.send(URL, {"name": "Boats", "query": "q=boat&cursor=x"}).json()

    assert (made["kind"], made["query"], made["assets"]) == ("search", "q=boat", [])
    assert bound.get(URL).json()["results"] == []  # a token for one library knows of that library's only
    for wrong in ({"name": ""}, {"name": "x", "query": "cursor=x"}, {"name": "x", "library": str(made["id"])}):
        assert caller.send(URL, wrong).status_code == 400
    foreign = MediaLibraryFactory(owner=UserFactory())
    assert caller.send(URL, {"name": "x", "library": str(foreign.pk)}).status_code == 400
    assert Caller().send(made["url"], {"name": "mine now"}, "patch").status_code == 404


def test_nobody_makes_one_that_he_does_not_see():
    caller, library = Caller(), MediaLibraryFactory()
    bound, blind = Caller(caller.user, library=library), Caller(caller.user, scopes=("change",))

    assert bound.send(URL, {"name": "Cover"}).json()["library"] == str(library.pk)
    assert blind.send(URL, {"name": "Lost"}).status_code == 403
    assert Collection.objects.count() == 1
