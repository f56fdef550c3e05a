"""Pictures of a wanted number of bytes."""

from __future__ import annotations

import random
import struct
import zlib

ROOM_BYTES = 8 * 1024
"""for what stands around the noise: header, the flat rows, the filling"""


def png(size_bytes: int, width: int = 1024, height: int = 1024) -> bytes:
    """A whole RGB PNG of exactly `size_bytes`: some rows of noise, the rest one colour.

    ValueError when it cannot be so small or so large.
    """
    row_bytes = 1 + 3 * width
    noisy = max(0, (size_bytes - ROOM_BYTES) // row_bytes)
    if noisy > height:
        raise ValueError(f"a picture of {width}x{height} pixels has no {size_bytes:,} bytes")
    chance = random.Random(1)
    rows = b"".join(b"\x00" + chance.randbytes(row_bytes - 1) for _ in range(noisy))
    rows += (b"\x00" + b"\x40\x80\xc0" * width) * (height - noisy)
    before = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows, 6))
    )
    after = _chunk(b"IEND")
    filling = size_bytes - len(before) - len(after) - len(_chunk(b"fiLl"))
    if filling < 0:
        raise ValueError(f"a picture of {width}x{height} pixels needs more than {size_bytes:,} bytes")
    return before + _chunk(b"fiLl", bytes(filling)) + after


def _chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
