"""Generate and upload, beside "Add": pages of the admin that put new assets into a library.

The questions and their checks are those of the studio's prompt box. Everything works without a script; with one the
estimate follows what is typed, and the tiles fill in by themselves.
"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen.admin.base import access_of
from mediagen.admin.library.asset_list import AssetList
from mediagen.admin.tag_names import TagNamesField
from mediagen.engine.files import hint, uploads
from mediagen.engine.library import Right
from mediagen.engine.work import in_server
from mediagen.errors import MediagenError
from mediagen.models import GenerationState, MediaAsset, MediaLibrary
from mediagen.models.routing import outside_transactions
from mediagen.studio.generation.prompt import PromptForm, may_generate
from mediagen.wording import translated

WAITING = (GenerationState.PENDING, GenerationState.RUNNING)
MAX_TILES = 200
MAX_FILES = 50
LAID_OUT = ("prompt", "size", "width", "height", "count", "library", "provider", "negative_prompt", "seed")
FURTHER = ("name", "alt_text", "tags", "placeholder_only")


class AskForm(PromptForm):
    """The studio's questions, with room for long prompts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("prompt", "negative_prompt"):
            self.fields[name].widget = forms.Textarea(attrs={"rows": 3 if name == "prompt" else 2})


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """Cleans to a list of files."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = [super(ManyFilesField, self).clean(each, initial) for each in data or [None]]
        if len(files) > MAX_FILES:
            raise forms.ValidationError(_("Send at most %(number)d files at once.") % {"number": MAX_FILES})
        return files


class UploadForm(forms.Form):
    pictures = ManyFilesField(
        label=gettext_lazy("Pictures"),
        help_text=gettext_lazy("PNG, JPEG, WebP, AVIF or GIF. The place where a photograph was taken is taken out."),
    )
    library = forms.ModelChoiceField(label=gettext_lazy("Library"), queryset=MediaLibrary.objects.none())
    tags = TagNamesField(label=gettext_lazy("Tags"))

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(*args)
        library = self.fields["library"]
        if isinstance(library, forms.ModelChoiceField):
            library.queryset = access_of(request).libraries(Right.GENERATE).order_by("name")
        self.fields["pictures"].widget.attrs["accept"] = "image/png,image/jpeg,image/webp,image/avif,image/gif"


class AssetMaking(AssetList):
    """The pages, and their addresses."""

    def get_urls(self) -> list[Any]:
        def own(route: str, view: Any, name: str) -> Any:
            return path(route, self.admin_site.admin_view(view), name=f"mediagen_mediaasset_{name}")

        return [
            own("generate/", self.generate_view, "generate"),
            own("generate/estimate/", self.estimate_view, "estimate"),
            own("generations/<uuid:pk>/", self.generation_view, "generation"),
            own("generations/<uuid:pk>/tiles/", self.tiles_view, "tiles"),
            own("upload/", self.upload_view, "upload"),
            *super().get_urls(),
        ]

    # ------------------------------------------------------------------ generate

    # What it asks for is told to workers after its commit, whatever becomes of the page.
    @method_decorator(outside_transactions)
    def generate_view(self, request: HttpRequest) -> HttpResponse:
        """The form; with `_estimate` the price; with `_go` the pictures are asked for, and their page is next."""
        access = access_of(request)
        if not may_generate(access):
            raise PermissionDenied
        form = AskForm(access, request.POST if request.method == "POST" else None)
        estimate = ""
        if request.method == "POST" and form.is_valid():
            try:
                if "_go" in request.POST:
                    return self._generated(request, form.generate())
                estimate = form.priced().text
            except MediagenError as exc:
                form.add_error(None, translated(exc))
        return self._page_of(request, "generate", _("Generate pictures"), form=form, estimate=estimate, **_parts(form))

    def _generated(self, request: HttpRequest, assets: list[MediaAsset]) -> HttpResponse:
        LogEntry.objects.log_actions(
            request.user.pk,  # type: ignore[arg-type]
            assets,
            ADDITION,
            _("Asked for."),
        )
        return HttpResponseRedirect(self._page("generation", assets[0].generation_id))

    def estimate_view(self, request: HttpRequest) -> JsonResponse:
        """What the form, as it stands, may cost: {"text"}; "" while it cannot be said."""
        access = access_of(request)
        if not may_generate(access):
            raise PermissionDenied
        form = AskForm(access, request.POST)
        text = ""
        if request.method == "POST" and form.is_valid():
            try:
                text = form.priced().text
            except MediagenError as exc:
                text = translated(exc)
        return JsonResponse({"text": text})

    # ------------------------------------------------------------------ watch them come

    def generation_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        context = self._tiles(request, pk)
        in_server.work_soon(asset.pk for asset in context["assets"] if asset.generation_state in WAITING)
        return self._page_of(request, "generation", _("Pictures on their way"), **context)

    def tiles_view(self, request: HttpRequest, pk: uuid.UUID) -> JsonResponse:
        """What the page shows, as it is now: {"is_over", "html"}."""
        context = self._tiles(request, pk)
        html = render_to_string("mediagen/admin/_tiles.html", context, request)
        return JsonResponse({"is_over": context["is_over"], "html": html})

    def _tiles(self, request: HttpRequest, pk: uuid.UUID) -> dict[str, Any]:
        """The assets of one request that the user may see; none of them is answered as none at all."""
        readable = access_of(request).assets().select_related("library")
        assets = list(readable.filter(generation_id=pk).order_by("pk")[:MAX_TILES])
        if not assets:
            raise Http404("There is no such generation.")
        waiting = sum(asset.generation_state in WAITING for asset in assets)
        return {
            "assets": assets,
            "is_over": not waiting,
            "done": len(assets) - waiting,
            "total": len(assets),
            "text": _("%(done)d of %(total)d") % {"done": len(assets) - waiting, "total": len(assets)},
            "poll_address": self._page("tiles", pk),
            "page_address": self._page("generation", pk),
            "generate_url": self._page("generate"),
            "changelist_url": self._page("changelist"),
        }

    # ------------------------------------------------------------------ upload

    @method_decorator(outside_transactions)
    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """Several files at once; each that is no picture is named, and the others are kept."""
        access = access_of(request)
        if not access.has(Right.GENERATE):
            raise PermissionDenied
        form = UploadForm(request, *((request.POST, request.FILES) if request.method == "POST" else ()))
        if form.is_valid():
            kept, refused = _upload(form, request.user)
            for problem in refused:
                self.message_user(request, problem, messages.ERROR)
            if kept:
                text = ngettext("%(number)d picture uploaded.", "%(number)d pictures uploaded.", len(kept))
                self.message_user(request, text % {"number": len(kept)}, messages.SUCCESS)
                for told in filter(None, (hint(asset, access.assets()) for asset in kept)):
                    self.message_user(request, told, messages.WARNING)
                LogEntry.objects.log_actions(request.user.pk, kept, ADDITION, _("Uploaded."))  # type: ignore[arg-type]
                only = len(kept) == 1 and not refused
                return HttpResponseRedirect(self._page("change", kept[0].pk) if only else self._page("changelist"))
        return self._page_of(request, "upload", _("Upload pictures"), form=form, fields=list(form))

    def _page_of(self, request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "media": self.media, "title": title}
        addresses = {"changelist_url": self._page("changelist"), "estimate_url": self._page("estimate")}
        return TemplateResponse(request, f"mediagen/admin/{name}.html", {**shared, **addresses, **context})


def _parts(form: PromptForm) -> dict[str, Any]:
    """The form as the page lays it out; options of the providers beside the fields."""
    provider = form["provider"].value() or ""
    return {
        "fields": [form[name] for name in LAID_OUT],
        "further": [form[name] for name in FURTHER],
        "options": [option for option in form.options if not provider or provider in option["choice"].providers],
        "chosen": provider,
    }


def _upload(form: UploadForm, user: Any) -> tuple[list[MediaAsset], list[str]]:
    kept: list[MediaAsset] = []
    refused: list[str] = []
    for file in form.cleaned_data["pictures"]:
        try:
            kept.append(
                uploads.upload(file, library=form.cleaned_data["library"], by=user, tags=form.cleaned_data["tags"])
            )
        except MediagenError as exc:
            refused.append(f"{file.name}: {translated(exc)}")
    return kept, refused
