"""Values out of services' answers, which may be anything."""

from __future__ import annotations

from typing import Any, TypeGuard


def as_list(value: Any) -> list[Any]:
    """The list, or [] for what is none."""
    return value if isinstance(value, list) else []


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number that a price, a balance or a count can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e12 < value < 1e12
