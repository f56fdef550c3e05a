"""Pillow, opened by format: no guessing, and no limit that another part of the process may have set for all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING

from mediagen.errors import NotAPicture
from mediagen.images import png
from mediagen.images.picture import Picture
from mediagen.wording import say as _

if TYPE_CHECKING:
    from PIL import ImageFile

_CODECS = {"png": "zlib", "jpeg": "jpg", "webp": "webp", "avif": "avif", "gif": ""}
_IMAGE_CLASSES = {
    "png": ("PIL.PngImagePlugin", "PngImageFile"),
    "jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
}


def can_read(name: str) -> bool:
    """Whether the Pillow of this installation has the codec for a format; the same answer holds for writing."""
    from PIL import features

    codec = _CODECS[name]
    # `features.check` warns about names that an older Pillow does not know, so ask only for known ones.
    return not codec or (codec in {*features.modules, *features.codecs} and bool(features.check(codec)))


@contextmanager
def opened(content: bytes | bytearray | memoryview, picture: Picture) -> Iterator[ImageFile.ImageFile]:
    """The picture opened with the one decoder of its format. Whatever goes wrong inside becomes `NotAPicture`."""
    from PIL import Image

    module, name = _IMAGE_CLASSES[picture.format]
    # The class itself and not Image.open: that compares with the process-wide MAX_IMAGE_PIXELS, which cannot be
    # changed for one picture, and tries every decoder there is. `inspect` has limited the pixels before.
    image_class: type[ImageFile.ImageFile] = getattr(import_module(module), name)
    if picture.format == "png":
        content = png.without_large_texts(content)
    try:
        with image_class(BytesIO(content)) as image:
            yield image
    except NotAPicture:
        raise
    except Image.DecompressionBombError as exc:
        raise NotAPicture(
            _(
                "Pillow refuses the %(format)s of %(width)sx%(height)s pixels. Use a smaller "
                "picture, or raise PIL.Image.MAX_IMAGE_PIXELS.",
                format=picture.format.upper(),
                width=picture.width,
                height=picture.height,
            )
        ) from exc
    except Exception as exc:  # decoders raise nearly anything for hostile bytes: struct.error, KeyError, SyntaxError
        raise NotAPicture(
            _(
                "The %(format)s cannot be decoded (%(name)s: %(value)s). Fetch or upload it again, "
                "or save it anew from an image editor.",
                format=picture.format.upper(),
                name=type(exc).__name__,
                value=str(exc)[:200],
            )
        ) from exc
