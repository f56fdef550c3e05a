"""Pictures brought to the size that was asked for."""

from __future__ import annotations

import random
from io import BytesIO
from typing import ClassVar

import pytest
from PIL import Image, JpegImagePlugin

from mediagen.errors import NotAPicture
from mediagen.images import Picture, fit, inspect, saving
from tests import pictures
from tests.images.samples import SAMPLES, sample

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF>made by a model</rdf:RDF></x:xmpmeta>"


def fitted(content, width, height, **options):
    """The new image, opened, and the action; checks that the picture handed back is the content's."""
    after, picture, action = fit(content, inspect(content), width, height, **options)
    assert picture == inspect(after)
    image = Image.open(BytesIO(after))
    image.load()
    return image, action


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_the_asked_size_is_left_alone(format):
    content = pictures.picture(format, 64, 48)
    picture = inspect(content)
    after, same, action = fit(content, picture, 64, 48)
    assert after is content
    assert same is picture
    assert action == "as_asked"


@pytest.mark.parametrize("format", pictures.FORMATS)
@pytest.mark.parametrize(
    ("width", "height", "action"),
    [
        (32, 24, "resized"),
        (128, 96, "resized"),
        (64, 32, "resized_cropped"),
        (16, 48, "resized_cropped"),
        (100, 30, "resized_cropped"),
        (1, 1, "resized_cropped"),
        (129, 96, "kept"),
        (64, 97, "kept"),
        (4000, 2, "kept"),
    ],
)
def test_every_format_comes_out_in_its_own(format, width, height, action):
    content = pictures.picture(format, 64, 48)
    image, done = fitted(content, width, height)
    assert done == action
    assert image.size == ((64, 48) if action == "kept" else (width, height))
    assert image.format == format.upper()


def test_a_difference_below_one_pixel_is_no_crop():
    image, action = fitted(pictures.png(1344, 768), 1000, 571)  # 571.43 would be exact
    assert (image.size, action) == ((1000, 571), "resized")


@pytest.mark.parametrize(("max_upscale", "action"), [(1.0, "kept"), (1.4, "kept"), (1.5, "resized"), (3.0, "resized")])
def test_the_limit_of_enlarging_is_the_callers(max_upscale, action):
    assert fitted(pictures.png(64, 48), 96, 72, max_upscale=max_upscale)[1] == action


@pytest.mark.parametrize("format", ["png", "webp", "gif", "avif"])
def test_an_animation_is_kept(format):
    content = pictures.animation(format, 32, 24)
    picture = inspect(content)
    assert fit(content, picture, 16, 12) == (content, picture, "kept")


def test_a_result_above_fifty_megapixels_is_kept():
    content = pictures.encode(Image.new("L", (6000, 5000)), "png")
    picture = inspect(content)
    assert fit(content, picture, 10_000, 6_000) == (content, picture, "kept")


def test_what_this_pillow_cannot_write_is_kept(monkeypatch):
    content = pictures.png()
    picture = inspect(content)
    monkeypatch.setattr("mediagen.images.codecs.can_read", lambda name: False)
    assert fit(content, picture, 32, 24) == (content, picture, "kept")


def test_what_the_encoder_refuses_is_kept():
    content = pictures.encode(Image.new("RGB", (9000, 8)), "webp")
    picture = inspect(content)
    assert fit(content, picture, 16_384, 12) == (content, picture, "kept")  # WebP ends at 16,383


def test_an_undecodable_picture_is_none():
    content = pictures.undecodable_png(64, 48)
    with pytest.raises(NotAPicture, match="cannot be decoded"):
        fit(content, inspect(content), 32, 24)


def test_a_picture_that_is_not_its_content_is_none():
    with pytest.raises(NotAPicture):
        fit(pictures.html(), Picture("png", 64, 48, "", 1), 32, 24)


def thirds(across=True):
    """Red, blue, red: in three equal parts beside each other, or above each other."""
    image = Image.new("RGB", (90, 30), (255, 0, 0))
    image.paste((0, 0, 255), (30, 0, 60, 30))
    return image if across else image.transpose(Image.Transpose.ROTATE_90)


