"""Damage in the structure of each format, made up byte by byte: it is found, and named."""

from __future__ import annotations

import struct

import pytest

from mediagen.errors import NotAPicture
from mediagen.images import inspect, isobmff, structure
from tests import pictures
from tests.images.samples import sample
from tests.pictures import png_chunk, png_header

# PNG


IDAT = png_chunk(b"IDAT", b"\x78\x9c\x03\x00\x00\x00\x00\x01")
IEND = png_chunk(b"IEND")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png_header(0, 5) + IDAT + IEND, "0x5 pixels"),
        (png_header(5, 5, depth=7) + IDAT + IEND, "unknown encoding"),
        (png_header(5, 5, colour=5) + IDAT + IEND, "unknown encoding"),
        (png_header(5, 5, depth=4, colour=2) + IDAT + IEND, "unknown encoding"),
        (png_header(5, 5) + IEND, "no picture data"),
        (png_header(5, 5) + png_chunk(b"IDAT") + IEND, "no picture data"),
        (png_header(5, 5) + IDAT, "IEND is missing"),
        (png_header(5, 5, colour=3) + IDAT + IEND, "palette"),
        (png_header(5, 5) + png_header(5, 5)[8:] + IDAT + IEND, "chunk number 2 is IHDR"),
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"CgBI", b"\0\0\0\0") + png_header(5, 5)[8:] + IDAT + IEND, "is CgBI"),
        (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", b"\0" * 12) + IDAT + IEND, "12 bytes instead of 13"),
        (png_header(5, 5) + png_chunk(b"1234") + IDAT + IEND, "is no chunk"),
        (png_header(5, 5) + b"\xff\xff\xff\xffIDAT" + bytes(8), "is no chunk"),
        (png_header(5, 5) + IDAT[:-1] + b"\0" + IEND, "checksum of its IDAT"),
        (b"\x89PNG\r\n\x1a", "PNG is cut off"),
    ],
)
def test_png_damage_is_named(content, said):
    with pytest.raises(NotAPicture, match=said):
        inspect(content)


# JPEG

SOF = b"\xff\xc0\x00\x0b\x08\x00\x05\x00\x07\x01\x01\x11\x00"
SOS = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xd8" + SOF + b"\xff\xd9", "ends before any picture data"),
        (b"\xff\xd8\xff\xd9", "ends before any picture data"),
        (b"\xff\xd8" + SOS + b"xx\xff\xd9", "data comes before its size"),
        (b"\xff\xd8" + SOF + SOS + b"\xff\xd9", "scans is empty"),
        (b"\xff\xd8" + SOF + SOF + SOS + b"xx\xff\xd9", "two frame headers"),
        (b"\xff\xd8" + SOF.replace(b"\xc0", b"\xc3") + SOS + b"xx\xff\xd9", "SOF3"),
        (b"\xff\xd8" + SOF.replace(b"\x08\x00\x05", b"\x0c\x00\x05") + SOS + b"xx\xff\xd9", "12 bits per sample"),
        (b"\xff\xd8" + SOF.replace(b"\x00\x05\x00\x07", b"\x00\x00\x00\x07") + SOS + b"xx\xff\xd9", "7x0 pixels"),
        (b"\xff\xd8" + SOF.replace(b"\x0b", b"\x09") + b"\xff\xd9", "wrong length"),
        (b"\xff\xd8\xff\xe0\x00\x01\xff\xd9", "shorter than its header"),
        (b"\xff\xd8\xff\xd0", "where it may not"),
        (b"\xff\xd8\xff\xd8", "where it may not"),
        (b"\xff\xd8\xff\xe0\x00\x04xxGARBAGE", "no marker stands"),
        (b"\xff\xd8\xff\xe0", "cut off"),
        (b"\xff\xd8" + b"\xff" * 1000, "cut off"),
        (b"\xff\xd8" + SOF + (SOS + b"xx") * 300 + b"\xff\xd9", "more than 200 scans"),
    ],
)
def test_jpeg_damage_is_named(content, said):
    with pytest.raises(NotAPicture, match=said):
        inspect(content)


