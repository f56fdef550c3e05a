"""Takes out of a picture what is nobody's business: where it was made, by whose camera, whose name is in it.

The pixels are not touched: parts of the file are left out, or overwritten where others count on their places. What
stays is what a picture needs to look right (colour profile, transparency, animation), and the one public statement of
its origin, the IPTC digital source type ("made by a model").
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from io import BytesIO

from mediagen.images import codecs, isobmff, png, saving, structure
from mediagen.images.inspect import inspect
from mediagen.images.picture import Picture

_SOURCE_TYPE = re.compile(rb"cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,60})")
_PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{}"/></rdf:RDF></x:xmpmeta>'
)


def source_type_packet(content: bytes) -> bytes:
    """An XMP packet with the digital source type that stands in the picture, and nothing else; b"" without one."""
    found = _SOURCE_TYPE.search(content)
    return _PACKET.format(found[1].decode()).encode() if found else b""


def cleaned(content: bytes, picture: Picture) -> bytes:
    """The picture without EXIF, XMP, IPTC, comments, dates, thumbnails and appended pictures; the pixels as they are.

    Turn it `upright` before: the orientation goes too. Raises `NotAPicture` when its parts do not fit together.
    """
    with memoryview(content) as view:
        return _CLEANERS[picture.format](view, source_type_packet(content))


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


def _png(view: memoryview, packet: bytes) -> bytes:
    parts = [png.SIGNATURE]
    for kind, start, end in png.chunks(view):
        if kind in _PNG_KEPT:
            parts.append(bytes(view[start - 8 : end + 4]))
        if kind == b"IHDR" and packet:
            body = b"iTXtXML:com.adobe.xmp\x00\x00\x00\x00\x00" + packet
            parts.append(struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)))
    return b"".join(parts)


# JPEG

_ANY_SIZE = 2**32
"""pixels; `inspect` has looked at them"""
_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\x00"


def _jpeg(view: memoryview, packet: bytes) -> bytes:
    end, _ = structure.walk_jpeg(view, 0, _ANY_SIZE)
    parts, position = [b"\xff\xd8"], 2
    # APP0 has to come first, so the packet stands before the first part that is not an application's.
    segment = _XMP_HEAD + packet
    rest = b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment if packet else b""
    for code, start, position in structure.jpeg_segments(view):
        if _jpeg_segment_stays(code, bytes(view[start + 2 : min(position, start + 16)])):
            if not 0xE0 <= code <= 0xEF:
                parts, rest = [*parts, rest], b""
            parts.append(b"\xff" + bytes(view[start - 1 : position]))
    return b"".join([*parts, rest, bytes(view[position:end])])


def _jpeg_segment_stays(code: int, head: bytes) -> bool:
    if code == 0xE0:
        return head.startswith(b"JFIF\x00")  # and no JFXX, which is a thumbnail
    if code == 0xE2:
        return head.startswith(b"ICC_PROFILE\x00")
    if code == 0xEE:
        return head.startswith(b"Adobe")
    return not (0xE1 <= code <= 0xEF or code == 0xFE)


# WebP

_WEBP_KEPT = frozenset((b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"))
_HAS_XMP, _HAS_EXIF = 0x04, 0x08


def _webp(view: memoryview, packet: bytes) -> bytes:
    end = 8 + int.from_bytes(view[4:8], "little")
    chunks = []
    for kind, start, stop in structure.riff_chunks(view, 12, end):
        data = bytes(view[start:stop])
        if kind == b"VP8X":
            flags = data[0] & ~(_HAS_XMP | _HAS_EXIF) | (_HAS_XMP if packet else 0)
            data = bytes([flags]) + data[1:]
        if kind in _WEBP_KEPT:
            chunks.append((kind, data))
    if packet and chunks[0][0] == b"VP8X":
        chunks.append((b"XMP ", packet))
    body = b"".join(struct.pack("<4sI", kind, len(data)) + data + b"\x00" * (len(data) & 1) for kind, data in chunks)
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body


# GIF

_GIF_KEPT = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def _gif(view: memoryview, packet: bytes) -> bytes:
    position = 13 + structure.colour_table_bytes(view[10])
    parts = [bytes(view[:position])]
    while view[position] != 0x3B:
        start = position
        if view[position] == 0x21:
            position, _ = structure.skip_sub_blocks(view, start + 2, 0)
            label = view[start + 1]
            stays = label == 0xF9 or (label == 0xFF and bytes(view[start + 3 : start + 14]) in _GIF_KEPT)
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


def _avif(view: memoryview, packet: bytes) -> bytes:
    """Overwritten in place: every offset in the file stays right."""
    content = bytearray(view)
    for kind, places in isobmff.metadata_items(view):
        is_exif = kind == b"Exif"
        room = sum(end - start for start, end in places)
        filling = next(
            (text for text in ((_EMPTY_EXIF,) if is_exif else (packet, _EMPTY_XMP)) if text and len(text) <= room), b""
        )
        filling = filling.ljust(room, b"\x00" if is_exif else b" ")
        for start, end in places:
            content[start:end], filling = filling[: end - start], filling[end - start :]
    return bytes(content)


_CLEANERS: dict[str, Callable[[memoryview, bytes], bytes]] = {
    "png": _png,
    "jpeg": _jpeg,
    "webp": _webp,
    "gif": _gif,
    "avif": _avif,
}
