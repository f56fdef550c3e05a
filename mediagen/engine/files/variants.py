"""Variants: other sizes of an asset as assets of their own, reviewed and tagged by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import mediagen.engine.files.renditions as renditions
import mediagen.engine.files.uploads as uploads
from mediagen import images
from mediagen.engine.files.originals import Source
from mediagen.engine.files.renditions import Spec
from mediagen.errors import InvalidRequest, NotAPicture, StorageFailed
from mediagen.images import scale
from mediagen.models import AssetSource, MediaAsset
from mediagen.wording import say as _

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
        raise InvalidRequest(_("Name 1 to %(most)s sizes, such as 1200x630.", most=MAX_SIZES), field="sizes")
    return specs


def _spec(size: Any, default: str | None) -> Spec:
    if isinstance(size, str):
        width, x, height = size.strip().lower().replace("\u00d7", "x").partition("x")
        if not x:
            raise InvalidRequest(
                _("A size is written as 1200x630, 1200x or x630, not %(size)s.", size=f"{size!r:.40}"), field="sizes"
            )
        size = {"width": width, "height": height, "fit": "cover" if width and height else "inside"}
    if not isinstance(size, Mapping) or (unknown := set(size) - {"width", "height", "format", "fit", "quality"}):
        named = f" without {', '.join(map(str, unknown))}" if isinstance(size, Mapping) else ""
        raise InvalidRequest(
            _(
                "A size is a text such as 1200x630, or has width, height, format, fit and quality%(named)s.",
                named=named,
            ),
            field="sizes",
        )
    try:
        spec = Spec.checked(**{"format": default, "quality": QUALITY, **size})
    except InvalidRequest as exc:
        raise InvalidRequest(str(exc), field="sizes") from None
    if spec.width is None and spec.height is None:
        raise InvalidRequest(_("A size needs a width or a height."), field="sizes")
    return spec


def make_variants(asset: MediaAsset, sizes: Iterable[Any], by: Any) -> list[MediaAsset]:
    """One child asset per size, in order: ready, a draft, with the parent's texts, tags and library.

    A variant that is there already, with the same file, is given back and not made twice. Nothing is enlarged.
    `InvalidRequest` for sizes that cannot be and for an asset without a picture, `StorageFailed` as in `rendition`.
    """
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: it has no picture yet.", pk=asset.pk, state=asset.generation_state),
            field="asset_id",
        )
    specs = specs_of(sizes, asset.format)
    source = renditions.best_source(asset)
    return [_variant(asset, source, spec, by) for spec in specs]


def make_crop(
    asset: MediaAsset,
    by: Any,
    *,
    left: int = 0,
    top: int = 0,
    width: int | None = None,
    height: int | None = None,
    rotate: int = 0,
    format: str | None = None,
) -> MediaAsset:
    """A child asset with a part of the picture (pixels; without a size to its right and lower edges), then turned
    clockwise by `rotate` degrees (0, 90, 180, 270), in the source's format or another. Made here, without a provider.

    `InvalidRequest` for a part that is not in the picture, `StorageFailed` as in `make_variants`.
    """
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: it has no picture yet.", pk=asset.pk, state=asset.generation_state),
            field="asset_id",
        )
    box = _box(asset, left, top, width, height)
    if rotate not in images.QUARTERS:
        raise InvalidRequest(_("rotate must be 0, 90, 180 or 270 degrees."), field="rotate")
    wanted = format or (asset.format if asset.format in scale.FORMATS else "png")
    if wanted not in scale.FORMATS:
        raise InvalidRequest(_("format must be one of %(formats)s.", formats=", ".join(scale.FORMATS)), field="format")
    if box == (0, 0, asset.width, asset.height) and not rotate and wanted == asset.format:
        raise InvalidRequest(
            _("That is the whole picture as it is. Name a part, a turn or another format."), field="left"
        )
    known = images.Picture(asset.format, asset.width, asset.height, asset.content_hash, asset.file_size)
    try:
        content = images.cut(
            renditions.source_of(asset), known, wanted, box=box, rotate=rotate, source_type=asset.digital_source_type
        )
    except NotAPicture as exc:
        raise StorageFailed(f"The stored file of asset {asset.pk} cannot be read: {exc}") from exc
    parameters = {"left": left, "top": top, "width": box[2] - left, "height": box[3] - top, "rotate": rotate}
    return _kept(asset, content, by, parameters)


def _box(asset: MediaAsset, left: int, top: int, width: int | None, height: int | None) -> tuple[int, int, int, int]:
    right = asset.width if width is None else left + width
    bottom = asset.height if height is None else top + height
    for name, first, last, most in (("left", left, right, asset.width), ("top", top, bottom, asset.height)):
        if not 0 <= first < last <= most:
            raise InvalidRequest(
                _(
                    "The part from %(first)s to %(last)s is not in the picture, which has %(most)s pixels there.",
                    first=first,
                    last=last,
                    most=most,
                ),
                field=name,
            )
    return left, top, right, bottom


def _variant(asset: MediaAsset, source: Source, spec: Spec, by: Any) -> MediaAsset:
    scaled = renditions.scaled_to(spec, asset, source)
    parameters = {"width": spec.width, "height": spec.height, "fit": spec.fit, "quality": spec.quality}
    return _kept(asset, scaled.content, by, parameters)


def _kept(asset: MediaAsset, content: bytes, by: Any, parameters: dict[str, Any]) -> MediaAsset:
    picture = images.inspect(content)
    there = MediaAsset.objects.kept().filter(parent=asset, source=AssetSource.VARIANT, content_hash=picture.sha256)
    if (found := there.select_related("library").first()) is not None:
        return found
    child = MediaAsset(
        library=asset.library,
        source=AssetSource.VARIANT,
        parent=asset,
        name=f"{asset.name[:230]} {picture.width}\u00d7{picture.height}".strip(),
        description=asset.description,
        alt_text=asset.alt_text,
        credit=asset.credit,
        ai_label=asset.ai_label,
        ai_label_reason=asset.ai_label_reason,
        prompt=asset.prompt,
        is_placeholder=asset.is_placeholder,
        dry_run=asset.dry_run,
        created_by=by,
        parameters=parameters,
    )
    return uploads.store(child, content, picture, tags=asset.tag_names)
