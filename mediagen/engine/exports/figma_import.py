"""Nodes of a Figma file, rendered by Figma, become assets: each the child of the asset that was placed as that node."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from asgiref.sync import sync_to_async

from mediagen.engine.database import as_uuid, in_database
from mediagen.engine.exports.from_figma import TAG, new_asset
from mediagen.engine.files import uploads
from mediagen.engine.generation import RowRecorder
from mediagen.engine.library import Access, Right, get_library
from mediagen.errors import GenerationFailed, InvalidRequest, StorageFailed
from mediagen.factory import aget_media_generator_chain
from mediagen.images import Picture
from mediagen.models import AssetExport, ExportState, ExportTarget, MediaAsset, MediaLibrary, ReviewStatus
from mediagen.models.routing import atomic
from mediagen.providers.figma_api import FigmaRender, FigmaRenders
from mediagen.providers.figma_inputs import parse_file_key, parse_node_id, parse_render
from mediagen.wording import say as _

LARGEST_RENDER_PX = 32_000_000
"""Figma scales larger renders down, without a word"""
NEARLY = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFailure:
    """A node of which there is no asset, and why."""

    node_id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FigmaImport:
    """What came of an import, in the order in which the nodes were named."""

    assets: tuple[MediaAsset, ...]
    failures: tuple[NodeFailure, ...]
    dry_run: bool = False


async def import_from_figma(
    file_key: Any,
    node_ids: Iterable[str] | str,
    format: str = "png",
    scale: float = 1,
    *,
    library_id: Any = None,
    by: Any = None,
    access: Access | None = None,
    dry_run: bool | None = None,
    deadline_s: float | None = None,
) -> FigmaImport:
    """Assets of these nodes. A node that fails is told of and stops no other.

    `file_key` and each node may be an address as copied from Figma. `format` "png" or "jpg", `scale` 0.01 to 4. A node
    that we placed gives a child of its asset, in that one's library; others go to `library_id`, or to the default
    library. With `library_id` all go there. With `access` only what these may read is a parent, and only where they may
    add does a picture land. `GenerationFailed` with every attempt when no provider can, `InvalidRequest` for what
    nobody can render.
    """
    key = parse_file_key(file_key)
    named = [node_ids] if isinstance(node_ids, str) else list(node_ids)
    nodes = list(dict.fromkeys(parse_node_id(node, "node_ids") for node in named))
    parse_render(format, scale)
    library = await in_database(_library, library_id, access)
    chain = await aget_media_generator_chain(dry_run=dry_run)
    # There is no asset yet: its attempts stand with the library.
    owner: Any = SimpleNamespace(pk=None, library_id=library.pk, batch_id=None)
    recorder = RowRecorder(owner)
    outcome = await chain.execute(
        "import_from_figma",
        recorder=recorder,
        dry_run=dry_run,
        deadline_s=deadline_s,
        file_key=key,
        node_ids=nodes,
        format=format,
        scale=scale,
    )
    await in_database(atomic()(recorder.flush))
    if outcome.result is None:
        raise GenerationFailed(outcome.explain(), attempts=outcome.attempts)
    renders: FigmaRenders = outcome.result
    assets: list[MediaAsset] = []
    failures: list[NodeFailure] = []
    for node in renders.node_ids:
        render = await renders.fetch(node)
        if render.problem:
            failures.append(NodeFailure(node_id=node, message=render.problem))
            continue
        try:
            target = library if library_id is not None else None
            keep = sync_to_async(_keep)
            assets.append(await asyncio.shield(keep(render, renders, target, library, scale, by, access)))
        except (InvalidRequest, StorageFailed) as exc:
            failures.append(NodeFailure(node_id=node, message=str(exc)))
    return FigmaImport(assets=tuple(assets), failures=tuple(failures), dry_run=renders.dry_run)


def _keep(
    render: FigmaRender,
    renders: FigmaRenders,
    target: MediaLibrary | None,
    default: MediaLibrary,
    scale: float,
    by: Any,
    access: Access | None,
) -> MediaAsset:
    content, picture = uploads.opened(uploads.read(render.content))
    origin = placed_as(renders.file_key, render.node_id, by, access)
    library = target or (origin.library if origin is not None else default)
    asset = new_asset(library, picture, origin, file_key=renders.file_key, node_id=render.node_id, name="", by=by)
    asset.is_placeholder = asset.dry_run = render.is_placeholder
    asset.fit_report = _fit_report(render, picture, scale)
    return uploads.store(asset, content, picture, tags=[TAG])


def _library(library_id: Any, access: Access | None) -> MediaLibrary:
    library = get_library(as_uuid(library_id, "library_id"))
    if access is not None and not access.may(Right.GENERATE, library):
        raise InvalidRequest(_("There is no such library that you may add to. Name another one."), field="library_id")
    return library


def placed_as(file_key: str, node_id: str, by: Any = None, access: Access | None = None) -> MediaAsset | None:
    """The asset that was placed as this node last, unless it was deleted, or `access`, or else `by`, a user, may not
    read it and add to its library."""
    exports = AssetExport.objects.filter(
        target=ExportTarget.FIGMA, state=ExportState.PLACED, dry_run=False, file_key=file_key, external_id=node_id
    ).exclude(asset__status=ReviewStatus.DELETED)
    if access is None and hasattr(by, "has_perm"):
        access = Access(by)
    if access is not None:
        # With a right to add alone nothing is read: neither that it is there nor its alt text.
        exports = exports.filter(asset__in=access.assets(Right.READ) & access.assets(Right.GENERATE))
    export = exports.select_related("asset__library").order_by("-placed_at", "-pk").first()
    return export.asset if export is not None else None


def _fit_report(render: FigmaRender, picture: Picture, scale: float) -> dict[str, Any]:
    """What came otherwise than asked, as far as it can be known."""
    report: dict[str, Any] = {}
    if not render.is_placeholder and render.scale != float(scale):
        why = "Figma could not render it at this scale in time"
        report["scale"] = {"asked": scale, "made": render.scale, "honoured": False, "why": why}
    if picture.width * picture.height >= LARGEST_RENDER_PX * NEARLY:
        report["size"] = {
            "made": [picture.width, picture.height],
            "why": "Figma renders at most 32 megapixels and scales larger ones down: this one may have been larger",
        }
    return report