@pytest.mark.parametrize(("across", "side"), [(True, 30), (False, 30), (True, 60), (False, 15)])
def test_the_middle_stays(across, side):
    image, action = fitted(pictures.encode(thirds(across), "png"), side, side)
    assert action == "resized_cropped"
    red, green, blue = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert (red < 5, green, blue > 250) == (True, 0, True)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA")],
)
def test_png_modes(mode, expected):
    source = pictures.image(80, 60, "RGBA" if mode == "RGBA" else "RGB").convert(mode)
    image, action = fitted(pictures.encode(source, "png"), 40, 30)
    assert (image.mode, image.size, action) == (expected, (40, 30), "resized")


@pytest.mark.parametrize(
    ("mode", "transparency", "expected"), [("P", 3, "RGBA"), ("L", 7, "LA"), ("RGB", (1, 2, 3), "RGBA")]
)
def test_a_transparent_colour_becomes_an_alpha_channel(mode, transparency, expected):
    source = Image.new("RGB", (40, 40), (1, 2, 3)) if mode == "RGB" else pictures.image(40, 40).convert(mode)
    image, _ = fitted(pictures.encode(source, "png", transparency=transparency), 20, 20)
    assert image.mode == expected


def test_sixteen_bits_stay_sixteen_bits():
    source = Image.new("I;16", (40, 40), 40_000)
    source.paste(65_535, (0, 0, 20, 40))
    after, _, action = fit(content := pictures.encode(source, "png"), inspect(content), 80, 80)
    assert action == "resized"
    assert after[24] == 16  # bits per sample, in IHDR
    with Image.open(BytesIO(after)) as image:
        low, high = image.getextrema()
    assert high == 65_535  # the filter's overshoot is cut, and does not wrap around to 0
    assert 30_000 < low <= 40_000


def test_transparent_black_leaves_no_dark_rim():
    source = Image.new("RGBA", (90, 90), (0, 0, 0, 0))
    source.paste((255, 255, 255, 255), (30, 30, 60, 60))
    image, _ = fitted(pictures.encode(source, "png"), 40, 40)
    for red, green, blue, alpha in (image.getpixel((x, y)) for x in range(40) for y in range(40)):
        if alpha > 8:
            assert min(red, green, blue) > 240


def test_cmyk_and_grey_jpegs_stay_so():
    for mode in ("CMYK", "L"):
        image, _ = fitted(pictures.jpeg(80, 60, mode=mode), 40, 30)
        assert image.mode == mode


@pytest.mark.parametrize(("subsampling", "expected"), [(0, 0), (2, 2)])
def test_full_colour_resolution_stays(subsampling, expected):
    image, _ = fitted(pictures.jpeg(80, 64, subsampling=subsampling, quality=95), 40, 32)
    assert JpegImagePlugin.get_sampling(image) == expected


def test_progressive_stays_progressive():
    assert fitted(pictures.jpeg(80, 60, progressive=True), 40, 30)[0].info.get("progressive")
    assert not fitted(pictures.jpeg(80, 60), 40, 30)[0].info.get("progressive")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_lossless_webp_stays_lossless(mode):
    content = pictures.webp(80, 60, mode=mode, lossless=True)
    picture = fit(content, inspect(content), 40, 30)[1]
    assert picture.is_lossless
    assert picture.has_alpha == (mode == "RGBA")
    lossy = pictures.webp(80, 60, mode=mode)
    assert not fit(lossy, inspect(lossy), 40, 30)[1].is_lossless


def test_a_transparent_gif_stays_transparent():
    source = Image.new("P", (40, 40), 0)
    source.putpalette([0, 0, 0, 255, 0, 0])
    source.paste(1, (10, 10, 30, 30))
    image, _ = fitted(pictures.encode(source, "gif", transparency=0), 20, 20)
    shown = image.convert("RGBA")
    assert shown.getpixel((0, 0))[3] == 0
    assert shown.getpixel((10, 10)) == (255, 0, 0, 255)


def xmp_of(image):
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if not found:
        head = b"http://ns.adobe.com/xap/1.0/\0"
        found = b"".join(d[len(head) :] for n, d in getattr(image, "applist", ()) if n == "APP1" and d.startswith(head))
    return found.encode() if isinstance(found, str) else found


