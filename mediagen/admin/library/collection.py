"""Kept searches and boards in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import ModelAdmin, access_of
from mediagen.engine.library import Right, collections
from mediagen.errors import InvalidRequest
from mediagen.models import Collection
from mediagen.studio.library.boards import address
from mediagen.wording import translated


class CollectionForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Collection
        fields = ("name", "library", "query")

    def clean_query(self) -> str:
        query: str = self.cleaned_data["query"]
        if bool(query) is self.instance.is_board and not self.instance._state.adding:
            raise forms.ValidationError(_("A board is no search, and a search no board."))
        try:
            return collections.query_of(query) if query else ""
        except InvalidRequest as exc:
            raise forms.ValidationError(translated(exc)) from None


class CollectionAdmin(ModelAdmin):
    """Whose pictures are put on boards in the studio."""

    form = CollectionForm
    list_display = ("name", "kind", "owner", "library", "updated_at")
    list_select_related = ("owner", "library")
    list_per_page = 50
    search_fields = ("name",)
    sortable_by = ("name", "updated_at")
    readonly_fields = ("owner", "look", "created_at", "updated_at")
    fields = ("name", "library", "query", *readonly_fields)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return collections.visible(access_of(request)).order_by("name", "pk")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if library := form.base_fields.get("library"):
            library.queryset = access_of(request).libraries(Right.CHANGE)
            if obj is not None and obj.library_id:
                library.queryset |= access_of(request).libraries(Right.READ).filter(pk=obj.library_id)
        return form

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        if not change:
            obj.owner = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_theirs(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_theirs(request, obj)

    def _is_theirs(self, request: HttpRequest, obj: Any) -> bool:
        return obj is None or collections.changeable(access_of(request)).filter(pk=obj.pk).exists()

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """The collections only: the pictures on a board stay, and not everybody may read their names."""
        found = list(objs)
        needed = {str(Collection._meta.verbose_name) for one in found if not self.has_delete_permission(request, one)}
        return [str(one) for one in found], {str(Collection._meta.verbose_name_plural): len(found)}, needed, []

    @admin.display(description=_("kind"))
    def kind(self, collection: Collection) -> Any:
        return _("board") if collection.is_board else _("search")

    @admin.display(description=_("in the studio"))
    def look(self, collection: Collection) -> str:
        if collection._state.adding:
            return ""
        return format_html('<a href="{}">{}</a>', address(collection), _("Look"))
