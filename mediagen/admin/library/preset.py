"""Styles and templates in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import ModelAdmin, access_of, may
from mediagen.engine.library import Right, presets
from mediagen.models import PromptPreset


class PresetForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = PromptPreset
        fields = ("library", "kind", "name", "text", "negative_prompt", "options")

    def clean_options(self) -> dict[str, Any]:
        options = self.cleaned_data["options"] or {}
        if not isinstance(options, dict):
            raise forms.ValidationError(_('Write a JSON object, such as {"quality": "high"}.'))
        return options


class PromptPresetAdmin(ModelAdmin):
    """A style's sample is chosen in the studio, beside the picture."""

    form = PresetForm
    list_display = ("name", "kind", "library", "updated_at")
    list_select_related = ("library",)
    list_filter = ("kind",)
    list_per_page = 50
    search_fields = ("name", "text")
    sortable_by = ("name", "updated_at")
    readonly_fields = ("created_by", "created_at", "updated_at")
    fields = (*PresetForm.Meta.fields, *readonly_fields)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return presets.visible(access_of(request)).order_by("name", "pk")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if library := form.base_fields.get("library"):
            library.queryset = access_of(request).libraries(Right.CHANGE)
        return form

    def save_model(self, request: HttpRequest, obj: PromptPreset, form: Any, change: bool) -> None:
        obj.created_by = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_theirs(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_theirs(request, obj)

    def _is_theirs(self, request: HttpRequest, obj: Model | None) -> bool:
        return obj is None or may(request, Right.CHANGE, obj.library_id)  # type: ignore[attr-defined]
