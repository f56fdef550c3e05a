"""Walks the boxes of an AVIF file (ISO/IEC 14496-12, 23008-12): are all bytes there, and what size is the picture?"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from mediagen.errors import NotAPicture
from mediagen.images.structure import Shape, Superfluous, check_size, cut_at, cut_off, damaged, is_padding

_BOX_HEAD = struct.Struct(">I4s")
_UINT64 = struct.Struct(">Q")
_MAX_BOXES = 10_000
"""side by side; a picture has some dozens"""
_MAX_TABLE_BYTES = 1024 * 1024
"""of a box that is read entry by entry; a picture's have some dozen bytes"""
_MAX_LINK_TABLES = 4
"""`ipma` boxes; there may be one for each width of its numbers"""
_ALPHA_URNS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0")


class Box(NamedTuple):
    kind: bytes
    start: int
    """first byte of the body"""
    end: int
    is_open: bool
    """it says no length and runs to the end of the file"""


class Cursor:
    """Reads big-endian numbers one after the other, never past the end of its box."""

    def __init__(self, view: memoryview, start: int, end: int, what: str) -> None:
        if end - start > _MAX_TABLE_BYTES:
            raise damaged("AVIF", f"its {what} box has {end - start} bytes")
        self._view, self.position, self._end, self._what = view, start, end, what

    def take(self, length: int) -> int:
        position = self.position
        if position + length > self._end:
            raise damaged("AVIF", f"its {self._what} box is too short")
        self.position = position + length
        return int.from_bytes(self._view[position : self.position], "big")


def brands(view: memoryview) -> list[bytes]:
    """The major brand and the compatible ones of the `ftyp` box that the file begins with; empty if it has none."""
    if len(view) < 16 or bytes(view[4:8]) != b"ftyp":
        return []
    end = min(_BOX_HEAD.unpack_from(view, 0)[0], len(view), 1024)
    return [bytes(view[8:12]), *(bytes(view[i : i + 4]) for i in range(16, end - 3, 4))]


def read_avif(view: memoryview, max_pixels: int) -> Shape:
    top = _top_boxes(view)
    is_animated = b"avis" in brands(view) and any(box.kind == b"moov" for box in top)
    if is_animated and top[-1].is_open:
        raise damaged(
            "AVIF", "its last box says no length, so that a cut-off animation could not be told from a whole one"
        )
    meta = only(view, top, b"meta")
    # `meta` is a FullBox: four bytes of version and flags come before its children.
    children = list(boxes(view, meta.start + 4, meta.end))
    main_item = _main_item(view, only(view, children, b"pitm"))
    _check_locations(view, children, main_item)
    properties = only(view, children, b"iprp")
    property_boxes = list(boxes(view, properties.start, properties.end))
    container = only(view, property_boxes, b"ipco")
    items = list(boxes(view, container.start, container.end))
    sizes = {i: _extent(view, box, max_pixels) for i, box in enumerate(items, 1) if box.kind == b"ispe"}
    mine = [sizes[i] for i in _associated(view, property_boxes, main_item) if i in sizes]
    if len(mine) != 1:
        raise damaged("AVIF", "it does not say what size its picture has (ispe)")
    has_alpha = any(
        box.kind == b"auxC" and bytes(view[box.start + 4 : min(box.start + 64, box.end)]).startswith(_ALPHA_URNS)
        for box in items
    )
    return Shape(*mine[0], has_alpha=has_alpha, is_animated=is_animated)


_PARTS = frozenset((b"ftyp", b"meta", b"mdat", b"moov", b"moof"))


def _top_boxes(view: memoryview) -> list[Box]:
    """The boxes side by side; `Superfluous` when something else follows the ones that make a still picture."""
    top: list[Box] = []
    try:
        for box in boxes(view, 0, len(view), at_top=True):
            top.append(box)
    except NotAPicture as exc:
        end = top[-1].end if top else 0
        is_part = bytes(view[end + 4 : end + 8]) in _PARTS
        if is_part or b"avis" in brands(view) or not any(box.kind == b"meta" for box in top):
            raise
        raise Superfluous(str(exc), partial(cut_at, end)) from None
    return top


def boxes(view: memoryview, start: int, end: int, *, at_top: bool = False) -> Iterator[Box]:
    for _ in range(_MAX_BOXES):
        if start >= end or (at_top and start and is_padding(view, start)):
            return
        if end - start < 8:
            raise _overrun(view, start + 8, "box header", at_top)
        length, kind = _BOX_HEAD.unpack_from(view, start)
        body = start + 8
        is_open = length == 0
        if length == 1:
            if end - start < 16:
                raise _overrun(view, start + 16, "box header", at_top)
            length, body = _UINT64.unpack_from(view, body)[0], start + 16
        stop = end if is_open else start + length
        if stop < body or not (kind.isascii() and kind.decode("ascii").isprintable()) or (is_open and not at_top):
            raise damaged("AVIF", f"what begins at byte {start} is no box")
        if stop > end:
            raise _overrun(view, stop, f"{kind.decode('ascii')} box", at_top)
        yield Box(kind, body, stop, is_open)
        start = stop
    raise damaged("AVIF", f"it has more than {_MAX_BOXES} boxes")


