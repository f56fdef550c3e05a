"""What our admin pages have in common: the site's theme, lists of a million rows, rights per library."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import DateField, Model
from django.http import HttpRequest, HttpResponse

from mediagen.admin.theme import SitesModelAdmin, themed
from mediagen.engine.database import counted_to
from mediagen.engine.library import Access, Right
from mediagen.error_pages import hide_secrets
from mediagen.models.routing import connection


class ModelAdmin(SitesModelAdmin):
    """What all our pages do, with whichever theme."""

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return themed(super().get_form(request, obj, change=change, **kwargs))

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        hide_secrets(request)
        return super().changeform_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        hide_secrets(request)
        return super().changelist_view(request, extra_context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """A number in the address that no column can hold is led back to the whole list, as other nonsense is."""
        try:
            return super().get_changelist_instance(request)
        except (OverflowError, DataError):
            raise IncorrectLookupParameters from None

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address fills the form of a new row with. What a field cannot hold is left out: Django renders it
        all the same, and fails."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        held = {name: self._held(name, value) for name, value in given.items()}
        return {name: value for name, value in held.items() if value is not None}

    def _held(self, name: str, value: Any) -> Any:
        """The value as the form's field takes it; None for one that it cannot hold."""
        try:
            field: Any = self.opts.get_field(name)
        except FieldDoesNotExist:
            return value
        try:
            if field.remote_field:
                target = field.related_model._meta.pk if field.many_to_many else field.target_field
                for one in value if isinstance(value, list) else [value]:
                    target.run_validators(target.to_python(one))
                    target.get_db_prep_value(target.to_python(one), connection)
            elif isinstance(field, DateField):  # whose widgets take no text
                return field.to_python(value)
        except (ValidationError, ValueError, TypeError, OverflowError):
            return None
        return value


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts 10,000 rows and no further, so that a list of a million opens as quickly as one of a hundred."""

    CAP = 10_000

    @cached_property
    def count(self) -> int:
        """At most `CAP`."""
        rows: Any = self.object_list
        return counted_to(rows, self.CAP)

    @property
    def is_capped(self) -> bool:
        return self.count >= self.CAP


class LargeListAdmin(ModelAdmin):
    """For tables that grow: nothing in the list reads the whole table."""

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    change_list_template = "mediagen/admin/large_list.html"


class ReadOnlyAdmin(ModelAdmin):
    """Rows that the engine writes and people read."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def access_of(request: HttpRequest) -> Access:
    """What the user of this request may do."""
    return Access(request.user)


def may(request: HttpRequest, right: Right, library_id: Any) -> bool:
    """Whether the user may write so in the library, which exists. One query a request and library."""
    known: dict[Any, frozenset[Right]] = request.__dict__.setdefault("_mediagen_may", {})
    if library_id not in known:
        known[library_id] = access_of(request).rights_to_write(library_id)
    return right in known[library_id]
