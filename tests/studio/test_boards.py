"""Collections in the studio: what is seen, and that all of it is forms and links."""

from __future__ import annotations

import pytest
from django.urls import reverse

from mediagen.engine.library import Access, collections
from mediagen.models import Collection, MediaAsset
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.studio.conftest import JSON

pytestmark = pytest.mark.django_db

STUDIO = reverse("mediagen:studio")
MANY = reverse("mediagen:studio-many")


def shown(client, address):
    page = client.get(address)
    assert page.status_code == 200
    return [tile.asset.name for tile in page.context["page"]]


@pytest.fixture
def board(boss):
    assets = [MediaAssetFactory(ready=True, name=name) for name in "abc"]
    return collections.create(Access(boss.user), "Cover", asset_ids=[asset.pk for asset in assets])


def test_ticked_pictures_are_put_on_a_board_once_and_seen_there_in_order(boss):
    assets = [MediaAssetFactory(ready=True, name=name) for name in "abc"]
    body = {"do": "board", "id": [asset.pk for asset in assets], "board_name": "Cover"}

    answers = [boss.post(MANY, body, headers=JSON).json() for _ in range(2)]

    board = Collection.objects.get()
    assert answers[0]["open"] == answers[1]["open"]
    assert shown(boss, answers[0]["open"]["address"]) == ["a", "b", "c"]
    assert shown(boss, f"{STUDIO}?collection={board.pk}&q=zebra") == []
    assert shown(boss, f"{STUDIO}?collection={board.pk}&sort=name") == ["a", "b", "c"]
    gone = boss.post(MANY, {"do": "unboard", "id": assets[0].pk, "collection": board.pk}, headers=JSON).json()
    assert gone["gone"]
    assert "undo" not in gone
    assert MediaAsset.objects.count() == 3
    back = boss.post(MANY, {"do": "first", "id": assets[2].pk, "collection": board.pk, "next": STUDIO})
    assert back["Location"] == f"{STUDIO}?said=many"
    assert shown(boss, f"{STUDIO}?collection={board.pk}") == ["c", "b"]


def test_one_is_moved_named_shared_and_deleted_by_those_who_may(boss, board, person):
    a, _b, c = (asset.pk for asset in collections.pictures(Access(boss.user), board))
    address = reverse("mediagen:studio-collection", args=[board.pk])

    assert boss.post(address, {"do": "place", "id": c, "before": a}, headers=JSON).status_code == 200
    assert boss.post(address, {"do": "place", "id": c, "before": "x"}, headers=JSON).status_code == 400
    assert shown(boss, f"{STUDIO}?collection={board.pk}") == ["c", "a", "b"]
    looker = person()
    assert looker.get(f"{STUDIO}?collection={board.pk}").status_code == 404
    assert looker.post(address, {"do": "delete"}).status_code == 404
    boss.post(address, {"do": "change", "name": "Covers", "library": MediaLibraryFactory().pk})
    assert shown(looker, f"{STUDIO}?collection={board.pk}") == ["c", "a", "b"]
    assert "data-board" not in looker.get(f"{STUDIO}?collection={board.pk}").content.decode()
    assert looker.post(address, {"do": "delete"}).status_code == 403
    assert boss.post(address, {"do": "change", "name": " "}).status_code == 400
    boss.post(address, {"do": "delete"})
    assert (Collection.objects.count(), MediaAsset.objects.count()) == (0, 3)


def test_what_was_seen_last_is_shown_in_that_order_as_far_as_it_may_be_seen(person):
    a, b = (MediaAssetFactory(ready=True, name=name) for name in "ab")
    hidden = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    client = person()

    assert shown(client, f"{STUDIO}?seen={b.pk},{hidden.pk},{a.pk}") == ["b", "a"]
    assert shown(client, f"{STUDIO}?seen={a.pk},{b.pk}&sort=oldest") == ["a", "b"]
    assert client.get(STUDIO, {"seen": "x"}).status_code == 404


def test_a_search_is_kept_by_its_filters(person):
    client = person()
    MediaAssetFactory(ready=True, name="a boat", prompt="boat")
    MediaAssetFactory(ready=True, name="a tree", prompt="tree")

    query = client.get(STUDIO, {"q": "boat", "sort": "name"}).context["kept_query"]
    made = client.post(reverse("mediagen:studio-collections"), {"name": "Boats", "query": query})

    opened = client.get(made["Location"])
    assert opened.status_code == 302
    assert shown(client, opened["Location"]) == ["a boat"]
    assert client.post(reverse("mediagen:studio-collections"), {"name": "All", "query": ""}).status_code == 400
    assert client.get(STUDIO).context["kept_query"] == ""


def test_what_is_on_a_board_and_not_theirs_is_not_shown(boss, board, person):
    hidden = MediaAssetFactory(ready=True, name="hidden", library=MediaLibraryFactory(owner=UserFactory()))
    board.items.create(asset=hidden, position=9)

    assert shown(boss, f"{STUDIO}?collection={board.pk}") == ["a", "b", "c"]
    body = {"do": "archive", "all": "1", "query": f"collection={board.pk}"}
    boss.post(MANY, body, headers=JSON)
    hidden.refresh_from_db()
    assert hidden.status == "draft"
    assert MediaAsset.objects.filter(status="archived").count() == 3


def test_a_name_that_no_database_holds_is_refused(boss):
    body = {"do": "board", "id": MediaAssetFactory(ready=True).pk, "board_name": "a\x00b"}
    assert boss.post(MANY, body, headers=JSON).status_code == 400  # on PostgreSQL the look for it broke
