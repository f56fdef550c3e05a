"""Makes the pictures of dry runs: real PNG files that say on their face that they are placeholders."""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from typing import TYPE_CHECKING

from mediagen.errors import InvalidRequest
from mediagen.images import card, colours, origin
from mediagen.types import MAX_SIDE_PX
from mediagen.wording import say as _

if TYPE_CHECKING:
    from PIL import Image

_FULL_SCALE_PIXELS = 24_000_000
"""larger pictures are drawn smaller and enlarged row by row while they are written, to bound the memory"""
_BAND_PIXELS = 4_000_000
_DESCRIPTION_CHARS = 1000
_SHAPES = ("quarter", "quarter", "disc", "triangle", "plain")


def placeholder(
    *,
    provider: str,
    prompt: str,
    width: int,
    height: int,
    operation: str = "generate_image",
    seed: int | None = None,
    variant: str = "",
    dry_run: bool = True,
) -> bytes:
    """A PNG of exactly `width` x `height` pixels (1 to 16,384 each) in place of a generated picture.

    The same arguments give the same bytes, in any process with the same Pillow and zlib; another prompt, provider,
    seed, operation or `variant` gives another picture. Its face shows PLACEHOLDER, "dry run" (or, live,
    that no provider delivered), the provider, the size
    and the beginning of the prompt, as far as there is room; characters that Pillow's font lacks become bars. Its text
    chunks are `mediagen` ("placeholder"), `mediagen:digest` (of all arguments) and `Description` (the prompt's first
    1,000 characters); its XMP says that a program drew it and no model. Raises `InvalidRequest` for another size.
    """
    for name, side in (("width", width), ("height", height)):
        if not 1 <= side <= MAX_SIDE_PX:
            raise InvalidRequest(
                _(
                    "%(name)s must be between 1 and %(max_side_px)s pixels, not %(side)s.",
                    name=name,
                    max_side_px=MAX_SIDE_PX,
                    side=side,
                ),
                field=name,
            )
    digest = digest_of(provider, prompt, operation, seed, variant, width, height)
    scheme = colours.scheme(digest_of(provider, prompt, operation, seed, variant))
    scale = math.ceil(math.sqrt(width * height / _FULL_SCALE_PIXELS))
    canvas = _pattern(scheme, -(-width // scale), -(-height // scale))
    facts = ["dry run" if dry_run else "no provider delivered", provider, f"{width} x {height}"]
    facts += [operation] if operation != "generate_image" else []
    facts += [f"seed {seed}"] if seed is not None else []
    facts += [variant] if variant else []
    card.draw(canvas, scheme, facts, prompt)
    description = prompt[:_DESCRIPTION_CHARS].replace("\x00", "").encode("utf-8", "replace")
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", scheme.palette),
            _chunk(b"tEXt", b"mediagen\x00placeholder"),
            _chunk(b"tEXt", b"mediagen:digest\x00" + digest.hex().encode()),
            _chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + origin.packet(origin.BY_PROGRAM)),
            # Keyword, no compression, no language, no translated keyword, text in UTF-8.
            _chunk(b"iTXt", b"Description\x00\x00\x00\x00\x00" + description),
            _chunk(b"IDAT", _compressed(canvas, width, height, scale)),
            _chunk(b"IEND", b""),
        )
    )


def digest_of(*parts: object) -> bytes:
    """Of the parts and of where each one ends, so that ("ab", "c") and ("a", "bc") differ; 32 bytes."""
    digest = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        digest.update(b"%d:%d:" % (part is None, len(data)) + data)
    return digest.digest()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))


def _compressed(canvas: Image.Image, width: int, height: int, scale: int) -> bytes:
    """The canvas's palette indices as a PNG's data: each row begins with a byte 0, "not filtered"."""
    from PIL import Image

    packer = zlib.compressobj(1)
    band_rows = max(1, _BAND_PIXELS // (width * scale))
    packed = []
    for top in range(0, canvas.height, band_rows):
        band = canvas.crop((0, top, canvas.width, min(top + band_rows, canvas.height)))
        if scale > 1:
            band = band.resize((band.width * scale, band.height * scale), Image.Resampling.NEAREST)
        rows = Image.new("L", (width + 1, min(band.height, height - top * scale)))
        rows.paste(band, (1, 0))
        packed.append(packer.compress(rows.tobytes()))
    packed.append(packer.flush())
    return b"".join(packed)


def _pattern(scheme: colours.Scheme, width: int, height: int) -> Image.Image:
    """Tiles with quarter discs, discs and triangles. A grey image whose values are palette indices."""
    from PIL import Image

    canvas = Image.new("L", (width, height), colours.FIRST_TONE)
    cell = max(16, math.ceil(min(width, height) / 6), math.ceil(max(width, height) / 48))
    columns, rows = math.ceil(width / cell), math.ceil(height / cell)
    choices = hashlib.shake_256(scheme.digest).digest(2 * columns * rows)
    tiles: dict[tuple[str, int, int], Image.Image] = {}
    for number in range(columns * rows):
        shape = _SHAPES[choices[2 * number] % len(_SHAPES)]
        if shape == "plain":
            continue
        # Bits that the shape was not chosen by: how it is turned, and between which two tones it lies.
        turn, pair = choices[2 * number + 1] & 3, colours.PAIR_CHOICES[choices[2 * number + 1] >> 2 & 15]
        key = (shape, turn if shape != "disc" else 0, pair)
        if key not in tiles:
            tiles[key] = _tile(*key, cell)
        canvas.paste(tiles[key], (number % columns * cell, number // columns * cell))
    return canvas


def _tile(shape: str, turn: int, pair: int, cell: int) -> Image.Image:
    from PIL import Image, ImageDraw

    fine = 4 if cell <= 200 else 2
    side = cell * fine
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    if shape == "quarter":
        draw.ellipse((-side, -side, side - 1, side - 1), fill=255)
    elif shape == "disc":
        inset = side // 5
        draw.ellipse((inset, inset, side - 1 - inset, side - 1 - inset), fill=255)
    else:
        draw.polygon(((0, 0), (side, 0), (0, side)), fill=255)
    if turn:
        mask = mask.transpose(
            (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)[turn - 1]
        )
    return mask.reduce(fine).point(colours.pair_table(pair))
