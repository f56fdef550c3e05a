"""A part of a picture, turned by quarters."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from mediagen.errors import NotAPicture
from mediagen.images import codecs, origin
from mediagen.images.credentials import lost_by_writing
from mediagen.images.inspect import inspect
from mediagen.images.picture import Picture
from mediagen.images.saving import exif_and_turn, save_options

Box = tuple[int, int, int, int]
"""left, top, right, bottom; pixels of the picture as it is seen"""


def cropped(content: bytes, picture: Picture, box: Box, quarters: int = 0) -> tuple[bytes, Picture]:
    """What is in the box, then turned `quarters` times by 90 degrees to the right, and what it is.

    Format, profile and XMP stay, as in `fit`. Raises `NotAPicture` for an animation, for a box that holds no pixel of
    the picture, and for what Pillow cannot read or write.
    """
    if picture.is_animated:
        raise NotAPicture("An animation cannot be cut.")
    if not codecs.can_read(picture.format):
        raise NotAPicture(f"The Pillow of this installation does not read {picture.format}.")
    from PIL.Image import Transpose

    with codecs.opened(content, picture) as source:
        source.load()
        exif, turn = exif_and_turn(source)
        options = save_options(source, picture, exif)
        upright = source if turn is None else source.transpose(turn)
        left, top = max(0, box[0]), max(0, box[1])
        right, bottom = min(upright.width, box[2]), min(upright.height, box[3])
        if left >= right or top >= bottom:
            raise NotAPicture("Nothing of the picture is inside.")
        image = upright.crop((left, top, right, bottom))
        if turned := (None, Transpose.ROTATE_270, Transpose.ROTATE_180, Transpose.ROTATE_90)[quarters % 4]:
            image = image.transpose(turned)
    buffer = BytesIO()
    try:
        image.save(buffer, picture.format.upper(), **options)
    except (OSError, ValueError) as exc:
        raise NotAPicture(f"It cannot be written as {picture.format} ({type(exc).__name__}).") from None
    cut = origin.marked(buffer.getvalue(), picture.format, origin.source_type_in(content))
    return cut, replace(inspect(cut), left_out=picture.left_out + lost_by_writing(content, picture))
