"""Real pictures of any size, made quickly, and some that only pretend."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageFilter

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp"}


def picture(width: int, height: int, format: str = "png", *, mark: str = "", transparent: bool = False) -> bytes:
    """A valid picture of exactly this size. `format`: png, jpeg (jpg) or webp.

    `mark` picks one of eight brightnesses and is written into the comment, so that different marks mean different
    bytes (in WebP, which has no comment, mostly so). `transparent` gives it an alpha channel.
    """
    format = "jpeg" if format == "jpg" else format
    shade = zlib.crc32(mark.encode()) % 8
    plain = _picture(width, height, format, transparent, shade)
    if not mark or format == "webp":
        return plain
    return _with_png_comment(plain, mark) if format == "png" else _with_jpeg_comment(plain, mark)


def blurred(width: int, height: int, format: str) -> bytes:
    """What a service sends instead of a picture that its moderation did not like."""
    with Image.open(BytesIO(picture(64, 64, format))) as image:
        soft = image.convert("RGB").filter(ImageFilter.GaussianBlur(8)).resize((width, height))
    return _encoded(soft, format)


def cut(content: bytes) -> bytes:
    """The first half: a picture whose sender gave up."""
    return content[: len(content) // 2]


@lru_cache(maxsize=1)
def bomb(side_px: int = 10_000) -> bytes:
    """A valid PNG of some 12 kB that opens to side_px squared pixels (100 megapixels)."""
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)  # one bit per pixel, grey
    rows = bytes((1 + (side_px + 7) // 8) * side_px)
    data = zlib.compress(rows, 9)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


@lru_cache(maxsize=256)
def _picture(width: int, height: int, format: str, transparent: bool, shade: int) -> bytes:
    ramp = Image.linear_gradient("L")
    down = ramp.resize((width, height))
    across = ramp.transpose(Image.Transpose.ROTATE_90).resize((width, height))
    bands = [down, across, Image.new("L", (width, height), 96 + 16 * shade)]
    if transparent and format != "jpeg":
        return _encoded(Image.merge("RGBA", [*bands, across]), format)
    return _encoded(Image.merge("RGB", bands), format)


def _encoded(image: Image.Image, format: str) -> bytes:
    out = BytesIO()
    if format == "png":
        image.save(out, "PNG", compress_level=1)
    elif format == "jpeg":
        image.save(out, "JPEG", quality=80)
    else:
        image.save(out, "WEBP", quality=70, method=0)
    return out.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _with_png_comment(content: bytes, text: str) -> bytes:
    end = len(content) - 12  # the IEND chunk
    return content[:end] + _chunk(b"tEXt", b"Comment\x00" + text.encode("latin-1", "replace")) + content[end:]


def _with_jpeg_comment(content: bytes, text: str) -> bytes:
    data = text.encode("latin-1", "replace")
    return content[:2] + b"\xff\xfe" + struct.pack(">H", len(data) + 2) + data + content[2:]
