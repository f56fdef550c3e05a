"""Pictures on their way out: into a Figma file, by whichever provider of the chain can."""

from __future__ import annotations

from typing import Any

from mediagen.engine import files
from mediagen.engine.assets import get_asset
from mediagen.engine.database import in_database
from mediagen.engine.orders import as_uuid
from mediagen.engine.recorder import RowRecorder
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.factory import aget_media_generator_chain
from mediagen.models import MediaAsset
from mediagen.models.routing import atomic
from mediagen.types import FigmaExportResult, GeneratedImage


async def export_to_figma(
    asset_id: Any,
    file_key: str,
    page_id: str | None = None,
    *,
    dry_run: bool | None = None,
    deadline_s: float | None = None,
    **options: Any,
) -> dict[str, Any]:
    """What is known of the export. `GenerationFailed` with every attempt when no provider can, `InvalidRequest` for
    an asset that does not exist or has no picture."""
    asset = await in_database(get_asset, as_uuid(asset_id, "asset_id"))
    if not asset.is_ready:
        raise InvalidRequest(f"Asset {asset.pk} is {asset.generation_state}: there is no picture to export.")
    chain = await aget_media_generator_chain(dry_run=dry_run)
    recorder = RowRecorder(asset)
    outcome = await chain.execute(
        "export_to_figma",
        recorder=recorder,
        dry_run=dry_run,
        deadline_s=deadline_s,
        image=await as_image(asset),
        file_key=file_key,
        page_id=page_id,
        **options,
    )
    await in_database(atomic()(recorder.flush))
    if outcome.result is None:
        raise GenerationFailed(outcome.explain(), attempts=outcome.attempts, asset_id=asset.asset_id, asset=asset)
    result: FigmaExportResult = outcome.result
    return {
        "figma_node_id": result.figma_node_id,
        "figma_url": result.figma_url,
        "figma_file_key": result.figma_file_key,
        "page_id": result.page_id,
        "asset_id": asset.asset_id,
        "status": result.metadata.get("status", ""),
    }


async def as_image(asset: MediaAsset) -> GeneratedImage:
    """An asset's picture as the providers know pictures."""
    return GeneratedImage(
        content=await files.read_file(asset),
        format=asset.format,
        width=asset.width,
        height=asset.height,
        metadata={"asset_id": asset.asset_id, "name": asset.name},
        provider_name=asset.provider_name,
        model_name=asset.model_name,
        sha256=asset.content_hash,
    )
