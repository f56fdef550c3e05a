"""What the database counts by: hours and days as text, latencies in classes. The same on every database."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.db.models import Case, CharField, F, Func, IntegerField, Value, When
from django.db.models.functions import Cast, Round


class TimeText(Func):
    """ "2026-11-22" or, with step="hour", "2026-11-22 09" of a time, in the database's own zone: UTC, or with
    USE_TZ = False the site's.

    Where SQLite keeps times as text, a piece of it; Django's own function would call Python for every row.
    """

    arity = 1
    output_field = CharField()

    def __init__(self, expression: Any, *, step: str = "day", **extra: Any) -> None:
        super().__init__(expression, **extra)
        self.chars = 13 if step == "hour" else 10

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=f"substr(%(expressions)s, 1, {self.chars})", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        form = "YYYY-MM-DD HH24"[: 15 if self.chars == 13 else 10]
        return self.as_sql(compiler, connection, template=f"to_char(%(expressions)s, '{form}')", **context)

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=f"substr(%(expressions)s, 1, {self.chars})", **context)

    def as_oracle(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_postgresql(compiler, connection, **context)


# (below how many seconds, steps a second, where the class numbers of the decade begin): three digits each
DECADES = ((1.0, 1000, 0), (10.0, 100, 1000), (100.0, 10, 2000))
LAST = (1, 3000)


def LatencyClass(column: str) -> Case:
    """The class of a latency in seconds: a whole number that `seconds_of` turns back, exact to three digits."""

    def number(steps: int, first: int) -> Any:
        return Value(first) + Cast(Round(F(column) * Value(float(steps))), IntegerField())

    whens = [When(**{f"{column}__lt": below}, then=number(steps, first)) for below, steps, first in DECADES]
    return Case(*whens, default=number(*LAST), output_field=IntegerField())


def seconds_of(latency_class: int) -> float:
    """Seconds of a `LatencyClass`."""
    for _below, steps, first in DECADES:
        if latency_class <= first + 1000:
            return (latency_class - first) / steps
    return (latency_class - LAST[1]) / LAST[0]


def percentile(classes: Mapping[int, int], share: float) -> float | None:
    """Seconds within which `share` of the latencies lie (the nearest rank); None when there are none."""
    rank = math.ceil(share * sum(classes.values()))
    for latency_class in sorted(classes):
        rank -= classes[latency_class]
        if rank <= 0 and classes[latency_class]:
            return seconds_of(latency_class)
    return None
