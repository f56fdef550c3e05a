"""The page of the studio: the prompt box over the gallery; and how its tiles come to be true again."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
    QueryDict,
)
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.generic import View
from django.views.generic.base import ContextMixin, TemplateResponseMixin

from mediagen.engine.library import Right
from mediagen.engine.work import work_soon
from mediagen.errors import MediagenError
from mediagen.models import MediaAsset
from mediagen.studio import notices, tiles
from mediagen.studio.generation import prompt, words
from mediagen.studio.library import boards, many
from mediagen.studio.library.narrowing import MOST_SORTED, GalleryForm
from mediagen.studio.pages import StudioPage, admin_link, problem, wants_json
from mediagen.wording import translated

PAGE = 48
"""assets; divides well into rows of two, three, four and six"""

MAX_WATCHED = 200
"""tiles that one question may be about"""


class GalleryView(StudioPage, TemplateResponseMixin, ContextMixin, View):
    """The page; with `?part=1` only its tiles, as JSON. POST generates, or by the button `estimate` says the price."""

    template_name = "mediagen/gallery.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        form = GalleryForm(self.access, request.GET)
        if form.is_broken:
            raise Http404("There is no such page of the gallery.")
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form, page=[], older="", **kwargs), status=400)
        collection = form.cleaned_data["collection"]
        if collection and collection.query and request.GET.keys() == {"collection"}:
            return HttpResponseRedirect(f"{request.path}?{collection.query}&collection={collection.pk}")
        page, older = self._page(form)
        if "part" in request.GET:
            return JsonResponse({"html": tiles.rendered(page, request), "older": older})
        return self.render_to_response(self.get_context_data(form=form, page=page, older=older, **kwargs))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not prompt.may_generate(self.access):
            return self.handle_no_permission()
        asked = prompt.PromptForm(self.access, request.POST)
        price = None
        if asked.is_valid():
            try:
                if "estimate" in request.POST:
                    price = asked.priced()
                else:
                    return self._made(asked.generate())
            except MediagenError as exc:
                field = getattr(exc, "field", None)
                asked.add_error(field if field in asked.fields else None, translated(exc))
        if wants_json(request):
            return self._said(asked, price)
        form = GalleryForm(self.access, {})
        form.is_valid()
        page, older = self._page(form)
        context = self.get_context_data(form=form, page=page, older=older, asked=asked, price=price, **kwargs)
        return self.render_to_response(context, status=400 if asked.errors else 200)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        form: GalleryForm = kwargs["form"]
        has = self.access.has
        if "asked" not in kwargs and prompt.may_generate(self.access):
            kwargs["asked"] = prompt.PromptForm(self.access, initial=self._initial(form))
        return super().get_context_data(
            assets=[tile.asset for tile in kwargs["page"]],
            newest=self._address() if form.cleaned_data["before"] or form.cleaned_data.get("start") else "",
            is_narrowed=not form.is_valid() or bool(form.filters),
            **boards.shown_to(self.access, form),
            notice=notices.notice(self.request.GET, self.access),
            admin_url=admin_link(),
            templates=prompt.style_choices(self.access, kind="template") if "asked" in kwargs else (),
            recent=words.recent_prompts(self.access) if "asked" in kwargs else (),
            doings=[doing for doing in many.DOINGS.values() if doing.name not in many.ASKING and has(doing.right)],
            may_change=has(Right.CHANGE),
            changeable=self.access.libraries(Right.CHANGE).only("name").order_by("name") if has(Right.CHANGE) else (),
            is_waiting=any(not tile.is_settled for tile in kwargs["page"]),
            **kwargs,
        )

    def _page(self, form: GalleryForm) -> tuple[list[tiles.Tile], str]:
        """The tiles, and the address of those that are older; "" when there are none."""
        assets, start = form.found(), form.cleaned_data.get("start") or 0
        if not form.is_by_age:
            found = list(assets[start : start + PAGE + 1])
            more = len(found) > PAGE and start + PAGE <= MOST_SORTED
            return tiles.tiles_of(found[:PAGE], self.access), self._address(start=start + PAGE) if more else ""
        if before := form.cleaned_data["before"]:
            # By the last id, not by a page number: quick at any depth, and new assets push none onto two pages.
            assets = assets.filter(pk__lt=before)
        found = list(assets[: PAGE + 1])
        shown = found[:PAGE]
        return tiles.tiles_of(shown, self.access), self._address(before=shown[-1].pk) if len(found) > PAGE else ""

    def _made(self, assets: list[MediaAsset]) -> HttpResponseBase:
        generation = str(assets[0].generation_id)
        if not wants_json(self.request):
            return HttpResponseRedirect(f"{self.request.path}?generation_id={generation}")
        fresh = tiles.tiles_of(assets[::-1], self.access)
        return JsonResponse(
            {
                "generation_id": generation,
                "html": tiles.rendered(fresh, self.request),
                "token": str(uuid.uuid4()),
            },
            status=202,
        )

    def _said(self, asked: prompt.PromptForm, price: prompt.Price | None) -> JsonResponse:
        if price is not None:
            return JsonResponse({"text": price.text, "is_free": price.is_free, "is_too_much": price.is_too_much})
        fields = {name: [str(error) for error in errors] for name, errors in asked.errors.items()}
        first = next(iter(fields.values()))[0]
        return problem(first, status=400, fields={**fields, **asked.option_problems})

    def _initial(self, form: GalleryForm) -> dict[str, Any]:
        """What the prompt box begins with: the library looked at, a template, or what another asset was asked with."""
        initial: dict[str, Any] = {}
        if "template" in self.request.GET:
            initial = words.of_template(self.access, self.request.GET["template"])
        if (library := form.cleaned_data.get("library")) and self.access.may(Right.GENERATE, library):
            initial["library"] = library.pk
        if "style" in self.request.GET:
            initial["style"] = self.request.GET["style"]
        if "from" in self.request.GET:
            try:
                pk = uuid.UUID(self.request.GET["from"])
            except ValueError:
                raise Http404("There is no such asset.") from None
            initial |= prompt.as_asked(get_object_or_404(self.assets(), pk=pk), self.access)
        return initial

    def _address(self, before: uuid.UUID | None = None, start: int = 0) -> str:
        """This page's address with another `before`, or `start`."""
        query = self.request.GET.copy() if self.request.method != "POST" else QueryDict(mutable=True)
        for name in ("before", "start", "part", "from", "template", "style", "said", "about"):
            query.pop(name, None)
        if before:
            query["before"] = str(before)
        if start:
            query["start"] = str(start)
        return f"{self.request.path}?{query.urlencode()}" if query else self.request.path


class ProgressView(StudioPage, View):
    """`?id=...&id=...`: these tiles as they are now. {"tiles": {id: {"html", "settled", "state"}}, "gone": [id]}.

    Asked every second or so while something is being made. Polling and not a stream: it works under WSGI, through
    every proxy, and survives a reload by itself.
    """

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            wanted = [uuid.UUID(each) for each in request.GET.getlist("id")[:MAX_WATCHED]]
        except ValueError:
            return problem(_("These are no assets."), status=400)
        found = tiles.tiles_of(list(self.assets().filter(pk__in=wanted)), self.access)
        # Those that a process which has ended since had in hand wait in their rows.
        work_soon(tile.asset.pk for tile in found if not tile.is_settled and tile.asset.batch_id is None)
        known = {tile.asset.pk for tile in found}
        return JsonResponse(
            {
                "tiles": {
                    tile.asset.asset_id: {
                        "html": tiles.rendered([tile], request),
                        "state": tile.asset.generation_state,
                        "settled": tile.is_settled,
                        "name": str(tile.asset),
                    }
                    for tile in found
                },
                "gone": [str(pk) for pk in wanted if pk not in known],
            }
        )