def test_jpeg_stuffing_restarts_and_fill_bytes_are_no_end_of_a_scan():
    content = b"\xff\xd8\xff\x01" + SOF + SOS + b"ab\xff\x00cd\xff\xd0ef\xff\xd7\xff\xff\xff\xd9"
    picture = inspect(content)
    assert (picture.width, picture.height) == (7, 5)


# WebP


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(d)) + d + b"\0" * (len(d) & 1) for kind, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8x(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def anmf(x: int, y: int, width: int, height: int, *, chunk: bytes = b"") -> tuple[bytes, bytes]:
    numbers = (x // 2, y // 2, width - 1, height - 1, 100)
    return b"ANMF", b"".join(number.to_bytes(3, "little") for number in numbers) + b"\0" + chunk


VP8L = b"\x2f" + (9 | 4 << 14).to_bytes(4, "little") + b"data!"  # 10x5
VP8L_CHUNK = b"VP8L" + struct.pack("<I", len(VP8L)) + VP8L
VP8 = b"\x10\0\0\x9d\x01\x2a\x0a\0\x05\0data"  # 10x5
ANIMATION = 0x02


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (riff((b"EXIF", bytes(10)), (b"VP8L", VP8L)), "first chunk"),
        (riff((b"VP8L", b"\x2e" + VP8L[1:])), "no header"),
        (riff((b"VP8L", VP8L[:4] + b"\xff" + VP8L[5:])), "unknown version"),
        (riff((b"VP8 ", VP8[:3] + b"xxx" + VP8[6:])), "no VP8 header"),
        (riff((b"VP8 ", b"\x11" + VP8[1:])), "key frame"),
        (riff((b"VP8 ", b"\x10\xff\xff" + VP8[3:])), "key frame"),
        (riff((b"VP8 ", VP8[:6] + b"\0\0\x05\0data")), "0x5 pixels"),
        (riff((b"VP8L", VP8L), (b"XMP ", b"x"))[:-2] + b"\0\0\0\0", "checked below"),
        (riff(vp8x(10, 5)), "no picture data"),
        (riff((b"VP8X", bytes(9)), (b"VP8L", VP8L)), "too short"),
        (riff(vp8x(11, 5), (b"VP8L", VP8L)), "canvas is 11x5"),
        (riff(vp8x(10, 5), (b"VP8L", VP8L), (b"VP8L", VP8L)), "canvas is 10x5 and its picture is not"),
        (riff(vp8x(16_384, 16_384), (b"VP8L", VP8L)), "268.4 megapixels"),
        (riff(vp8x(10, 5, ANIMATION), (b"VP8L", VP8L)), "no picture data"),
        (riff(vp8x(10, 5, ANIMATION), (b"ANMF", bytes(12))), "frames is too short"),
        (riff(vp8x(10, 5, ANIMATION), anmf(2, 0, 10, 5, chunk=VP8L_CHUNK)), "outside the canvas"),
        (riff(vp8x(12, 5, ANIMATION), anmf(0, 0, 12, 5, chunk=VP8L_CHUNK)), "not of the size that it says"),
        (riff(vp8x(10, 5, ANIMATION), anmf(0, 0, 10, 5)), "frames has no picture data"),
    ],
)
def test_webp_damage_is_named(content, said):
    if said == "checked below":
        content, said = riff((b"VP8L", VP8L), (b"XMP ", b"xx")).replace(b"XMP \x02", b"XMP \x09"), "runs 7 bytes over"
    with pytest.raises(NotAPicture, match=said):
        inspect(content)


@pytest.mark.parametrize(
    "content",
    [
        riff((b"VP8L", VP8L)),
        riff((b"VP8 ", VP8)),
        riff(vp8x(10, 5), (b"VP8L", VP8L)),
        riff(vp8x(10, 5, ANIMATION), anmf(0, 0, 10, 5, chunk=VP8L_CHUNK)),
    ],
)
def test_the_made_up_webp_is_right_where_nothing_is_wrong(content):
    assert (inspect(content).width, inspect(content).height) == (10, 5)


# GIF

