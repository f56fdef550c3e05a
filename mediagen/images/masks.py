"""Masks: which part of a picture may change, in the two ways in which services want it said.

A mask with transparent parts means those parts; one without means its white ones.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

from mediagen.errors import InvalidRequest
from mediagen.wording import say as _


def opened(content: bytes, size: tuple[int, int]) -> Image.Image:
    """Grey, of this size (pixels), white where the picture may change. `InvalidRequest` for what is no picture."""
    from PIL import Image

    try:
        with Image.open(BytesIO(content)) as source:
            source.load()
            has_alpha = "A" in source.getbands() or "transparency" in source.info
            alpha = source.convert("RGBA").getchannel("A") if has_alpha else None
            grey = source.convert("L")
    except Exception as exc:  # Pillow raises many kinds
        raise InvalidRequest(
            _("The mask is no picture that can be read (%(name)s).", name=type(exc).__name__), field="mask"
        ) from None
    if alpha is not None and alpha.getextrema() != (255, 255):
        grey = alpha.point(lambda value: 255 - value)
    return grey if grey.size == size else grey.resize(size)


def in_white(content: bytes, size: tuple[int, int]) -> bytes:
    """As a grey PNG that is white where the picture may change, black elsewhere."""
    return _png(opened(content, size))


def in_alpha(content: bytes, size: tuple[int, int]) -> bytes:
    """As a PNG that is transparent where the picture may change."""
    from PIL import Image

    white = opened(content, size)
    mask = Image.new("RGBA", size)
    mask.putalpha(white.point(lambda value: 255 - value))
    return _png(mask)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
