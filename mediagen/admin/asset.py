"""Assets in the admin: pictures to look at, the story of each, and what an editor does with them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from mediagen.admin.base import access_of, may
from mediagen.admin.exports.actions import AssetExports
from mediagen.admin.generation.generate import AssetMaking
from mediagen.admin.library.asset_actions import steps_of
from mediagen.admin.tag_names import TaggedForm
from mediagen.admin.work.alt_texts import AssetAltTexts
from mediagen.engine.files import similar_to
from mediagen.engine.library import Right, elsewhere, review, suggestions
from mediagen.models import AssetExport, AssetUsage, GenerationAttempt, LabelRule, MediaAsset, ReviewStatus
from mediagen.models.costs import NOTHING, Cost
from mediagen.studio.library.alt_texts import suggestion_of
from mediagen.templatetags.mediagen import cost_text, picture_url, pretty_json, signed_text, usd

SHOWN_RELATIVES = 24
SHOWN_ALIKE = 12
MAX_RELATIVES = 200
SUGGESTED = {
    "generate_variant": ("generate_again", gettext_lazy("Generate a variant")),
    "make_variants": ("make_webp", gettext_lazy("Make a WebP")),
}
"""a suggestion's action: ours, and what its button says"""

REVIEW_FIELDS = ("status", "reviewed_by", "reviewed_at", "review_notes")
GENERATION_FIELDS = (
    "library",
    "made",
    "source",
    "digital_source_type",
    "signed",
    "prompt",
    "negative_prompt",
    "seed",
    "provider_name",
    "model_name",
    "price",
    "fit",
    "created_by",
    "created_at",
    "generated_at",
)
FILE_FIELDS = ("file_link", "original_name", "format", "size", "file_size", "content_hash", "as_it_came")


class AssetForm(TaggedForm):
    class Meta:
        model = MediaAsset
        fields = (
            "name",
            "description",
            "alt_text",
            "credit",
            "licence",
            "expires_on",
            "rating",
            "ai_label",
            "ai_label_reason",
            "focal_x",
            "focal_y",
        )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if data.get("ai_label") == LabelRule.HIDE and not data.get("ai_label_reason"):
            self.add_error("ai_label_reason", gettext("Say why pages show no label."))
        return data


