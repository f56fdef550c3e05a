"""Collections in the studio: kept searches and boards, beside the gallery's filters."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.generic import View

from mediagen.engine.library import Access, Right, collections
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import Collection, MediaLibrary
from mediagen.studio.library.narrowing import GalleryForm
from mediagen.studio.pages import StudioPage, admin_link, problem, wants_json
from mediagen.types import checked_text
from mediagen.wording import translated

MOST_SHOWN = 40
"""on the page; the latest changed"""


def shown_to(access: Access, form: GalleryForm) -> dict[str, Any]:
    """What the gallery's templates need of them. Two queries."""
    if form.is_valid() and form.board:
        sort: Any = form.fields["sort"]
        sort.choices = [("", _("hand")), *list(sort.choices)[1:]]
    visible = list(collections.visible(access).order_by("-updated_at")[:MOST_SHOWN])
    current = form.cleaned_data.get("collection")
    shown = [*visible, current] if current else visible
    mine = {one.pk for one in shown if one.owner_id == access.user.pk}
    if access.has(Right.CHANGE) and shown:
        mine.update(
            collections.changeable(access).filter(pk__in=[one.pk for one in shown]).values_list("pk", flat=True)
        )
    return {
        "collections": sorted(visible, key=lambda one: one.name.casefold()),
        "collection": current,
        "may_arrange": current is not None and current.pk in mine,
        "boards": [one for one in visible if one.is_board and one.pk in mine],
        "kept_query": "" if current else kept_query(form),
    }


def kept_query(form: GalleryForm) -> str:
    """What would be kept of the present address; "" when nothing is narrowed down."""
    try:
        return collections.query_of(urlencode(form.data, doseq=True) if form.is_valid() else "")
    except MediagenError:
        return ""


def address(collection: Collection) -> str:
    return f"{reverse('mediagen:studio')}?{urlencode({'collection': collection.pk})}"


def board_of(access: Access, said: QueryDict, name: str = "board") -> Collection:
    """The board that the form says, which they may change."""
    found = collections.changeable(access).filter(query="")
    if called := _called(said) if name == "board" else "":
        found = found.filter(name=called, owner=access.user).order_by("-pk")
    elif pk := as_id(said.get(name, "")):
        found = found.filter(pk=pk)
    else:
        raise InvalidRequest(_("Choose a board, or give a new one a name."))
    if (board := found.first()) is None:
        raise InvalidRequest(_("Choose a board that you may change."))
    return board


def put(access: Access, ids: list[Any], said: QueryDict) -> None:
    """On the board that was chosen, or on their own of this name, made when there is none."""
    if (name := _called(said)) and not collections.changeable(access).filter(
        name=name, owner=access.user, query=""
    ).exists():
        collections.create(access, name, asset_ids=ids)
    else:
        collections.add(access, board_of(access, said), ids)


def _called(said: QueryDict) -> str:
    return checked_text(said.get("board_name", ""), "board_name").strip()


def take_off(access: Access, ids: list[Any], said: QueryDict) -> None:
    collections.remove(board_of(access, said, "collection"), ids)


def put_first(access: Access, ids: list[Any], said: QueryDict) -> None:
    board = board_of(access, said, "collection")
    first = collections.pictures(access, board).exclude(pk__in=ids).values_list("pk", flat=True).first()
    collections.place(board, ids, before=first)


class CollectionsView(StudioPage, View):
    """POST `query` and `name`, and a `library` to share it with: keeps the search."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        try:
            shared = library_of(self.access, request.POST)
            name, query = request.POST.get("name", ""), request.POST.get("query", "") or "?"
            made = collections.create(self.access, name, library=shared, query=query)
        except MediagenError as exc:
            return refused(request, translated(exc))
        return HttpResponseRedirect(address(made))


class CollectionView(StudioPage, View):
    """POST `do`: "change" with `name` and `library`, "delete", or "place" with an `id`, `before` or `after` another."""

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        collection = get_object_or_404(collections.visible(self.access).select_related("library"), pk=pk)
        if not collections.changeable(self.access).filter(pk=pk).exists():
            return self.handle_no_permission()
        said = request.POST
        try:
            if said.get("do") == "delete":
                collection.delete()
                return HttpResponseRedirect(f"{reverse('mediagen:studio')}?said=uncollect")
            if said.get("do") == "place":
                before, after = (as_id(said.get(name, "")) for name in ("before", "after"))
                collections.place(collection, [said.get("id")], before, after)
                return JsonResponse({}) if wants_json(request) else HttpResponseRedirect(address(collection))
            shared = library_of(self.access, said)
            collections.change(self.access, collection, name=said.get("name", ""), library=shared)
        except MediagenError as exc:
            return refused(request, translated(exc))
        return HttpResponseRedirect(address(collection))


def as_id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise InvalidRequest(_("These are no assets.")) from None


def library_of(access: Access, said: QueryDict) -> MediaLibrary | None:
    """The one to share with that was chosen; None for none."""
    if not (pk := as_id(said.get("library", ""))):
        return None
    found: MediaLibrary | None = access.libraries(Right.READ).filter(pk=pk).first()
    if found is None:
        raise InvalidRequest(_("Choose a library that you may change."))
    return found


def refused(request: HttpRequest, why: str) -> HttpResponseBase:
    if wants_json(request):
        return problem(why, status=400)
    context = {"problem": why, "back": reverse("mediagen:studio"), "admin_url": admin_link()}
    return render(request, "mediagen/studio/many_sure.html", context, status=400)
