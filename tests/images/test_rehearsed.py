"""What dry runs answer to work on pictures, and masks in both ways in which they are said."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from mediagen.errors import InvalidRequest
from mediagen.images import masks, stand_in
from mediagen.operations import EditRequest
from mediagen.types import GeneratedImage
from tests import pictures


def source(content=None, size=(64, 48)):
    return GeneratedImage(content=content or pictures.png(*size), format="png", width=size[0], height=size[1])


def request(operation="edit_image", **more):
    return EditRequest.of(operation, **{"prompt": "x", "images": [source()], **more})


def opened(content):
    return Image.open(BytesIO(content))


def png(image):
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_the_same_request_gives_the_same_bytes_and_another_prompt_others():
    assert stand_in("sdxl", request()) == stand_in("sdxl", request())
    assert len({stand_in("sdxl", request(prompt=prompt)) for prompt in "abc"} | {stand_in("flux", request())}) == 4


@pytest.mark.parametrize(
    "images", [[source(b"no picture at all")], [source(pictures.png(64, 48)[:60])], [source(b"x", (5000, 5000))]]
)
def test_what_cannot_be_worked_on_here_is_an_ordinary_placeholder(images):
    made = opened(stand_in("sdxl", request(images=images, width=40, height=30)))

    assert made.size == (40, 30)
    assert made.text["mediagen"] == "placeholder"


def test_a_transparent_picture_stays_so():
    image = Image.new("RGBA", (64, 64), (0, 0, 255, 0))
    image.paste((255, 0, 0, 255), (16, 8, 48, 40))
    made = opened(stand_in("sdxl", request("upscale_image", images=[source(png(image), (64, 64))])))

    assert (made.size, made.getpixel((0, 0))[3], made.getpixel((64, 40))) == ((128, 128), 0, (255, 0, 0, 255))


@pytest.mark.parametrize("way", ["transparent", "white"])
def test_a_mask_in_either_way_becomes_both(way):
    if way == "transparent":
        mask = Image.new("RGBA", (8, 8), "white")
        mask.paste((9, 9, 9, 0), (0, 0, 4, 8))
    else:
        mask = Image.new("RGB", (8, 8), "black")
        mask.paste("white", (0, 0, 4, 8))
    white, alpha = opened(masks.in_white(png(mask), (16, 16))), opened(masks.in_alpha(png(mask), (16, 16)))

    assert (white.mode, white.size, white.getpixel((1, 8)), white.getpixel((14, 8))) == ("L", (16, 16), 255, 0)
    assert (alpha.mode, alpha.getpixel((1, 8))[3], alpha.getpixel((14, 8))[3]) == ("RGBA", 0, 255)


def test_a_mask_that_is_no_picture():
    with pytest.raises(InvalidRequest, match="mask"):
        masks.in_white(b"nothing", (8, 8))
