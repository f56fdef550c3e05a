"""What our admin pages have in common: the site's theme, lists of a million rows, rights per library."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from django.apps import apps
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest

from mediagen.engine.library import Access, Right

if TYPE_CHECKING:
    ModelAdmin: TypeAlias = admin.ModelAdmin[Any]
elif apps.is_installed("unfold"):
    # Its pages need admins of its own class; any other theme styles Django's.
    from unfold.admin import ModelAdmin
else:
    ModelAdmin = admin.ModelAdmin


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts 10,000 rows and no further, so that a list of a million opens as quickly as one of a hundred."""

    CAP = 10_000

    @cached_property
    def count(self) -> int:
        """At most `CAP`."""
        rows: Any = self.object_list
        return int(rows.order_by()[: self.CAP].values("pk").count())

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
