"""Breakers in the admin: read, and closed again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mediagen.admin.base import ReadOnlyAdmin
from mediagen.engine.providers import entries
from mediagen.models import ProviderHealth


class ProviderHealthAdmin(ReadOnlyAdmin):
    list_display = (
        "provider_name",
        "model_name",
        "operation",
        "state",
        "outcome",
        "failures",
        "reopens",
        "last_failure_at",
        "last_success_at",
    )
    list_filter = ("state", "operation")
    search_fields = ("provider_name", "model_name")
    actions = ("reset_breakers",)
    fields = (
        "provider_name",
        "model_name",
        "operation",
        "state",
        "outcome",
        "reason",
        "failures",
        "openings",
        "reopens",
        "probe_until",
        "last_failure_at",
        "last_success_at",
        "updated_at",
    )
    readonly_fields = fields

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mediagen.change_providerhealth")

    @admin.display(description=_("reopens"), empty_value="")
    def reopens(self, circuit: ProviderHealth) -> Any:
        if circuit.state == "closed":
            return None
        return circuit.open_until or _("when the configuration changes")

    @admin.action(description=_("Reset the breakers"), permissions=["reset"])
    def reset_breakers(self, request: HttpRequest, queryset: QuerySet[ProviderHealth]) -> None:
        number = entries.reset_circuits(queryset.values_list("pk", flat=True))
        text = ngettext("%(number)d breaker was reset.", "%(number)d breakers were reset.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)
