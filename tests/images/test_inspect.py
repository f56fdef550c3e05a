"""Whole pictures are known for what they are; everything else is named."""

from __future__ import annotations

import hashlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from mediagen.errors import NotAPicture
from mediagen.images import Picture, decode_check, inspect
from tests import pictures
from tests.images.samples import SAMPLES, sample


@pytest.mark.parametrize("name", SAMPLES)
def test_every_kind_of_picture_is_known(name):
    content, format, size = sample(name)
    picture = inspect(content)
    assert (picture.format, picture.width, picture.height) == (format, *size)
    assert picture.sha256 == hashlib.sha256(content).hexdigest()
    assert picture.size_bytes == len(content)
    assert decode_check(content, picture) is True


@pytest.mark.parametrize(
    ("format", "mime", "extension"),
    [
        ("png", "image/png", "png"),
        ("jpeg", "image/jpeg", "jpg"),
        ("webp", "image/webp", "webp"),
        ("avif", "image/avif", "avif"),
        ("gif", "image/gif", "gif"),
    ],
)
def test_mime_and_extension(format, mime, extension):
    picture = Picture(format, 1, 1, "", 1)
    assert (picture.mime, picture.extension) == (mime, extension)


@pytest.mark.parametrize(
    ("name", "has_alpha", "is_animated", "is_lossless"),
    [
        ("png", False, False, True),
        ("png-rgba", True, False, True),
        ("png-transparent-colour", True, False, True),
        ("png-animated", False, True, True),
        ("jpeg", False, False, False),
        ("webp", False, False, False),
        ("webp-lossless", False, False, True),
        ("webp-alpha", True, False, False),
        ("webp-lossless-alpha", True, False, True),
        ("webp-animated", False, True, False),
        ("gif", False, False, True),
        ("gif-transparent", True, False, True),
        ("gif-animated", False, True, True),
        ("avif", False, False, False),
        ("avif-alpha", True, False, False),
        ("avif-animated", False, True, False),
    ],
)
def test_alpha_animation_and_loss(name, has_alpha, is_animated, is_lossless):
    picture = inspect(sample(name)[0])
    assert (picture.has_alpha, picture.is_animated, picture.is_lossless) == (has_alpha, is_animated, is_lossless)


@pytest.mark.parametrize("format", pictures.FORMATS)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_any_size_is_read_as_pillow_reads_it(format, width, height):
    content = pictures.encode(Image.new("L", (width, height)), format)
    picture = inspect(content)
    with Image.open(BytesIO(content)) as image:
        assert (picture.width, picture.height) == image.size == (width, height)


def test_a_buffer_of_any_kind_will_do_and_is_let_go():
    content = pictures.png()
    growing = bytearray(content)
    assert inspect(growing) == inspect(memoryview(content)) == inspect(content)
    growing.append(0)  # a bytearray that something still looks at cannot grow
    wide = memoryview(content + b"\0" * (-len(content) % 4)).cast("I")
    assert inspect(wide).width == 64
    assert inspect(memoryview(bytes(x for byte in content for x in (byte, 0)))[::2]) == inspect(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"empty \(0 bytes\)"),
        (pictures.html(), r'an HTML page titled "502 Bad Gateway"'),
        (b"\xef\xbb\xbf \n<HTML><body>no", "an HTML page,"),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', "an HTML page"),
        (b"<title>" + b"\x1b[31m" + "ü".encode() * 200 + b"</title>", f'titled "\\[31m{"ü" * 56}"'),
        (pictures.json(), "JSON"),
        (b"[1, 2, 3]", "JSON"),
        (pictures.svg(), "an SVG drawing"),
        (b"<svg onload=alert(1)>", "an SVG drawing"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b"upstream connect error", "is text"),
        (("x" * 2047 + "ü").encode(), "is text"),  # only the half of its last character is looked at
        (b"data:image/png;base64,iVBORw0KGgo", "data: URL"),
        (b"iVBORw0KGgoAAAANSUhEUg", "base64"),
        (b"/9j/4AAQSkZJRg", "base64"),
        (b"%PDF-1.7\n", "PDF"),
        (pictures.zip_archive(), "ZIP"),
        (b"\x1f\x8b\x08\0\0", "gzip"),
        (b"BM6\0\0\0", "BMP"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"\0\0\0\x20ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", r"video \(brand isom\)"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "RIFF file"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0" * 200, "type we do not know"),
        (b"\x93\x94\x95\x96 nothing", r"begin with 93 94 95 96 20 6e 6f 74"),
        (b"\x89PN", "type we do not know"),
    ],
)
def test_what_is_no_picture_is_named(content, said):
    with pytest.raises(NotAPicture, match=said):
        inspect(content)


