"""Looks: the same picture has the same ones whatever was done to its file, and another picture has others."""

from __future__ import annotations

from io import BytesIO
from itertools import combinations

import pytest
from PIL import Image

from mediagen import images
from mediagen.images.looks import bits_apart, look_of
from tests import pictures


def look(content: bytes):
    return look_of(content, images.inspect(content))


def changed(content: bytes, format: str, size: tuple[int, int] | None = None, **options) -> bytes:
    with Image.open(BytesIO(content)) as image:
        return pictures.encode(image.resize(size) if size else image, format, **options)


@pytest.mark.parametrize(
    ("format", "size", "options"),
    [
        ("jpeg", None, {"quality": 30}),
        ("webp", (200, 150), {"quality": 50}),
        ("avif", None, {"quality": 40, "speed": 10}),
        ("gif", (640, 480), {}),
        ("png", (64, 48), {}),
    ],
)
def test_few_bits_change_with_format_size_and_quality(format, size, options):
    for seed in range(3):
        content = pictures.png(320, 240, seed=seed)
        assert bits_apart(look(content), look(changed(content, format, size, **options))) <= 6


def test_other_pictures_have_other_looks():
    found = [look(pictures.png(96, 96, seed=seed)) for seed in range(8)]
    assert min(bits_apart(a, b) for a, b in combinations(found, 2)) > 15


def test_turned_by_exif_is_upright():
    content = pictures.jpeg(160, 120, seed=4)
    with Image.open(BytesIO(content)) as image:
        exif = Image.Exif()
        exif[0x0112] = 6
        sideways = pictures.encode(image.transpose(Image.Transpose.ROTATE_90), "jpeg", exif=exif, quality=90)
    assert bits_apart(look(content), look(sideways)) <= 4


@pytest.mark.parametrize(
    "content",
    [
        pictures.encode(Image.new("RGB", (40, 40), "navy"), "png"),
        pictures.encode(Image.linear_gradient("L"), "png"),
        pictures.encode(Image.new("RGBA", (40, 40)), "png"),
        pictures.undecodable_png(),
    ],
    ids=["flat", "gradient", "nothing to see", "cannot be decoded"],
)
def test_what_cannot_be_told_from_others_has_none(content):
    assert look(content) is None


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixels(mode):
    format = "jpeg" if mode == "CMYK" else "png"
    picture = pictures.image(64, 48, "L").convert("I").point(lambda v: v * 257).convert("I;16") if mode == "I;16" else (
        pictures.image(64, 48).convert(mode)
    )  # fmt: skip
    assert look(pictures.encode(picture, format)) is not None
