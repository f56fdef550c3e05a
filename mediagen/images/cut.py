"""A part of a picture, turned: what a person cuts out of it by hand."""

from __future__ import annotations

from io import BytesIO

from mediagen.errors import NotAPicture
from mediagen.images import codecs, origin, saving
from mediagen.images.picture import Picture
from mediagen.images.scale import save_as
from mediagen.wording import say as _

QUALITY = 92
QUARTERS = (0, 90, 180, 270)


def cut(
    content: bytes,
    picture: Picture,
    format: str,
    *,
    box: tuple[int, int, int, int] | None = None,
    rotate: int = 0,
    source_type: str = "",
) -> bytes:
    """The part inside `box` (left, top, right, bottom, in pixels of the upright picture; None: all), then turned
    clockwise by `rotate` degrees (0, 90, 180, 270), as "webp", "avif", "jpeg" or "png".

    Of an animation the first frame. Colour profile and XMP stay, EXIF does not, and what the file says of its origin,
    or else `source_type`, stands in the new one too. `NotAPicture` when it cannot be decoded or written here.
    """
    from PIL import Image

    for name in (picture.format, format):
        if not codecs.can_read(name):
            raise NotAPicture(
                _("The Pillow of this installation knows no %(format)s. Install a newer one.", format=name.upper())
            )
    turns = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    with codecs.opened(content, picture) as source:
        source.load()
        turn = saving.exif_and_turn(source)[1]
        image = saving.resizable(source)
        image = image if turn is None else image.transpose(turn)
        image = image if box is None else image.crop(box)
        image = image.transpose(turns[rotate]) if rotate else image
        buffer = BytesIO()
        save_as(image, source, format, QUALITY, buffer)
    return origin.marked(buffer.getvalue(), format, origin.source_type_in(content) or source_type)
