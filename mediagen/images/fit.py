"""Brings a picture to the size that was asked for, when the provider made another one."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from mediagen.images import codecs, origin, png
from mediagen.images.credentials import lost_by_writing
from mediagen.images.inspect import MAX_PIXELS, inspect
from mediagen.images.picture import Picture
from mediagen.images.saving import exif_and_turn, resizable, save_options, turned

XMP_TEXT = "XML:com.adobe.xmp"
"""the text chunk that stays"""


def fit(
    content: bytes, picture: Picture, width: int, height: int, *, max_upscale: float = 2.0
) -> tuple[bytes, Picture, str]:
    """The content at `width` x `height` pixels, what it is now, and what was done.

    "as_asked": it has the size already and is returned unchanged. "resized": scaled; the aspect was the same, to
    within one source pixel. "resized_cropped": scaled to cover the size and cropped to the centre. "kept": unchanged
    and of another size, because it would have to be enlarged more than `max_upscale` times, is animated, would have
    more than 50 megapixels, or cannot be written by the Pillow of this installation.

    The format stays, lossless stays lossless, JPEG and WebP are written with quality 92. ICC profile, XMP and EXIF
    stay; an EXIF orientation is applied to the pixels and taken out. Content credentials
    (C2PA) go, and `Picture.left_out` says so. Raises `NotAPicture` when decoding fails.
    """
    if (picture.width, picture.height) == (width, height):
        return content, picture, "as_asked"
    kept = content, picture, "kept"
    if picture.is_animated or min(width, height) < 1 or width * height > MAX_PIXELS:
        return kept
    sides = sorted((picture.width, picture.height)), sorted((width, height))
    if any(asked > max_upscale * stored for stored, asked in zip(*sides, strict=True)):
        return kept  # however it may be turned
    from PIL.Image import Resampling

    if not codecs.can_read(picture.format):
        return kept
    with codecs.opened(content, picture) as source:
        # First of all: reading a PNG's EXIF decodes it too, and hides there that it cannot be decoded.
        source.load()
        exif, turn = exif_and_turn(source)
        seen, action = window(*turned(source.size, turn), width, height)
        if width > max_upscale * (seen[2] - seen[0]):
            return kept
        options = save_options(source, picture, exif)
        upright = resizable(source if turn is None else source.transpose(turn))
        # The gap lets Pillow average whole blocks first when it shrinks a lot; at 3 the difference cannot be seen.
        image = upright.resize((width, height), Resampling.LANCZOS, box=seen, reducing_gap=3.0)
        if image.mode == "I":
            image = image.convert("I;16")  # clips; a PNG of mode "I" cannot be written by newer Pillows
    try:
        buffer = BytesIO()
        image.save(buffer, picture.format.upper(), **options)
    except Exception:  # an encoder's own limit (16,383 pixels for WebP), odd metadata: what we have is still good
        return kept
    fitted = origin.marked(buffer.getvalue(), picture.format, origin.source_type_in(content))
    left_out = picture.left_out + lost_by_writing(content, picture) + _texts_lost(content, picture)
    return fitted, replace(inspect(fitted), left_out=left_out), action


def _texts_lost(content: bytes, picture: Picture) -> tuple[str, ...]:
    """The text chunks of a PNG, which are not written again: programs put their settings into them."""
    if picture.format != "png":
        return ()
    with memoryview(content) as view:
        names = [
            bytes(view[start : min(end, start + 80)]).partition(b"\0")[0].decode("latin-1")
            for kind, start, end in png.chunks(view)
            if kind in (b"tEXt", b"zTXt", b"iTXt")
        ]
    shown = [name for name in dict.fromkeys(names) if name != XMP_TEXT and name.isprintable()]
    return (f"its texts ({', '.join(shown[:8])})",) if shown else ()


def window(
    source_width: int, source_height: int, width: int, height: int
) -> tuple[tuple[float, float, float, float], str]:
    """The part of the source that will be seen (left, top, right, bottom), and what to call it."""
    scale = max(width / source_width, height / source_height)
    seen_width, seen_height = min(source_width, width / scale), min(source_height, height / scale)
    if source_width - seen_width < 1 and source_height - seen_height < 1:
        return (0, 0, source_width, source_height), "resized"
    left, top = (source_width - seen_width) / 2, (source_height - seen_height) / 2
    return (left, top, left + seen_width, top + seen_height), "resized_cropped"
