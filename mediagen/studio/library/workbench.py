"""The page on which a picture is worked on, with its history."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.generic import View
from django.views.generic.base import ContextMixin, TemplateResponseMixin

from mediagen.engine.library import Right
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import MediaAsset
from mediagen.operations import EDIT, OUTPAINT, REMOVE_BACKGROUND, UPSCALE, VARY
from mediagen.studio import notices, tiles
from mediagen.studio.generation.editing import SIDES, CropForm, WorkForm, offers, set_focus
from mediagen.studio.library.story import Story
from mediagen.studio.pages import admin_link, problem, wants_json
from mediagen.wording import translated

OLDEST = 20
"""steps back in the history"""
MOST = 40
"""versions on the page"""


class WorkbenchView(Story, TemplateResponseMixin, ContextMixin, View):
    """GET: the page. POST `do`: "work" makes a new picture by the chain (with `estimate`: says what it costs), "crop"
    one from a part of it, "focus" keeps what must stay in sight. Answers a script {"next": address}."""

    template_name = "mediagen/edit.html"

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        return self.render_to_response(self.get_context_data(asset=self.asset(pk)))

    def post(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        asset = self.asset(pk)
        rights = tiles.RightsByLibrary(self.access).of(asset)
        do = request.POST.get("do", "work")
        if (Right.CHANGE if do == "focus" else Right.GENERATE) not in rights:
            return self.handle_no_permission()
        try:
            if do == "work" and "estimate" in request.POST:
                price = self._form(asset).price()
                if wants_json(request):
                    return JsonResponse({"text": price.text, "is_too_much": price.is_too_much})
                return self.render_to_response(self.get_context_data(asset=asset, price=price.text))
            made = self._done(do, asset)
        except MediagenError as exc:
            if wants_json(request):
                return problem(translated(exc), status=400)
            return self.render_to_response(self.get_context_data(asset=asset, problem=translated(exc)), status=400)
        address = f"{reverse('mediagen:studio-edit', args=[made.pk])}?said={'focus' if do == 'focus' else 'work'}"
        return JsonResponse({"next": address}, status=202) if wants_json(request) else HttpResponseRedirect(address)

    def _form(self, asset: MediaAsset) -> WorkForm:
        form = WorkForm(asset, self.request.user, self.request.POST, self.request.FILES)
        return self._valid(form)  # type: ignore[no-any-return]

    def _done(self, do: str, asset: MediaAsset) -> MediaAsset:
        if do == "focus":
            set_focus(asset, self.request.POST)
            return asset
        if do == "crop":
            form = self._valid(CropForm(asset, self.request.POST))
            return form.cut(self.request.user)  # type: ignore[no-any-return]
        return self._form(asset).start()

    @staticmethod
    def _valid(form: Any) -> Any:
        if not form.is_valid():
            name, errors = next(iter(form.errors.items()))
            label = form.fields[name].label or name if name in form.fields else ""
            raise InvalidRequest(f"{label}: {errors[0]}" if label else str(errors[0]), field=name)
        return form

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        asset: MediaAsset = kwargs["asset"]
        [tile] = tiles.tiles_of([asset], self.access)
        can = asset.is_ready and Right.GENERATE in tile.rights
        found = offers(asset) if can else {}
        return super().get_context_data(
            **kwargs,
            tile=tile,
            edit=found.get(EDIT, [None])[0],
            vary=found.get(VARY, [None])[0],
            cut_out=found.get(REMOVE_BACKGROUND, [None])[0],
            enlarge=found.get(UPSCALE, ()),
            extend=found.get(OUTPAINT, ()),
            sides=[(side, label) for side, label in zip(SIDES, self.side_labels(), strict=True)],
            crop=CropForm(asset) if can else None,
            may_focus=asset.is_ready and Right.CHANGE in tile.rights,
            focus=(round(asset.focal_x * 100), round(asset.focal_y * 100)),
            versions=self.versions(asset),
            token=uuid.uuid4(),
            notice=notices.notice(self.request.GET, self.access),
            admin_url=admin_link(asset),
        )

    @staticmethod
    def side_labels() -> tuple[str, ...]:
        return _("left"), _("right"), _("above"), _("below")

    def versions(self, asset: MediaAsset) -> list[MediaAsset]:
        """What it was made of and what was made of that, the oldest first; as far as this person may see it."""
        oldest, seen = asset, {asset.pk}
        for _step in range(OLDEST):
            parent = self.assets().filter(pk=oldest.parent_id).first() if oldest.parent_id else None
            if parent is None or parent.pk in seen:
                break
            oldest = parent
            seen.add(parent.pk)
        family = {oldest.pk: oldest}
        generation = [oldest.pk]
        while generation and len(family) < MOST:
            children = self.assets().filter(parent__in=generation).exclude(pk__in=family)[: MOST - len(family)]
            generation = [child.pk for child in children]
            family |= {child.pk: child for child in children}
        family.setdefault(asset.pk, asset)
        return sorted(family.values(), key=lambda each: each.pk)
