"""People's own pictures, put into a library from the studio: by a form, or dropped onto the page."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.generic import View

from mediagen import conf
from mediagen.engine.files import hint, upload, upload_from
from mediagen.engine.library import get_or_create_library
from mediagen.errors import MediagenError
from mediagen.models import MediaAsset, MediaLibrary
from mediagen.studio import tiles
from mediagen.studio.generation import prompt
from mediagen.studio.pages import StudioPage, admin_link, problem, wants_json
from mediagen.wording import translated

MOST = 20
"""files in one request; the page's script sends them one by one"""


class UploadView(StudioPage, View):
    """POST `files` or an `address`, and a `library`. One that is no picture keeps the others from nothing."""

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if not prompt.may_generate(self.access):
            return self.handle_no_permission()
        form = prompt.LibraryForm(self.access, request.POST)
        files = request.FILES.getlist("files")
        if not form.is_valid():
            return self._refused([str(error) for errors in form.errors.values() for error in errors])
        address = request.POST.get("address", "").strip()
        if not files and not address:
            return self._refused([_("Choose a picture first.")])
        if len(files) > MOST:
            return self._refused([_("At most %(number)d files at once.") % {"number": MOST}])
        made, problems = self._take(files, address, self._library(form.cleaned_data["library"]))
        if problems and not made:
            return self._refused(problems)
        if not wants_json(request):
            if problems:
                return self._refused(problems, made=made)
            alike = [asset.pk for asset, _told in self._hints(made)]
            said = f"said=alike&about={alike[0]}" if alike else "said=upload"
            return HttpResponseRedirect(f"{reverse('mediagen:studio')}?{said}")
        shown = tiles.tiles_of(made[::-1], self.access)
        answer = {
            "html": tiles.rendered(shown, request),
            "problems": problems,
            "hints": [told for _asset, told in self._hints(made)],
        }
        return JsonResponse(answer, status=201)

    def _take(self, files: list[Any], address: str, library: MediaLibrary) -> tuple[list[MediaAsset], list[str]]:
        made, problems = [], []
        if address:
            try:
                made.append(upload_from(address, library=library, by=self.request.user))
            except MediagenError as exc:
                problems.append(translated(exc))
        for file in files:
            try:
                made.append(upload(file, library=library, by=self.request.user))
            except MediagenError as exc:
                problems.append(f"{file.name}: {translated(exc)}")
        return made, problems

    def _hints(self, made: list[MediaAsset]) -> list[tuple[MediaAsset, str]]:
        among = self.access.assets()
        return [(asset, told) for asset in made if (told := hint(asset, among))]

    @staticmethod
    def _library(chosen: MediaLibrary | None) -> MediaLibrary:
        return chosen or get_or_create_library(conf.get("DEFAULT_LIBRARY"))

    def _refused(self, problems: list[str], made: list[MediaAsset] | None = None) -> HttpResponseBase:
        if wants_json(self.request):
            return problem(" ".join(problems), status=400)
        taken = ngettext("%(number)d picture was taken.", "%(number)d pictures were taken.", len(made or ()))
        said = [taken % {"number": len(made)}] if made else []
        context = {"problems": problems, "said": said, "admin_url": admin_link()}
        return render(self.request, "mediagen/studio/not_uploaded.html", context, status=400)
