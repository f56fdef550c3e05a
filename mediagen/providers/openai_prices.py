"""What a picture of OpenAI's costs: by size and quality, by the tokens that follow from them, by those that an answer
counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

ASSUMED = Decimal("1.5")
"""times the tokens of gpt-image-2 are held for its successors, whose number is not published"""
# How the number of tokens of a picture grows, by quality. Of gpt-image-2 it is known; xhigh and max are assumed.
_STEPS = {"low": 16, "medium": 48, "high": 96, "xhigh": 144, "max": 192}
# xAI counts in these; a sum beyond what a picture can cost is taken for another unit.
_TICKS_A_USD, _MOST_USD = 10**10, 10


@dataclass(frozen=True, slots=True)
class Table:
    """Prices of one model."""

    prices: Mapping[str, Decimal]
    model: str
    family: str

    def keys(self, size: str, quality: str) -> list[str]:
        """Keys of a picture, the most particular first."""
        sizes = [f"{size}/{quality}", size]
        return [f"{name}/{rest}" for name in (self.model, self.family) for rest in sizes] + [self.model, self.family]

    def of(self, kind: str) -> Decimal | None:
        """USD of a million tokens of this kind."""
        return self.prices.get(f"{self.model}/{kind}", self.prices.get(f"{self.family}/{kind}"))

    def by_size(self, width: int, height: int, quality: str) -> Decimal | None:
        """USD by the number of tokens that follows from size and quality."""
        per_million = self.of("1M-image-out")
        return None if per_million is None else picture_tokens(width, height, quality) * per_million / 1_000_000

    def of_usage(self, usage: Mapping[str, Any]) -> Decimal | None:
        """None when a count is missing or a price is not known. Text in the output counts as picture, the dearer.

        None also without tokens in the output: a picture was made, so whoever says so does not count pictures.
        """
        if usage.get("output_tokens") == 0:
            return None
        details = usage.get("input_tokens_details")
        details = details if isinstance(details, dict) else {"text_tokens": usage.get("input_tokens")}
        counts = {
            "1M-text-in": details.get("text_tokens"),
            "1M-image-in": details.get("image_tokens", 0),
            "1M-image-out": usage.get("output_tokens"),
        }
        total = Decimal(0)
        for kind, count in counts.items():
            price = self.of(kind)
            if price is None or type(count) is not int or not 0 <= count < 10**9:
                return None
            total += count * price
        return total / 1_000_000


def picture_tokens(width: int, height: int, quality: str) -> int:
    """Tokens in the output of gpt-image-2 for a picture of this size (pixels) and quality."""
    across = _STEPS[quality]
    down = round(across * min(width, height) / max(width, height))
    return math.ceil(across * down * (2_000_000 + width * height) / 4_000_000)


def as_paid(quality: str) -> str:
    """What "auto" will choose is not known before; a budget is safer with the dearest of the old three."""
    return "high" if quality == "auto" else quality


def of_ticks(ticks: Any) -> Decimal | None:
    """USD of what xAI says a picture cost."""
    return Decimal(ticks) / _TICKS_A_USD if type(ticks) is int and 0 < ticks < _MOST_USD * _TICKS_A_USD else None
