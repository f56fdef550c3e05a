"""What a file says of itself beside its picture: text chunks of a PNG, EXIF. All of it is somebody's word."""

from __future__ import annotations

import zlib
from contextlib import suppress
from itertools import islice

from mediagen.errors import NotAPicture
from mediagen.images import codecs, png, recipes
from mediagen.images.picture import Picture

MOST_TEXTS, MOST_CHARACTERS = 20, 500
_XMP_TEXT = "XML:com.adobe.xmp"
_TAGS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x8298: "Copyright",
}
_GPS = 0x8825


def texts_in(content: bytes, picture: Picture) -> dict[str, str]:
    """A PNG's texts by their keywords, the beginning of each; {} for other formats. XMP is not among them."""
    found: dict[str, str] = {}
    if picture.format != "png":
        return found
    with memoryview(content) as view, suppress(NotAPicture):
        for kind, start, end in png.chunks(view):
            if kind not in (b"tEXt", b"zTXt", b"iTXt") or len(found) >= MOST_TEXTS:
                continue
            keyword, _, rest = bytes(view[start : min(end, start + recipes.MAX_CHUNK_BYTES)]).partition(b"\0")
            name = keyword.decode("latin-1")[:80]
            if name == _XMP_TEXT:
                continue
            with suppress(zlib.error):
                found.setdefault(_plain(name), _plain(recipes.unpacked(kind, rest)))
    return found


def exif_in(content: bytes, picture: Picture) -> dict[str, str]:
    """Who and what made it, by EXIF's own names; "GPS": "yes" where it says where. {} without any, or when it cannot be
    read here."""
    found: dict[str, str] = {}
    with suppress(NotAPicture):
        if not codecs.can_read(picture.format):
            return found
        with codecs.opened(content, picture) as image:
            exif = image.getexif()
            found = {name: _plain(str(exif[tag])) for tag, name in _TAGS.items() if exif.get(tag)}
            if exif.get(_GPS):
                found["GPS"] = "yes"
    return found


def _plain(text: str) -> str:
    """One that can be shown and stored: bounded, without what nobody can see."""
    shown = (char if char.isprintable() or char in "\n\t" else " " for char in islice(text, MOST_CHARACTERS))
    return "".join(shown).encode("utf-8", "replace").decode().strip()
