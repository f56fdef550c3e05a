"""Every kind of file that Pillow can write in the five formats, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests import pictures

_SIZE = (41, 23)  # odd on purpose: chunks get padding bytes, chroma gets half pixels
_PROFILE = bytes(range(256)) * 2
_XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF/></x:xmpmeta>"


def _exif_with_thumbnail() -> bytes:
    """EXIF whose thumbnail is a whole JPEG, with an end marker of its own."""
    return b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00" + pictures.jpeg(16, 16)


def _text() -> PngInfo:
    info = PngInfo()
    info.add_text("Comment", "a text chunk")
    info.add_itxt("Title", "ein Titel mit ü")
    return info


def _palette() -> Image.Image:
    return pictures.image(*_SIZE).quantize(32)


def _two_jpegs() -> bytes:
    """As phones write it: the picture, then another one with a gain map."""
    return pictures.jpeg(*_SIZE) + pictures.jpeg(16, 16, mode="L")


_BUILDERS: dict[str, Callable[[], bytes]] = {
    "png": lambda: pictures.png(*_SIZE),
    "png-rgba": lambda: pictures.png(*_SIZE, mode="RGBA"),
    "png-grey": lambda: pictures.png(*_SIZE, mode="L"),
    "png-grey-alpha": lambda: pictures.png(*_SIZE, mode="LA"),
    "png-black-and-white": lambda: pictures.encode(pictures.image(*_SIZE).convert("1"), "png"),
    "png-16-bit": lambda: pictures.encode(Image.new("I;16", _SIZE, 40_000), "png"),
    "png-palette": lambda: pictures.encode(_palette(), "png"),
    "png-transparent-colour": lambda: pictures.encode(_palette(), "png", transparency=3),
    "png-with-text": lambda: pictures.png(*_SIZE, pnginfo=_text(), icc_profile=_PROFILE),
    "png-animated": lambda: pictures.animation("png", *_SIZE),
    "jpeg": lambda: pictures.jpeg(*_SIZE),
    "jpeg-grey": lambda: pictures.jpeg(*_SIZE, mode="L"),
    "jpeg-cmyk": lambda: pictures.jpeg(*_SIZE, mode="CMYK"),
    "jpeg-progressive": lambda: pictures.jpeg(*_SIZE, progressive=True),
    "jpeg-444": lambda: pictures.jpeg(*_SIZE, subsampling=0, quality=98),
    "jpeg-with-metadata": lambda: pictures.jpeg(
        *_SIZE, icc_profile=_PROFILE, exif=_exif_with_thumbnail(), comment="hi"
    ),
    "webp": lambda: pictures.webp(*_SIZE),
    "webp-lossless": lambda: pictures.webp(*_SIZE, lossless=True),
    "webp-alpha": lambda: pictures.webp(*_SIZE, mode="RGBA"),
    "webp-lossless-alpha": lambda: pictures.webp(*_SIZE, mode="RGBA", lossless=True),
    "webp-with-metadata": lambda: pictures.webp(*_SIZE, icc_profile=_PROFILE, xmp=_XMP),
    "webp-animated": lambda: pictures.animation("webp", *_SIZE),
    "webp-animated-lossless": lambda: pictures.animation("webp", *_SIZE, lossless=True),
    "avif": lambda: pictures.avif(*_SIZE),
    "avif-alpha": lambda: pictures.avif(*_SIZE, mode="RGBA"),
    "avif-with-metadata": lambda: pictures.avif(*_SIZE, icc_profile=_PROFILE, xmp=_XMP),
    "avif-animated": lambda: pictures.animation("avif", *_SIZE),
    "gif": lambda: pictures.gif(*_SIZE),
    "gif-colours": lambda: pictures.encode(_palette(), "gif", comment=b"hello"),
    "gif-transparent": lambda: pictures.encode(_palette(), "gif", transparency=3),
    "gif-animated": lambda: pictures.animation("gif", *_SIZE),
    # In no way cut off, but their beginning is a whole picture by itself, so not in SAMPLES:
    "jpeg-two": _two_jpegs,
}
SAMPLES = tuple(name for name in _BUILDERS if name != "jpeg-two")


@cache
def _built(name: str) -> bytes:
    return _BUILDERS[name]()


def sample(name: str) -> tuple[bytes, str, tuple[int, int]]:
    """Content, format and size."""
    return _built(name), name.split("-")[0], _SIZE