GIF = b"GIF89a\x0a\0\x05\0\0\0\0"
FRAME = b"\x2c\0\0\0\0\x0a\0\x05\0\0\x02\x02\x44\x01\0"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GIF + b";", "no picture data"),
        (GIF + FRAME[:-5] + b"\x02\0;", "frame 1 has no picture data"),
        (GIF + FRAME[:-5] + b"\x0d\x02\x44\x01\0;", "frame 1 has no picture data"),
        (GIF + b"x" + FRAME + b";", "is no block"),
        (GIF + FRAME, "trailer is missing"),
        (GIF[:-1], "cut off at byte 12"),
        (GIF + FRAME.replace(b"\x0a\0\x05\0", b"\xff\xff\xff\xff") + b";", "megapixels"),
        (GIF + FRAME + FRAME.replace(b"\x2c\0\0\0\0\x0a\0", b"\x2c\xff\xff\xff\xff\x0a\0") + b";", "megapixels"),
        (GIF + FRAME.replace(b"\x0a\0\x05\0", b"\0\0\x05\0") + b";", "0x5 pixels"),
    ],
)
def test_gif_damage_is_named(content, said):
    with pytest.raises(NotAPicture, match=said):
        inspect(content)


def test_a_gif_without_a_canvas_has_the_size_of_its_first_frame():
    picture = inspect(b"GIF89a\0\0\0\0\0\0\0" + FRAME + b";")
    assert (picture.width, picture.height) == (10, 5)
    assert not picture.is_animated


# AVIF


def box(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def made_avif(
    *,
    brand: bytes = b"avif",
    sizes: tuple[tuple[int, int], ...] = ((10, 5),),
    properties: bytes = b"\x81",
    extent: int = 4,
    method: int = 0,
    without: bytes = b"",
    more_properties: bytes = b"",
    mdat: bytes = b"data",
) -> bytes:
    """A still AVIF of one item; `properties` are its association bytes, `extent` the length of its data."""
    ftyp = box(b"ftyp", brand + bytes(4) + b"mif1")

    def meta(offset: int) -> bytes:
        location = struct.pack(">IBBHHHHHII", 1 << 24, 0x44, 0, 1, 1, method, 0, 1, offset, extent)
        container = box(b"ipco", b"".join(box(b"ispe", struct.pack(">III", 0, *size)) for size in sizes))
        linked = box(b"ipma", struct.pack(">IIHB", 0, 1, 1, len(properties)) + properties)
        parts = {
            b"pitm": box(b"pitm", struct.pack(">IH", 0, 1)),
            b"iloc": box(b"iloc", location),
            b"iprp": box(b"iprp", container + linked + more_properties),
        }
        return box(b"meta", bytes(4) + b"".join(part for kind, part in parts.items() if kind != without))

    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + box(b"mdat", mdat)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (made_avif(without=b"pitm"), "0 boxes of type pitm"),
        (made_avif(without=b"iloc"), "0 boxes of type iloc"),
        (made_avif(without=b"iprp"), "0 boxes of type iprp"),
        (made_avif(properties=b""), "what size its picture has"),
        (made_avif(properties=b"\x02"), "what size its picture has"),
        (made_avif(sizes=((20_000, 20_000),)), "400.0 megapixels"),
        (made_avif(sizes=((10, 5), (20_000, 20_000))), "400.0 megapixels"),
        (made_avif(sizes=((0, 5),)), "0x5 pixels"),
        (made_avif(extent=5), r"cut off at byte 1\d\d of at least 1\d\d, in its picture data"),
        (made_avif(extent=0), "where its picture data is"),
        (made_avif(method=1), "outside its idat box"),
        (made_avif().replace(b"mdat", b"md\x01t"), "is no box"),
        (made_avif().replace(b"iprp", b"ipr\x01"), "is no box"),
        (made_avif().replace(b"\0\0\0\x14ispe", b"\0\0\0\x34ispe"), "runs over the end"),
        (made_avif().replace(b"\0\0\0\x14ispe", b"\0\0\0\0ispe"), "is no box"),
        (made_avif().replace(b"\x01\0\0\0\x44", b"\x09\0\0\0\x44"), "unknown form"),
        (made_avif().replace(b"\x01\0\0\0\x44", b"\x01\0\0\0\x00"), "unknown form"),
        (made_avif()[:-12], "cut off"),
        (made_avif().replace(b"pitm\0", b"pitm\x01"), "pitm box is too short"),
        (made_avif() + b"\0\0\0\x01free\0\0\0\0", "cut off"),
        (made_avif() + b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f", "is no box"),
        (made_avif() + b"\0\0\0\x01free\xff\0\0\0\0\0\0\x10", "cut off"),
        (made_avif() + made_avif()[20:], "2 boxes of type meta"),
    ],
)
def test_avif_damage_is_named(content, said):
    with pytest.raises(NotAPicture, match=said):
        inspect(content)


