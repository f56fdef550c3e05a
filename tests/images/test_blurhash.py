"""A blur that any BlurHash decoder shows: decoded here as its description says, and held against the picture."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from mediagen.images.blurhash import DIGITS, blur_hash


def decoded(text: str, x: float, y: float) -> tuple[int, ...]:
    """The colour at these fractions of width and height."""
    number = 0
    values = []
    for length in (1, 1, 4, *[2] * ((len(text) - 6) // 2)):
        piece, text = text[:length], text[length:]
        number = 0
        for digit in piece:
            number = number * 83 + DIGITS.index(digit)
        values.append(number)
    size, scale, mean, *rest = values
    columns, rows = size % 9 + 1, size // 9 + 1
    assert len(rest) == columns * rows - 1
    waves = [[linear(mean >> shift & 255) for shift in (16, 8, 0)]]
    for one in rest:
        levels = [(part - 9) / 9 for part in (one // 361, one // 19 % 19, one % 19)]
        waves.append([math.copysign(level * level, level) * (scale + 1) / 166 for level in levels])
    found = [0.0, 0.0, 0.0]
    for at, wave in enumerate(waves):
        weight = math.cos(math.pi * x * (at % columns)) * math.cos(math.pi * y * (at // columns))
        found = [sum(pair) for pair in zip(found, (weight * part for part in wave), strict=True)]
    return tuple(srgb(part) for part in found)


def linear(value: int) -> float:
    part = value / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def srgb(part: float) -> int:
    part = min(1.0, max(0.0, part))
    return round((part * 12.92 if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055) * 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_one_colour_stays_it(mode):
    image = Image.new("RGB", (300, 200), (200, 120, 40)).convert(mode)
    text = blur_hash(image)
    assert len(text) == 28
    wanted = image.convert("RGB").getpixel((0, 0))
    assert all(abs(a - b) < 8 for a, b in zip(decoded(text, 0.5, 0.5), wanted, strict=True))


def test_left_and_right_and_what_is_transparent():
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((220, 0, 0, 255), (0, 0, 32, 64))
    text = blur_hash(image)
    left, right = decoded(text, 0.1, 0.5), decoded(text, 0.9, 0.5)
    assert left[0] > 150 > left[1]
    assert min(right) > 200
