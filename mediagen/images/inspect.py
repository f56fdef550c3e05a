"""What the bytes of a picture really are, found out from their structure: no decoding, no Pillow, no copies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from mediagen.errors import NotAPicture
from mediagen.images import foreign, isobmff, structure

MAX_PIXELS = 50_000_000
MAX_BYTES = 100 * 1024 * 1024

_MIME = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif", "gif": "image/gif"}
_READERS: dict[str, Callable[[memoryview, int], structure.Shape]] = {
    "png": structure.read_png,
    "jpeg": structure.read_jpeg,
    "webp": structure.read_webp,
    "avif": isobmff.read_avif,
    "gif": structure.read_gif,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose structure has been checked.

    `width` and `height` in pixels as stored: a JPEG's EXIF orientation is not applied. `sha256` is the hex digest of
    the content, `size_bytes` its length.
    """

    format: str
    """"png", "jpeg", "webp", "avif" or "gif" """
    width: int
    height: int
    sha256: str
    size_bytes: int
    has_alpha: bool = False
    """it declares transparency; whether any pixel uses it is not looked at"""
    is_animated: bool = False
    is_lossless: bool = False

    @property
    def mime(self) -> str:
        return _MIME[self.format]

    @property
    def extension(self) -> str:
        """Without the dot."""
        return "jpg" if self.format == "jpeg" else self.format


def inspect(
    content: bytes | bytearray | memoryview, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> Picture:
    """The picture that `content` is: whole, of a format we accept, within the limits.

    Raises `NotAPicture` with what the bytes are instead: empty, an HTML page, JSON, SVG, cut off at a byte, too large.
    Checked are the container, its checksums and lengths, and that nothing follows the end (up to 64 bytes of NUL,
    0xFF, space or newline are let pass). Not checked is whether the pixels can be decoded: see `decode_check`.
    """
    with memoryview(content) as whole:
        if whole.nbytes > max_bytes:
            raise NotAPicture(
                f"The content has {whole.nbytes:,} bytes, over the limit of {max_bytes:,}."
                " Use a smaller picture, or raise the limit."
            )
        flat = whole if whole.c_contiguous else memoryview(bytes(whole))
        view = flat if flat.format == "B" and flat.ndim == 1 else flat.cast("B")
        name = _format_of(view)
        if not name:
            raise NotAPicture(f"The content is {foreign.describe(view)}, and no PNG, JPEG, WebP, AVIF or GIF picture.")
        shape = _READERS[name](view, max_pixels)
        digest = hashlib.sha256(view, usedforsecurity=False).hexdigest()
        return Picture(name, shape.width, shape.height, digest, len(view), *shape[2:])


def _format_of(view: memoryview) -> str:
    """A format's name, or "". Bytes that are only the beginning of a signature count, to be called cut off."""
    head = bytes(view[:12])
    if len(head) >= 4 and structure.PNG_SIGNATURE.startswith(head[:8]):
        return "png"
    if head.startswith(structure.JPEG_START):
        return "jpeg"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if not {b"avif", b"avis"}.isdisjoint(isobmff.brands(view)):
        return "avif"
    return ""


def decode_check(content: bytes | bytearray | memoryview, picture: Picture, *, max_pixels: int = MAX_PIXELS) -> bool:
    """Decode every pixel with Pillow; raises `NotAPicture` when that fails or gives another size.

    For what people upload, and for those who do not trust a provider: it costs ten to a hundred times what `inspect`
    does. Of an animation, frames are decoded until `max_pixels` have been. Our limit takes the place of Pillow's own,
    `PIL.Image.MAX_IMAGE_PIXELS` (but for WebP above twice that, which Pillow itself refuses). False, and nothing
    checked, when the Pillow of this installation cannot read the format (AVIF before Pillow 11.3).
    """
    from mediagen.images import codecs

    structure.check_size(picture.format.upper(), picture.width, picture.height, max_pixels)
    if not codecs.can_read(picture.format):
        return False
    with codecs.opened(content, picture) as image:
        image.load()
        if image.size != (picture.width, picture.height):
            raise structure.damaged(
                picture.format.upper(),
                f"it decodes to {image.size[0]}x{image.size[1]} pixels and says {picture.width}x{picture.height}",
            )
        frames = getattr(image, "n_frames", 1) if picture.is_animated else 1
        for number in range(1, min(frames, max_pixels // (picture.width * picture.height))):
            image.seek(number)
            image.load()
    return True
