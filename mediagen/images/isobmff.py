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


class Foreign(NamedTuple):
    """A box that is not known to be a part of the picture."""

    head_end: int
    """the byte after its type; the four before it are the type"""
    start: int
    end: int


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


_PICTURE_ITEMS = frozenset((b"av01", b"grid", b"iovl", b"iden", b"tmap"))
_KNOWN_BOXES: dict[bytes, frozenset[bytes]] = {
    b"": frozenset(b"ftyp meta mdat moov moof sidx free skip".split()),
    b"meta": frozenset(b"hdlr pitm iloc iinf iref iprp idat dinf grpl free".split()),
    b"iprp": frozenset((b"ipco", b"ipma")),
    b"ipco": frozenset(
        b"ispe pixi av1C colr pasp irot imir clap auxC a1op a1lx lsel clli mdcv cclv amve reve ndwt free".split()
    ),
    b"moov": frozenset(b"mvhd trak mvex".split()),
    b"trak": frozenset(b"tkhd edts tref mdia".split()),
    b"mdia": frozenset(b"mdhd hdlr minf".split()),
    b"minf": frozenset(b"vmhd nmhd dinf stbl hdlr".split()),
    b"stbl": frozenset(b"stsd stts stsc stsz stz2 stco co64 ctts cslg stss sdtp sgpd sbgp subs".split()),
}
"""what a picture is made of; all else in these boxes is somebody's own"""


def foreign_boxes(view: memoryview) -> list[Foreign]:
    """The boxes of a file that `read_avif` has let pass that are not known to be harmless."""
    found: list[Foreign] = []
    _look_for_foreign(view, 0, len(view), b"", found)
    return found


def _look_for_foreign(view: memoryview, start: int, end: int, inside: bytes, found: list[Foreign]) -> None:
    position = start
    for box in boxes(view, start, end, at_top=not inside):
        if box.kind not in _KNOWN_BOXES[inside] or (box.kind in (b"free", b"skip") and box.end > box.start):
            found.append(Foreign(position + 8, box.start, box.end))
        elif box.kind in _KNOWN_BOXES:
            _look_for_foreign(view, box.start + (4 if box.kind == b"meta" else 0), box.end, box.kind, found)
        position = box.end


def unused(view: memoryview) -> list[tuple[int, int]]:
    """The bytes of a file that `read_avif` has let pass which hold nothing of its picture: between the items, and the
    dates of a film."""
    top = list(boxes(view, 0, len(view), at_top=True))
    found = []
    if any(box.kind == b"moov" for box in top):
        for date in _dates(view, top):
            found.append(date)
        return found  # where a film's samples lie, other tables say
    meta = only(view, top, b"meta")
    places = sorted(
        place
        for _, method, each in _locations(view, list(boxes(view, meta.start + 4, meta.end)))
        if method == 0
        for place in each
    )
    for box in top:
        if box.kind != b"mdat":
            continue
        position = box.start
        for start, stop in places:
            if box.start <= start < box.end:
                found.append((position, max(position, start)))
                position = max(position, stop)
        found.append((position, max(position, box.end)))
    return [place for place in found if place[0] < place[1]]


def _dates(view: memoryview, children: list[Box]) -> Iterator[tuple[int, int]]:
    for box in children:
        if box.kind in (b"mvhd", b"tkhd", b"mdhd") and box.end - box.start >= 20:
            yield box.start + 4, box.start + (20 if view[box.start] else 12)
        elif box.kind in (b"moov", b"trak", b"mdia"):
            yield from _dates(view, list(boxes(view, box.start, box.end)))


def metadata_items(view: memoryview, *, only_item: int | None = None) -> list[tuple[bytes, list[tuple[int, int]]]]:
    """Of each item (or only of this one) that is of another type than picture data (`Exif`; `mime`: XMP): its type, and
    the bytes of the file that it takes. For a file that `read_avif` has let pass."""
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
        if kinds.get(item, b"av01") not in _PICTURE_ITEMS and method in (0, 1) and only_item in (None, item)
    ]


_XMP_TYPE = b"application/rdf+xml\x00"
_MAX_ITEM = 0xFFFF


