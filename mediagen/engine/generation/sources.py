"""Pictures made out of other pictures: which operation an order is, and what it is made of."""

from __future__ import annotations

import uuid
from typing import Any

from mediagen.engine.database import in_database
from mediagen.engine.files import storage
from mediagen.engine.generation.orders import AssetOrder
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset
from mediagen.types import GeneratedImage


async def operation_of(order: AssetOrder) -> tuple[str, dict[str, Any]]:
    """("generate_image", {}), or ("edit_image", its pictures as arguments). `InvalidRequest` when one is gone."""
    if not order.source_ids:
        return "generate_image", {}
    wanted = [*order.source_ids, *([order.mask_id] if order.mask_id else [])]
    assets = await in_database(MediaAsset.objects.in_bulk, wanted)
    found = [await _image(assets.get(pk), pk) for pk in wanted]
    images = found[: len(order.source_ids)]
    return "edit_image", {"images": images, "mask": found[len(images)] if order.mask_id else None}


async def _image(asset: MediaAsset | None, pk: uuid.UUID) -> GeneratedImage:
    if asset is None or not asset.file:
        raise InvalidRequest(f"Asset {pk}, which it was to be made of, is not there any more.", field="sources")
    return GeneratedImage(
        content=await storage.read_file(asset),
        format=asset.format,
        width=asset.width,
        height=asset.height,
        sha256=asset.content_hash,
    )
