"""How a picture looks, in 64 bits: those of one that was scaled, compressed anew or written in another format are the
same but for a few.

A perceptual hash by the cosine transform: of the picture in 32 x 32 greys the 64 broadest waves, each a bit that says
whether it is stronger than the median. Cut edges change many bits; mirrored or turned it is another picture.
"""

from __future__ import annotations

from functools import cache
from math import cos, pi, sqrt
from operator import mul

from mediagen.errors import NotAPicture
from mediagen.images import codecs, saving
from mediagen.images.picture import Picture
from mediagen.wording import say as _

Look = tuple[int, int, int, int]
"""four times 16 bits"""

BITS = 64
_SIDE = 32
_WAVES = 8
_LEAST_STRENGTH = 2.0
"""of a wave, in greys times 32: below it there is nothing but rounding"""
_ENOUGH_WAVES = 16
"""a flat or nearly flat picture has fewer, and would look like all others of its kind"""


def look_of(content: bytes, picture: Picture) -> Look | None:
    """None when it is too plain to be compared, or cannot be decoded here. Of an animation the first frame."""
    try:
        pixels = _greys(content, picture)
    except NotAPicture:
        return None
    rows = [pixels[at : at + _SIDE] for at in range(0, _SIDE * _SIDE, _SIDE)]
    # Along the rows, then down the columns: the transform of all of it.
    along = [[sum(map(mul, row, wave)) for wave in _waves()] for row in rows]
    columns = list(zip(*along, strict=True))
    found = [[sum(map(mul, column, wave)) for wave in _waves()] for column in columns]
    # The first is the mean brightness, which says nothing: the next wave down takes its place.
    strengths = [found[0][_WAVES], *(found[x][y] for y in range(_WAVES) for x in range(_WAVES) if x or y)]
    if sum(abs(each) > _LEAST_STRENGTH for each in strengths) < _ENOUGH_WAVES:
        return None
    ordered = sorted(strengths)
    median = (ordered[BITS // 2 - 1] + ordered[BITS // 2]) / 2
    whole = int("".join("1" if each > median else "0" for each in strengths), 2)
    return whole >> 48, whole >> 32 & 0xFFFF, whole >> 16 & 0xFFFF, whole & 0xFFFF


def bits_apart(one: Look, other: Look) -> int:
    """0: the same; about 32: nothing to do with each other."""
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


def _greys(content: bytes, picture: Picture) -> bytes:
    from PIL import Image

    if not codecs.can_read(picture.format):
        raise NotAPicture(_("The Pillow of this installation knows no %(format)s.", format=picture.format.upper()))
    with codecs.opened(content, picture) as source:
        source.draft("L", (_SIDE * 4, _SIDE * 4))  # a JPEG is decoded at a size that is large enough
        turn = saving.exif_and_turn(source)[1]
        image = saving.resizable(source)
        image = saving.eight_bits(image)
        if "A" in image.getbands():
            # What shows through is white, as on a page.
            ground = Image.new("L", image.size, 255)
            ground.paste(image.convert("L"), mask=image.getchannel("A"))
            image = ground
        small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
        return (small if turn is None else small.transpose(turn)).tobytes()


@cache
def _waves() -> tuple[tuple[float, ...], ...]:
    """The transform's (DCT-II, orthonormal), from the broadest on."""
    return tuple(
        tuple(
            sqrt((2 if wave else 1) / _SIDE) * cos(pi * wave * (2 * place + 1) / (2 * _SIDE)) for place in range(_SIDE)
        )
        for wave in range(_WAVES + 1)
    )
