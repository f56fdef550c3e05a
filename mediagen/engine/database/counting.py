"""Counting for people, who are told "10,000 or more" as well as a number."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet


def counted_to(rows: QuerySet[Any], most: int) -> int:
    """How many rows there are, counted no further than `most`."""
    # The library is in the indexes that hold what narrows a list; the key of a row is in none of SQLite's.
    has_library = any(field.name == "library" for field in rows.model._meta.concrete_fields)
    return rows.order_by().values("library" if has_library else "pk")[:most].count()
