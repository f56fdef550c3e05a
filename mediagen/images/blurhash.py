"""A picture's blur in 28 characters (BlurHash), for its place on a page until the file is there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

COLUMNS, ROWS = 4, 3
SIDE = 16
"""pixels that are looked at a side: a blur has no more to tell"""
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"

Colour = tuple[float, float, float]


def blur_hash(image: Image.Image) -> str:
    """Of the whole picture, what is transparent on white; a few milliseconds."""
    from PIL import Image

    # Made small first, which is quick.
    small = image.convert("RGBA").reduce((max(1, image.width // 64), max(1, image.height // 64)))
    small = small.resize((SIDE, SIDE), Image.Resampling.BOX)
    ground = Image.new("RGBA", small.size, "white")
    data = Image.alpha_composite(ground, small).convert("RGB").tobytes()
    linear = [_LINEAR[part] for part in data]
    waves = [_wave(linear, column, row) for row in range(ROWS) for column in range(COLUMNS)]
    mean, rest = waves[0], waves[1:]
    loudest = max(abs(part) for wave in rest for part in wave)
    scale = max(0, min(82, math.floor(loudest * 166 - 0.5)))
    return (
        _written(COLUMNS - 1 + (ROWS - 1) * 9, 1)
        + _written(scale, 1)
        + _written(sum(_srgb(part) << shift for part, shift in zip(mean, (16, 8, 0), strict=True)), 4)
        + "".join(_written(_quantised(wave, (scale + 1) / 166), 2) for wave in rest)
    )


def _wave(linear: list[float], column: int, row: int) -> Colour:
    red = green = blue = 0.0
    for y in range(SIDE):
        down = _COSINES[row][y]
        for x in range(SIDE):
            weight, at = down * _COSINES[column][x], 3 * (y * SIDE + x)
            red += weight * linear[at]
            green += weight * linear[at + 1]
            blue += weight * linear[at + 2]
    share = (1 if column == row == 0 else 2) / (SIDE * SIDE)
    return red * share, green * share, blue * share


def _quantised(wave: Colour, loudest: float) -> int:
    number = 0
    for part in wave:
        level = math.copysign(math.sqrt(abs(part / loudest)), part)
        number = number * 19 + max(0, min(18, math.floor(level * 9 + 9.5)))
    return number


def _written(number: int, length: int) -> str:
    return "".join(DIGITS[number // 83**place % 83] for place in range(length - 1, -1, -1))


def _srgb(value: float) -> int:
    value = max(0.0, min(1.0, value))
    return int((value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055) * 255 + 0.5)


_LINEAR = [
    value / 255 / 12.92 if value / 255 <= 0.04045 else ((value / 255 + 0.055) / 1.055) ** 2.4 for value in range(256)
]
_COSINES = [[math.cos(math.pi * wave * at / SIDE) for at in range(SIDE)] for wave in range(max(COLUMNS, ROWS))]