class MediaAssetAdmin(AssetMaking, AssetAltTexts, AssetExports):
    actions = (*AssetExports.actions, "suggest_alt_text", "accept_alt_text", "reject_alt_text")
    change_form_template = "mediagen/admin/asset_form.html"
    form = AssetForm
    fieldsets = (
        (None, {"fields": ("name", "description", "alt_text", "credit", "tag_names", ("focal_x", "focal_y"))}),
        (gettext_lazy("Use"), {"fields": ("licence", "expires_on", "rating")}),
        (gettext_lazy("Label on pages"), {"fields": ("ai_label", "ai_label_reason")}),
        (gettext_lazy("Review"), {"fields": REVIEW_FIELDS}),
        (gettext_lazy("Generation"), {"fields": GENERATION_FIELDS}),
        (gettext_lazy("File"), {"fields": FILE_FIELDS}),
    )
    readonly_fields = (*REVIEW_FIELDS, *GENERATION_FIELDS, *FILE_FIELDS)

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ who may do what

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the user may read; deleted ones only for those who may have them back, and in no list of choices."""
        access = access_of(request)
        match = request.resolver_match
        choosing = match is not None and match.url_name == "autocomplete"
        found = access.all_assets() if access.has(Right.DELETE) and not choosing else access.assets()
        return found.order_by(*self.get_ordering(request))

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return access_of(request).has(Right.READ)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return access_of(request).has(Right.READ)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an asset is born when a picture is asked for, or uploaded: both have pages of their own

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if not access_of(request).has(Right.CHANGE):
            return False
        if not isinstance(obj, MediaAsset):
            return True
        return obj.status != ReviewStatus.DELETED and may(request, Right.CHANGE, obj.library_id)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # Django's own would take row and file at once; ours has an undo

    # ------------------------------------------------------------------ pages

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        assets = self.get_queryset(request).select_related(
            "library", "created_by", "reviewed_by", "deleted_by", "original"
        )
        try:
            return assets.get(pk=MediaAsset._meta.pk.to_python(object_id))
        except (MediaAsset.DoesNotExist, ValidationError, ValueError):
            return None

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
            context |= self._story(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _story(self, request: HttpRequest, asset: MediaAsset) -> dict[str, Any]:
        """What the page tells beside the form. Relatives that the user may not see are not there."""
        parent, children, duplicates = self._relatives(request, asset)
        may_make, mine = may(request, Right.GENERATE, asset.library_id), access_of(request).assets()
        told = suggestions.suggestions(asset, mine) if may_make else []
        return {
            "asset": asset,
            "attempts": GenerationAttempt.objects.of(asset),
            "parent": parent,
            "children": children,
            "duplicates": duplicates,
            "alike": [other for other, _bits in similar_to(asset, mine, most=SHOWN_ALIKE)],
            "usages": AssetUsage.objects.filter(asset=asset)[:SHOWN_RELATIVES] if self._sees_usages(request) else [],
            "places": self._places(request, asset),
            "add_usage_url": self._add_usage_url(request, asset),
            "exports": AssetExport.objects.filter(asset=asset)[:SHOWN_RELATIVES],
            "suggestions": [(found, SUGGESTED[found.action]) for found in told],
            "suggestion": suggestion_of(
                asset,
                access_of(request),
                [right for right in (Right.GENERATE, Right.CHANGE) if may(request, right, asset.library_id)],
            ),
            "parameters": pretty_json(_copied(asset)),
            "steps": steps_of(asset, lambda right: may(request, right, asset.library_id)),
            "changelist_url": self._page("changelist"),
        }

    def _relatives(self, request: HttpRequest, asset: MediaAsset) -> tuple[Any, list[MediaAsset], list[MediaAsset]]:
        """(what it was made from, what was made from it, assets with the same file), the newest first. One query."""
        wanted = Q(parent=asset)
        if asset.parent_id:
            wanted |= Q(pk=asset.parent_id)
        if asset.content_hash:
            wanted |= Q(content_hash=asset.content_hash)
        found = access_of(request).assets().filter(wanted).exclude(pk=asset.pk).select_related("library")
        # Sorted here: a database that is to sort would rather walk the whole table than use three indexes.
        rows = sorted(found.order_by()[:MAX_RELATIVES], key=lambda row: row.pk, reverse=True)
        return (
            next((row for row in rows if row.pk == asset.parent_id), None),
            [row for row in rows if row.parent_id == asset.pk][:SHOWN_RELATIVES],
            [row for row in rows if asset.content_hash and row.content_hash == asset.content_hash][:SHOWN_RELATIVES],
        )

    def _sees_usages(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mediagen.view_assetusage")

    def _places(self, request: HttpRequest, asset: MediaAsset) -> list[dict[str, str]]:
        """The site's rows that use it; of one that the user may not see only what kind it is of."""
        places = elsewhere.uses_of([asset.pk]).get(asset.pk, [])
        return [
            {"text": str(place), "admin_url": place.admin_url, "url": place.url}
            if place.may_be_seen_by(request.user)
            else {"text": place.kind, "admin_url": "", "url": ""}
            for place in places
        ]

    def _add_usage_url(self, request: HttpRequest, asset: MediaAsset) -> str:
        """Where a use of it is written down; "" for who may not, and for what cannot be in use."""
        may_add = request.user.has_perm("mediagen.add_assetusage") and self.has_change_permission(request, asset)
        if not may_add or not asset.is_ready:
            return ""
        address = reverse("admin:mediagen_assetusage_add", current_app=self.admin_site.name)
        return f"{address}?asset={asset.pk}"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in ("description", "alt_text") and field is not None:
            field.widget.attrs["rows"] = 3
        return field

    def save_model(self, request: HttpRequest, obj: MediaAsset, form: Any, change: bool) -> None:
        review.describe(obj, review.DESCRIPTIVE & set(form.changed_data), by=request.user)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.save_tags()

    # ------------------------------------------------------------------ fields

    @admin.display(description=gettext_lazy("state"))
    def made(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/_state.html", {"asset": asset})

    @admin.display(description=gettext_lazy("cost"))
    def price(self, asset: MediaAsset) -> str:
        """All attempts together, those that brought no picture too; of one that came otherwise, its own."""
        attempts = list(GenerationAttempt.objects.of(asset))
        return cost_text(sum(map(Cost.of, attempts), NOTHING)) if attempts else usd(asset.cost)

    @admin.display(description=gettext_lazy("not as asked"))
    def fit(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/_fit_report.html", {"asset": asset})

    @admin.display(description=gettext_lazy("file"))
    def file_link(self, asset: MediaAsset) -> SafeString | str:
        url = picture_url(asset)
        return format_html('<a href="{}">{}</a>', url, asset.file.name) if url else asset.file.name or "-"

    @admin.display(description=gettext_lazy("content credentials"))
    def signed(self, asset: MediaAsset) -> str:
        return signed_text(asset.content_credentials) or "-"

    @admin.display(description=gettext_lazy("as it came"))
    def as_it_came(self, asset: MediaAsset) -> str:
        return render_to_string("mediagen/_original.html", {"asset": asset}) or "-"


def _copied(asset: MediaAsset) -> dict[str, Any]:
    """What somebody needs to make such a picture elsewhere."""
    copied: dict[str, Any] = {"prompt": asset.prompt}
    if asset.negative_prompt:
        copied["negative_prompt"] = asset.negative_prompt
    if asset.seed is not None:
        copied["seed"] = asset.seed
    copied |= asset.parameters if isinstance(asset.parameters, dict) else {}
    if asset.is_ready and asset.provider_name:
        copied |= {"made_by": {"provider": asset.provider_name, "model": asset.model_name}}
    return copied
