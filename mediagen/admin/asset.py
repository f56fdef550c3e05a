"""Assets in the admin: pictures to look at, the story of each, and what an editor does with them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen.admin.attempt import ProviderNameFilter
from mediagen.admin.base import LargeListAdmin, may_edit_library
from mediagen.admin.tag_names import TaggedForm
from mediagen.engine import get_media_engine, review
from mediagen.engine.search import matching, sees_everything, visible
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary
from mediagen.templatetags.mediagen import picture_url, pretty_json, usd

logger = logging.getLogger("mediagen")

MAX_GENERATIONS = 10
"""in one request: they run side by side, and the page waits for the slowest"""

REVIEW_FIELDS = ("status", "reviewed_by", "reviewed_at", "review_notes")
GENERATION_FIELDS = (
    "library",
    "made",
    "prompt",
    "negative_prompt",
    "seed",
    "provider_name",
    "model_name",
    "price",
    "fit",
    "asked",
    "parent_link",
    "created_by",
    "created_at",
    "generated_at",
)
FILE_FIELDS = ("file_link", "format", "size", "file_size", "content_hash")

BUTTONS = {
    "generate_again": gettext_lazy("Generate again"),
    "approve": gettext_lazy("Approve"),
    "publish": gettext_lazy("Publish"),
    "archive": gettext_lazy("Archive"),
    "restore": gettext_lazy("Restore as draft"),
}
DONE = {
    "approve": gettext_lazy("approved"),
    "publish": gettext_lazy("published"),
    "archive": gettext_lazy("archived"),
    "restore": gettext_lazy("restored as drafts"),
}


class AssetForm(TaggedForm):
    class Meta:
        model = MediaAsset
        fields = ("name", "description", "alt_text", "focal_x", "focal_y")


class LibraryFilter(admin.RelatedFieldListFilter):
    """Libraries that the user may look into; the names of the others are nobody else's business."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        visible = MediaLibrary.objects.visible_to(request.user).order_by("name")
        return [(str(pk), name) for pk, name in visible.values_list("pk", "name")]


