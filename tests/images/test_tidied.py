"""What was paid is kept without what is no part of it, and without what a decoder stumbles over."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from PIL import Image

from mediagen.errors import NotAPicture
from mediagen.images import decode_check, fit, inspect, png, scaled, tidied
from tests import pictures
from tests.images.samples import SAMPLES, sample
from tests.pictures import png_chunk

TAIL = json.dumps({"generator": "something that writes behind the end", "pad": "x" * 100}).encode()


def with_chunk(chunk: bytes, content: bytes | None = None) -> bytes:
    content = content or pictures.png()
    return content[:33] + chunk + content[33:]


def spoilt(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1])


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "avif-animated"])
@pytest.mark.parametrize("tail", [TAIL, pictures.zip_archive(), b"\x00" * 100], ids=["json", "zip", "zeros"])
def test_bytes_behind_the_end_are_cut_off(name, tail):
    content = sample(name)[0]
    with pytest.raises(NotAPicture):
        inspect(content + tail)
    kept, picture = tidied(content + tail)
    assert kept == content
    assert picture.left_out == (f"{len(tail)} bytes behind the end",)
    assert f"{len(tail)} bytes behind the end" in picture.fit_report["content"]["why"]
    assert picture.sha256 == inspect(content).sha256


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_a_whole_picture_stays_the_very_same(format):
    content = pictures.picture(format)
    kept, picture = tidied(content)
    assert kept is content
    assert picture == inspect(content)
    assert picture.fit_report == {}


def test_a_broken_second_jpeg_goes_and_a_whole_one_stays():
    first, second = pictures.jpeg(), pictures.jpeg(16, 16)
    assert tidied(first + second)[0] == first + second
    assert tidied(first + second[:-40])[0] == first


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack(">I", 1) + b"s\x01IT" + b"\4" + struct.pack(">I", zlib.crc32(b"s\x01IT\4")),
        spoilt(png_chunk(b"tEXt", b"Comment\0hello")),
        spoilt(png_chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0")),
        spoilt(png_chunk(b"gAMA", struct.pack(">I", 45455))),
        spoilt(png_chunk(b"caBX", b"jumb" * 20)),
    ],
    ids=["name", "text", "exif", "gamma", "credentials"],
)
def test_an_odd_chunk_that_may_be_skipped_is_left_out(odd):
    content = pictures.png()
    with pytest.raises(NotAPicture):
        inspect(with_chunk(odd))
    kept, picture = tidied(with_chunk(odd) + TAIL)
    assert kept == content
    assert picture.left_out[0].startswith("a damaged ")
    assert picture.left_out[1] == f"{len(TAIL)} bytes behind the end"
    assert decode_check(kept, picture)


def test_many_odd_chunks_are_counted_and_not_told_one_by_one():
    odd = spoilt(png_chunk(b"tEXt", b"a\0b"))
    kept, picture = tidied(with_chunk(odd * 1000))
    assert kept == pictures.png()
    assert len(picture.left_out) == 6
    assert picture.left_out[-1] == "995 more"


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"PLTE", b"IEND", b"fdAT", b"fcTL", b"acTL"])
def test_a_wrong_checksum_of_what_makes_the_picture_stays_fatal(kind):
    animated = kind in (b"fdAT", b"fcTL", b"acTL")
    content = pictures.animation("png") if animated else pictures.encode(pictures.image().quantize(8), "png")
    place = content.index(kind)
    length = int.from_bytes(content[place - 4 : place], "big")
    end = place + 4 + length
    with pytest.raises(NotAPicture):
        tidied(content[:end] + bytes([content[end] ^ 1]) + content[end + 1 :])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_cut_off_picture_is_not_made_whole(name):
    content = sample(name)[0]
    for length in {*range(12, len(content), 97), len(content) - 1}:
        with pytest.raises(NotAPicture):
            tidied(content[:length])


def _text_of(size: int) -> bytes:
    return b"x" * size


PROFILE = bytearray(_text_of(3_000_000))
PROFILE[16:20] = b"RGB "
LARGE = {
    "zTXt": png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(_text_of(3_000_000))),
    "iTXt": png_chunk(b"iTXt", b"workflow\0\x01\0en\0Ablauf\0" + zlib.compress(_text_of(3_000_000))),
    "iTXt-plain": png_chunk(b"iTXt", b"workflow\0\0\0\0\0" + _text_of(3_000_000)),
    "iCCP": png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(PROFILE))),
    "many": png_chunk(b"zTXt", b"a\0\0" + zlib.compress(_text_of(1_000_000))) * 80,
    "many-plain": png_chunk(b"tEXt", b"a\0" + _text_of(1_000_000)) * 80,
}


@pytest.mark.parametrize("name", LARGE)
def test_what_unpacks_to_much_keeps_no_png_from_being_opened(name):
    content = with_chunk(LARGE[name])
    picture = inspect(content)
    assert decode_check(content, picture)
    assert (scaled(content, picture, "webp", width=32).width) == 32
    assert fit(content, picture, 32, 24)[2] == "resized"


def test_small_texts_and_the_xmp_are_let_be():
    xmp = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta/>")
    content = with_chunk(xmp + png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"b")) + png_chunk(b"zTXt", b"broken"))
    assert png.without_large_texts(content) is content
    large = with_chunk(LARGE["zTXt"], content)
    assert png.without_large_texts(large) == content


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("png", with_chunk(png_chunk(b"caBX", b"\0\0\0\x1cjumb" + bytes(500)))),
        ("jpeg", pictures.jpeg()[:2] + b"\xff\xeb\x00\x0aJP\0\1\0\0\0\1" + pictures.jpeg()[2:]),
    ],
)
def test_credentials_that_scaling_loses_are_told(format, content):
    picture = inspect(content)
    assert fit(content, picture, 64, 48)[1].left_out == ()
    fitted, made, action = fit(content, picture, 32, 24)
    assert action == "resized"
    assert b"jumb" not in fitted
    assert "content credentials (C2PA)" in made.fit_report["content"]["why"]


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_without_credentials_none_are_missed(format):
    content = pictures.picture(format)
    assert fit(content, inspect(content), 32, 24)[1].left_out == ()


def test_credentials_of_webp_avif_and_gif_are_seen():
    from mediagen.images import lost_by_writing

    webp = pictures.webp(lossless=True)
    image = webp[12:] + b"\0" * (len(webp) & 1)
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (63).to_bytes(3, "little") + (47).to_bytes(3, "little")
    body = extended + image + b"C2PA" + struct.pack("<I", 4) + b"jumb"
    uuid = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    gif = pictures.gif()
    start = gif.index(b"\x2c", 13 + 3 * (2 << (gif[10] & 7)))
    contents = {
        "webp": b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body,
        "avif": pictures.avif() + struct.pack(">I", 28) + b"uuid" + uuid + b"jumb",
        "gif": gif[:start] + b"\x21\xff\x0bC2PA_GIF\x01\0\0\x01x\0" + gif[start:],
    }
    for format, content in contents.items():
        assert inspect(content).format == format
        assert lost_by_writing(content, inspect(content)), format
        assert not lost_by_writing(pictures.picture(format), inspect(pictures.picture(format)))


def test_a_side_that_a_format_cannot_hold_is_shrunk():
    content = pictures.encode(Image.new("L", (8, 17_000), 90), "png")
    made = scaled(content, inspect(content), "webp")
    assert (made.width, made.height) == (8, 16_383)
    assert inspect(made.content).height == 16_383
    assert scaled(content, inspect(content), "png").height == 17_000
    longest = pictures.encode(Image.new("L", (2, 66_000), 90), "png")
    assert inspect(scaled(longest, inspect(longest), "jpeg").content).height == 65_500
    turned = pictures.encode(Image.new("L", (17_000, 8), 90), "png")
    assert scaled(turned, inspect(turned), "webp", width=16_900, height=4, cover=True).width <= 16_383