def _overrun(view: memoryview, needed: int, part: str, at_top: bool) -> NotAPicture:
    if at_top:
        return cut_off("AVIF", len(view), needed, part)
    return damaged("AVIF", f"a {part} runs over the end of the box that holds it")


def only(view: memoryview, boxes: list[Box], kind: bytes) -> Box:
    found = [box for box in boxes if box.kind == kind]
    if len(found) != 1:
        raise damaged(
            "AVIF", f"it has {len(found)} boxes of type {kind.decode()} instead of one ({len(view)} bytes in all)"
        )
    return found[0]


def _main_item(view: memoryview, box: Box) -> int:
    cursor = Cursor(view, box.start, box.end, "pitm")
    version = cursor.take(4) >> 24
    return cursor.take(4 if version else 2)


def _extent(view: memoryview, box: Box, max_pixels: int) -> tuple[int, int]:
    cursor = Cursor(view, box.start + 4, box.end, "ispe")
    width, height = cursor.take(4), cursor.take(4)
    check_size("AVIF", width, height, max_pixels)
    return width, height


def _associated(view: memoryview, property_boxes: list[Box], item: int) -> set[int]:
    """The numbers (from 1) of the properties that belong to `item`."""
    found: set[int] = set()
    tables = [box for box in property_boxes if box.kind == b"ipma"]
    if len(tables) > _MAX_LINK_TABLES:
        raise damaged("AVIF", f"it has {len(tables)} boxes of type ipma")
    for box in tables:
        cursor = Cursor(view, box.start, box.end, "ipma")
        version_and_flags = cursor.take(4)
        id_bytes, index_bytes = (4 if version_and_flags >> 24 else 2), (2 if version_and_flags & 1 else 1)
        for _ in range(cursor.take(4)):
            is_mine = cursor.take(id_bytes) == item
            for _ in range(cursor.take(1)):
                index = cursor.take(index_bytes) & (0x7FFF if index_bytes == 2 else 0x7F)
                if is_mine:
                    found.add(index)
    return found


def _check_locations(view: memoryview, children: list[Box], main_item: int) -> None:
    """Every item's bytes lie in the file, and the main item has some: the box walk alone does not see a lost `mdat`."""
    inner = next((child.end - child.start for child in children if child.kind == b"idat"), 0)
    has_main_item = False
    for item, method, places in _locations(view, children):
        for _, stop in places:
            if method == 0 and stop > len(view):
                raise cut_off("AVIF", len(view), stop, "picture data")
            if method == 1 and stop > inner:
                raise damaged("AVIF", "an item lies outside its idat box")
        has_main_item = has_main_item or (item == main_item and any(stop > start for start, stop in places))
    if not has_main_item:
        raise damaged("AVIF", "it does not say where its picture data is")


def _locations(view: memoryview, children: list[Box]) -> Iterator[tuple[int, int, list[tuple[int, int]]]]:
    """Of each item its number, how it is stored (0: in the file, 1: in the `idat` box), and where it begins and ends
    there."""
    box = only(view, children, b"iloc")
    cursor = Cursor(view, box.start, box.end, "iloc")
    version = cursor.take(4) >> 24
    sizes = cursor.take(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    if version > 2 or not length_bytes or {offset_bytes, length_bytes, base_bytes, index_bytes} - {0, 4, 8}:
        raise damaged("AVIF", "its iloc box has an unknown form")
    for _ in range(cursor.take(4 if version == 2 else 2)):
        item = cursor.take(4 if version == 2 else 2)
        method = cursor.take(2) & 15 if version else 0
        cursor.take(2)  # data reference index; 0 is this file, and nothing else is in use
        base = cursor.take(base_bytes)
        places = []
        for _ in range(cursor.take(2)):
            cursor.take(index_bytes)
            start = base + cursor.take(offset_bytes)
            places.append((start, start + cursor.take(length_bytes)))
        yield item, method, places


def metadata_items(view: memoryview) -> list[tuple[bytes, list[tuple[int, int]]]]:
    """Of each item that is Exif or of another type than picture data (`mime`: XMP): its type, and the bytes of the
    file that it takes. For a file that `read_avif` has let pass."""
    meta = only(view, list(boxes(view, 0, len(view), at_top=True)), b"meta")
    children = list(boxes(view, meta.start + 4, meta.end))
    kinds: dict[int, bytes] = {}
    for info in (child for child in children if child.kind == b"iinf"):
        version = view[info.start]
        for entry in boxes(view, info.start + (8 if version else 6), info.end):
            cursor = Cursor(view, entry.start, entry.end, "infe")
            entry_version = cursor.take(4) >> 24
            if entry_version >= 2:  # older ones have no type
                item = cursor.take(4 if entry_version > 2 else 2)
                cursor.take(2)
                kinds[item] = cursor.take(4).to_bytes(4, "big")
    inner = next((child.start for child in children if child.kind == b"idat"), 0)
    return [
        (kinds[item], [(start + inner * method, stop + inner * method) for start, stop in places])
        for item, method, places in _locations(view, children)
        if kinds.get(item) in (b"Exif", b"mime", b"uri ") and method in (0, 1)
    ]
