"""Mapping an asked size onto what a model accepts. Two functions serve every provider."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache

Size = tuple[int, int]


def nearest_ratio(width: int, height: int, accepted: Iterable[Size]) -> Size:
    """The accepted (width, height) or (w, h) ratio whose shape is nearest; the larger area breaks a tie."""
    asked = math.log(width / height)
    return min(accepted, key=lambda pair: (round(abs(asked - math.log(pair[0] / pair[1])), 9), -pair[0] * pair[1]))


def tier_that_covers(width: int, height: int, ratio: Size, tiers: Mapping[str, int]) -> str:
    """The first of `tiers` (name to the side of its square, pixels, the small ones first) whose picture of the shape
    `ratio` covers width x height; the last when none does."""
    shape = math.sqrt(ratio[0] / ratio[1])
    # Services round their sizes: Google's 3:2 of 1024 is 1264x848.
    needed = max(width / shape, height * shape) / 1.02
    return next((name for name, side in tiers.items() if side >= needed), list(tiers)[-1])


@lru_cache(maxsize=1024)
def snap_to_grid(
    width: int,
    height: int,
    *,
    multiple: int,
    min_side: int,
    max_side: int,
    min_area: int = 1,
    max_area: int | None = None,
    max_ratio: float | None = None,
) -> Size:
    """The size nearest in shape whose sides are multiples of `multiple` within all limits (pixels).

    Both sides are scaled by one factor until area and edges fit, then rounded; a shape beyond `max_ratio` or
    beyond what the edges allow is brought to the nearest allowed one.
    """
    w, h = float(width), float(height)
    if max_ratio is not None:
        if w / h > max_ratio:
            w = h * max_ratio
        elif h / w > max_ratio:
            h = w * max_ratio
    scale = max(1.0, math.sqrt(min_area / (w * h)), min_side / min(w, h))
    w, h = w * scale, h * scale
    shrink = min(1.0, max_side / max(w, h), math.sqrt(max_area / (w * h)) if max_area else 1.0)
    w, h = w * shrink, h * shrink

    low = math.ceil(min_side / multiple) * multiple
    high = max_side // multiple * multiple

    def rounded(value: float) -> int:
        return min(high, max(low, round(value / multiple) * multiple))

    best = (rounded(w), rounded(h))
    # Rounding may step over a limit by one grid line: look at the neighbours and take the nearest that fits.
    candidates = [
        (a, b)
        for a in range(best[0] - 2 * multiple, best[0] + 3 * multiple, multiple)
        for b in range(best[1] - 2 * multiple, best[1] + 3 * multiple, multiple)
        if low <= a <= high
        and low <= b <= high
        and a * b >= min_area
        and (max_area is None or a * b <= max_area)
        and (max_ratio is None or max(a, b) <= max_ratio * min(a, b))
    ]
    return min(candidates, key=lambda size: (abs(size[0] - w) + abs(size[1] - h), size), default=best)


def reduced_ratio(width: int, height: int, *, lowest: Size, highest: Size, max_term: int = 64) -> str:
    """ "w:h" in lowest terms, clamped between two ratios, with terms no larger than `max_term`."""
    ratio = min(max(Fraction(width, height), Fraction(*lowest)), Fraction(*highest))
    small = ratio.limit_denominator(max_term)
    if small.numerator > max_term:
        small = 1 / (1 / ratio).limit_denominator(max_term)
    small = min(max(small, Fraction(*lowest)), Fraction(*highest))
    return f"{small.numerator}:{small.denominator}"
