"""Pictures that come back out of Canva: a page of a design becomes an asset, the child of the one exported into it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asgiref.sync import sync_to_async

from mediagen.engine.database import as_uuid, in_database
from mediagen.engine.files import uploads
from mediagen.engine.generation import RowRecorder
from mediagen.engine.library import Access, Right, get_library
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.execution import ChainOutcome
from mediagen.factory import aget_media_generator_chain
from mediagen.models import (
    AssetExport,
    AssetSource,
    ExportTarget,
    GenerationAttempt,
    MediaAsset,
    MediaLibrary,
    MediaTag,
)
from mediagen.models.routing import atomic
from mediagen.providers.canva_inputs import checked_page, parse_design
from mediagen.types import GeneratedImage, checked_text
from mediagen.wording import say as _

OPERATION = "import_from_canva"
TAG = "canva_imported"


async def import_from_canva(
    design_id: str,
    library_id: Any = None,
    page: int = 1,
    *,
    name: str = "",
    tags: Iterable[str] = (),
    by: Any = None,
    access: Access | None = None,
    dry_run: bool | None = None,
    deadline_s: float | None = None,
) -> MediaAsset:
    """A page of a design as a new asset. `design_id` may be the design's address; pages from 1.

    The asset that was exported into the design, if one was, is its parent, and without `library_id` its library is
    taken. With `access` only what these may read is a parent, and only where they may add does it land.
    `GenerationFailed` with every attempt when no provider can, `InvalidRequest` for what cannot be a design.
    """
    design, number = parse_design(design_id), checked_page(page)
    title = " ".join(checked_text(name, "name").split())[:255]
    names = await in_database(lambda: MediaTag.objects.clean_names([TAG, *tags]))
    origin, library = await in_database(_origin_and_library, design, library_id, access)
    chain = await aget_media_generator_chain(dry_run=dry_run)
    # Until there is an asset, the attempts stand with what it will come from.
    recorder = RowRecorder(origin or MediaAsset(pk=None, library=library))
    outcome = await chain.execute(
        OPERATION, recorder=recorder, dry_run=dry_run, deadline_s=deadline_s, design_id=design, page=number
    )
    await in_database(atomic()(recorder.flush))
    if outcome.result is None:
        asset_id = origin.asset_id if origin is not None else None
        raise GenerationFailed(outcome.explain(), attempts=outcome.attempts, asset_id=asset_id, asset=origin)
    image: GeneratedImage = outcome.result
    asset = _new_asset(library, origin, image, title=title, by=by)
    # The file first: off the thread for the ORM's rows of others it may take seconds.
    await sync_to_async(_store)(asset, image, list(names))
    await in_database(_give_attempts, asset, outcome)
    return asset


def _new_asset(
    library: MediaLibrary, origin: MediaAsset | None, image: GeneratedImage, *, title: str, by: Any
) -> MediaAsset:
    metadata = image.metadata
    design, page = str(metadata.get("design_id", "")), metadata.get("page", 1)
    known = " ".join(str(metadata.get("title", "")).split())[:255]
    return MediaAsset(
        library=library,
        source=AssetSource.IMPORTED,
        parent=origin,
        name=title or known or (origin.name if origin is not None else "From Canva"),
        alt_text=origin.alt_text if origin is not None else "",
        original_name=f"{design}-{page}.png",
        parameters={"canva": {"design_id": design, "page": page, "title": known}},
        provider_name=image.provider_name[:100],
        is_placeholder=image.is_placeholder,
        dry_run=image.dry_run,
        created_by_id=getattr(by, "pk", by),
    )


def _store(asset: MediaAsset, image: GeneratedImage, tags: list[str]) -> None:
    content = image.content if isinstance(image.content, bytes) else b""
    cleaned, picture = uploads.opened(content)
    uploads.store(asset, cleaned, picture, tags=tags)


def _origin_and_library(
    design_id: str, library_id: Any, access: Access | None
) -> tuple[MediaAsset | None, MediaLibrary]:
    exports = AssetExport.objects.filter(target=ExportTarget.CANVA, design_id=design_id)
    readable = access.assets(Right.READ) if access is not None else MediaAsset.objects.kept()
    export = exports.filter(asset__in=readable).select_related("asset__library").order_by("-pk").first()
    origin = export.asset if export is not None else None
    if library_id is not None or origin is None:
        library = get_library(as_uuid(library_id, "library_id"))
    else:
        library = origin.library
    if access is not None and not access.may(Right.GENERATE, library):
        raise InvalidRequest(_("There is no such library that you may add to. Name another one."), field="library_id")
    return origin, library


def _give_attempts(asset: MediaAsset, outcome: ChainOutcome) -> None:
    pks = [attempt.row.pk for attempt in outcome.attempts if attempt.row is not None]
    GenerationAttempt.objects.filter(pk__in=pks).update(asset=asset, library=asset.library)
