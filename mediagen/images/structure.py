"""Walks the skeleton of JPEG, WebP and GIF files: are all parts there, and what size is the picture?

Nothing is decoded and nothing is copied: the walkers read a `memoryview` and raise `NotAPicture`. Every loop is
bounded by `MAX_PARTS`, because a hostile file may consist of nothing but empty parts.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from mediagen.errors import NotAPicture
from mediagen.wording import say as _

JPEG_START = b"\xff\xd8\xff"
MAX_PARTS = 1_000_000
"""chunks, segments, blocks or boxes in one file; a GIF of 100 MiB has 410,000"""
MAX_PADDING_BYTES = 64
"""bytes after the end that are let pass when they are NUL, 0xFF, space, CR or LF: some writers pad or add a newline"""


Without = Callable[[bytes], tuple[bytes, tuple[str, ...]]]
"""gives a content without what is superfluous in it, and what was left out, in words"""


class Superfluous(NotAPicture):
    """A picture with something in or behind it that is no part of it, and can be taken away."""

    def __init__(self, message: str, without: Without) -> None:
        super().__init__(message)
        self.without = without


class Shape(NamedTuple):
    """What a walker found out about a picture; width and height in pixels."""

    width: int
    height: int
    has_alpha: bool = False
    is_animated: bool = False
    is_lossless: bool = False


def cut_off(name: str, size: int, needed: int, part: str) -> NotAPicture:
    return NotAPicture(
        _(
            "The %(name)s is cut off at byte %(size)s of at least %(needed)s, in its %(part)s. "
            "Fetch or upload it again.",
            name=name,
            size=size,
            needed=needed,
            part=part,
        )
    )


def damaged(name: str, why: str) -> NotAPicture:
    return NotAPicture(
        _(
            "The %(name)s is damaged: %(why)s. Fetch or upload it again, or save it anew from an image editor.",
            name=name,
            why=why,
        )
    )


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """`NotAPicture` for a picture without area, or with more pixels than `max_pixels`."""
    if width < 1 or height < 1:
        raise damaged(name, f"it says that it is {width}x{height} pixels")
    if width * height > max_pixels:
        raise NotAPicture(
            _(
                "The %(name)s has %(width)s megapixels (%(width_2)sx%(height)s), over the limit of "
                "%(max_pixels)s. Use a smaller picture, or raise the limit.",
                name=name,
                width=f"{width * height / 1000000.0:.1f}",
                width_2=width,
                height=height,
                max_pixels=f"{max_pixels / 1000000.0:.1f}",
            )
        )


def is_padding(view: memoryview, start: int) -> bool:
    rest = view[start : start + MAX_PADDING_BYTES + 1]
    return len(rest) <= MAX_PADDING_BYTES and not bytes(rest).strip(b"\x00\xff \r\n")


def check_nothing_follows(name: str, view: memoryview, end: int, without: Without | None = None) -> None:
    """Refuse what follows the picture's end: a ZIP, a script or a page hidden there is served with the picture.

    Payload inside the picture's own parts (a comment, a text chunk) is legal and is not looked for.
    """
    if end < len(view) and not is_padding(view, end):
        raise Superfluous(
            _(
                "After the end of the %(name)s at byte %(end)s follow %(number)s bytes that are no "
                "part of it. Save it anew from an image editor, which leaves them out.",
                name=name,
                end=end,
                number=len(view) - end,
            ),
            without or partial(cut_at, end),
        )


def cut_at(end: int, content: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The content up to its `end`, and what is said of the rest."""
    return content[:end], (f"{len(content) - end:,} bytes behind the end",)


# JPEG

JPEG_MARKER = re.compile(rb"\xff+([\x01-\xfe])")
# Inside a scan 0xFF is followed by 0x00 (a data byte) or a restart number; anything else ends the scan.
_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOI, _EOI, JPEG_SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_SHOWABLE_FRAMES = (0xC0, 0xC1, 0xC2)
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_MAX_SCANS = 200
"""a progressive picture has about ten; each one costs a decoder a pass over all pixels"""
_MAX_JPEGS = 16


