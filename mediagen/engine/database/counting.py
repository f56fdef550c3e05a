"""Counting for people, who are told "10,000 or more" as well as a number."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet, Value


def counted_to(rows: QuerySet[Any], most: int) -> int:
    """How many rows there are, counted no further than `most`, from an index where one holds what decides."""
    return rows.order_by().annotate(counted_row=Value(1)).values("counted_row")[:most].count()
