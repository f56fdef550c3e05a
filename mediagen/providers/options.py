"""What an adapter may be told beside prompt and size, declared as data: checked, shown in admin, listed in the API."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from mediagen.conf import FALSE_WORDS, TRUE_WORDS
from mediagen.wording import say as _


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One declared option. `kind` is "int", "float", "bool", "text", "choice" or "object" (JSON)."""

    kind: str
    help: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    pattern: str = ""
    """regular expression that the whole of a text must match"""
    only_models: tuple[str, ...] = ()
    """models that know it; empty: all"""
    config_only: bool = False
    """set by the operator only; in a request it is not honoured, and reported"""

    def clean(self, value: Any) -> Any:
        """`value` in its right type, or ValueError that says what is accepted. Text ("7.5") is converted."""
        if self.kind == "bool":
            return _clean_bool(value)
        if self.kind in ("int", "float"):
            return self._clean_number(value)
        if self.kind == "object":
            return _clean_object(value)
        if not isinstance(value, str):
            raise ValueError(_("must be text, not %(name)s", name=type(value).__name__))
        if self.kind == "choice" and value not in self.choices:
            raise ValueError(
                _(
                    "must be one of %(choices)s; not %(value)s%(near)s",
                    choices=", ".join(self.choices),
                    value=f"{value!r:.40}",
                    near=self._near(value),
                )
            )
        if self.max_length is not None and len(value) > self.max_length:
            raise ValueError(
                _("must have at most %(most)s characters, not %(number)s", most=self.max_length, number=len(value))
            )
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError(_("must match %(pattern)s; not %(value)s", pattern=self.pattern, value=f"{value!r:.40}"))
        return value

    def _near(self, value: str) -> str:
        near = get_close_matches(value.strip().lower()[:100], self.choices, cutoff=0.7)
        return f" (did you mean {' or '.join(near)}?)" if near else ""

    def _clean_number(self, value: Any) -> int | float:
        wanted = _("a whole number") if self.kind == "int" else _("a number")
        if isinstance(value, bool):
            raise ValueError(_("must be %(wanted)s, not %(value)s", wanted=wanted, value=repr(value)))
        try:
            number = float(value)
            if self.kind == "int" and number == int(number):
                number = int(number)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(_("must be %(wanted)s, not %(value)s", wanted=wanted, value=f"{value!r:.40}")) from None
        if not math.isfinite(number) or (self.kind == "int" and not isinstance(number, int)):
            raise ValueError(_("must be %(wanted)s, not %(value)s", wanted=wanted, value=f"{value!r:.40}"))
        low, high = self.minimum, self.maximum
        if not (low is None or number >= low) or not (high is None or number <= high):
            if high is None:
                bounds = _("from %(low)s", low=f"{low:g}")
            elif low is None:
                bounds = _("to %(high)s", high=f"{high:g}")
            else:
                bounds = _("from %(low)s to %(high)s", low=f"{low:g}", high=f"{high:g}")
            raise ValueError(
                _("must be %(wanted)s %(bounds)s, not %(value)s", wanted=wanted, bounds=bounds, value=f"{value!r:.40}")
            )
        return number


def _clean_bool(value: Any) -> bool:
    word = str(value).strip().lower()
    if isinstance(value, bool) or word in TRUE_WORDS | FALSE_WORDS:
        return value if isinstance(value, bool) else word in TRUE_WORDS
    raise ValueError(_("must be true or false, not %(value)s", value=f"{value!r:.40}"))


def _clean_object(value: Any) -> dict[str, Any]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(_("must be a JSON object"))
    return found


def clean_options(declared: Mapping[str, Option], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """(cleaned values, names that are not declared). ValueError names the first wrong value's option."""
    cleaned: dict[str, Any] = {}
    unknown: list[str] = []
    for name, value in given.items():
        option = declared.get(name)
        if option is None:
            unknown.append(name)
        elif value is not None:
            try:
                cleaned[name] = option.clean(value)
            except ValueError as exc:
                raise ValueError(f"option {name} {exc}.") from None
    return cleaned, unknown
