"""Takes out of a picture what is nobody's business: where it was made, by whose camera, whose name is in it.

The pixels are not touched: parts of the file are left out, or overwritten where others count on their places. What
stays is what a picture needs to look right (colour profile, transparency, animation), and the one public statement of
its origin, the IPTC digital source type ("made by a model").
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import BytesIO

from mediagen.images import codecs, isobmff, origin, png, saving, structure
from mediagen.images.inspect import inspect
from mediagen.images.picture import Picture


def cleaned(content: bytes, picture: Picture) -> bytes:
    """The picture without EXIF, XMP, IPTC, comments, dates, thumbnails and appended pictures; the pixels as they are.

    Turn it `upright` before: the orientation goes too. Raises `NotAPicture` when its parts do not fit together.
    """
    source_type = origin.source_type_in(content)
    with memoryview(content) as view:
        bare = _CLEANERS[picture.format](view)
    return origin.marked(bare, picture.format, source_type)


def upright(content: bytes, picture: Picture) -> tuple[bytes, Picture]:
    """The picture with its EXIF orientation applied to the pixels; the very same content when there is none.

    A JPEG is written with the quantisation that it had, everything lossless stays lossless, WebP is written with
    quality 92 and AVIF with 85. Animations are left alone. Raises `NotAPicture` when it cannot be decoded or written.
    """
    if picture.is_animated or not codecs.can_read(picture.format):
        return content, picture
    with codecs.opened(content, picture) as source:
        source.load()
        exif, turn = saving.exif_and_turn(source)
        if turn is None:
            return content, picture
        options = saving.save_options(source, picture, exif)
        if picture.format == "jpeg" and (tables := getattr(source, "quantization", None)):
            options |= {"qtables": tables}
            del options["quality"]
        buffer = BytesIO()
        source.transpose(turn).save(buffer, picture.format.upper(), **options)
    turned = buffer.getvalue()
    return turned, inspect(turned)


# PNG

_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP sBIT bKGD hIST pHYs sPLT cICP mDCV cLLI acTL fcTL fdAT".split()
)


def _png(view: memoryview) -> bytes:
    parts = [png.SIGNATURE]
    for kind, start, end in png.chunks(view):
        if kind in _PNG_KEPT:
            parts.append(bytes(view[start - 8 : end + 4]))
    return b"".join(parts)


# JPEG

_ANY_SIZE = 2**32
"""pixels; `inspect` has looked at them"""
_JPEG_KEPT = frozenset((0xC0, 0xC1, 0xC2, 0xC4, 0xDA, 0xDB, 0xDC, 0xDD))
"""frames, tables, scans and the restart interval: all that pixels are made of"""
_JFIF = b"JFIF\x00"


def _jpeg(view: memoryview) -> bytes:
    end, _ = structure.walk_jpeg(view, 0, _ANY_SIZE)
    parts = [b"\xff\xd8"]
    for code, start, stop in structure.jpeg_parts(view, end):
        data = bytes(view[start + 2 : stop])
        if code == 0xE0 and data.startswith(_JFIF):
            data = data[:12].ljust(12, b"\x00") + b"\x00\x00"  # and no thumbnail, nor JFXX, which is one
        elif not (
            code in _JPEG_KEPT
            or (code == 0xE2 and data.startswith(b"ICC_PROFILE\x00"))
            or (code == 0xEE and data.startswith(b"Adobe"))
        ):
            continue
        length = len(data) + 2
        if code == 0xDA:  # behind its header comes the scan
            length = view[start] << 8 | view[start + 1]
        parts.append(b"\xff" + bytes([code]) + struct.pack(">H", length) + data)
    return b"".join([*parts, b"\xff\xd9"])


# WebP

_WEBP_KEPT = frozenset((b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"))
_WEBP_FRAME_KEPT = frozenset((b"ALPH", b"VP8 ", b"VP8L"))
_HAS_XMP, _HAS_EXIF = 0x04, 0x08
_FRAME_HEAD_BYTES = 16


def _webp(view: memoryview) -> bytes:
    body = _riff(view, 12, 8 + int.from_bytes(view[4:8], "little"), _WEBP_KEPT)
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body


def _riff(view: memoryview, start: int, end: int, kept: frozenset[bytes]) -> bytes:
    parts = []
    for kind, begin, stop in structure.riff_chunks(view, start, end):
        if kind not in kept:
            continue
        data = bytes(view[begin:stop])
        if kind == b"VP8X":
            data = bytes([data[0] & ~(_HAS_XMP | _HAS_EXIF)]) + data[1:]
        elif kind == b"ANMF":
            inner = begin + _FRAME_HEAD_BYTES
            data = data[:_FRAME_HEAD_BYTES] + _riff(view, inner, stop, _WEBP_FRAME_KEPT)
        parts.append(struct.pack("<4sI", kind, len(data)) + data + b"\x00" * (len(data) & 1))
    return b"".join(parts)


# GIF

_GIF_MOST_LOOP = 32
_GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def _gif(view: memoryview) -> bytes:
    position = 13 + structure.colour_table_bytes(view[10])
    parts = [bytes(view[:position])]
    while view[position] != 0x3B:
        start = position
        if view[position] == 0x21:
            position, _ = structure.skip_sub_blocks(view, start + 2, 0)
            label = view[start + 1]
            # A loop's number takes a few bytes; more would be something else under its name.
            is_small = position - start <= _GIF_MOST_LOOP or bytes(view[start + 3 : start + 14]) == b"ICCRGBG1012"
            stays = label == 0xF9 or (label == 0xFF and is_small and bytes(view[start + 3 : start + 14]) in _GIF_KEPT)
        else:
            data = start + 10 + structure.colour_table_bytes(view[start + 9])
            position, _ = structure.skip_sub_blocks(view, data + 1, 0)
            stays = True
        if stays:
            parts.append(bytes(view[start:position]))
    return b"".join([*parts, b"\x3b"])


# AVIF

_EMPTY_EXIF = b"\x00\x00\x00\x00II*\x00\x08\x00\x00\x00" + bytes(6)
_EMPTY_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def _avif(view: memoryview) -> bytes:
    """Overwritten in place: every offset in the file stays right."""
    content = bytearray(view)
    packet = origin.packet(origin.source_type_in(bytes(view)))
    for kind, places in isobmff.metadata_items(view):
        is_exif = kind == b"Exif"
        room = sum(end - start for start, end in places)
        texts = (_EMPTY_EXIF,) if is_exif else (packet, _EMPTY_XMP) if kind == b"mime" else ()
        filling = next((text for text in texts if text and len(text) <= room), b"")
        filling = filling.ljust(room, b" " if kind == b"mime" else b"\x00")
        for start, end in places:
            content[start:end], filling = filling[: end - start], filling[end - start :]
    for start, end in isobmff.unused(view):
        content[start:end] = bytes(end - start)
    for box in isobmff.foreign_boxes(view):
        # The type of a box that everybody skips, over a body of nothing.
        content[box.head_end - 4 : box.head_end] = b"free"
        content[box.start : box.end] = bytes(box.end - box.start)
    return bytes(content)


_CLEANERS: dict[str, Callable[[memoryview], bytes]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "gif": _gif,
    "avif": _avif,
}
