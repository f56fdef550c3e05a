"""The same picture smaller, or in another format: thumbnails, previews, sizes for a page."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from mediagen.errors import NotAPicture
from mediagen.images import codecs, origin, saving
from mediagen.images.blurhash import blur_hash
from mediagen.images.fit import window
from mediagen.images.picture import Picture
from mediagen.wording import say as _

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("webp", "avif", "jpeg", "png")
QUALITY = {"webp": 80, "avif": 60, "jpeg": 82, "png": 0}
"""where none is asked for; PNG has none"""
LONGEST_SIDE_PX = {"webp": 16_383, "avif": 65_536, "jpeg": 65_500, "png": 2**31 - 1}
"""what the formats, or those who write them for us, can hold"""
_AVIF_SPEED = 8
"""of 10: a third of the time of Pillow's 6, and a few per cent larger"""
_MAX_XMP_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Scaled:
    """A picture that was made of another one; width and height in pixels."""

    content: bytes
    width: int
    height: int
    color: str = ""
    """#rrggbb, the mean of what is not transparent; "" when all is"""
    blur_hash: str = ""
    """of the whole picture; "" where a part was cut out"""


def size_within(size: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """`size` shrunk until it is inside the box, never enlarged; each side is at least a pixel."""
    scale = min(1.0, (width or size[0]) / size[0], (height or size[1]) / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def covering_box(
    size: tuple[int, int], target: tuple[int, int], focus: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The largest part of `size` in the proportions of `target` (left, top, right, bottom), as near to `focus`, two
    fractions, as the edges allow."""
    scale = min(size[0] / target[0], size[1] / target[1])
    seen = target[0] * scale, target[1] * scale
    left, top = (min(max(focus[i] * size[i] - seen[i] / 2, 0.0), size[i] - seen[i]) for i in (0, 1))
    return left, top, left + seen[0], top + seen[1]


def scaled(
    content: bytes,
    picture: Picture,
    format: str,
    *,
    width: int | None = None,
    height: int | None = None,
    cover: bool = False,
    focus: tuple[float, float] = (0.5, 0.5),
    quality: int | None = None,
    source_type: str = "",
    as_fitted: tuple[int, int] | None = None,
) -> Scaled:
    """The picture inside the box of `width` x `height`, or with `cover` filling it exactly, cut around `focus`.

    It is never enlarged: a box that is too large is shrunk in its own proportions, and so is a picture with a side that
    the format cannot hold (`LONGEST_SIDE_PX`). Of an animation the first frame; an
    EXIF orientation is applied; what shows through becomes white in JPEG. Colour profile and XMP stay, EXIF does not;
    what the file says of its origin, or else `source_type`, stands in the new one too. `as_fitted`: of the picture that
    `fit` made of this one in this size, which shows a part of it. Raises `NotAPicture` when it
    cannot be decoded, or when the Pillow of this installation lacks the codec.
    """
    from PIL.Image import Resampling

    for name in (picture.format, format):
        if not codecs.can_read(name):
            raise NotAPicture(
                _("The Pillow of this installation knows no %(format)s. Install a newer one.", format=name.upper())
            )
    with codecs.opened(content, picture) as source:
        if source.size != (picture.width, picture.height):
            raise NotAPicture(
                _(
                    "The file is %(size)sx%(size_2)s pixels and should be another picture.",
                    size=source.size[0],
                    size_2=source.size[1],
                )
            )
        turn = _turn(source)
        whole = saving.turned(source.size, turn)
        size = whole if as_fitted is None else as_fitted
        target = size_within(size, width, height)
        box: tuple[float, float, float, float] | None = None
        if cover and width and height:
            shrunk = min(1.0, size[0] / width, size[1] / height)
            target = max(1, round(width * shrunk)), max(1, round(height * shrunk))
            box = covering_box(size, target, focus)
        if as_fitted is not None:
            box = _within(window(*whole, *as_fitted)[0], box, as_fitted, whole)
        target = size_within(target, LONGEST_SIDE_PX[format], LONGEST_SIDE_PX[format])
        if box is None and turn is None:
            # A JPEG is decoded at the size that is just large enough.
            source.draft(None, (target[0] * 2, target[1] * 2))
        image = saving.resizable(source)
        if turn is not None:
            image = image.transpose(turn)
        if box is not None or image.size != target:
            image = image.resize(target, Resampling.BICUBIC, box=box, reducing_gap=2.0)
        buffer = BytesIO()
        image = save_as(image, source, format, QUALITY[format] if quality is None else quality, buffer)
        color, blur = _mean(image), "" if box is not None else blur_hash(image)
    made = origin.marked(buffer.getvalue(), format, origin.source_type_in(content) or source_type)
    return Scaled(made, *target, color, blur)


def _within(
    seen: tuple[float, float, float, float],
    box: tuple[float, float, float, float] | None,
    fitted: tuple[int, int],
    whole: tuple[int, int],
) -> tuple[float, float, float, float] | None:
    """Where a box of the fitted picture (None: all of it) lies in the whole one, of which it shows `seen`; None for all
    of that."""
    if box is None:
        return None if seen[2] - seen[0] >= whole[0] and seen[3] - seen[1] >= whole[1] else seen
    across, down = (seen[2] - seen[0]) / fitted[0], (seen[3] - seen[1]) / fitted[1]
    left, top = max(0.0, seen[0] + box[0] * across), max(0.0, seen[1] + box[1] * down)
    return left, top, min(whole[0], seen[0] + box[2] * across), min(whole[1], seen[1] + box[3] * down)


def save_as(image: Image.Image, source: Image.Image, format: str, quality: int, file: IO[bytes]) -> Image.Image:
    """Write what was made of `source` in this format, with its colour profile and XMP; the image as it was written."""
    image = _writable(image, format)
    image.save(file, format.upper(), **_options(source, image.mode, format, quality))
    return image


def _mean(image: Image.Image) -> str:
    # Premultiplied, so that what is transparent does not count; made small first, which is quick.
    small = image.convert("RGBA").convert("RGBa").reduce((max(1, image.width // 32), max(1, image.height // 32)))
    red, green, blue, alpha = small.resize((1, 1)).tobytes()
    if not alpha:
        return ""
    return "#" + "".join(f"{min(255, round(part * 255 / alpha)):02x}" for part in (red, green, blue))


def _turn(source: Image.Image) -> Any:
    # Asking a PNG for its EXIF decodes it; only one that says that it has some is asked.
    if "exif" not in source.info and source.format == "PNG":
        return None
    return saving.exif_and_turn(source)[1]


def _options(source: Image.Image, mode: str, format: str, quality: int) -> dict[str, Any]:
    options: dict[str, Any] = {"icc_profile": saving.profile_of(source, mode)}
    if len(xmp := saving.xmp_of(source)) <= _MAX_XMP_BYTES:
        options |= saving.xmp_options(format, xmp)
    if format != "png":
        options["quality"] = quality
    if format == "jpeg":
        options["progressive"] = True
    if format == "avif":
        options["speed"] = _AVIF_SPEED
    return options


def _writable(image: Image.Image, format: str) -> Image.Image:
    """The image in a mode that the format has."""
    from PIL import Image

    if image.mode in ("LA", "La", "RGBa", "RGBA") and format == "jpeg":
        ground = Image.new("RGB", image.size, "white")
        ground.paste(image.convert("RGB"), mask=image.convert("RGBA").getchannel("A"))
        return ground
    image = saving.eight_bits(image)
    if image.mode == "CMYK":  # a browser may show it, other programs show wrong colours
        return saving.in_rgb(image)
    if format in ("avif", "webp") and image.mode in ("L", "LA"):  # they have no grey
        return image.convert("RGB" if image.mode == "L" else "RGBA")
    return image
