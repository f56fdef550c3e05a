"""A placeholder's colours, chosen by a digest: readable whatever the digest is."""

from __future__ import annotations

import colorsys
from typing import NamedTuple

Colour = tuple[int, int, int]

_STEPS = 16
"""shades between two tones, for smooth edges"""
_INK_STEPS = 64
"""shades between the card and its text"""
# Pairs of tones: a tile's shape has the second one on the first one. The light tone 3 comes up seldom.
_PAIRS = ((0, 1), (0, 2), (1, 2), (0, 3))
PAIR_CHOICES = (0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3)
FIRST_TONE = 0
CARD = _STEPS * len(_PAIRS)
INK = CARD + _INK_STEPS - 1
ACCENT = INK + 1
_TEXT_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, level AA"""


class Scheme(NamedTuple):
    digest: bytes
    palette: bytes
    """three bytes a colour"""
    muted: int
    """how dark secondary text is drawn, 0 (card) to 255 (ink): the lightest that is still readable, or darker"""

    def colour(self, index: int) -> Colour:
        red, green, blue = self.palette[3 * index : 3 * index + 3]
        return red, green, blue


def scheme(digest: bytes) -> Scheme:
    """Four tones for the pattern in two neighbouring or opposite hues, a card nearly white, and dark ink."""
    hue = int.from_bytes(digest[:2], "big") / 65536
    other = (hue + (0.07, 0.12, 0.42, 0.5, 0.58, 0.93)[digest[2] % 6]) % 1
    saturation = 0.34 + digest[3] / 255 * 0.2
    tones = (
        _hsl(hue, saturation, 0.27),
        _hsl(hue, saturation, 0.36),
        _hsl(other, saturation, 0.45),
        _hsl(other, 0.68, 0.7),
    )
    card, ink = _hsl(hue, 0.4, 0.975), _hsl(hue, 0.45, 0.15)
    shades = [_blend(tones[a], tones[b], step / (_STEPS - 1)) for a, b in _PAIRS for step in range(_STEPS)]
    inks = [_blend(card, ink, step / (_INK_STEPS - 1)) for step in range(_INK_STEPS)]
    muted = next(
        level for level in range(160, 256) if contrast(inks[level * (_INK_STEPS - 1) // 255], card) >= _TEXT_CONTRAST
    )
    return Scheme(digest, bytes(part for colour in (*shades, *inks, _hsl(other, 0.65, 0.5)) for part in colour), muted)


def pair_table(pair: int) -> list[int]:
    """For `Image.point`: how far the shape covers a pixel (0 to 255), as a palette index between the pair's tones."""
    return [pair * _STEPS + level * (_STEPS - 1) // 255 for level in range(256)]


def ink_table() -> list[int]:
    """For `Image.point`: how much ink a pixel has (0 to 255), as a palette index."""
    return [CARD + level * (_INK_STEPS - 1) // 255 for level in range(256)]


def contrast(a: Colour, b: Colour) -> float:
    """The contrast ratio of two colours as WCAG 2.2 defines it, 1 to 21."""
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = ((c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _hsl(hue: float, saturation: float, lightness: float) -> Colour:
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, saturation))
    return red, green, blue


def _blend(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