def with_xmp(format, packet, **options):
    """A picture with XMP, written so that every Pillow since 10.1 can do it."""
    if format == "png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        return pictures.png(80, 60, pnginfo=info, **options)
    if format == "jpeg":
        segment = b"http://ns.adobe.com/xap/1.0/\0" + packet
        extra = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
        return pictures.jpeg(80, 60, extra=extra, **options)
    return pictures.picture(format, 80, 60, xmp=packet, **options)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
def test_profile_and_xmp_stay(format):
    profile = random.Random(1).randbytes(70_000)  # more than one JPEG segment
    image, _ = fitted(with_xmp(format, XMP, icc_profile=profile), 40, 30)
    assert image.info["icc_profile"] == profile
    assert xmp_of(image) == XMP


def test_xmp_is_found_where_older_pillows_leave_it():
    class OldJpeg:
        info: ClassVar = {}
        applist = (("APP1", b"Exif\0\0..."), ("APP1", b"http://ns.adobe.com/xap/1.0/\0" + XMP), ("COM", b""))

    assert saving.xmp_of(OldJpeg()) == XMP


def test_a_picture_without_metadata_gets_none():
    for format in ("png", "jpeg", "webp", "avif"):
        image, _ = fitted(pictures.picture(format, 80, 60), 40, 30)
        assert not image.info.get("icc_profile")
        assert not xmp_of(image)
        assert not len(image.getexif())


def upright():
    """A picture with another colour in each corner, seen upright 60x40."""
    image = Image.new("RGB", (60, 40))
    for colour, place in (("red", (0, 0)), ("lime", (30, 0)), ("blue", (0, 20)), ("white", (30, 20))):
        image.paste(colour, (*place, place[0] + 30, place[1] + 20))
    return image


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_comes_out_upright(format, orientation):
    stored = upright() if STORED[orientation] is None else upright().transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8298] = "mediagen"  # copyright
    content = pictures.encode(stored, format, exif=exif.tobytes())
    image, action = fitted(content, 30, 20)
    assert action == "resized"
    assert image.getexif().get(0x0112, 1) == 1
    assert image.getexif()[0x8298] == "mediagen"
    for (x, y), expected in (
        ((4, 4), (255, 0, 0)),
        ((26, 4), (0, 255, 0)),
        ((4, 16), (0, 0, 255)),
        ((26, 16), (255,) * 3),
    ):
        got = image.convert("RGB").getpixel((x, y))
        assert max(abs(a - b) for a, b in zip(got, expected, strict=True)) < 60, (x, y)


def test_an_orientation_in_xmp_is_taken_out_too():
    packet = b"<x tiff:Orientation=\"6\" a='1'><tiff:Orientation>6</tiff:Orientation></x>"
    exif = Image.Exif()
    exif[0x0112] = 6
    image, _ = fitted(with_xmp("jpeg", packet, exif=exif.tobytes()), 40, 30)
    assert xmp_of(image) == b"<x a='1'></x>"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_exif_that_nobody_can_read_is_left_out():
    image, action = fitted(pictures.jpeg(80, 60, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f"), 40, 30)
    assert action == "resized"
    assert not len(image.getexif())


def test_exif_that_cannot_be_written_back_is_left_out(monkeypatch):
    def fail(self, offset=8):
        raise ValueError("a tag of no known type")

    exif = Image.Exif()
    exif[0x8298] = "mediagen"
    content = pictures.jpeg(80, 60, exif=exif.tobytes())
    monkeypatch.setattr(Image.Exif, "tobytes", fail)
    image, action = fitted(content, 40, 30)
    assert action == "resized"
    assert not len(image.getexif())


def test_metadata_too_large_for_a_jpeg_does_not_keep_it_from_being_resized(monkeypatch):
    monkeypatch.setattr(saving, "_MAX_SEGMENT_BYTES", 10)
    exif = Image.Exif()
    exif[0x8298] = "mediagen"
    image, action = fitted(with_xmp("jpeg", XMP, exif=exif.tobytes()), 40, 30)
    assert action == "resized"
    assert not len(image.getexif())
    assert not xmp_of(image)


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_pictures_raise_nothing_but_not_a_picture(name):
    content = sample(name)[0]
    chance = random.Random(f"fit {name}")
    for _ in range(25):
        broken = bytearray(content)
        for _ in range(2):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            _, picture, action = fit(bytes(broken), inspect(broken), 20, 20)
        except NotAPicture:
            continue
        assert action == "kept" or (picture.width, picture.height) == (20, 20)
