"""Stacked bars as numbers for an SVG: where each rectangle lies, which series it belongs to, what the axis says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 440, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 4, 8, 22
MOST_LABELS = 5


@dataclass(frozen=True, slots=True)
class Rect:
    x: float
    y: float
    width: float
    height: float
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    css: str
    total: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything that the template draws; positions in the units of its viewBox."""

    name: str
    """letters for ids"""
    title: str
    summary: str
    """the chart in a sentence, for those who do not see it"""
    bars: tuple[Rect, ...]
    lines: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    key: tuple[Series, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    """as a table: label of the slot, and the value of each series"""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT

    @property
    def is_empty(self) -> bool:
        return not self.bars


def stacked(
    name: str,
    title: str,
    *,
    labels: Sequence[str],
    series: Mapping[str, Sequence[Any]],
    css: Mapping[str, str],
    text: Callable[[Any], str],
    names: Mapping[str, str] | None = None,
    summary: str = "",
) -> Chart:
    """One bar for each label, made of the series' values one upon the other. `text` says a value in words."""
    totals = [sum(float(values[index]) for values in series.values()) for index in range(len(labels))]
    top = nice(max(totals, default=0.0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(labels))
    height = HEIGHT - TOP - BOTTOM
    bars = []
    for index, label in enumerate(labels):
        y = float(HEIGHT - BOTTOM)
        for key, values in series.items():
            if (value := float(values[index])) > 0:
                tall = height * value / top
                y -= tall
                said = f"{label}, {(names or {}).get(key, key)}: {text(values[index])}"
                x = LEFT + index * step + step * 0.1
                bars.append(Rect(round(x, 2), round(y, 2), round(step * 0.8, 2), round(tall, 2), css[key], said))
    every = math.ceil(len(labels) / MOST_LABELS)
    return Chart(
        name=name,
        title=title,
        summary=summary,
        bars=tuple(bars),
        lines=tuple(Tick(round(HEIGHT - BOTTOM - height * part / 4, 2), text(top * part / 4)) for part in range(5)),
        labels=tuple(
            Tick(round(LEFT + index * step + step / 2, 2), label)
            for index, label in enumerate(labels)
            if index % every == 0
        ),
        key=tuple(Series((names or {}).get(key, key), css[key], text(sum(values))) for key, values in series.items()),
        rows=tuple(
            (label, tuple(text(values[index]) for values in series.values())) for index, label in enumerate(labels)
        ),
    )


def nice(value: float) -> float:
    """The next round number from `value` up that four parts divide well; 1 for nothing."""
    if value <= 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 4, 6, 8, 10) if value <= step * magnitude * (1 + 1e-9))
