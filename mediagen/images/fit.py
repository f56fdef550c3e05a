"""Brings a picture to the size that was asked for, when the provider made another one."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mediagen.images.inspect import MAX_PIXELS, Picture, inspect

if TYPE_CHECKING:
    from PIL import Image

_QUALITY = 92
_QUALITY_AVIF = 85
"""another scale: as good to look at as 92 in JPEG"""
_ORIENTATION = 0x0112
_XMP_ORIENTATION = re.compile(rb"""\s*tiff:Orientation=(?:"\d"|'\d')|<tiff:Orientation>\s*\d\s*</tiff:Orientation>""")
_XMP_KEY_PNG = "XML:com.adobe.xmp"
_XMP_HEAD_JPEG = b"http://ns.adobe.com/xap/1.0/\x00"
_EXIF_HEAD = b"Exif\x00\x00"
_MAX_SEGMENT_BYTES = 65_533
"""of a JPEG segment, without its marker and length"""


def fit(
    content: bytes, picture: Picture, width: int, height: int, *, max_upscale: float = 2.0
) -> tuple[bytes, Picture, str]:
    """The content at `width` x `height` pixels, what it is now, and what was done.

    "as_asked": it has the size already and is returned unchanged. "resized": scaled; the aspect was the same, to
    within one source pixel. "resized_cropped": scaled to cover the size and cropped to the centre. "kept": unchanged
    and of another size, because it would have to be enlarged more than `max_upscale` times, is animated, would have
    more than 50 megapixels, or cannot be written by the Pillow of this installation.

    The format stays, lossless stays lossless, JPEG and WebP are written with quality 92. ICC profile, XMP and EXIF
    stay; an EXIF orientation is applied to the pixels and taken out. Raises `NotAPicture` when decoding fails.
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

    from mediagen.images import codecs

    if not codecs.can_read(picture.format):
        return kept
    with codecs.opened(content, picture) as source:
        # First of all: reading a PNG's EXIF decodes it too, and hides there that it cannot be decoded.
        source.load()
        exif, turn = _exif_and_turn(source)
        window, action = _window(*_turned(source.size, turn), width, height)
        if width > max_upscale * (window[2] - window[0]):
            return kept
        options = _save_options(source, picture, exif)
        upright = _resizable(source if turn is None else source.transpose(turn))
        # The gap lets Pillow average whole blocks first when it shrinks a lot; at 3 the difference cannot be seen.
        image = upright.resize((width, height), Resampling.LANCZOS, box=window, reducing_gap=3.0)
        if image.mode == "I":
            image = image.convert("I;16")  # clips; a PNG of mode "I" cannot be written by newer Pillows
    try:
        buffer = BytesIO()
        image.save(buffer, picture.format.upper(), **options)
    except Exception:  # an encoder's own limit (16,383 pixels for WebP), odd metadata: what we have is still good
        return kept
    fitted = buffer.getvalue()
    return fitted, inspect(fitted), action


def _turned(size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int]:
    from PIL.Image import Transpose

    sideways = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
    return size[::-1] if turn in sideways else size


def _window(
    source_width: int, source_height: int, width: int, height: int
) -> tuple[tuple[float, float, float, float], str]:
    """The part of the source that will be seen (left, top, right, bottom), and what to call it."""
    scale = max(width / source_width, height / source_height)
    seen_width, seen_height = min(source_width, width / scale), min(source_height, height / scale)
    if source_width - seen_width < 1 and source_height - seen_height < 1:
        return (0, 0, source_width, source_height), "resized"
    left, top = (source_width - seen_width) / 2, (source_height - seen_height) / 2
    return (left, top, left + seen_width, top + seen_height), "resized_cropped"


def _exif_and_turn(source: Image.Image) -> tuple[bytes, Image.Transpose | None]:
    """EXIF without its orientation, and how the pixels have to be turned for it."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        exif = source.getexif()
        turn = turns.get(exif.pop(_ORIENTATION, 1))
        return (exif.tobytes() if len(exif) else b""), turn
    except Exception:  # EXIF that Pillow cannot read or write back is no reason to refuse the picture
        return b"", None


def _xmp(source: Image.Image) -> bytes:
    """The XMP packet without an orientation, or nothing."""
    found = source.info.get("xmp") or source.info.get(_XMP_KEY_PNG) or b""
    if not found:  # Pillow before 11 leaves a JPEG's packet among the raw segments
        segments = [data for name, data in getattr(source, "applist", ()) if name == "APP1"]
        found = next((data[len(_XMP_HEAD_JPEG) :] for data in segments if data.startswith(_XMP_HEAD_JPEG)), b"")
    packet = found.encode() if isinstance(found, str) else bytes(found)
    return _XMP_ORIENTATION.sub(b"", packet)


def _save_options(source: Image.Image, picture: Picture, exif: bytes) -> dict[str, Any]:
    options: dict[str, Any] = {"exif": exif} if exif else {}
    if profile := source.info.get("icc_profile"):
        options["icc_profile"] = profile
    xmp = _xmp(source)
    if picture.format == "png":
        if xmp:
            from PIL.PngImagePlugin import PngInfo

            options["pnginfo"] = info = PngInfo()
            info.add_itxt(_XMP_KEY_PNG, xmp.decode("utf-8", "replace"))
    elif picture.format == "jpeg":
        from PIL.JpegImagePlugin import get_sampling

        options["quality"] = _QUALITY
        options["progressive"] = bool(source.info.get("progressive"))
        if get_sampling(source) == 0:
            options["subsampling"] = 0
        if len(exif) > _MAX_SEGMENT_BYTES - len(_EXIF_HEAD):
            del options["exif"]
        if xmp and len(segment := _XMP_HEAD_JPEG + xmp) <= _MAX_SEGMENT_BYTES:
            # By hand, because Pillow before 11 has no option for it in JPEG.
            options["extra"] = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    elif xmp:
        options["xmp"] = xmp
    if picture.format in ("webp", "avif"):
        options["quality"] = _QUALITY if picture.format == "webp" else _QUALITY_AVIF
    if picture.format == "webp" and picture.is_lossless:
        options |= {"lossless": True, "quality": 80}  # here "quality" is effort
    return options


def _resizable(image: Image.Image) -> Image.Image:
    """The image in a mode whose values can be averaged."""
    if image.mode == "1":
        return image.convert("L")
    if image.mode in ("P", "PA"):
        has_alpha = image.mode == "PA" or "transparency" in image.info or getattr(image.palette, "mode", "") == "RGBA"
        return image.convert("RGBA" if has_alpha else "RGB")
    if "transparency" in image.info and image.mode in ("L", "RGB"):
        return image.convert(image.mode + "A")
    # Not every Pillow since 10.1 resizes 16 bits.
    return image.convert("I") if image.mode == "I;16" else image
