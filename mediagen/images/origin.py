"""Who made a picture, as the file itself says it: the IPTC's digital source type, in an XMP packet.

The pixels are not touched, and nothing is decoded. What a file says already stays as it is: it is the word of whoever
made it. https://cv.iptc.org/newscodes/digitalsourcetype/ has the words.
"""

from __future__ import annotations

import re
import struct
import zlib

from mediagen.errors import NotAPicture
from mediagen.images import credentials, isobmff, png, structure
from mediagen.images.picture import Picture

BY_MODEL = "trainedAlgorithmicMedia"
"""made by a model that was trained on other pictures"""
PARTLY_BY_MODEL = "compositeWithTrainedAlgorithmicMedia"
"""such a model changed a picture, or is in a part of it"""
BY_PROGRAM = "algorithmicMedia"
"""drawn by a program without such a model: our placeholders"""
MADE_BY_MODEL = (BY_MODEL, PARTLY_BY_MODEL)
VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_SOURCE_TYPE = re.compile(rb"cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,60})")
_DESCRIPTION = (
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{VOCABULARY}{{}}"/>'
)
_PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    "{}</rdf:RDF></x:xmpmeta>"
)
_END_OF_RDF = b"</rdf:RDF>"
_MOST_TEXT = 1024 * 1024


def packet(source_type: str) -> bytes:
    """An XMP packet that says this, and nothing else; b"" for ""."""
    return _PACKET.format(_DESCRIPTION.format(source_type)).encode() if source_type else b""


def source_type_in(content: bytes) -> str:
    """The digital source type that stands in a file, in XMP or in content credentials; "" without one."""
    found = _SOURCE_TYPE.search(content) or _SOURCE_TYPE.search(_packed_xmp(content))
    return found[1].decode() if found else ""


def marked(content: bytes, format: str, source_type: str) -> bytes:
    """The file, whose structure `inspect` has let pass, with the source type in its XMP; the very same when it has one,
    when it is signed (content credentials sign every byte), when `source_type` is "", or when it cannot be written.

    XMP that is there stays beside it. A WebP without an extended header gets one; an AVIF gets an item, or, when it
    moves, a box at its end.
    """
    if not source_type or source_type_in(content):
        return content
    try:
        if credentials.are_in(content, Picture(format, 0, 0, "", len(content))):
            return content
        with memoryview(content) as view:
            return _WRITERS[format](view, source_type)
    except (NotAPicture, struct.error, IndexError):
        return content


def _merged(there: bytes, source_type: str) -> bytes:
    """The packet that is there with one more statement, or one of our own when it cannot be told where to put it."""
    if there.count(_END_OF_RDF) != 1:
        return packet(source_type)
    before, end, behind = there.partition(_END_OF_RDF)
    return before + _DESCRIPTION.format(source_type).encode() + end + behind


# PNG

_XMP_TEXT = b"XML:com.adobe.xmp\x00"


def _packed_xmp(content: bytes) -> bytes:
    """XMP that a PNG keeps compressed; b"" without any."""
    start = content.find(b"iTXt" + _XMP_TEXT + b"\x01\x00")
    if start < 4 or not content.startswith(png.SIGNATURE):
        return b""
    length = int.from_bytes(content[start - 4 : start], "big")
    return _text_of(content[start + 4 : start + 4 + length])


def _text_of(data: bytes) -> bytes:
    """Of an iTXt chunk: keyword, flag, method, language, translated keyword, text."""
    is_packed = data[len(_XMP_TEXT) : len(_XMP_TEXT) + 1] == b"\x01"
    parts = data[len(_XMP_TEXT) + 2 :].split(b"\x00", 2)
    if len(parts) < 3:
        return b""
    try:
        return zlib.decompressobj().decompress(parts[2], _MOST_TEXT) if is_packed else parts[2]
    except zlib.error:
        return b""


