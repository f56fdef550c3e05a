"""What the bytes of a picture really are, found out from their structure: no decoding, no Pillow, no copies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from mediagen.errors import NotAPicture
from mediagen.images import codecs, foreign, isobmff, png, structure
from mediagen.images.picture import Picture
from mediagen.wording import say as _

MAX_PIXELS = 50_000_000
MAX_BYTES = 100 * 1024 * 1024

_READERS: dict[str, Callable[[memoryview, int], structure.Shape]] = {
    "png": png.read,
    "jpeg": structure.read_jpeg,
    "webp": structure.read_webp,
    "avif": isobmff.read_avif,
    "gif": structure.read_gif,
}


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
                _(
                    "The content has %(nbytes)s bytes, over the limit of %(most)s. Use a smaller "
                    "picture, or raise the limit.",
                    nbytes=f"{whole.nbytes:,}",
                    most=f"{max_bytes:,}",
                )
            )
        flat = whole if whole.c_contiguous else memoryview(bytes(whole))
        view = flat if flat.format == "B" and flat.ndim == 1 else flat.cast("B")
        name = _format_of(view)
        if not name:
            raise NotAPicture(
                _(
                    "The content is %(describe)s, and no PNG, JPEG, WebP, AVIF or GIF picture.",
                    describe=foreign.describe(view),
                )
            )
        shape = _READERS[name](view, max_pixels)
        digest = hashlib.sha256(view, usedforsecurity=False).hexdigest()
        return Picture(name, shape.width, shape.height, digest, len(view), *shape[2:])


def tidied(content: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> tuple[bytes, Picture]:
    """The picture as `inspect` wants it, and what it is; `Picture.left_out` says what was taken away for that.

    For what was paid, or is somebody's only copy: bytes behind the end are cut off, and chunks of a PNG that a decoder
    may skip are left out when their name or their checksum is wrong. The picture's own bytes stay as they are, and
    when they are wrong, `NotAPicture` is raised as by `inspect`.
    """
    try:
        return content, inspect(content, max_pixels=max_pixels, max_bytes=max_bytes)
    except structure.Superfluous as exc:
        rest, left_out = exc.without(content)
    return rest, replace(inspect(rest, max_pixels=max_pixels, max_bytes=max_bytes), left_out=left_out)


def _format_of(view: memoryview) -> str:
    """A format's name, or "". Bytes that are only the beginning of a signature count, to be called cut off."""
    head = bytes(view[:12])
    if len(head) >= 4 and png.SIGNATURE.startswith(head[:8]):
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
