"""Pictures for tests: whole ones of every format, broken ones, and things that only look like pictures.

Every function gives the same bytes for the same arguments. Sizes in pixels.
"""

from __future__ import annotations

import random
import struct
import zlib
from functools import lru_cache
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, features

FORMATS = ("png", "jpeg", "webp", "avif", "gif")


def avif_is_supported() -> bool:
    return "avif" in features.modules and bool(features.check("avif"))


@lru_cache(maxsize=64)
def image(width: int = 64, height: int = 48, mode: str = "RGB", seed: int = 1) -> Image.Image:
    """Smooth colours with some noise, so that no encoder makes it tiny. Do not change it: it is shared."""
    chance = random.Random(f"{seed}")
    bands = []
    for _ in Image.new(mode, (1, 1)).getbands():
        small = Image.frombytes("L", (8, 8), chance.randbytes(64))
        noise = Image.frombytes("L", (width, height), chance.randbytes(width * height))
        bands.append(Image.blend(small.resize((width, height), Image.Resampling.BICUBIC), noise, 0.15))
    return bands[0] if len(bands) == 1 else Image.merge(mode, bands)


def encode(picture: Image.Image, format: str, **options: Any) -> bytes:
    """Saved by Pillow; skips the test when this Pillow cannot write AVIF."""
    if format == "avif" and not avif_is_supported():
        pytest.skip("this Pillow has no AVIF")
    buffer = BytesIO()
    picture.save(buffer, format.upper(), **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(width: int = 64, height: int = 48, *, mode: str = "RGB", seed: int = 1, **options: Any) -> bytes:
    return encode(image(width, height, mode, seed), "png", **options)


def jpeg(width: int = 64, height: int = 48, *, mode: str = "RGB", seed: int = 1, **options: Any) -> bytes:
    return encode(image(width, height, mode, seed), "jpeg", **options)


def webp(width: int = 64, height: int = 48, *, mode: str = "RGB", seed: int = 1, **options: Any) -> bytes:
    return encode(image(width, height, mode, seed), "webp", **options)


def avif(width: int = 64, height: int = 48, *, mode: str = "RGB", seed: int = 1, **options: Any) -> bytes:
    return encode(image(width, height, mode, seed), "avif", speed=10, **options)


def gif(width: int = 64, height: int = 48, *, mode: str = "L", seed: int = 1, **options: Any) -> bytes:
    return encode(image(width, height, mode, seed), "gif", **options)


def picture(format: str, width: int = 64, height: int = 48, **options: Any) -> bytes:
    """A whole picture in any of `FORMATS`."""
    return {"png": png, "jpeg": jpeg, "webp": webp, "avif": avif, "gif": gif}[format](width, height, **options)


def animation(format: str, width: int = 32, height: int = 24, frames: int = 3, **options: Any) -> bytes:
    """Some frames in "png", "webp", "avif" or "gif"."""
    first, *rest = (image(width, height, "RGB", seed) for seed in range(1, frames + 1))
    return encode(first, format, save_all=True, append_images=rest, duration=100, **options)


def truncated(content: bytes, keep: float = 0.5) -> bytes:
    """The first part of `content`; `keep` is a fraction of its length."""
    return content[: int(len(content) * keep)]


@lru_cache(maxsize=4)
def bomb_png(width: int = 20_000, height: int = 20_000) -> bytes:
    """A valid black PNG: many pixels (400 megapixels by default), few bytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.compress(row * (height % 100))
    return png_header(width, height, 1, 0) + png_chunk(b"IDAT", data + packer.flush()) + png_chunk(b"IEND")


def undecodable_png(width: int = 64, height: int = 48) -> bytes:
    """Every chunk and checksum is right, and the compressed pixels are nonsense."""
    nonsense = b"\x78\x9c" + random.Random(7).randbytes(400)
    return png_header(width, height) + png_chunk(b"IDAT", nonsense) + png_chunk(b"IEND")


def html(title: str = "502 Bad Gateway") -> bytes:
    return f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>{title}</body></html>\n".encode()


def svg(width: int = 64, height: int = 48) -> bytes:
    return (
        f'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        "<script>alert(1)</script></svg>"
    ).encode()


def json() -> bytes:
    return b'{"error": {"message": "The server had an error", "code": null}}'


def zip_archive() -> bytes:
    """A ZIP archive with one small file, as a polyglot has it behind its picture."""
    import zipfile

    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("run.js", (2026, 1, 1, 0, 0, 0)), "alert(1)")
    return buffer.getvalue()


def polyglot(format: str = "png", payload: bytes | None = None) -> bytes:
    """A whole picture with something else behind its end, a ZIP archive if nothing is given."""
    return picture(format) + (zip_archive() if payload is None else payload)
