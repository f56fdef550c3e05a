"""Pictures made smaller: size, focus, what stays with them."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from mediagen.errors import NotAPicture
from mediagen.images import inspect, scaled
from mediagen.images.origin import source_type_in
from mediagen.images.scale import FORMATS, covering_box
from tests import pictures
from tests.covering import covering
from tests.images.samples import SAMPLES, sample
from tests.images.test_cleaning import private


def opened(content):
    image = Image.open(BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize(
    ("name", "format"),
    covering(
        [pytest.param(name, format, id=f"{name}-{format}") for name in SAMPLES for format in FORMATS],
        lambda name, format: {name, (name.split("-")[0], format)},
    ),
)
def test_every_kind_of_picture_in_every_format(name, format):
    content, _, _ = sample(name)

    inside = scaled(content, inspect(content), format, width=20)
    cover = scaled(content, inspect(content), format, width=10, height=20, cover=True)

    for made, size in ((inside, (20, 11)), (cover, (10, 20))):
        picture = inspect(made.content)
        assert (picture.format, picture.width, picture.height) == (format, *size) == (format, made.width, made.height)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((32, None), (32, 24)),
        ((None, 24), (32, 24)),
        ((32, 10), (13, 10)),
        ((None, None), (64, 48)),
        ((1000, 1000), (64, 48)),  # never enlarged
        ((1, 1), (1, 1)),
    ],
)
def test_inside_keeps_the_proportions(box, size):
    content = pictures.png(64, 48)

    made = scaled(content, inspect(content), "webp", width=box[0], height=box[1])

    assert (made.width, made.height) == size


def test_a_box_that_is_too_large_is_shrunk_in_its_own_proportions():
    content = pictures.png(64, 48)

    made = scaled(content, inspect(content), "webp", width=1000, height=1000, cover=True)

    assert (made.width, made.height) == (48, 48)


def test_cover_cuts_around_the_focus():
    assert covering_box((200, 100), (50, 50), (0.5, 0.5)) == (50, 0, 150, 100)
    assert covering_box((200, 100), (50, 50), (0.0, 0.9)) == (0, 0, 100, 100)
    assert covering_box((200, 100), (50, 50), (0.9, 0.1)) == (100, 0, 200, 100)
    halves = Image.new("RGB", (200, 100), "red")
    halves.paste("blue", (100, 0, 200, 100))
    content = pictures.encode(halves, "png")

    left, right = (
        opened(scaled(content, inspect(content), "png", width=50, height=50, cover=True, focus=(x, 0.5)).content)
        for x in (0.1, 0.9)
    )

    assert left.getpixel((25, 25)) == (255, 0, 0)
    assert right.getpixel((25, 25)) == (0, 0, 255)


def test_what_shows_through_becomes_white_in_jpeg():
    content = pictures.encode(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), "png")

    pixel = opened(scaled(content, inspect(content), "jpeg", width=10).content).getpixel((5, 5))

    assert min(pixel) > 250
    assert opened(scaled(content, inspect(content), "webp", width=10).content).mode == "RGBA"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("source", ["png", "jpeg", "webp", "avif"])
def test_origin_and_profile_stay_and_the_place_does_not(source, format):
    content = private(source, icc_profile=b"profile" * 40)

    made = scaled(content, inspect(content), format, width=20).content

    assert source_type_in(made)
    assert opened(made).info["icc_profile"] == b"profile" * 40
    assert not opened(made).getexif().get_ifd(0x8825)


@pytest.mark.parametrize("source", ["png", "jpeg", "webp"])
def test_a_picture_held_sideways_is_upright(source):
    content = private(source, orientation=6)  # 40 x 24, to be turned

    made = scaled(content, inspect(content), "webp", width=12)

    assert (made.width, made.height) == (12, 20)


def test_what_cannot_be_decoded_and_what_is_another_picture_is_said():
    content = pictures.undecodable_png()
    with pytest.raises(NotAPicture):
        scaled(content, inspect(content), "webp", width=10)
    with pytest.raises(NotAPicture, match="64x48"):
        scaled(pictures.png(64, 48), inspect(pictures.png(32, 48)), "webp", width=10)
