"""An asset's picture in a form that Figma takes: PNG or JPEG, no side longer than 4,096 pixels."""

from __future__ import annotations

from mediagen import images
from mediagen.engine.files import renditions, storage
from mediagen.errors import InvalidRequest, NotAPicture
from mediagen.models import MediaAsset
from mediagen.wording import say as _

MAX_SIDE_PX = 4096
THUMBNAIL_PX = 320
TAKEN = ("png", "jpeg")


def size_in_figma(asset: MediaAsset) -> tuple[int, int]:
    """Pixels that the picture has there: its own, or fewer where a side is too long."""
    longest = max(asset.width, asset.height, 1)
    if longest <= MAX_SIDE_PX:
        return asset.width, asset.height
    return tuple(max(1, round(side * MAX_SIDE_PX / longest)) for side in (asset.width, asset.height))  # type: ignore[return-value]


def is_taken(asset: MediaAsset) -> bool:
    """Whether Figma takes the file as it is, as far as the row knows."""
    return asset.format in TAKEN and max(asset.width, asset.height) <= MAX_SIDE_PX


def for_figma(asset: MediaAsset) -> tuple[bytes, str]:
    """The bytes, and their media type: the file itself when Figma takes it, else a rendition, made once.

    `InvalidRequest` when the stored file is no picture that can be read here, `StorageFailed` when it is gone.
    """
    content = renditions.source_of(asset)
    try:
        picture = images.inspect(content)
    except NotAPicture as exc:
        raise InvalidRequest(
            _("The picture of asset %(pk)s cannot be made into one that Figma takes: %(why)s", pk=asset.pk, why=exc),
            field="asset_id",
        ) from None
    if is_taken(asset) and not picture.is_animated:
        return storage.leaving(asset, content), picture.mime
    # JPEG knows no transparency, and would blur what was kept without loss.
    is_exact = picture.format in ("png", "gif") or picture.has_alpha or picture.is_lossless
    made = renditions.rendition(
        asset, width=MAX_SIDE_PX, height=MAX_SIDE_PX, format="png" if is_exact else "jpeg", quality=92
    )
    return renditions.content_of(asset, made), f"image/{made.format}"


def thumbnail(asset: MediaAsset) -> tuple[bytes, str]:
    """A small one for the plugin's own list, and its media type."""
    made = renditions.rendition(asset, width=THUMBNAIL_PX, height=THUMBNAIL_PX)
    return renditions.content_of(asset, made), f"image/{made.format}"
