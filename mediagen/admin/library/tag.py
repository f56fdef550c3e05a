"""Tags in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import ModelAdmin
from mediagen.errors import InvalidRequest
from mediagen.models import MediaTag
from mediagen.models.tag import clean_tag
from mediagen.wording import translated


class MediaTagForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = MediaTag
        fields = ("name",)

    def clean_name(self) -> str:
        """With single spaces; unlike any other tag, whatever the case."""
        try:
            name = clean_tag(self.cleaned_data["name"])
        except InvalidRequest as exc:
            raise forms.ValidationError(translated(exc)) from None
        if MediaTag.objects.filter(key=name.casefold()).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("There is such a tag already; upper and lower case make no difference."))
        return name


class MediaTagAdmin(ModelAdmin):
    form = MediaTagForm
    list_display = ("name",)
    list_per_page = 100
    search_fields = ("name",)
    sortable_by = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # `key` is case-folded in every script; the database's own "without case" is not.
        for word in search_term.casefold().split()[:10]:
            queryset = queryset.filter(key__contains=word[:100])
        return queryset, False

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """The tags only. Django would list every asset that has them, which may be all there are."""
        tags = list(objs)
        counts = {str(MediaTag._meta.verbose_name_plural): len(tags)}
        return [str(tag) for tag in tags], counts, set(), []
