"""Colours stay right when a picture gets another colour model: its profile goes with it, and 16 bits become eight."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image, ImageCms

from mediagen.images import converted, fit, inspect, scaled
from tests import pictures

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MODELS = {"RGB": b"RGB ", "RGBA": b"RGB ", "L": b"GRAY", "LA": b"GRAY", "CMYK": b"CMYK"}


def profile(model: bytes) -> bytes:
    """A profile that says that it is for `model`; only its header is true."""
    made = bytearray(SRGB)
    made[16:20] = model
    return bytes(made)


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    image.load()
    return image


SOURCES = {
    "cmyk": lambda: pictures.jpeg(mode="CMYK", icc_profile=profile(b"CMYK")),
    "grey": lambda: pictures.png(mode="L", icc_profile=profile(b"GRAY")),
    "grey-alpha": lambda: pictures.png(mode="LA", icc_profile=profile(b"GRAY")),
    "grey-jpeg": lambda: pictures.jpeg(mode="L", icc_profile=profile(b"GRAY")),
    "grey-16": lambda: pictures.encode(Image.new("I;16", (64, 48), 900), "png", icc_profile=profile(b"GRAY")),
    "colour": lambda: pictures.png(icc_profile=SRGB),
    "colours-of-grey": lambda: pictures.png(mode="L", icc_profile=SRGB),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_profile_is_for_the_colours_of_its_picture(name):
    content = SOURCES[name]()
    picture = inspect(content)
    made = {f"scaled {to}": scaled(content, picture, to, width=32).content for to in ("webp", "png", "avif", "jpeg")}
    made |= {f"converted {to}": converted(content, picture, to)[0] for to in ("png", "jpeg")}
    made["fitted"] = fit(content, picture, 32, 24)[0]
    for what, result in made.items():
        image = opened(result)
        found = image.info.get("icc_profile")
        mode = "L" if image.mode.startswith("I") else image.mode
        assert not found or found[16:20] == MODELS[mode], what
        if name == "colour":
            assert found == SRGB, what


def test_cmyk_becomes_rgb_through_its_profile(monkeypatch):
    seen = []

    def converted_by_profile(image, *args, **kwargs):
        seen.append(image.mode)
        return Image.new("RGB", image.size, (10, 200, 30))

    monkeypatch.setattr(ImageCms, "profileToProfile", converted_by_profile)
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", lambda file: file)
    content = SOURCES["cmyk"]()
    assert opened(scaled(content, inspect(content), "png").content).getpixel((3, 3)) == (10, 200, 30)
    assert opened(converted(content, inspect(content), "png")[0]).getpixel((3, 3)) == (10, 200, 30)
    assert seen == ["CMYK", "CMYK"]


@pytest.mark.parametrize("value", [0, 32_768, 65_535])
@pytest.mark.parametrize("transparent", [False, True])
def test_grey_of_sixteen_bits_is_scaled_and_not_cut_off(value, transparent):
    options = {"transparency": 31_000} if transparent else {}
    content = pictures.encode(Image.new("I;16", (64, 48), value), "png", **options)
    picture = inspect(content)
    made = [converted(content, picture, to)[0] for to in ("png", "jpeg")]
    made += [scaled(content, picture, to).content for to in ("png", "jpeg", "webp", "avif")]
    for result in made:
        image = opened(result)
        assert abs(image.convert("L").getpixel((5, 5)) - value / 257) <= 3
        assert image.convert("RGBA").getpixel((5, 5))[3] == 255