def test_too_many_bytes():
    content = pictures.png()
    with pytest.raises(NotAPicture, match=rf"{len(content):,} bytes, over the limit of 100\b"):
        inspect(content, max_bytes=100)
    assert inspect(content, max_bytes=len(content))


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_too_many_pixels(format):
    content = pictures.picture(format, 1200, 1000)
    with pytest.raises(NotAPicture, match=r"1\.2 megapixels \(1200x1000\), over the limit of 1\.0\. "):
        inspect(content, max_pixels=1_000_000)
    assert inspect(content, max_pixels=1_200_000).width == 1200


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_000, 10_000)])
def test_a_bomb_is_refused_by_its_header(width, height):
    content = pictures.bomb_png(width, height)
    assert len(content) < 100_000
    with pytest.raises(NotAPicture, match=f"{width}x{height}.*over the limit of 50.0"):
        inspect(content)


def test_decode_check_finds_what_the_structure_hides():
    content = pictures.undecodable_png()
    picture = inspect(content)
    with pytest.raises(NotAPicture, match="The PNG cannot be decoded"):
        decode_check(content, picture)


def test_decode_check_compares_the_size():
    content = pictures.png(64, 48)
    lying = Picture("png", 48, 64, "", len(content))
    with pytest.raises(NotAPicture, match="decodes to 64x48 pixels and says 48x64"):
        decode_check(content, lying)


def test_decode_check_has_its_own_limit_and_not_pillows(monkeypatch):
    content = pictures.png(200, 100)
    picture = inspect(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert decode_check(content, picture) is True
    with pytest.raises(NotAPicture, match="over the limit"):
        decode_check(content, picture, max_pixels=19_999)


def test_pillows_own_limit_for_webp_is_named(monkeypatch):
    content = pictures.webp(200, 100)

    def refuse(*args, **kwargs):
        raise Image.DecompressionBombError("too large")

    monkeypatch.setattr("PIL.WebPImagePlugin.WebPImageFile._open", refuse)
    with pytest.raises(NotAPicture, match="MAX_IMAGE_PIXELS"):
        decode_check(content, inspect(content))


def test_decode_check_looks_at_later_frames_within_the_limit(monkeypatch):
    content = pictures.animation("png", 32, 24, frames=4)
    picture = inspect(content)
    seen = []
    from PIL.PngImagePlugin import PngImageFile

    seek = PngImageFile.seek
    monkeypatch.setattr(PngImageFile, "seek", lambda self, frame: (seen.append(frame), seek(self, frame))[1])
    assert decode_check(content, picture)
    assert seen == [1, 2, 3]
    seen.clear()
    assert decode_check(content, picture, max_pixels=2 * 32 * 24)
    assert seen == [1]


def test_decode_check_says_when_it_cannot_look(monkeypatch):
    monkeypatch.setattr("mediagen.images.codecs.can_read", lambda name: False)
    assert decode_check(pictures.png(), inspect(pictures.png())) is False


def test_an_orientation_does_not_change_the_stored_size():
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = inspect(pictures.jpeg(60, 40, exif=exif.tobytes()))
    assert (picture.width, picture.height) == (60, 40)


def test_a_colour_profile_of_many_segments_is_walked_over():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + bytes(150_000)
    assert inspect(pictures.jpeg(60, 40, icc_profile=profile)).width == 60
