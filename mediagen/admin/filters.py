"""Filters that several rooms' lists have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from mediagen.models import ProviderConfig


class ProviderNameFilter(admin.SimpleListFilter):
    """By the names in the chain. Django's own filter would look through the whole table for them."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        names = list(ProviderConfig.objects.in_chain_order().values_list("name", flat=True))
        asked = self.used_parameters.get(self.parameter_name)
        if isinstance(asked, str) and asked and asked not in names:
            names.append(asked)  # a provider that is gone
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        return queryset.filter(provider_name=self.value()) if self.value() else None
