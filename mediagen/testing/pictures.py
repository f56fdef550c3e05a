"""Real pictures of any size, made in less than a millisecond."""

from __future__ import annotations

import hashlib
import struct
import zlib
from functools import lru_cache


def png(width: int, height: int, *, mark: str = "") -> bytes:
    """A whole PNG of width x height pixels in one colour, which `mark` decides: other marks, other bytes."""
    colour = hashlib.sha256(mark.encode()).digest()[:3]
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)  # one bit a pixel, into a palette
    chunks = ((b"IHDR", header), (b"PLTE", colour), (b"IDAT", _rows(width, height)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


@lru_cache(maxsize=64)
def _rows(width: int, height: int) -> bytes:
    return zlib.compress(bytes((1 + (width + 7) // 8) * height), 1)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
