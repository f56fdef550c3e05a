"""Exports in the admin: which asset went into which Figma file or Canva account, and how that went."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import LargeListAdmin, ReadOnlyAdmin, access_of
from mediagen.admin.exports.actions import ExportActions
from mediagen.engine.library import Right, sees_everything
from mediagen.models import AssetExport
from mediagen.templatetags.mediagen import first_line, pretty_json, thumbnail_url

SHOWN = ("asset_link", "target", "state", "message", "dry_run", "where", "provider_name", "created_by")
TIMES = ("created_at", "updated_at", "placed_at", "expires_at")
PLACE = ("file_key", "page_id", "frame_name", "external_id", "design_id", "job_id", "asked")


class AssetExportAdmin(ExportActions, LargeListAdmin, ReadOnlyAdmin):
    list_display = ("created_at", "thumbnail", "asset_link", "target", "stage", "where", "short_message", "created_by")
    list_display_links = ("created_at",)
    list_select_related = ("asset", "asset__library", "created_by")
    list_filter = ("target", "state", "dry_run", "created_at")
    sortable_by = ()
    ordering = ("-id",)
    fieldsets = ((None, {"fields": SHOWN}), (_("Place"), {"fields": PLACE}), (_("Times"), {"fields": TIMES}))
    readonly_fields = ("asset_link", "where", "asked")

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Exports of assets that the user may see."""
        exports: QuerySet[Any] = super().get_queryset(request)
        access = access_of(request)
        if sees_everything(request.user) and access.has(Right.READ):
            return exports.filter(~Q(asset__status="deleted"))
        # Joined, so that the few of them lead to their assets, and not all assets to them.
        return exports.filter(~Q(asset__status="deleted"), asset__library__in=access.libraries(Right.READ))

    @admin.display(description=_("picture"))
    def thumbnail(self, export: AssetExport) -> str:
        context = {"asset": export.asset, "url": thumbnail_url(export.asset)}
        return render_to_string("mediagen/admin/_thumbnail.html", context)

    @admin.display(description=_("asset"))
    def asset_link(self, export: AssetExport) -> str:
        address = reverse("admin:mediagen_mediaasset_change", args=[export.asset_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, export.asset)

    @admin.display(description=_("state"))
    def stage(self, export: AssetExport) -> str:
        return render_to_string("mediagen/admin/_export_state.html", {"export": export})

    @admin.display(description=_("where"))
    def where(self, export: AssetExport) -> str:
        text = export.frame_name or export.file_key or export.get_target_display()
        # Only what a browser opens as a page: the address was told us by somebody else's service.
        if export.url.startswith(("https://", "http://")):
            return format_html('<a href="{}" rel="noopener noreferrer">{}</a>', export.url, text)
        return str(text)

    @admin.display(description=_("message"))
    def short_message(self, export: AssetExport) -> str:
        return first_line(export.message)

    @admin.display(description=_("options"))
    def asked(self, export: AssetExport) -> SafeString:
        return format_html('<pre class="mediagen-code">{}</pre>', pretty_json(export.options))
