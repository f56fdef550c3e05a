"""The same picture in another format, for those who take fewer formats than we keep."""

from __future__ import annotations

from io import BytesIO

from mediagen.errors import NotAPicture
from mediagen.images import codecs, origin, saving
from mediagen.images.inspect import inspect
from mediagen.images.picture import Picture
from mediagen.images.scale import LONGEST_SIDE_PX, size_within
from mediagen.wording import say as _

_QUALITY = 92
_LEAST_SIDE = 64


def converted(content: bytes, picture: Picture, format: str, *, max_bytes: int | None = None) -> tuple[bytes, Picture]:
    """The picture as "png" or "jpeg", of an animation its first frame, turned as its EXIF says.

    JPEG has no transparency: what shows through becomes white. With `max_bytes` a JPEG is made smaller, side by side,
    until it fits. What the file says of its origin stands in the new one too. Raises `NotAPicture` when decoding fails
    or the Pillow of this installation cannot read the format.
    """
    from PIL import Image, ImageOps

    if not codecs.can_read(picture.format):
        raise NotAPicture(
            _(
                "The Pillow of this installation cannot read %(format)s. Install a newer one, or "
                "convert the picture first.",
                format=picture.format.upper(),
            )
        )
    with codecs.opened(content, picture) as source:
        source.load()
        image = ImageOps.exif_transpose(source)
        has_alpha = image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info
        profile = saving.profile_of(image, "RGB")
        image = saving.in_rgb(image, alpha=has_alpha)
        if has_alpha and format == "jpeg":
            ground = Image.new("RGB", image.size, "white")
            ground.paste(image, mask=image.getchannel("A"))
            image = ground
        longest = LONGEST_SIDE_PX[format]
        if (size := size_within(image.size, longest, longest)) != image.size:
            image = image.resize(size)
        while True:
            buffer = BytesIO()
            options = {"quality": _QUALITY} if format == "jpeg" else {}
            image.save(buffer, format.upper(), icc_profile=profile, **options)
            if max_bytes is None or buffer.tell() <= max_bytes or min(image.size) <= _LEAST_SIDE:
                break
            image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))
    made = origin.marked(buffer.getvalue(), format, origin.source_type_in(content))
    return made, inspect(made)