def _png(view: memoryview, source_type: str) -> bytes:
    there, header_end = b"", 8 + 25
    rest: list[memoryview] = []
    if bytes(view).find(b"iTXt" + _XMP_TEXT) < 0:
        rest = [view[header_end:]]
    else:
        for kind, start, end in png.chunks(view):
            if kind == b"iTXt" and bytes(view[start : start + len(_XMP_TEXT)]) == _XMP_TEXT:
                there = _text_of(bytes(view[start:end]))
            elif kind != b"IHDR":
                rest.append(view[start - 8 : end + 4])
    body = b"iTXt" + _XMP_TEXT + b"\x00\x00\x00\x00" + _merged(there, source_type)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return b"".join((view[:header_end], chunk, *rest))


# JPEG

_XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\x00"
_MAX_SEGMENT_BYTES = 65_533
_PADDING = re.compile(rb"\s{64,}")


def _jpeg(view: memoryview, source_type: str) -> bytes:
    there, kept, place = b"", [], 2
    position = 2
    for code, start, end in structure.jpeg_segments(view):
        if code == 0xE1 and bytes(view[start + 2 : start + 2 + len(_XMP_HEAD)]) == _XMP_HEAD:
            there = bytes(view[start + 2 + len(_XMP_HEAD) : end])
        else:
            kept.append(view[position:end])
            # JFIF and Exif come first.
            if code in (0xE0, 0xE1):
                place = len(kept)
        position = end
    place = place if any(kept) and place <= len(kept) else 0
    text = _PADDING.sub(b"\n", _merged(there, source_type))
    if len(_XMP_HEAD) + len(text) > _MAX_SEGMENT_BYTES:
        text = packet(source_type)
    segment = b"\xff\xe1" + struct.pack(">H", len(_XMP_HEAD) + len(text) + 2) + _XMP_HEAD + text
    return b"".join((view[:2], *kept[:place], segment, *kept[place:], view[position:]))


# WebP

_HAS_XMP, _HAS_ALPHA = 0x04, 0x10


def _webp(view: memoryview, source_type: str) -> bytes:
    end = 8 + int.from_bytes(view[4:8], "little")
    there, chunks = b"", []
    for kind, start, stop in structure.riff_chunks(view, 12, end):
        if kind == b"XMP ":
            there = bytes(view[start:stop])
        else:
            chunks.append((kind, bytes(view[start:stop])))
    if chunks[0][0] == b"VP8X":
        head = chunks[0][1]
        chunks[0] = (b"VP8X", bytes([head[0] | _HAS_XMP]) + head[1:])
    else:
        # Only the extended form has room for XMP.
        shape = structure.read_webp(view, 2**32)
        sides = (shape.width - 1).to_bytes(3, "little") + (shape.height - 1).to_bytes(3, "little")
        chunks.insert(0, (b"VP8X", bytes([_HAS_XMP | (_HAS_ALPHA if shape.has_alpha else 0), 0, 0, 0]) + sides))
    chunks.append((b"XMP ", _merged(there, source_type)))
    body = b"".join(struct.pack("<4sI", kind, len(data)) + data + b"\x00" * (len(data) & 1) for kind, data in chunks)
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body


# GIF

GIF_XMP = b"XMP DataXMP"
_MAGIC_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
"""wherever a reader that takes the text for blocks lands, it is led to their end (XMP specification, part 3, 1.1.2)"""


def _gif(view: memoryview, source_type: str) -> bytes:
    start = 13 + structure.colour_table_bytes(view[10])
    extension = b"\x21\xff\x0b" + GIF_XMP + packet(source_type) + _MAGIC_TRAILER
    return b"".join((b"GIF89a", view[6:start], extension, view[start:]))


# AVIF

_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _avif(view: memoryview, source_type: str) -> bytes:
    top = list(isobmff.boxes(view, 0, len(view), at_top=True))
    end = top[-1].end
    if top[-1].is_open:
        return bytes(view)
    text = _merged(isobmff.xmp_of(view), source_type)
    if any(box.kind == b"moov" for box in top):
        # A film's tables name places in the file too: nothing before them may move.
        return b"".join((view[:end], _box(b"uuid", _XMP_UUID + text)))
    return isobmff.with_xmp(view, text) or b"".join((view[:end], _box(b"uuid", _XMP_UUID + text)))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


_WRITERS = {"png": _png, "jpeg": _jpeg, "webp": _webp, "gif": _gif, "avif": _avif}
