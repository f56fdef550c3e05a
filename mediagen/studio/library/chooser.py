"""The dialog in which a picture is chosen for a place in somebody's site: searched, uploaded, or generated there."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.generic import View

from mediagen import conf
from mediagen.engine.files import upload
from mediagen.engine.library import AssetFilters, Limits, Right, find_library, get_or_create_library, narrowed, pick
from mediagen.engine.work import work_soon
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import MediaAsset, MediaLibrary
from mediagen.studio import tiles
from mediagen.studio.generation import prompt
from mediagen.studio.generation.choices import SIZES
from mediagen.studio.pages import StudioPage, admin_link, problem, wants_json
from mediagen.wording import translated

PAGE = 36
MAX_WATCHED = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """One picture in the dialog."""

    tile: tiles.Tile
    pick: str
    """what a form takes; "" when it does not fit, and while it is being made"""
    why_not: str

    @property
    def asset(self) -> MediaAsset:
        return self.tile.asset


class ChooserBase(StudioPage, View):
    """What the views of the dialog have in common."""

    @cached_property
    def limits(self) -> Limits:
        try:
            return Limits.of(self.request.GET)
        except InvalidRequest:
            raise Http404("These are no limits of a field.") from None

    def choices(self, assets: Iterable[MediaAsset]) -> list[Choice]:
        return [
            Choice(tile, pick(tile.asset.pk) if tile.is_settled and not why else "", why)
            for tile in tiles.tiles_of(list(assets), self.access)
            for why in [self.limits.why_not(tile.asset) if tile.is_settled else ""]
        ]

    def rendered(self, choices: Iterable[Choice]) -> str:
        return "".join(
            render_to_string("mediagen/chooser/choice.html", {"choice": choice}, request=self.request)
            for choice in choices
        )

    def home(self, word: str = "") -> MediaLibrary:
        """Where what is uploaded or generated here goes: the library that the field is limited to, or the one named."""
        named = self.limits.library or word
        library = find_library(named, self.access) if named else get_or_create_library(conf.get("DEFAULT_LIBRARY"))
        if library is None or not self.access.may(Right.GENERATE, library):
            raise InvalidRequest(_("You may not add pictures to this library."), field="library")
        return library

    def may_add(self) -> bool:
        if self.limits.library:
            library = find_library(self.limits.library, self.access)
            return library is not None and self.access.may(Right.GENERATE, library)
        return prompt.may_generate(self.access)


class ChooserView(ChooserBase):
    """GET: the pictures that fit, as JSON for the script and as a page without it."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        try:
            filters = AssetFilters.of({name: request.GET.get(name, "") for name in ("q", "library", "source")})
            assets = narrowed(self.limits.narrow(self.assets()), filters, self.access)
            if before := request.GET.get("before"):
                assets = assets.filter(pk__lt=uuid.UUID(before))
        except (InvalidRequest, ValueError) as exc:
            if wants_json(request):
                return problem(translated(exc), status=400)
            raise Http404(translated(exc)) from exc
        found = list(assets[: PAGE + 1])
        shown = self.choices(found[:PAGE])
        older = self._address(before=str(found[PAGE - 1].pk)) if len(found) > PAGE else ""
        context = {
            "choices": shown,
            "older": older,
            "is_narrowed": bool(filters),
            "q": filters.q,
            "kept": list(self.limits.query.items()) + ([("many", "1")] if "many" in request.GET else []),
            "libraries": self._libraries(filters),
            "is_limited": bool(self.limits.query),
            "admin_url": admin_link(),
        }
        if not wants_json(request):
            return render(request, "mediagen/chooser/page.html", context)
        if request.GET.get("part") == "grid":
            html = self.rendered(shown)
            empty = render_to_string("mediagen/chooser/empty.html", context, request=request) if not shown else ""
            return JsonResponse({"html": html, "older": older, "empty": empty if not before else ""})
        context["asked"] = self._asked() if self.may_add() else None
        query = f"?{urlencode(self.limits.query)}" if self.limits.query else ""
        context["addresses"] = {
            name: reverse(f"mediagen:chooser-{name}") + query for name in ("upload", "generate", "tiles")
        }
        return JsonResponse({"html": render_to_string("mediagen/chooser/panel.html", context, request=request)})

    def _asked(self) -> prompt.PromptForm:
        shape = self.limits.orientation or "square"
        size = next((size for size in SIZES if size.name == shape), SIZES[0])
        library = find_library(self.limits.library, self.access) if self.limits.library else None
        return prompt.PromptForm(
            self.access, initial={"size": size.value, **({"library": library.pk} if library else {})}
        )

    def _libraries(self, filters: AssetFilters) -> list[dict[str, Any]]:
        if self.limits.library:
            return []
        readable = self.access.libraries(Right.READ).only("name").order_by("name")
        return [
            {"value": str(library.pk), "label": library.name, "selected": library.pk == filters.library}
            for library in readable
        ]

    def _address(self, **changed: str) -> str:
        query = self.request.GET.copy()
        query.pop("part", None)
        for name, value in changed.items():
            query[name] = value
        return f"{self.request.path}?{query.urlencode()}"


class ChooserUploadView(ChooserBase):
    """POST `file`, and a `library`: the new picture's tile, ready to be chosen."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if not self.may_add():
            return problem(_("You may not add pictures here."), status=403)
        file = request.FILES.get("file")
        if file is None:
            return problem(_("Choose a picture first."), status=400)
        try:
            asset = upload(file, library=self.home(request.POST.get("library", "")), by=request.user)
        except MediagenError as exc:
            return problem(f"{file.name}: {translated(exc)}", status=400)
        return JsonResponse({"html": self.rendered(self.choices([asset]))}, status=201)


class ChooserGenerateView(ChooserBase):
    """POST a prompt: tiles that fill in. With `estimate`: what it may cost."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if not self.may_add():
            return problem(_("You may not add pictures here."), status=403)
        data = request.POST.copy()
        try:
            if self.limits.library:
                data["library"] = str(self.home().pk)
            asked = prompt.PromptForm(self.access, data)
            if not asked.is_valid():
                fields = {name: [str(error) for error in errors] for name, errors in asked.errors.items()}
                return problem(next(iter(fields.values()))[0], status=400, fields=fields)
            if "estimate" in request.POST:
                price = asked.priced()
                return JsonResponse({"text": price.text, "is_too_much": price.is_too_much})
            made = asked.generate()
        except MediagenError as exc:
            return problem(translated(exc), status=400)
        return JsonResponse({"html": self.rendered(self.choices(made)), "token": str(uuid.uuid4())}, status=202)


class ChooserTilesView(ChooserBase):
    """`?id=...&id=...`: these tiles as they are now."""

    def get(self, request: HttpRequest) -> HttpResponseBase:
        try:
            wanted = [uuid.UUID(each) for each in request.GET.getlist("id")[:MAX_WATCHED]]
        except ValueError:
            return problem(_("These are no assets."), status=400)
        found = self.choices(self.assets().filter(pk__in=wanted))
        work_soon(each.asset.pk for each in found if not each.tile.is_settled and each.asset.batch_id is None)
        return JsonResponse(
            {
                "tiles": {
                    each.asset.asset_id: {
                        "html": self.rendered([each]),
                        "settled": each.tile.is_settled,
                        "is_ready": each.asset.is_ready,
                        "name": str(each.asset),
                    }
                    for each in found
                }
            }
        )
