"""Attempts in the admin: what was asked of whom, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import LargeListAdmin, ReadOnlyAdmin
from mediagen.admin.filters import ProviderNameFilter
from mediagen.engine.library.access import sees_everything
from mediagen.errors import Outcome
from mediagen.models import GenerationAttempt, MediaLibrary
from mediagen.templatetags.mediagen import attempt_cost, first_line, pretty_json, seconds


class OutcomeFilter(admin.SimpleListFilter):
    """Unknown outcomes come first: each may be a picture that was paid for and is nowhere."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        yield Outcome.UNKNOWN.value, _("unknown: may have been paid for")
        for outcome in Outcome:
            if outcome is not Outcome.UNKNOWN:
                yield outcome.value, outcome.value.replace("_", " ")
        yield "open", _("no outcome yet")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        value = self.value()
        return queryset.filter(outcome="" if value == "open" else value) if value else None


@admin.register(GenerationAttempt)
class GenerationAttemptAdmin(LargeListAdmin, ReadOnlyAdmin):
    list_display = (
        "started_at",
        "asset_link",
        "position",
        "provider_name",
        "model_name",
        "outcome_text",
        "http_status",
        "took",
        "cost_text",
        "short_message",
    )
    list_display_links = ("started_at",)
    list_select_related = ("asset",)
    list_filter = (OutcomeFilter, ProviderNameFilter, "state", "dry_run", "billable", "started_at")
    sortable_by = ()
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("asset_link", "operation", "position", "provider_name", "model_name")}),
        (_("Outcome"), {"fields": ("state", "outcome", "http_status", "message", "started_at", "finished_at", "took")}),
        (_("Money"), {"fields": ("billable", "dry_run", "cost", "cost_held")}),
        (_("At the provider"), {"fields": ("provider_job_id", "job_data", "purchase_key", "request_digest")}),
    )
    readonly_fields = ("asset_link", "took", "job_data")

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Attempts for assets that the user may see. The asset's library decides, wherever it was at the time; once
        the asset is gone, the library it belonged to."""
        attempts: QuerySet[Any] = super().get_queryset(request)
        if sees_everything(request.user):
            return attempts
        visible = MediaLibrary.objects.visible_to(request.user)
        return attempts.filter(Q(asset__library__in=visible) | Q(asset__isnull=True, library__in=visible))

    @admin.display(description=_("asset"))
    def asset_link(self, attempt: GenerationAttempt) -> str:
        if attempt.asset is None:
            return "-"
        address = reverse("admin:mediagen_mediaasset_change", args=[attempt.asset.pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, attempt.asset)

    @admin.display(description=_("outcome"))
    def outcome_text(self, attempt: GenerationAttempt) -> str:
        return attempt.get_outcome_display() or attempt.get_state_display()

    @admin.display(description=_("took"))
    def took(self, attempt: GenerationAttempt) -> str:
        return seconds(attempt.latency_s)

    @admin.display(description=_("cost"))
    def cost_text(self, attempt: GenerationAttempt) -> str:
        return attempt_cost(attempt)

    @admin.display(description=_("message"))
    def short_message(self, attempt: GenerationAttempt) -> str:
        return first_line(attempt.message)

    @admin.display(description=_("job"))
    def job_data(self, attempt: GenerationAttempt) -> SafeString:
        return format_html("<pre>{}</pre>", pretty_json(attempt.provider_job))
