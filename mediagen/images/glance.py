"""A picture small enough to be looked at by a model, with nothing in it but what it shows."""

from __future__ import annotations

from io import BytesIO

from mediagen.errors import NotAPicture
from mediagen.images import codecs, saving
from mediagen.images.picture import Picture
from mediagen.images.scale import size_within
from mediagen.wording import say as _

GLANCE_PX = 1024
_QUALITY = 85


def for_a_glance(content: bytes, picture: Picture, side: int = GLANCE_PX) -> bytes:
    """A JPEG of at most `side` pixels a side, upright, of an animation the first frame, on white where it is
    transparent. No EXIF, XMP, profile, place or prompt is in it. `NotAPicture` when it cannot be decoded."""
    from PIL import Image, ImageOps

    if not codecs.can_read(picture.format):
        raise NotAPicture(
            _(
                "The Pillow of this installation knows no %(format)s. Install a newer one.",
                format=picture.format.upper(),
            )
        )
    with codecs.opened(content, picture) as source:
        target = size_within((picture.width, picture.height), side, side)
        source.draft(None, (max(target) * 2, max(target) * 2))  # a JPEG is decoded at about the size that is needed
        image = ImageOps.exif_transpose(source)
        has_alpha = image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info
        image = saving.in_rgb(image, alpha=has_alpha)
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        ground = Image.new("RGB", image.size, "white")
        # Pasted, so that nothing that came with the file comes along.
        ground.paste(image, mask=image.getchannel("A") if has_alpha else None)
        buffer = BytesIO()
        ground.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