def read_jpeg(view: memoryview, max_pixels: int) -> Shape:
    end, shape = walk_jpeg(view, 0, max_pixels)
    # Phones append whole JPEGs (a gain map, a depth map, the second eye: CIPA DC-007) to the one that is shown.
    for __ in range(_MAX_JPEGS):
        if bytes(view[end : end + 3]) != JPEG_START:
            break
        try:
            end, _appended = walk_jpeg(view, end, max_pixels)
        except NotAPicture as exc:
            raise Superfluous(str(exc), partial(cut_at, end)) from None
    check_nothing_follows("JPEG", view, end)
    return shape


def walk_jpeg(view: memoryview, start: int, max_pixels: int) -> tuple[int, Shape]:
    """The byte after EOI, and the shape."""
    size, position, scans = len(view), start + 2, 0
    shape: Shape | None = None
    for __ in range(MAX_PARTS):
        marker = JPEG_MARKER.match(view, position)
        if marker is None:
            if position >= size or view[position] == 0xFF:
                raise cut_off("JPEG", size, size + 1, "list of segments (EOI is missing)")
            raise damaged("JPEG", f"no marker stands at byte {position}")
        position = marker.end()
        code = view[position - 1]
        if code == _EOI:
            if shape is None or not scans:
                raise damaged("JPEG", "it ends before any picture data")
            return position, shape
        if code == _TEM:
            continue
        if 0xD0 <= code <= _SOI:
            raise damaged("JPEG", f"marker {code:#04x} stands at byte {position - 2}, where it may not")
        if size - position < 2:
            raise cut_off("JPEG", size, position + 2, "segment header")
        segment_start, position = position, position + (view[position] << 8 | view[position + 1])
        if position < segment_start + 2:
            raise damaged("JPEG", f"its segment at byte {segment_start} is shorter than its header")
        if position > size:
            raise cut_off("JPEG", size, position, f"segment {code:#04x}")
        if code in _SHOWABLE_FRAMES or code in _OTHER_FRAMES:
            if shape is not None:
                raise damaged("JPEG", "it has two frame headers")
            shape = _jpeg_frame(view[segment_start:position], code, max_pixels)
        elif code == JPEG_SOS:
            if shape is None:
                raise damaged("JPEG", "its data comes before its size")
            scan_end = _SCAN_END.search(view, position)
            if scan_end is None:
                raise cut_off("JPEG", size, size + 1, "picture data (EOI is missing)")
            if scan_end.start() == position:
                raise damaged("JPEG", "one of its scans is empty")
            position, scans = scan_end.start(), scans + 1
            if scans > _MAX_SCANS:
                raise damaged("JPEG", f"it has more than {_MAX_SCANS} scans")
    raise damaged("JPEG", f"it has more than {MAX_PARTS} segments")


def jpeg_segments(view: memoryview) -> Iterator[tuple[int, int, int]]:
    """Marker, start (of the two bytes of length) and end of each segment up to the first scan, of a JPEG that
    `walk_jpeg` has let pass."""
    position = 2
    while (marker := JPEG_MARKER.match(view, position)) is not None:
        code, start = view[marker.end() - 1], marker.end()
        if code == JPEG_SOS or start + 2 > len(view):
            return
        position = start if code == _TEM else start + (view[start] << 8 | view[start + 1])
        if code != _TEM:
            yield code, start, position


def jpeg_parts(view: memoryview, end: int) -> Iterator[tuple[int, int, int]]:
    """As `jpeg_segments`, of all segments up to the EOI that ends at `end`; a scan reaches to the marker after it."""
    position = 2
    while (marker := JPEG_MARKER.match(view, position)) is not None and marker.end() < end:
        code, start = view[marker.end() - 1], marker.end()
        if code == _TEM:
            position = start
            continue
        position = start + (view[start] << 8 | view[start + 1])
        if code == JPEG_SOS and (scan_end := _SCAN_END.search(view, position)) is not None:
            position = scan_end.start()
        yield code, start, position