def xmp_of(view: memoryview) -> bytes:
    """The XMP packet of a picture that `read_avif` has let pass; b"" without one."""
    parts = [part for kind, part in _meta_place(view)[1] if kind == b"iinf"]
    number = _xmp_item(parts[0]) if parts else None
    for kind, places in metadata_items(view, only_item=number) if number is not None else ():
        if kind == b"mime":
            return b"".join(bytes(view[start:stop]) for start, stop in places)
    return b""


def with_xmp(view: memoryview, packet: bytes) -> bytes:
    """A still picture that `read_avif` has let pass, with this XMP packet as its item, in place of the one that it
    had; b"" when its tables have a form that we do not write."""
    meta_start, parts, meta_end = _meta_place(view)
    info, location = dict(parts).get(b"iinf"), dict(parts).get(b"iloc")
    if info is None or location is None or int.from_bytes(view[meta_start : meta_start + 4], "big") < 8:
        return b""
    main_item = _main_item(memoryview(dict(parts)[b"pitm"]), Box(b"pitm", 8, len(dict(parts)[b"pitm"]), False))
    table = _Locations.read(location)
    if table is None:
        return b""
    number = _xmp_item(info)
    is_new = number is None
    if number is None:
        number = max([*_item_kinds(info), *(entry.item for entry in table.entries)], default=0) + 1
        info = _with_entry(info, number)
    if number > _MAX_ITEM:
        return b""
    # Laid out twice: the first time to know how far everything behind is moved.
    table.entries = [entry for entry in table.entries if entry.item != number]
    table.entries.append(_Entry(number, 0, 0, 0, [(0, 0, len(packet))]))
    changed = {b"iinf": info, b"iloc": table.written()}
    if is_new:
        changed[b"iref"] = _with_reference(dict(parts).get(b"iref"), number, main_item)
    kept = [(kind, changed.get(kind, part)) for kind, part in parts]
    kept += [(b"iref", changed[b"iref"])] if is_new and b"iref" not in dict(parts) else []
    size = 12 + sum(len(part) for _, part in kept)
    moved = size - (meta_end - meta_start)
    end = _end_of_boxes(view)
    table.move(meta_end, moved)
    table.entries[-1].extents = [(0, end + moved + 8, len(packet))]
    if not table.fits():
        return b""
    kept = [(kind, table.written() if kind == b"iloc" else part) for kind, part in kept]
    flags = bytes(view[meta_start + 8 : meta_start + 12])
    return b"".join(
        (
            view[:meta_start],
            _BOX_HEAD.pack(size, b"meta"),
            flags,
            *(part for _, part in kept),
            view[meta_end:end],
            _BOX_HEAD.pack(len(packet) + 8, b"mdat"),
            packet,
        )
    )


class _Entry:
    """Where one item lies, as its line in the table says it."""

    def __init__(self, item: int, method: int, reference: int, base: int, extents: list[tuple[int, int, int]]) -> None:
        self.item, self.method, self.reference, self.base, self.extents = item, method, reference, base, extents


