"""Pictures made out of other pictures: the orders for them, and what each is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mediagen import images
from mediagen.engine.database import as_uuid, in_database
from mediagen.engine.files import storage
from mediagen.engine.generation.orders import AssetOrder
from mediagen.errors import InvalidRequest, NotAPicture
from mediagen.models import MediaAsset
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.operations import EDIT, GENERATE, REMOVE_BACKGROUND, UPSCALE, VARY, Margins, check, size_for
from mediagen.providers.editing import SOURCE_FORMATS
from mediagen.types import GeneratedImage
from mediagen.wording import say as _

SAME_CONTENT = (UPSCALE, REMOVE_BACKGROUND)
"""what they make is still what the source's texts say"""


def order_of(
    operation: str,
    sources: Sequence[MediaAsset],
    *,
    prompt: str = "",
    mask: MediaAsset | None = None,
    width: int | None = None,
    height: int | None = None,
    factor: float | None = None,
    margins: Mapping[str, Any] | None = None,
    library_id: Any = None,
    **arguments: Any,
) -> AssetOrder:
    """The order to make something out of these assets, as a child of the first, in its library unless told otherwise.

    `InvalidRequest` that names the argument for what cannot be. `arguments` are those of `AssetOrder.of`.
    """
    around = Margins.checked(**(margins or {}))
    if operation == VARY and not prompt.strip() and sources:
        prompt = sources[0].prompt
    check(operation, prompt=prompt, sources=len(sources), has_mask=mask is not None, margins=around)
    for field, asset in [*zip(_fields(sources), sources, strict=True), *([("mask", mask)] if mask else [])]:
        if not asset.is_ready or not asset.file:
            text = f"Asset {asset.pk} is {asset.generation_state}: it has no picture yet."
            raise InvalidRequest(text, field=field)
    first = sources[0]
    size = size_for(operation, (first.width, first.height), width=width, height=height, factor=factor, margins=around)
    given: dict[str, Any] = {"name": first.name, "parent": first.pk}
    if operation in SAME_CONTENT:
        given |= {"alt_text": first.alt_text, "description": first.description}
    given |= {name: value for name, value in arguments.items() if value or name not in given}
    made = AssetOrder.of(
        prompt,
        *size,
        library_id or first.library_id,
        operation=operation,
        sources=sources,
        mask=mask,
        margins=around,
        **given,
    )
    pictures = [*sources, *([mask] if mask is not None else [])]
    return replace(made, described=tuple(_described(asset, b"") for asset in pictures))


def order_named(operation: str, ids: Iterable[Any], *, mask: Any = None, **arguments: Any) -> AssetOrder:
    """As `order_of`, of assets that are named. `InvalidRequest` for one that is not there."""
    found, its_mask = found_among(MediaAsset.objects.kept(), ids, mask)
    return order_of(operation, found, mask=its_mask, **arguments)


def _fields(sources: Sequence[Any]) -> list[str]:
    """What each is called: the one that is worked on, and others beside it."""
    return ["source", *["sources"] * (len(sources) - 1)][: len(sources)]


def found_among(
    assets: MediaAssetQuerySet, ids: Iterable[Any], mask: Any = None
) -> tuple[list[MediaAsset], MediaAsset | None]:
    """(the assets of these ids in their order, the mask). `InvalidRequest` for one that is not among `assets`."""
    wanted = [as_uuid(pk, "sources") for pk in ids]
    mask_id = as_uuid(mask, "mask")
    found = assets.select_related("library").in_bulk([*wanted, *([mask_id] if mask_id else [])])
    for field, pk in [*zip(_fields(wanted), wanted, strict=True), *([("mask", mask_id)] if mask_id else [])]:
        if pk not in found:
            raise InvalidRequest(_("There is no asset %(pk)s.", pk=pk), field=field)
    return [found[pk] for pk in wanted], found[mask_id] if mask_id else None


async def pictures_of(order: AssetOrder) -> dict[str, Any]:
    """What the order's operation works on, as its arguments. `InvalidRequest` when it is gone."""
    if order.operation == GENERATE:
        return {}
    found = await in_database(_assets_of, order)
    return _arguments(order, [await _image(asset) for asset in found])


def without_pictures(order: AssetOrder) -> dict[str, Any]:
    """As `pictures_of`, when they are gone: nothing but their number. For a job that needs them no more."""
    empty = GeneratedImage(content=b"", format="png", width=order.request.width, height=order.request.height)
    return _arguments(replace(order, mask_id=None), [empty] * len(order.source_ids))


def without_content(order: AssetOrder) -> dict[str, Any]:
    """As `pictures_of`, with what the pictures are and not their bytes: for prices."""
    if order.operation == GENERATE:
        return {}
    return _arguments(order, list(order.described) or [_described(asset, b"") for asset in _assets_of(order)])


def _assets_of(order: AssetOrder) -> list[MediaAsset]:
    wanted = [*order.source_ids, *([order.mask_id] if order.mask_id else [])]
    assets = MediaAsset.objects.in_bulk(wanted)
    for pk in wanted:
        if pk not in assets or not assets[pk].file:
            raise InvalidRequest(
                _("Asset %(pk)s, which it was to be made of, is not there any more.", pk=pk), field="sources"
            )
    return [assets[pk] for pk in wanted]


def _arguments(order: AssetOrder, pictures: list[GeneratedImage]) -> dict[str, Any]:
    count = len(order.source_ids)
    arguments: dict[str, Any] = {"images": pictures[:count]}
    if order.operation == EDIT:
        arguments["mask"] = pictures[count] if order.mask_id else None
    if any(order.margins):
        arguments |= order.margins._asdict()
    return arguments


async def _image(asset: MediaAsset) -> GeneratedImage:
    """The picture, as a format that is taken everywhere."""
    content = await storage.read_file(asset)
    if asset.format in SOURCE_FORMATS:
        return _described(asset, content)
    try:
        content, picture = await asyncio.to_thread(_as_png, content)
    except NotAPicture as exc:
        raise InvalidRequest(
            _("Asset %(pk)s cannot be worked on: %(why)s", pk=asset.pk, why=exc), field="sources"
        ) from None
    return GeneratedImage(
        content=content, format=picture.format, width=picture.width, height=picture.height, sha256=picture.sha256
    )


def _as_png(content: bytes) -> tuple[bytes, images.Picture]:
    return images.converted(content, images.inspect(content), "png")


def _described(asset: MediaAsset, content: bytes) -> GeneratedImage:
    return GeneratedImage(
        content=content,
        format=asset.format if asset.format in SOURCE_FORMATS else "png",
        width=asset.width,
        height=asset.height,
        sha256=asset.content_hash,
    )
