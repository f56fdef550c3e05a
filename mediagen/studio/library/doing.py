"""Doing something with an asset. Its right is asked for here, whatever buttons the page has shown."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.generic import View

from mediagen.engine.library import Right
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import MediaAsset
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.studio import notices, tiles
from mediagen.studio.library.actions import ACTIONS, Action, Done, is_deleted
from mediagen.studio.library.story import rendered, story
from mediagen.studio.pages import StudioPage, problem, wants_json
from mediagen.wording import translated


class ActionView(StudioPage, View):
    """POST only. Answers a script with what changed on its page, and everybody else with the next page."""

    def assets(self) -> MediaAssetQuerySet:
        found = self.access.all_assets(Right.READ).select_related("library", "created_by", "reviewed_by")
        return found.prefetch_related("tags")

    def post(self, request: HttpRequest, pk: uuid.UUID, action: str) -> HttpResponseBase:
        if (wanted := ACTIONS.get(action)) is None:
            raise Http404("There is no such action.")
        asset = get_object_or_404(self.assets(), pk=pk)
        may = wanted.right in tiles.RightsByLibrary(self.access).of(asset)
        if is_deleted(asset) and not (may and wanted.name == "undelete"):
            raise Http404("No MediaAsset matches the given query.")  # there for nobody but those who may have it back
        if not may:
            return self.handle_no_permission()
        try:
            if not wanted.fits(asset):
                raise InvalidRequest(_("It is not in a state for that any more. Load the page again."))
            done = wanted.do(asset, request.user, request.POST)
        except MediagenError as exc:
            return self._refused(asset, translated(exc))
        return self._answer(asset.pk, wanted, done)

    def _answer(self, pk: uuid.UUID, action: Action, done: Done) -> HttpResponseBase:
        text = str(notices.TEXTS[action.name])
        if not wants_json(self.request):
            return HttpResponseRedirect(self._next_page(pk, action, done))
        said: dict[str, Any] = {
            "message": text,
            "gone": done.is_gone,
            "id": str(pk),
            "next": self._next_page(pk, action, done),
        }
        if done.archived:
            ids = [str(each) for each in done.archived]
            others = ngettext("The other one is archived.", "The other %(number)d are archived.", len(ids))
            said["message"] = f"{text} {others % {'number': len(ids)}}"
            said["changed"] = ids
            back = {"do": "restore", "id": ids}
            said["undo"] = {"address": reverse("mediagen:studio-many"), "fields": back}
        made = tiles.tiles_of(done.made, self.access)
        said["made"] = tiles.rendered(made, self.request)
        if done.is_gone:
            if action.name == "delete":
                address = reverse("mediagen:studio-action", args=[pk, "undelete"])
                said["undo"] = {"address": address, "fields": {}}
        else:
            asset = self.assets().get(pk=pk)
            said["tile"] = tiles.rendered(tiles.tiles_of([asset], self.access), self.request)
            said["story"] = rendered(asset, self.access, self.request)
        return JsonResponse(said)

    def _next_page(self, pk: uuid.UUID, action: Action, done: Done) -> str:
        back = self.request.POST.get("next", "")
        if back and url_has_allowed_host_and_scheme(back, {self.request.get_host()}) and back.startswith("/"):
            return f"{back}{'&' if '?' in back else '?'}said={action.name}"
        if done.made:
            return f"{reverse('mediagen:asset', args=[done.made[0].pk])}?said={action.name}"
        if done.is_gone:
            return f"{reverse('mediagen:studio')}?said={action.name}&about={pk}"
        return f"{reverse('mediagen:asset', args=[pk])}?said={action.name}"

    def _refused(self, asset: MediaAsset, why: str) -> HttpResponseBase:
        if wants_json(self.request):
            return problem(why, status=409)
        context = {**story(asset, self.access), "problem": why}
        return render(self.request, "mediagen/asset.html", context, status=409)
