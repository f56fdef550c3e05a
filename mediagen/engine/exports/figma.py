"""Pictures on their way into a Figma file, by whichever provider of the chain can."""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.sync import sync_to_async
from django.urls import NoReverseMatch, reverse

import mediagen.engine.exports.pictures as pictures
import mediagen.engine.exports.rows as rows
from mediagen import conf
from mediagen.chain import MediaGeneratorChain
from mediagen.engine.database import in_database
from mediagen.engine.files import storage
from mediagen.engine.generation import RowRecorder
from mediagen.engine.library import get_asset
from mediagen.errors import GenerationFailed, InvalidRequest, MediagenError
from mediagen.factory import aget_media_generator_chain
from mediagen.models import AssetExport, ExportTarget, MediaAsset
from mediagen.models.routing import atomic
from mediagen.providers.figma_api import WAITING
from mediagen.providers.figma_inputs import FigmaPlace
from mediagen.types import FigmaExportResult, GeneratedImage
from mediagen.wording import say as _

DEFAULT_COMMENT = "A picture for this file is waiting in the media library. Open the plugin to place it."


async def export_to_figma(
    asset_id: Any,
    file_key: str,
    page_id: str | None = None,
    *,
    frame_name: str | None = "",
    x: float | None = None,
    y: float | None = None,
    comment: str | bool | None = None,
    by: Any = None,
    dry_run: bool | None = None,
    deadline_s: float | None = None,
    **options: Any,
) -> dict[str, Any]:
    """What is known of the export. `GenerationFailed` with every attempt when no provider can, `InvalidRequest` for
    an asset that does not exist or has no picture and for what cannot be a place.

    Once the asset is found the export has a row, which keeps its end and the reason.
    """
    text = DEFAULT_COMMENT if comment is True else comment or ""
    if text and (link := asset_url(asset_id)):
        text = f"{text}\n{link}"
    chain = await aget_media_generator_chain(dry_run=dry_run)
    exporters = [provider for provider in chain.providers if hasattr(provider, "export_to_figma")]
    is_dry = all(chain.is_dry(provider) for provider in exporters) if dry_run is None else dry_run
    place = FigmaPlace.checked(file_key, page_id, frame_name=frame_name, x=x, y=y, comment=text, dry_run=is_dry)
    asset = await in_database(get_asset, asset_id)
    if not asset.is_ready:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: there is no picture to export.", pk=asset.pk, state=asset.generation_state),
            field="asset_id",
        )
    export = await in_database(begin, asset, place, by)
    try:
        if not pictures.is_taken(asset):
            # Told now, to whoever exports, and not later to whoever opens the plugin.
            await sync_to_async(pictures.for_figma, thread_sensitive=False)(asset)
        return await _send(chain, asset, export, place, dry_run=dry_run, deadline_s=deadline_s, options=options)
    except BaseException as exc:
        # Our own texts are scrubbed; a foreign exception's text may hold anything.
        reason = str(exc) if isinstance(exc, MediagenError) else f"It ended early: {type(exc).__name__}."
        await asyncio.shield(in_database(rows.fail, export, reason))
        raise


async def _send(
    chain: MediaGeneratorChain,
    asset: MediaAsset,
    export: AssetExport,
    place: FigmaPlace,
    *,
    dry_run: bool | None,
    deadline_s: float | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    recorder = RowRecorder(asset)
    # Only what was asked: a foreign provider may not know the others.
    asked: dict[str, Any] = {"frame_name": place.frame_name, "x": place.x, "y": place.y, "comment": place.comment}
    outcome = await chain.execute(
        "export_to_figma",
        recorder=recorder,
        dry_run=dry_run,
        deadline_s=deadline_s,
        image=await as_image(asset),
        file_key=place.file_key,
        page_id=place.page_id,
        **{name: value for name, value in asked.items() if value not in (None, "")},
        **options,
    )
    if outcome.result is None:
        await in_database(atomic()(recorder.flush))
        raise GenerationFailed(outcome.explain(), attempts=outcome.attempts, asset_id=asset.asset_id, asset=asset)
    result: FigmaExportResult = outcome.result
    await in_database(_keep, export, result, outcome.served_by, recorder)
    return {
        "figma_node_id": result.figma_node_id,
        "figma_url": result.figma_url,
        "figma_file_key": result.figma_file_key,
        "page_id": result.page_id,
        "asset_id": asset.asset_id,
        "status": result.metadata.get("status", ""),
        "export_id": export.export_id,
        "notes": list(result.metadata.get("notes", [])),
    }


def begin(asset: MediaAsset, place: FigmaPlace, by: Any = None, options: dict[str, Any] | None = None) -> AssetExport:
    """A new export of the asset to that place, pending."""
    return rows.begin(
        asset,
        ExportTarget.FIGMA,
        by=by,
        file_key=place.file_key,
        page_id=place.page_id or "",
        frame_name=place.frame_name or default_frame_name(asset),
        x=place.x,
        y=place.y,
        options=options or {},
    )


def default_frame_name(asset: MediaAsset) -> str:
    """What the layer is called when nobody says."""
    return " ".join((asset.name or asset.prompt or "Picture").split())[:80]


@atomic()
def _keep(export: AssetExport, result: FigmaExportResult, provider_name: str, recorder: RowRecorder) -> None:
    recorder.flush()
    metadata = result.metadata
    known = {"provider_name": provider_name[:100], "url": result.figma_url}
    if metadata.get("dry_run"):
        rows.finish_dry(export, external_id=result.figma_node_id[:200], **known)
    elif result.figma_node_id and metadata.get("status") != WAITING:
        rows.placed(export.pk, token=None, external_id=result.figma_node_id[:200], **known)
    else:
        notes = "\n".join(str(note) for note in metadata.get("notes", []))
        comment_id = str(metadata.get("comment_id", ""))[:100]
        rows.wait_for_plugin(export, message=notes, comment_id=comment_id, **known)


def asset_url(asset_id: Any) -> str:
    """The address of an asset's page, for people; "" when the site does not say where it is reached."""
    site = conf.get("SITE_URL")
    try:
        return f"{site.rstrip('/')}{reverse('mediagen:asset', args=[asset_id])}" if site else ""
    except NoReverseMatch:
        return ""


async def as_image(asset: MediaAsset) -> GeneratedImage:
    """An asset's picture as the providers know pictures."""
    return GeneratedImage(
        content=storage.leaving(asset, await storage.read_file(asset)),
        format=asset.format,
        width=asset.width,
        height=asset.height,
        metadata={"asset_id": asset.asset_id, "name": asset.name},
        provider_name=asset.provider_name,
        model_name=asset.model_name,
        sha256=asset.content_hash,
    )
