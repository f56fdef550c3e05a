"""Walks the chunks of PNG files: are all there and whole, what size is the picture, and what is better left out."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from mediagen.images import structure
from mediagen.images.structure import Shape, Superfluous, check_nothing_follows, check_size, cut_off, damaged

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHUNK_HEAD = struct.Struct(">I4s")
_UINT32 = struct.Struct(">I")
_IHDR = struct.Struct(">IIBBBBB")
_BIT_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_MOST_NAMED = 5
_FRAMES = frozenset((b"acTL", b"fcTL", b"fdAT"))
"""may be skipped by a decoder, and make the picture where there is an animation"""


def chunks(view: memoryview, *, odd: list[str] | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the data of each chunk whose CRC is right, up to IEND.

    One that a decoder may skip (PNG specification, 13.1 and 14.3), of a wrong name or with a wrong CRC, is
    `Superfluous`; with `odd` it is skipped, and what it is goes into that list.
    """
    size, start = len(view), len(SIGNATURE)
    for _ in range(structure.MAX_PARTS):
        if size - start < 12:
            raise cut_off(
                "PNG", size, start + 12, "chunk header" if size > start else "list of chunks (IEND is missing)"
            )
        length, kind = _CHUNK_HEAD.unpack_from(view, start)
        may_be_skipped = 0x61 <= kind[0] <= 0x7A and kind not in _FRAMES
        is_named = kind.isalpha()
        end = start + 12 + length
        if length > 0x7FFFFFFF or not (is_named or (may_be_skipped and end <= size)):
            raise damaged("PNG", f"what begins at byte {start} is no chunk")
        if end > size:
            raise cut_off("PNG", size, end, f"{kind.decode()} chunk")
        name = kind.decode() if is_named else "unnamed"
        why = "" if is_named else f"what begins at byte {start} is no chunk"
        if not why and zlib.crc32(view[start + 4 : end - 4]) != _UINT32.unpack_from(view, end - 4)[0]:
            why = f"the checksum of its {name} chunk at byte {start} is wrong"
        if not why:
            yield kind, start + 8, end - 4
            if kind == b"IEND":
                return
        elif not may_be_skipped:
            raise damaged("PNG", why)
        elif odd is None:
            raise Superfluous(str(damaged("PNG", why)), without_odd_parts)
        else:
            odd.append(f"a damaged {name} chunk at byte {start}")
        start = end
    raise damaged("PNG", f"it has more than {structure.MAX_PARTS} chunks")


def without_odd_parts(content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The PNG of its whole chunks up to IEND, and what was left out."""
    odd: list[str] = []
    with memoryview(content) as view:
        parts = [SIGNATURE]
        end = 0
        for _, start, stop in chunks(view, odd=odd):
            end = stop + 4
            parts.append(bytes(view[start - 8 : end]))
    if end < len(content):
        odd.append(f"{len(content) - end:,} bytes behind the end")
    return b"".join(parts), tuple(odd[:_MOST_NAMED] + [f"{len(odd) - _MOST_NAMED} more"] * (len(odd) > _MOST_NAMED))


_LARGE_TEXT_BYTES = 1024 * 1024
"""unpacked; PIL.PngImagePlugin.MAX_TEXT_CHUNK is the same, for one text and for a colour profile"""
_MAX_TEXTS_BYTES = 16 * 1024 * 1024
"""of all texts together; Pillow takes four times as much"""


def without_large_texts(content: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
    """The PNG without texts and colour profiles that unpack to so much that Pillow refuses the picture for them.

    Structure as `read` has let it pass; checksums are not looked at again. Mostly the very same content.
    """
    texts, gaps = 0, [0]
    with memoryview(content) as view:
        start, size = len(SIGNATURE), len(view)
        while start + 12 <= size:
            length, kind = _CHUNK_HEAD.unpack_from(view, start)
            end = start + 12 + length
            if kind in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
                unpacked = _unpacked_bytes(kind, view[start + 8 : end - 4])
                texts += unpacked
                if unpacked > _LARGE_TEXT_BYTES or texts > _MAX_TEXTS_BYTES:
                    gaps += [start, end]
                    texts -= unpacked
            start = end
        if len(gaps) == 1:
            return content
        gaps.append(size)
        return b"".join(view[gaps[i] : gaps[i + 1]] for i in range(0, len(gaps), 2))


def _unpacked_bytes(kind: bytes, data: memoryview) -> int:
    """Of a text's or profile's data; one more than `_LARGE_TEXT_BYTES` for anything above."""
    head = bytes(data[:80])  # a keyword has at most 79 bytes
    packed = head.find(b"\0") + (3 if kind == b"iTXt" else 2)
    if kind == b"tEXt" or (kind == b"iTXt" and head[packed - 2 : packed - 1] != b"\x01"):
        return len(data)
    if kind == b"iTXt":  # language and translated keyword stand between
        for _ in range(2):
            packed += bytes(data[packed:]).find(b"\0") + 1
    try:
        return len(zlib.decompressobj().decompress(data[packed:], _LARGE_TEXT_BYTES + 1))
    except zlib.error:
        return 0


def read(view: memoryview, max_pixels: int) -> Shape:
    width = height = colour = 0
    has_palette = has_transparency = is_animated = has_data = False
    for number, (kind, start, end) in enumerate(chunks(view)):
        if (kind == b"IHDR") != (number == 0):
            raise damaged("PNG", f"its chunk number {number + 1} is {kind.decode()}")
        if kind == b"IDAT":
            has_data = has_data or end > start
        elif kind == b"IHDR":
            width, height, colour = _header(view, start, end, max_pixels)
        elif kind == b"PLTE":
            has_palette = True
        elif kind == b"tRNS":
            has_transparency = True
        elif kind == b"acTL" and not has_data and end - start == 8:
            is_animated = _UINT32.unpack_from(view, start)[0] > 1
        elif kind == b"IEND":
            if not has_data:
                raise damaged("PNG", "it has no picture data (IDAT)")
            if colour == 3 and not has_palette:
                raise damaged("PNG", "its palette (PLTE) is missing")
            check_nothing_follows("PNG", view, end + 4, without_odd_parts)
    return Shape(width, height, has_transparency or colour in (4, 6), is_animated, is_lossless=True)


def _header(view: memoryview, start: int, end: int, max_pixels: int) -> tuple[int, int, int]:
    """Width, height and colour type."""
    if end - start != 13:
        raise damaged("PNG", f"its header has {end - start} bytes instead of 13")
    width, height, depth, colour, compression, filters, interlace = _IHDR.unpack_from(view, start)
    if depth not in _BIT_DEPTHS.get(colour, ()) or compression or filters or interlace > 1:
        raise damaged("PNG", f"its header names an unknown encoding ({depth} bits, colour type {colour})")
    check_size("PNG", width, height, max_pixels)
    return width, height, colour
