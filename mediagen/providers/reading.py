"""Values out of services' answers, which may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard


def as_list(value: Any) -> list[Any]:
    """The list, or [] for what is none."""
    return value if isinstance(value, list) else []


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number that a price, a balance or a count can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e12 < value < 1e12


def as_words(value: Any, levels: int = 3) -> str:
    """JSON as a person writes it: {"Reasons": ["Violence", "Gore"]} is "Reasons: Violence, Gore"."""
    if levels and isinstance(value, dict):
        return "; ".join(f"{key}: {as_words(part, levels - 1)}" for key, part in value.items())
    if levels and isinstance(value, list):
        return ", ".join(as_words(part, levels - 1) for part in value)
    return "..." if isinstance(value, dict | list) else str(value)


def fault(entry: Mapping[str, Any]) -> str:
    """One entry of a validation error as text: "width: must be a multiple of 32"."""
    where = entry.get("loc")
    names = [str(part) for part in where if part != "body"] if isinstance(where, list) else []
    return ": ".join(part for part in (".".join(names), str(entry.get("msg") or entry.get("type") or "")) if part)
