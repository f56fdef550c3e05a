"""Collections: kept searches and boards. Whoever sees one sees those of its pictures that they may see anyway."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from django.db.models import Q
from django.http.request import QueryDict
from django.utils.translation import gettext as _

from mediagen.engine.database import as_uuid
from mediagen.engine.library.access import PERMISSIONS, SCOPES, Access, Right, sees_everything
from mediagen.engine.library.filters import AssetFilters
from mediagen.engine.library.review import bounded
from mediagen.errors import InvalidRequest, NotAllowed
from mediagen.models import Collection, CollectionItem, MediaLibrary
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.models.collection import MAX_QUERY
from mediagen.models.routing import atomic
from mediagen.models.writer import WriterQuerySet
from mediagen.types import checked_text

MOST = 1000
"""pictures on a board"""
KEPT = frozenset(field.name for field in fields(AssetFilters)) | {"mine", "sort"}
"""of an address's query"""


def visible(access: Access) -> WriterQuerySet[Collection]:
    """Those that somebody may look into: their own, and those shared with the people of a library."""
    return _of(access, Right.READ)


def changeable(access: Access) -> WriterQuerySet[Collection]:
    """Those that they may change: their own, and those of the libraries that they may change."""
    return _of(access, Right.CHANGE)


def _of(access: Access, right: Right) -> WriterQuerySet[Collection]:
    found = Collection.objects.all()
    if not access.has(Right.READ):
        return found.none()
    shared = Q(library__in=access.libraries(right))
    if access.token is not None and access.token.library_id is not None:
        return found.filter(shared)
    mine = Q(owner=access.user)
    if sees_everything(access.user):
        mine |= Q(owner=None, library=None)
    return found.filter(shared | mine)


def pictures(access: Access, board: Collection) -> MediaAssetQuerySet:
    """Those of the board that they may see, in its order."""
    return access.assets(Right.READ).filter(shelves__collection=board).order_by("shelves__position", "-pk")


def query_of(text: str) -> str:
    """What of an address's query is kept. `InvalidRequest` when nothing narrows, or the filters cannot be read."""
    said = QueryDict(text[: 2 * MAX_QUERY], mutable=True)
    for name in list(said):
        values = [value for value in said.getlist(name) if value] if name in KEPT else []
        if values:
            said.setlist(name, values)
        else:
            del said[name]
    if not said:
        raise InvalidRequest(_("Nothing is narrowed down. Choose filters or write words first."), field="query")
    AssetFilters.of(said)
    kept = said.urlencode()
    if len(kept) > MAX_QUERY:
        raise InvalidRequest(_("The search is too long to be kept."), field="query")
    return kept


@atomic()
def create(
    access: Access, name: str, *, library: MediaLibrary | None = None, query: str = "", asset_ids: Iterable[Any] = ()
) -> Collection:
    """A collection of theirs: of the search in `query`, or a board with these pictures. `InvalidRequest` that names the
    field; `NotAllowed` to share it with a library that they may not change, and for who could not look into it. That of
    a token for one library is shared with that one, whose it sees only."""
    if not access.has(Right.READ):
        access.demand(PERMISSIONS[Right.READ], SCOPES[Right.READ])
    if library is None and access.token is not None:
        library = access.token.library
    made = Collection(owner=access.user, query=query_of(query) if query else "")
    change(access, made, name=name, library=library)
    if ids := list(asset_ids):
        add(access, made, ids)
    return made


def change(access: Access, collection: Collection, **values: Any) -> None:
    """Another `name`, `library` (None: its owner's alone) or `query`. Whether they may is asked before, at the edge."""
    if "name" in values:
        collection.name = checked_text(values["name"], "name").strip()
        if not 0 < len(collection.name) <= 200:
            raise InvalidRequest(_("Give it a name of at most 200 characters."), field="name")
    if "library" in values and (library := values["library"]) != collection.library:
        if library is not None and not access.may(Right.CHANGE, library):
            raise NotAllowed(_("Share it with a library that you may change."))
        if library is None and collection.owner_id != access.user.pk:
            raise NotAllowed(_("Only its owner may take it back from the library's people."))
        collection.library = library
    if "query" in values:
        if collection.is_board and not collection._state.adding:
            raise InvalidRequest(_("A board is no search."), field="query")
        collection.query = query_of(values["query"])
    collection.save()


@atomic()
def add(access: Access, board: Collection, asset_ids: Iterable[Any]) -> int:
    """Put pictures at its end, in the order given; how many are new there. What they may not see stays off."""
    wanted = _ids(asset_ids)
    seen = set(access.assets(Right.READ).filter(pk__in=wanted).values_list("pk", flat=True))
    there = _locked(board)
    new = [pk for pk in wanted if pk in seen and pk not in there]
    if len(there) + len(new) > MOST:
        raise InvalidRequest(_("A board holds %(most)d pictures at most.") % {"most": MOST}, field="assets")
    first = max(there.values(), default=-1) + 1
    CollectionItem.objects.bulk_create(
        [CollectionItem(collection=board, asset_id=pk, position=first + n) for n, pk in enumerate(new)]
    )
    board.save(update_fields=["updated_at"])
    return len(new)


@atomic()
def remove(board: Collection, asset_ids: Iterable[Any]) -> None:
    """Take pictures off. The pictures themselves stay."""
    _locked(board)
    CollectionItem.objects.filter(collection=board, asset__in=_ids(asset_ids)).delete()
    board.save(update_fields=["updated_at"])


@atomic()
def arrange(board: Collection, asset_ids: Iterable[Any]) -> None:
    """Put these into this order, in the places that they have together: what is not named stays where it is."""
    there = _locked(board)
    named = [pk for pk in _ids(asset_ids) if pk in there]
    queue, moved = iter(named), set(named)
    _write(board, there, [next(queue) if pk in moved else pk for pk in there])


@atomic()
def place(board: Collection, asset_ids: Iterable[Any], before: Any = None, after: Any = None) -> None:
    """Put these, in the order that they have, before or after another picture of the board; without one at its end."""
    there = _locked(board)
    ids = set(_ids(asset_ids))
    moved = [pk for pk in there if pk in ids]
    left = [pk for pk in there if pk not in ids]
    at = left.index(before) if before in left else left.index(after) + 1 if after in left else len(left)
    _write(board, there, [*left[:at], *moved, *left[at:]])


def _locked(board: Collection) -> dict[uuid.UUID, int]:
    """{id: position} of its pictures in their order. Others who change it wait until this transaction ends."""
    if board.query:
        raise InvalidRequest(_("It is a search. Pictures are put on boards."), field="collection")
    Collection.objects.select_for_update().filter(pk=board.pk).first()
    items = CollectionItem.objects.filter(collection=board).order_by("position", "pk")
    return dict(items.values_list("asset", "position"))


def _write(board: Collection, there: dict[uuid.UUID, int], order: list[uuid.UUID]) -> None:
    places = {pk: n for n, pk in enumerate(order) if there[pk] != n}
    changed = list(CollectionItem.objects.filter(collection=board, asset__in=list(places)))
    for item in changed:
        item.position = places[item.asset_id]
    CollectionItem.objects.bulk_update(changed, ["position"], batch_size=200)
    board.save(update_fields=["updated_at"])


def _ids(asset_ids: Iterable[Any]) -> list[uuid.UUID]:
    found = (as_uuid(one, "assets") for one in bounded(asset_ids))
    return list(dict.fromkeys(pk for pk in found if pk is not None))