class _Locations:
    """An `iloc` box, read so that it can be written again."""

    def __init__(self, version: int, sizes: tuple[int, int, int, int], entries: list[_Entry]) -> None:
        self.version, self.sizes, self.entries = version, sizes, entries

    @classmethod
    def read(cls, box: bytes) -> _Locations | None:
        """Of the whole box with its head; None for a form with no room for places in the file."""
        cursor = Cursor(memoryview(box), 8, len(box), "iloc")
        version = cursor.take(4) >> 24
        packed = cursor.take(2)
        sizes = packed >> 12, packed >> 8 & 15, packed >> 4 & 15, packed & 15 if version else 0
        if version > 2 or sizes[0] not in (4, 8) or sizes[1] not in (4, 8) or {*sizes} - {0, 4, 8}:
            return None
        entries = []
        for _ in range(cursor.take(4 if version == 2 else 2)):
            item = cursor.take(4 if version == 2 else 2)
            method = cursor.take(2) if version else 0
            reference, base = cursor.take(2), cursor.take(sizes[2])
            extents = [
                (cursor.take(sizes[3]), cursor.take(sizes[0]), cursor.take(sizes[1])) for _ in range(cursor.take(2))
            ]
            entries.append(_Entry(item, method, reference, base, extents))
        return cls(version, sizes, entries)

    def move(self, behind: int, by: int) -> None:
        """What lies in the file from `behind` on lies `by` bytes further."""
        for entry in self.entries:
            if entry.method & 15:
                continue
            if entry.base >= behind:
                entry.base += by
            else:
                entry.extents = [
                    (index, offset + by if entry.base + offset >= behind else offset, length)
                    for index, offset, length in entry.extents
                ]

    def fits(self) -> bool:
        offset, length, base, _ = (256**size for size in self.sizes)
        return all(
            entry.base < base and all(o < offset and n < length for _, o, n in entry.extents) for entry in self.entries
        )

    def written(self) -> bytes:
        offset, length, base, index = self.sizes
        wide = 4 if self.version == 2 else 2
        parts = [
            bytes((self.version, 0, 0, 0, offset << 4 | length, base << 4 | index)),
            len(self.entries).to_bytes(wide, "big"),
        ]
        for entry in self.entries:
            parts.append(entry.item.to_bytes(wide, "big"))
            parts.append(entry.method.to_bytes(2, "big") if self.version else b"")
            parts += [entry.reference.to_bytes(2, "big"), entry.base.to_bytes(base, "big")]
            parts.append(len(entry.extents).to_bytes(2, "big"))
            for number, start, size in entry.extents:
                parts += [number.to_bytes(index, "big"), start.to_bytes(offset, "big"), size.to_bytes(length, "big")]
        return _packed(b"iloc", b"".join(parts))


def _packed(kind: bytes, body: bytes) -> bytes:
    return _BOX_HEAD.pack(len(body) + 8, kind) + body


def _end_of_boxes(view: memoryview) -> int:
    return list(boxes(view, 0, len(view), at_top=True))[-1].end


def _meta_place(view: memoryview) -> tuple[int, list[tuple[bytes, bytes]], int]:
    """Where the `meta` box begins, its parts with their heads, and where it ends."""
    start = 0
    for box in boxes(view, 0, len(view), at_top=True):
        if box.kind == b"meta":
            parts, begin = [], box.start + 4
            for child in boxes(view, begin, box.end):
                parts.append((child.kind, bytes(view[begin : child.end])))
                begin = child.end
            return start, parts, box.end
        start = box.end
    raise damaged("AVIF", "it has no meta box")


def _item_kinds(info: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Of an `iinf` box: by item its type, and what follows it (name, content type)."""
    view = memoryview(info)
    found = {}
    for entry in boxes(view, 8 + (8 if view[8] else 6), len(info)):
        cursor = Cursor(view, entry.start, entry.end, "infe")
        version = cursor.take(4) >> 24
        if version >= 2:
            item = cursor.take(4 if version > 2 else 2)
            cursor.take(2)
            found[item] = cursor.take(4).to_bytes(4, "big"), bytes(view[cursor.position : entry.end])
    return found


def _xmp_item(info: bytes) -> int | None:
    named = (item for item, (kind, rest) in _item_kinds(info).items() if kind == b"mime" and _XMP_TYPE in rest)
    return next(named, None)


def _with_entry(info: bytes, number: int) -> bytes:
    entry = _packed(b"infe", b"\x02\x00\x00\x01" + number.to_bytes(2, "big") + b"\x00\x00mime\x00" + _XMP_TYPE)
    wide = 4 if info[8] else 2
    count = int.from_bytes(info[12 : 12 + wide], "big") + 1
    return _packed(b"iinf", info[8:12] + count.to_bytes(wide, "big") + info[12 + wide :] + entry)


def _with_reference(there: bytes | None, number: int, to: int) -> bytes:
    """`number` describes (`cdsc`) the item `to`."""
    body = b"\x00\x00\x00\x00" if there is None else there[8:]
    wide = 4 if body[0] else 2
    return _packed(
        b"iref", body + _packed(b"cdsc", number.to_bytes(wide, "big") + b"\x00\x01" + to.to_bytes(wide, "big"))
    )
