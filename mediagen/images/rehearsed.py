"""What dry runs answer: a placeholder for a prompt; for a picture that is to be worked on, the work really done, as
far as Pillow can, under a bar that says what it is."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from mediagen.images import colours, masks, origin, saving
from mediagen.images.placeholder import digest_of, placeholder
from mediagen.operations import EDIT, OUTPAINT, REMOVE_BACKGROUND, VARY, EditRequest
from mediagen.types import GenerationRequest

if TYPE_CHECKING:
    from PIL import Image

_LARGEST_PIXELS = 24_000_000
"""a larger result is an ordinary placeholder, which needs little memory"""
_LEAST_SIDE_FOR_A_BAR_PX = 48
_ALIKE = 40
"""how far a colour may be from that of the nearest corner, of 255 in each channel, and be background"""
_FLOODED_SIDE_PX = 192
"""the background is looked for in a picture of this size at most: Pillow's flood is slow"""


def stand_in(provider: str, request: GenerationRequest, variant: str = "") -> bytes:
    """A PNG of exactly the size that was asked for; the same arguments give the same bytes.

    An `EditRequest` gives its picture: cut out, enlarged, extended, tinted where it was to change, or mirrored; where
    Pillow cannot read it, a placeholder.
    """
    operation = request.operation if isinstance(request, EditRequest) else "generate_image"
    if isinstance(request, EditRequest) and request.width * request.height <= _LARGEST_PIXELS:
        try:
            made = _worked_on(provider, request, variant)
        except OSError:  # what Pillow says of a picture that it cannot read
            made = None
        if made is not None:
            return _png(_with_bar(made, f"PLACEHOLDER  {operation}  {provider}  {request.width} x {request.height}"))
    return placeholder(
        provider=provider,
        prompt=request.prompt,
        width=request.width,
        height=request.height,
        operation=operation,
        seed=request.seed,
        variant=variant,
    )


def _worked_on(provider: str, request: EditRequest, variant: str) -> Image.Image | None:
    from PIL import Image, ImageOps

    content = request.images[0].content
    if not isinstance(content, bytes) or not content:
        return None
    with Image.open(BytesIO(content)) as opened:
        opened.load()
        source = saving.in_rgb(ImageOps.exif_transpose(opened), alpha=True)
    size = request.width, request.height
    scheme = colours.scheme(digest_of(provider, request.prompt, request.operation, request.seed, variant))
    if request.operation == REMOVE_BACKGROUND:
        return _cut_out(source.resize(size))
    if request.operation == OUTPAINT:
        frame = Image.new("RGBA", size, (*scheme.colour(colours.FIRST_TONE), 255))
        frame.paste(source, (request.margins.left, request.margins.up), source)
        return frame
    made = ImageOps.fit(source, size, Image.Resampling.LANCZOS)
    if request.operation in (EDIT, VARY):
        tint = Image.new("RGBA", size, (*scheme.colour(colours.ACCENT), 255))
        changed = Image.blend(made, tint, 0.35)
        changed = ImageOps.mirror(changed) if request.operation == VARY else changed
        changed.putalpha(made.getchannel("A"))
        if request.mask is None or not isinstance(request.mask.content, bytes):
            return changed
        return Image.composite(changed, made, masks.opened(request.mask.content, size))
    return made


def _cut_out(image: Image.Image) -> Image.Image:
    """The picture without what its corners are connected with by a like colour."""
    from PIL import Image, ImageChops, ImageDraw

    small = image.convert("RGB")
    small.thumbnail((_FLOODED_SIDE_PX, _FLOODED_SIDE_PX))
    across, down = small.size
    marker = (255, 0, 255)
    ground = Image.new("L", small.size, 0)
    for corner in ((0, 0), (across - 1, 0), (0, down - 1), (across - 1, down - 1)):
        flooded = small.copy()
        ImageDraw.floodfill(flooded, corner, marker, thresh=_ALIKE)
        changed = ImageChops.difference(flooded, small).convert("L").point(lambda value: 255 if value else 0)
        ground = ImageChops.lighter(ground, changed)
    kept = ground.point(lambda value: 255 - value).resize(image.size)
    cut = image.copy()
    cut.putalpha(ImageChops.multiply(image.getchannel("A"), kept))
    return cut


def _with_bar(image: Image.Image, text: str) -> Image.Image:
    """With a bar below that says what it is, where there is room."""
    from PIL import ImageDraw, ImageFont, features

    width, height = image.size
    if min(width, height) < _LEAST_SIDE_FOR_A_BAR_PX or not features.check("freetype2"):
        return image
    pen = ImageDraw.Draw(image)
    font_px = max(7, min(height // 16, 48))
    while font_px > 7 and pen.textlength(text, ImageFont.load_default(size=font_px)) > width - font_px:
        font_px -= 1
    bar_px = round(font_px * 1.7)
    pen.rectangle((0, height - bar_px, width, height), fill=(20, 20, 24, 255))
    place = (font_px // 2, height - bar_px // 2)
    pen.text(place, text, fill=(255, 255, 255, 255), font=ImageFont.load_default(size=font_px), anchor="lm")
    return image


def _png(image: Image.Image) -> bytes:
    """Marked as a placeholder, and as drawn by a program; without transparency where there is none."""
    from PIL.PngImagePlugin import PngInfo

    if image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    info = PngInfo()
    info.add_text("mediagen", "placeholder")
    info.add_itxt("XML:com.adobe.xmp", origin.packet(origin.BY_PROGRAM).decode())
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=3, pnginfo=info)
    return buffer.getvalue()