def _jpeg_frame(segment: memoryview, code: int, max_pixels: int) -> Shape:
    if code in _OTHER_FRAMES:
        raise NotAPicture(
            _(
                "The JPEG uses coding process SOF%(code)s, which browsers do not show. Save it as a "
                "baseline or progressive JPEG.",
                code=code - 192,
            )
        )
    if len(segment) < 8 or len(segment) != 8 + 3 * segment[7] or segment[7] not in (1, 3, 4):
        raise damaged("JPEG", "its frame header has a wrong length")
    if segment[2] != 8:
        raise NotAPicture(_("The JPEG has %(segment)s bits per sample; save it with 8.", segment=segment[2]))
    height, width = segment[3] << 8 | segment[4], segment[5] << 8 | segment[6]
    check_size("JPEG", width, height, max_pixels)
    return Shape(width, height)


# WebP

_RIFF_HEAD = struct.Struct("<4sI")


def _uint24(view: memoryview, start: int) -> int:
    return view[start] | view[start + 1] << 8 | view[start + 2] << 16


def riff_chunks(view: memoryview, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the data of each chunk between `start` and `end`."""
    for __ in range(MAX_PARTS):
        if start >= end:
            return
        if end - start < 8:
            raise damaged("WebP", f"the chunk at byte {start} is shorter than its header")
        kind, length = _RIFF_HEAD.unpack_from(view, start)
        data, start = start + 8, start + 8 + length
        if start > end:
            raise damaged("WebP", f"its chunk at byte {data - 8} runs {start - end} bytes over the end")
        yield kind, data, start
        start += length & 1
    raise damaged("WebP", f"it has more than {MAX_PARTS} chunks")


def read_webp(view: memoryview, max_pixels: int) -> Shape:
    if len(view) < 20:
        raise cut_off("WebP", len(view), 20, "header")
    end = 8 + _RIFF_HEAD.unpack_from(view, 0)[1]
    if end > len(view):
        raise cut_off("WebP", len(view), end, "RIFF container")
    check_nothing_follows("WebP", view, end)
    chunks = riff_chunks(view, 12, end)
    kind, start, stop = next(chunks, (b"", 0, 0))
    if kind == b"VP8X":
        return _webp_extended(view, start, stop, chunks, max_pixels)
    if kind not in (b"VP8 ", b"VP8L"):
        raise damaged("WebP", "its first chunk is none of VP8, VP8L, VP8X")
    shape = _webp_bitstream(view, kind, start, stop)
    check_size("WebP", shape.width, shape.height, max_pixels)
    for __ in chunks:
        pass  # their lengths are checked by walking them
    return shape


def _webp_extended(
    view: memoryview, start: int, stop: int, chunks: Iterator[tuple[bytes, int, int]], max_pixels: int
) -> Shape:
    if stop - start < 10:
        raise damaged("WebP", "its VP8X chunk is too short")
    flags, width, height = view[start], _uint24(view, start + 4) + 1, _uint24(view, start + 7) + 1
    check_size("WebP", width, height, max_pixels)
    is_animated = bool(flags & 0x02)
    images: list[Shape] = []
    for kind, data, end in chunks:
        if kind == b"ANMF" and is_animated:
            images.append(_webp_frame(view, data, end, width, height))
        elif kind in (b"VP8 ", b"VP8L") and not is_animated:
            images.append(_webp_bitstream(view, kind, data, end))
    if not images:
        raise damaged("WebP", "it has no picture data")
    if not is_animated and (len(images) > 1 or images[0][:2] != (width, height)):
        raise damaged("WebP", f"its canvas is {width}x{height} and its picture is not")
    has_alpha = bool(flags & 0x10) or any(image.has_alpha for image in images)
    return Shape(width, height, has_alpha, is_animated, all(image.is_lossless for image in images))


def _webp_frame(view: memoryview, start: int, end: int, width: int, height: int) -> Shape:
    if end - start < 16:
        raise damaged("WebP", "one of its frames is too short")
    x, y = 2 * _uint24(view, start), 2 * _uint24(view, start + 3)
    frame_size = (_uint24(view, start + 6) + 1, _uint24(view, start + 9) + 1)
    if x + frame_size[0] > width or y + frame_size[1] > height:
        raise damaged("WebP", "one of its frames lies outside the canvas")
    for kind, data, stop in riff_chunks(view, start + 16, end):
        if kind in (b"VP8 ", b"VP8L"):
            shape = _webp_bitstream(view, kind, data, stop)
            if shape[:2] != frame_size:
                raise damaged("WebP", "one of its frames is not of the size that it says")
            return shape
    raise damaged("WebP", "one of its frames has no picture data")


def _webp_bitstream(view: memoryview, kind: bytes, start: int, end: int) -> Shape:
    if kind == b"VP8L":
        if end - start < 6 or view[start] != 0x2F:
            raise damaged("WebP", "its lossless data has no header")
        bits = int.from_bytes(view[start + 1 : start + 5], "little")
        if bits >> 29:
            raise damaged("WebP", "its lossless data has an unknown version")
        return Shape((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1), is_lossless=True)
    if end - start < 10 or bytes(view[start + 3 : start + 6]) != b"\x9d\x01\x2a":
        raise damaged("WebP", "its data has no VP8 header")
    tag = _uint24(view, start)
    if tag & 1 or tag >> 5 > end - start - 10:
        raise damaged("WebP", "its VP8 data is no whole key frame")
    width = (view[start + 6] | view[start + 7] << 8) & 0x3FFF
    height = (view[start + 8] | view[start + 9] << 8) & 0x3FFF
    if not width or not height:
        raise damaged("WebP", f"it says that it is {width}x{height} pixels")
    return Shape(width, height)


# GIF

_GIF_FRAME = struct.Struct("<HHHHB")


def read_gif(view: memoryview, max_pixels: int) -> Shape:
    """The canvas, enlarged by a first frame that is larger (as browsers and Pillow do).

    Pixels are limited for every frame: a decoder enlarges its canvas for later ones too.
    """
    size = len(view)
    if size < 13:
        raise cut_off("GIF", size, 13, "header")
    width, height = view[6] | view[7] << 8, view[8] | view[9] << 8
    position = 13 + colour_table_bytes(view[10])
    frames, has_alpha, parts = 0, False, 0
    while True:
        if position >= size:
            raise cut_off("GIF", size, position + 1, "list of blocks (the trailer is missing)")
        kind = view[position]
        if kind == 0x3B:
            break
        if kind == 0x21:
            if size - position < 4:
                raise cut_off("GIF", size, position + 4, "extension")
            if view[position + 1] == 0xF9 and not frames:  # in later frames it only says which pixels stay
                has_alpha = bool(view[position + 3] & 1)
            data = position + 2
        elif kind == 0x2C:
            if size - position < 11:
                raise cut_off("GIF", size, position + 11, "frame header")
            x, y, frame_width, frame_height, flags = _GIF_FRAME.unpack_from(view, position + 1)
            check_size("GIF", frame_width, frame_height, max_pixels)
            check_size("GIF", max(width, x + frame_width), max(height, y + frame_height), max_pixels)
            if not frames:
                width, height = max(width, x + frame_width), max(height, y + frame_height)
            frames += 1
            data = position + 10 + colour_table_bytes(flags)
            if data < size and not (1 <= view[data] <= 11 and (data + 1 >= size or view[data + 1])):
                raise damaged("GIF", f"its frame {frames} has no picture data")
        else:
            raise damaged("GIF", f"what begins at byte {position} is no block")
        position, parts = skip_sub_blocks(view, data if kind == 0x21 else data + 1, parts)
    if not frames:
        raise damaged("GIF", "it has no picture data")
    check_nothing_follows("GIF", view, position + 1)
    return Shape(width, height, has_alpha, frames > 1, is_lossless=True)


def colour_table_bytes(flags: int) -> int:
    return 3 << (flags & 0x07) + 1 if flags & 0x80 else 0


def skip_sub_blocks(view: memoryview, position: int, parts: int) -> tuple[int, int]:
    """The byte after the empty block that ends the list, and how many blocks were seen in the file so far."""
    size = len(view)
    while position < size:
        length = view[position]
        position += length + 1
        parts += 1
        if not length:
            return position, parts
        if parts > MAX_PARTS:
            raise damaged("GIF", f"it has more than {MAX_PARTS} blocks")
    raise cut_off("GIF", size, position + 1, "data blocks")