def test_the_made_up_avif_is_right_where_nothing_is_wrong():
    assert (inspect(made_avif()).width, inspect(made_avif()).height) == (10, 5)
    assert inspect(made_avif(sizes=((3, 3), (10, 5)), properties=b"\x02")).width == 10
    assert inspect(made_avif() + b"\0\0\0\x01free\0\0\0\0\0\0\0\x12ab").width == 10


def test_a_last_box_without_a_length_is_measured_by_what_lies_in_it():
    content = made_avif()
    assert content[-12:] == b"\0\0\0\x0cmdatdata"
    content = content[:-12] + b"\0\0\0\0mdatdata"
    assert inspect(content).width == 10
    for length in range(len(content)):
        with pytest.raises(NotAPicture):
            inspect(content[:length])


def test_an_item_table_that_promises_billions_of_extents_ends():
    # 65,535 items with 65,535 extents of no bytes each would be four billion rounds.
    huge = struct.pack(">IBBH", 1 << 24, 0x00, 0, 0xFFFF) + struct.pack(">HHHH", 1, 0, 0, 0xFFFF) * 20
    ftyp = box(b"ftyp", b"avif" + bytes(4))
    meta = box(b"meta", bytes(4) + box(b"pitm", struct.pack(">IH", 0, 1)) + box(b"iloc", huge) + box(b"iprp"))
    with pytest.raises(NotAPicture, match="unknown form"):
        inspect(ftyp + meta)


def test_huge_and_repeated_tables_are_not_read(monkeypatch):
    content = made_avif()
    assert inspect(content)
    with pytest.raises(NotAPicture, match="5 boxes of type ipma"):
        inspect(made_avif(more_properties=box(b"ipma", bytes(8)) * 4))
    assert inspect(made_avif(more_properties=box(b"ipma", bytes(8)) * 3))
    monkeypatch.setattr(isobmff, "_MAX_TABLE_BYTES", 16)
    with pytest.raises(NotAPicture, match="iloc box has 24 bytes"):
        inspect(content)


def test_an_animation_whose_end_is_open_is_refused():
    content = sample("avif-animated")[0]
    place = content.rindex(b"mdat") - 4
    assert place + struct.unpack_from(">I", content, place)[0] == len(content)
    with pytest.raises(NotAPicture, match="could not be told"):
        inspect(content[:place] + bytes(4) + content[place + 4 :])


# Files of nothing but parts


@pytest.mark.parametrize(
    "content",
    [
        png_header(5, 5) + png_chunk(b"tEXt") * 20 + IDAT + IEND,
        b"\xff\xd8" + b"\xff\xfe\x00\x02" * 20 + SOF + SOS + b"xx\xff\xd9",
        riff((b"VP8L", VP8L), *[(b"JUNK", b"")] * 20),
        GIF + FRAME * 20 + b";",
        made_avif() + box(b"free") * 20,
    ],
    ids=pictures.FORMATS,
)
def test_the_number_of_parts_is_limited(content, monkeypatch):
    assert inspect(content)
    monkeypatch.setattr(structure, "MAX_PARTS", 10)
    monkeypatch.setattr(isobmff, "_MAX_BOXES", 10)
    with pytest.raises(NotAPicture, match="more than 10 "):
        inspect(content)
