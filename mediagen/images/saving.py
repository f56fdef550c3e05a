"""How pictures are written back: what stays of what came with them, and how their pixels have to be turned."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mediagen.images.picture import Picture

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


def turned(size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int]:
    from PIL.Image import Transpose

    sideways = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
    return size[::-1] if turn in sideways else size


def exif_and_turn(source: Image.Image) -> tuple[bytes, Image.Transpose | None]:
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


def xmp_of(source: Image.Image) -> bytes:
    """The XMP packet without an orientation, or nothing."""
    found = source.info.get("xmp") or source.info.get(_XMP_KEY_PNG) or b""
    if not found:  # Pillow before 11 leaves a JPEG's packet among the raw segments
        segments = [data for name, data in getattr(source, "applist", ()) if name == "APP1"]
        found = next((data[len(_XMP_HEAD_JPEG) :] for data in segments if data.startswith(_XMP_HEAD_JPEG)), b"")
    packet = found.encode() if isinstance(found, str) else bytes(found)
    return _XMP_ORIENTATION.sub(b"", packet)


def xmp_options(format: str, xmp: bytes) -> dict[str, Any]:
    """What `Image.save` has to be told, so that the packet is in the file; nothing when the format has no room."""
    if not xmp:
        return {}
    if format == "png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt(_XMP_KEY_PNG, xmp.decode("utf-8", "replace"))
        return {"pnginfo": info}
    if format == "jpeg":
        segment = _XMP_HEAD_JPEG + xmp
        # By hand, because Pillow before 11 has no option for it in JPEG.
        head = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big")
        return {"extra": head + segment} if len(segment) <= _MAX_SEGMENT_BYTES else {}
    return {"xmp": xmp}


def save_options(source: Image.Image, picture: Picture, exif: bytes) -> dict[str, Any]:
    options: dict[str, Any] = {"exif": exif} if exif else {}
    options["icc_profile"] = profile_of(source)
    xmp = xmp_of(source)
    if picture.format == "jpeg":
        from PIL.JpegImagePlugin import get_sampling

        options |= xmp_options("jpeg", xmp)
        options["quality"] = _QUALITY
        options["progressive"] = bool(source.info.get("progressive"))
        if get_sampling(source) == 0:
            options["subsampling"] = 0
        if len(exif) > _MAX_SEGMENT_BYTES - len(_EXIF_HEAD):
            del options["exif"]
    else:
        options |= xmp_options(picture.format, xmp)
    if picture.format in ("webp", "avif"):
        options["quality"] = _QUALITY if picture.format == "webp" else _QUALITY_AVIF
    if picture.format == "webp" and picture.is_lossless:
        options |= {"lossless": True, "quality": 80}  # here "quality" is effort
    return options


def resizable(image: Image.Image) -> Image.Image:
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


# What the header of a colour profile (ICC.1, 7.2.6) calls the colours of a picture's mode; "RGB " for the others.
_MODELS = {"L": b"GRAY", "LA": b"GRAY", "I": b"GRAY", "I;16": b"GRAY", "1": b"GRAY", "CMYK": b"CMYK"}
_OTHER_MODELS = frozenset((b"RGB ", b"Lab ", b"XYZ ", b"Luv ", b"YCbr", b"Yxy ", b"HSV ", b"HLS ", b"CMY "))


def profile_of(source: Image.Image, mode: str | None = None) -> bytes | None:
    """The colour profile, when it is one for the picture's colours, or for those of the `mode` that it is saved in.

    To be given to `Image.save` also when it is None: else some of Pillow's writers take the one in `info`.
    """
    profile = source.info.get("icc_profile")
    if not isinstance(profile, bytes):
        return None
    model = profile[16:20]
    is_known = model in _OTHER_MODELS or model in _MODELS.values()
    return None if is_known and model != _MODELS.get(mode or source.mode, b"RGB ") else profile


def in_rgb(image: Image.Image, *, alpha: bool = False) -> Image.Image:
    """As RGB, or RGBA, of eight bits: from CMYK by its profile where that can be read, grey of 16 bits scaled down."""
    image = eight_bits(image)
    if image.mode == "CMYK" and (profile := profile_of(image)):
        from PIL import ImageCms

        try:
            found = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, found, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ImportError, TypeError):
            converted = None
        if converted is not None:
            converted.info.pop("icc_profile", None)
            return converted.convert("RGBA") if alpha else converted
    return image.convert("RGBA" if alpha else "RGB")


def eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of eight: no format but PNG has them, and no browser shows more."""
    if image.mode not in ("I", "I;16", "I;16B"):
        return image
    grey = image.convert("I").point(lambda value: value / 257).convert("L")
    grey.info.pop("transparency", None)  # one of 65,536 values, and 257 of them are the same now
    return grey
