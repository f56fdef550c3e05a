"""Rows of the libraries that somebody may look into, the newest first: read in their order, or collected and sorted.

Databases with statistics choose well between the two. SQLite has none before somebody runs ANALYZE, and then collects
and sorts all rows of all these libraries for each page; where they are many it is told to read in order.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, Func, Q, Sum
from django.db.models.lookups import In

from mediagen.models import LibraryTally
from mediagen.models.library import MediaLibraryQuerySet
from mediagen.models.routing import connection

PAGE = 50


class _WithoutIndex(Func):
    """The column itself, in a form for which SQLite uses no index of it: not where rows are only counted."""

    template = "%(expressions)s"
    arity = 1

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        is_ordered = bool(compiler.query.order_by or compiler.query.default_ordering)
        return self.as_sql(compiler, connection, template=f"{'+' * is_ordered}%(expressions)s", **context)


def are_many(libraries: MediaLibraryQuerySet) -> bool:
    """Whether a page of these libraries' rows is sooner found by reading in order than by sorting them. One query."""
    if connection.vendor != "sqlite":
        return False
    mine = Sum("assets", filter=Q(library__in=libraries.order_by().values("pk")), default=0)
    held = LibraryTally.objects.aggregate(mine=mine, all=Sum("assets", default=0))
    return bool(held["mine"] ** 2 > PAGE * held["all"])


def within(libraries: MediaLibraryQuerySet, column: str = "library", *, in_order: bool | None = None) -> Any:
    """A condition for rows whose `column` is one of the libraries. `in_order`: `are_many`, where it is known."""
    if are_many(libraries) if in_order is None else in_order:
        return In(_WithoutIndex(F(column)), libraries.order_by().values("pk"))
    return Q(**{f"{column}__in": libraries})
