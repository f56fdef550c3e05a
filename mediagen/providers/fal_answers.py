"""What fal's answers say: the picture's address, what was billed, and errors in their several forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mediagen import http
from mediagen.providers.moderation import is_refusal, reads_as_refusal
from mediagen.providers.reading import as_list, fault


@dataclass(frozen=True, slots=True)
class Result:
    """What a model has made."""

    data: Mapping[str, Any]
    units: Decimal | None = None
    """what was billed, in the model's units"""

    @property
    def url(self) -> str:
        """The picture's address; "" when the result names none. Some models have `image`, most have `images`."""
        found = as_list(self.data.get("images"))[:1] or [self.data.get("image")]
        url = found[0].get("url") if isinstance(found[0], dict) else found[0]
        return url if isinstance(url, str) else ""

    @property
    def is_black(self) -> bool:
        """Whether moderation has blackened it."""
        flags = self.data.get("has_nsfw_concepts")
        return isinstance(flags, list) and flags[:1] == [True]

    @property
    def seed(self) -> int | None:
        seed = self.data.get("seed")
        return seed if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else None


def billed_units(response: http.Response) -> Decimal | None:
    """In the model's units; None when the answer names none."""
    try:
        units = Decimal(response.headers.get("x-fal-billable-units", "").strip())
    except ArithmeticError:
        return None
    return units if units.is_finite() and 0 <= units < 1_000_000 else None


def said(answer: Mapping[str, Any]) -> str:
    """What an answer says of its error, as it came; "" when it says nothing."""
    detail = answer.get("detail") or answer.get("error") or answer.get("error_type")
    if isinstance(detail, dict):
        detail = detail.get("message")
    if isinstance(detail, list):
        detail = "; ".join(fault(entry) for entry in detail if isinstance(entry, dict))
    return detail if isinstance(detail, str) else ""


def is_refused(answer: Mapping[str, Any]) -> bool:
    """Whether moderation has refused: by a code, or where there is none, by the text."""
    detail = answer.get("detail")
    codes = [answer.get("error_type"), *(entry.get("type") for entry in as_list(detail) if isinstance(entry, dict))]
    return any(is_refusal(code) for code in codes) or (isinstance(detail, str) and reads_as_refusal(detail))
