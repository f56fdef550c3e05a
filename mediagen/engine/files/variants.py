"""Variants: other sizes of an asset as assets of their own, reviewed and tagged by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mediagen.engine.files.renditions as renditions
import mediagen.engine.files.uploads as uploads
from mediagen import images
from mediagen.engine.files.renditions import Spec
from mediagen.errors import InvalidRequest, NotAPicture
from mediagen.images import scale
from mediagen.models import AssetSource, MediaAsset

MAX_SIZES = 20
QUALITY = 90
"""higher than a rendition's: a variant may be worked on further"""


def specs_of(sizes: Iterable[Any], source_format: str = "") -> list[Spec]:
    """Each size is "1200x630" (cut to fill it), "1200x", "x630" (the whole picture), or a mapping with width, height,
    format, fit, quality. Without a format it is the source's, where we write that. `InvalidRequest` for anything else.
    """
    default = source_format if source_format in scale.FORMATS else "png" if source_format == "gif" else None
    specs = list(dict.fromkeys(_spec(size, default) for size in sizes))
    if not 1 <= len(specs) <= MAX_SIZES:
        raise InvalidRequest(f"Name 1 to {MAX_SIZES} sizes, such as 1200x630.", field="sizes")
    return specs


def _spec(size: Any, default: str | None) -> Spec:
    if isinstance(size, str):
        width, x, height = size.strip().lower().replace("\u00d7", "x").partition("x")
        if not x:
            raise InvalidRequest(f"A size is written as 1200x630, 1200x or x630, not {size!r:.40}.", field="sizes")
        size = {"width": width, "height": height, "fit": "cover" if width and height else "inside"}
    if not isinstance(size, Mapping) or (unknown := set(size) - {"width", "height", "format", "fit", "quality"}):
        named = f" without {', '.join(map(str, unknown))}" if isinstance(size, Mapping) else ""
        raise InvalidRequest(
            f"A size is a text such as 1200x630, or has width, height, format, fit and quality{named}.", field="sizes"
        )
    try:
        spec = Spec.checked(**{"format": default, "quality": QUALITY, **size})
    except InvalidRequest as exc:
        raise InvalidRequest(str(exc), field="sizes") from None
    if spec.width is None and spec.height is None:
        raise InvalidRequest("A size needs a width or a height.", field="sizes")
    return spec


def make_variants(asset: MediaAsset, sizes: Iterable[Any], by: Any) -> list[MediaAsset]:
    """One child asset per size, in order: ready, a draft, with the parent's texts, tags and library.

    A variant that is there already, with the same file, is given back and not made twice. Nothing is enlarged.
    `InvalidRequest` for sizes that cannot be and for an asset without a picture, `StorageFailed` as in `rendition`.
    """
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(f"Asset {asset.pk} is {asset.generation_state}: it has no picture yet.", field="asset_id")
    specs = specs_of(sizes, asset.format)
    source = renditions.source_of(asset)
    return [_variant(asset, source, spec, by) for spec in specs]


def make_cut(asset: MediaAsset, box: tuple[int, int, int, int], by: Any, quarters: int = 0) -> MediaAsset:
    """A child with what is inside `box` (left, top, right, bottom; pixels), turned by so many quarters to the right:
    ready, a draft, with the parent's texts, tags and library. Errors as of `make_variants`."""
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(f"Asset {asset.pk} is {asset.generation_state}: it has no picture yet.", field="asset_id")
    content = renditions.source_of(asset)
    try:
        cut, picture = images.cropped(content, images.inspect(content), box, quarters)
    except NotAPicture as exc:
        raise InvalidRequest(str(exc), field="box") from None
    child = _child_of(asset, picture, by)
    child.parameters = {"box": list(box), "quarters": quarters}
    return uploads.store(child, cut, picture, tags=asset.tag_names)


def _variant(asset: MediaAsset, source: bytes, spec: Spec, by: Any) -> MediaAsset:
    scaled = renditions.scaled_to(spec, asset, source)
    picture = images.inspect(scaled.content)
    there = MediaAsset.objects.kept().filter(parent=asset, source=AssetSource.VARIANT, content_hash=picture.sha256)
    if (found := there.select_related("library").first()) is not None:
        return found
    child = _child_of(asset, picture, by)
    child.parameters = {"width": spec.width, "height": spec.height, "fit": spec.fit, "quality": spec.quality}
    return uploads.store(child, scaled.content, picture, tags=asset.tag_names)


def _child_of(asset: MediaAsset, picture: images.Picture, by: Any) -> MediaAsset:
    return MediaAsset(
        library=asset.library,
        source=AssetSource.VARIANT,
        parent=asset,
        name=f"{asset.name[:230]} {picture.width}\u00d7{picture.height}".strip(),
        description=asset.description,
        alt_text=asset.alt_text,
        credit=asset.credit,
        licence=asset.licence,
        expires_on=asset.expires_on,
        ai_label=asset.ai_label,
        ai_label_reason=asset.ai_label_reason,
        prompt=asset.prompt,
        is_placeholder=asset.is_placeholder,
        dry_run=asset.dry_run,
        created_by=by,
    )
