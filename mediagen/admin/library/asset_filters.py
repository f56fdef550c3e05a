"""What the list of assets can be narrowed to. The words and their reading are the engine's, as in API and studio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import access_of
from mediagen.admin.inputs import Input, InputFilter
from mediagen.engine.library import AssetFilters, Right, alt_texts, narrowed, unlabelled
from mediagen.models import MediaLibrary, ReviewStatus
from mediagen.models.asset import SUGGESTIONS


class LibraryFilter(admin.RelatedFieldListFilter):
    """Libraries that the user may look into; the names of the others are nobody else's business."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        visible = MediaLibrary.objects.visible_to(request.user).order_by("name")
        return [(str(pk), name) for pk, name in visible.values_list("pk", "name")]


class StatusFilter(admin.SimpleListFilter):
    """Deleted ones are there only when somebody who may have them back asks for them."""

    title = _("status")
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        may_delete = access_of(request).has(Right.DELETE)
        return [
            (value, _("deleted (can be had back)") if value == ReviewStatus.DELETED else label)
            for value, label in ReviewStatus.choices
            if value != ReviewStatus.DELETED or may_delete
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        status = self.value()
        if status in ReviewStatus.values:
            return queryset.filter(status=status)
        kept: QuerySet[Any] = queryset.kept()  # type: ignore[attr-defined]
        return kept


class AssetInputFilter(InputFilter):
    def narrow(self, queryset: Any, given: dict[str, str]) -> QuerySet[Any]:
        found: QuerySet[Any] = narrowed(queryset, AssetFilters.of(given))
        return found


class LabelFilter(admin.SimpleListFilter):
    title = _("label on pages")
    parameter_name = "unlabelled"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("true", _("none, though made by a model and published"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        return queryset.filter(unlabelled()) if self.value() == "true" else None


class AltTextFilter(admin.SimpleListFilter):
    title = _("alt text")
    parameter_name = "alt_text"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [("missing", _("none, and no suggestion")), ("suggested", _("suggested, not answered"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        if self.value() == "missing":
            return alt_texts.lacking(queryset, and_unknown=True)  # type: ignore[arg-type]
        return queryset.filter(alt_text_state__in=SUGGESTIONS) if self.value() == "suggested" else None


class ModelFilter(AssetInputFilter):
    title = _("model")
    inputs = (Input("model", _("Model, as the provider calls it")),)


class TagFilter(AssetInputFilter):
    title = _("tag")
    inputs = (Input("tag", _("Tag")),)


class SizeFilter(AssetInputFilter):
    title = _("size")
    inputs = (
        Input("min_width", _("Width from"), "number"),
        Input("max_width", _("Width to"), "number"),
        Input("min_height", _("Height from"), "number"),
        Input("max_height", _("Height to"), "number"),
    )


class DateFilter(AssetInputFilter):
    title = _("date")
    inputs = (Input("created_from", _("From"), "date"), Input("created_to", _("To"), "date"))


class CostFilter(AssetInputFilter):
    title = _("cost")
    inputs = (Input("min_cost", _("USD from"), "number", "any"), Input("max_cost", _("USD to"), "number", "any"))