@admin.register(MediaAsset)
class MediaAssetAdmin(LargeListAdmin):
    list_display = ("thumbnail", "title", "stage", "made_by", "created")
    list_display_links = ("thumbnail", "title")
    list_select_related = ("library",)
    list_filter = (
        ("library", LibraryFilter),
        "generation_state",
        "status",
        ProviderNameFilter,
        "is_placeholder",
        "dry_run",
        "created_at",
    )
    search_fields = ("prompt", "name", "description", "alt_text", "tags__name")
    sortable_by = ()
    ordering = ("-id",)  # the id is time-ordered: the newest first
    actions = ("generate_again", "approve", "publish", "archive", "restore")
    change_form_template = "mediagen/admin/asset_form.html"
    form = AssetForm
    fieldsets = (
        (None, {"fields": ("name", "description", "alt_text", "tag_names", ("focal_x", "focal_y"))}),
        (gettext_lazy("Review"), {"fields": REVIEW_FIELDS}),
        (gettext_lazy("Generation"), {"fields": GENERATION_FIELDS}),
        (gettext_lazy("File"), {"fields": FILE_FIELDS}),
    )

    readonly_fields = (*REVIEW_FIELDS, *GENERATION_FIELDS, *FILE_FIELDS)

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ who may do what

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(super().get_queryset(request), request.user)  # type: ignore[arg-type]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an asset is born when a picture is asked for

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        return not isinstance(obj, MediaAsset) or may_edit_library(request, obj.library_id)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # its file would stay behind; archive it

    # ------------------------------------------------------------------ pages

    # What an action has bought must be kept even when its page fails, so no transaction spans it (ATOMIC_REQUESTS).
    @method_decorator(transaction.non_atomic_requests)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, extra_context)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        asset: Any = super().get_object(request, object_id, from_field)
        if asset is not None and asset.parent_id:
            # It may belong to a library that this user must not see.
            asset.visible_parent = self.get_queryset(request).filter(pk=asset.parent_id).first()
        return asset

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return matching(queryset, search_term), False

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            attempts = GenerationAttempt.objects.of(obj)
            context |= {
                "asset": obj,
                "attempts": attempts,
                "steps": self._steps(obj) if self.has_change_permission(request, obj) else [],
                "changelist_url": reverse("admin:mediagen_mediaasset_changelist", current_app=self.admin_site.name),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in ("description", "alt_text") and field is not None:
            field.widget.attrs["rows"] = 3
        return field

    def _steps(self, asset: MediaAsset) -> list[tuple[str, Any]]:
        """(action, what its button says) for what can be done with this asset now."""
        able: list[tuple[str, Any]] = [
            (name, BUTTONS[name])
            for name, step in review.STEPS.items()
            if asset.status in step.sources and (asset.is_ready or not step.needs_picture)
        ]
        if asset.is_placeholder or asset.generation_state in ("failed", "cancelled"):
            able.insert(0, ("generate_again", BUTTONS["generate_again"]))
        return able

    def save_model(self, request: HttpRequest, obj: MediaAsset, form: Any, change: bool) -> None:
        review.describe(obj, review.DESCRIPTIVE & set(form.changed_data))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.save_tags()

    # ------------------------------------------------------------------ columns and fields

    @admin.display(description=gettext_lazy("picture"))
    def thumbnail(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_thumbnail.html", {"asset": asset, "url": picture_url(asset)})

    @admin.display(description=gettext_lazy("prompt"))
    def title(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_title.html", {"asset": asset})

    @admin.display(description=gettext_lazy("state"))
    def made(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/_state.html", {"asset": asset})

    @admin.display(description=gettext_lazy("state"))
    def stage(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_stage.html", {"asset": asset})

    @admin.display(description=gettext_lazy("provider"))
    def made_by(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/admin/_made_by.html", {"asset": asset})

    @admin.display(description=gettext_lazy("cost"))
    def price(self, asset: MediaAsset) -> str:
        return usd(asset.cost) if asset.is_ready else ""

    @admin.display(description=gettext_lazy("created"))
    def created(self, asset: MediaAsset) -> str:
        return date_format(localtime(asset.created_at), "SHORT_DATETIME_FORMAT")

    @admin.display(description=gettext_lazy("not as asked"))
    def fit(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/_fit_report.html", {"asset": asset})

    @admin.display(description=gettext_lazy("parameters"))
    def asked(self, asset: MediaAsset) -> SafeString:
        return format_html('<pre class="mediagen-code">{}</pre>', pretty_json(asset.parameters))

    @admin.display(description=gettext_lazy("size"))
    def size(self, asset: MediaAsset) -> str:
        return f"{asset.width}\u00d7{asset.height}" if asset.width else "-"

    @admin.display(description=gettext_lazy("file"))
    def file_link(self, asset: MediaAsset) -> str:
        url = picture_url(asset)
        return format_html('<a href="{}">{}</a>', url, asset.file.name) if url else asset.file.name or "-"

    @admin.display(description=gettext_lazy("made from"))
    def parent_link(self, asset: MediaAsset) -> str:
        parent = getattr(asset, "visible_parent", None)
        if parent is None:
            return "-"
        address = reverse("admin:mediagen_mediaasset_change", args=[parent.pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, parent)

    # ------------------------------------------------------------------ actions

    @admin.action(description=gettext_lazy("Generate again (failed ones and placeholders)"), permissions=["change"])
    def generate_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = self._editable(request, queryset, MAX_GENERATIONS)
        if len(ids) > MAX_GENERATIONS:
            text = _("At most %(number)d assets are generated at once from here, because the page waits for them.")
            self.message_user(request, text % {"number": MAX_GENERATIONS}, messages.ERROR)
            return None
        results = async_to_sync(_generate_all)(ids)
        made = [result for result in results if isinstance(result, MediaAsset)]
        for pk, result in zip(ids, results, strict=True):
            if isinstance(result, MediagenError):
                self.message_user(request, f"{pk}: {result}", messages.ERROR)
            elif isinstance(result, BaseException):
                # Its text may hold anything; the log has it.
                logger.error("asset %s was not generated again", pk, exc_info=result)
                self.message_user(request, f"{pk}: {type(result).__name__}", messages.ERROR)
        if made:
            text = ngettext("%(number)d asset was generated.", "%(number)d assets were generated.", len(made))
            self.message_user(request, text % {"number": len(made)}, messages.SUCCESS)
            self._log(request, made, _("Generated again."))
        return self._back(request, ids)

    @admin.action(description=BUTTONS["approve"], permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "approve")

    @admin.action(description=BUTTONS["publish"], permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "publish")

    @admin.action(description=BUTTONS["archive"], permissions=["change"])
    def archive(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "archive")

    @admin.action(description=gettext_lazy("Restore archived ones as drafts"), permissions=["change"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._review(request, queryset, "restore")

    def _review(self, request: HttpRequest, queryset: QuerySet[Any], step: str) -> HttpResponse | None:
        ids = self._editable(request, queryset, review.MAX_AT_ONCE)
        try:
            done = review.review(ids, step, by=request.user)
        except InvalidRequest as exc:
            self.message_user(request, str(exc), messages.ERROR)
            return None
        number = len(done.changed)
        if number:
            text = ngettext("%(number)d asset %(done)s.", "%(number)d assets %(done)s.", number)
            self.message_user(request, text % {"number": number, "done": DONE[step]}, messages.SUCCESS)
            changed = MediaAsset.objects.filter(pk__in=done.changed).only("name", "prompt")
            self._log(request, changed, _("Review: %(done)s.") % {"done": DONE[step]})
        drawn, bare, elsewhere = done.placeholders, done.without_picture, done.elsewhere
        for count, text in (
            (drawn, ngettext("%d of them is a placeholder.", "%d of them are placeholders.", drawn)),
            (bare, ngettext("%d was left out: no picture.", "%d were left out: no picture.", bare)),
            (elsewhere, ngettext("%d was left out: wrong status.", "%d were left out: wrong status.", elsewhere)),
        ):
            if count:
                self.message_user(request, text % count, messages.WARNING)
        return self._back(request, ids)

    def _editable(self, request: HttpRequest, queryset: Any, limit: int) -> list[Any]:
        """Ids of the chosen assets that the user may change, one more than `limit` at most; says what it left out."""
        editable = queryset.editable_by(request.user)
        if not sees_everything(request.user) and queryset.exclude(pk__in=editable.order_by().values("pk")).exists():
            text = _("Assets in libraries that you may only look into were left out.")
            self.message_user(request, text, messages.WARNING)
        return list(editable.values_list("pk", flat=True)[: limit + 1])

    def _back(self, request: HttpRequest, ids: list[Any]) -> HttpResponse | None:
        """To the asset's own page, when the button was pressed there."""
        if "_asset_page" not in request.POST or len(ids) != 1:
            return None
        address = reverse("admin:mediagen_mediaasset_change", args=ids, current_app=self.admin_site.name)
        return HttpResponseRedirect(address)

    def _log(self, request: HttpRequest, assets: Iterable[MediaAsset], message: str) -> None:
        """A line in the history of each."""
        LogEntry.objects.log_actions(request.user.pk, assets, CHANGE, message)  # type: ignore[arg-type]


async def _generate_all(ids: Iterable[Any]) -> list[Any]:
    """Side by side; an asset or an exception for each."""
    engine = get_media_engine()
    return await asyncio.gather(*(engine.regenerate_asset(pk) for pk in ids), return_exceptions=True)
