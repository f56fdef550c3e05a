"""What the plugin inside Figma does here: it takes exports that wait for a file, one at a time, and says what came of
them. Whoever signs in with its token sees what its user may see, and nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max, Q

import mediagen.engine.exports.figma as figma
import mediagen.engine.exports.rows as rows
from mediagen.engine.database import as_uuid
from mediagen.engine.library import Access, Right
from mediagen.errors import InvalidRequest
from mediagen.models import AssetExport, ExportState, ExportTarget, MediaAsset
from mediagen.models.export import AssetExportQuerySet
from mediagen.models.routing import atomic
from mediagen.providers.figma_inputs import FigmaPlace, file_url, parse_file_key, parse_node_id, parse_page_id
from mediagen.types import checked_text
from mediagen.wording import say as _

MAX_WAITING = 200
"""exports of one file in one list; the oldest come first, so that the others follow"""

REASONS = {
    "page_missing": "The page is not in the file any more. Place it on another page with the plugin, or export again.",
    "picture_refused": "Figma did not take the picture.",
    "not_allowed": "The person may not edit this file. Somebody who may has to place it.",
    "error": "The plugin could not place it.",
}
"""what the plugin may say of an export that it could not place"""


class NoSuchExport(InvalidRequest):
    """It does not exist, or not for whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFile:
    """A Figma file for which exports wait."""

    file_key: str
    waiting: int
    newest: Any
    """when the last of them was asked for"""


def waiting_files(access: Access) -> list[WaitingFile]:
    """Files for which exports wait that they may see, the newest first."""
    found = (
        _open(access)
        .order_by()
        .values("file_key")
        .annotate(waiting=Count("pk"), newest=Max("created_at"))
        .order_by("-newest")[:MAX_WAITING]
    )
    return [WaitingFile(file_key=row["file_key"], waiting=row["waiting"], newest=row["newest"]) for row in found]


def waiting(access: Access, file: Any) -> tuple[str, list[AssetExport]]:
    """(the file's key, its exports that are not placed yet, the oldest first). `file` may be an address.

    With those that somebody is placing at this moment, and those that could not be placed: they can be tried again.
    """
    key = parse_file_key(file)
    return key, list(_open(access).filter(file_key=key).order_by("pk")[:MAX_WAITING])


def claim(access: Access, export_id: Any, *, worker: str, page_id: str = "", again: bool = False) -> AssetExport:
    """The export, for `worker` to place now; `again` takes one that could not be placed before.

    `page_id` is where it is about to be placed. It is remembered, so that whoever comes next, should this one be cut
    off, looks for it there. `rows.ExportConflict` when it is not to be had.
    """
    export = _seen(access, export_id)
    page = parse_page_id(page_id)
    if again and export.state == ExportState.FAILED:
        rows.wait_again(export.pk)
    with atomic():
        held = rows.claim(export.pk, worker=_worker(worker))
        pages = [known for known in held.options.get("pages", []) if known != page][-4:]
        held.options = {**held.options, "pages": [*pages, *([page] if page else [])]}
        AssetExport.objects.filter(pk=held.pk, lease_token=held.lease_token).update(options=held.options)
    return held


@atomic()
def insert(
    access: Access, asset_id: Any, file: Any, *, worker: str, page_id: str = "", frame_name: str = ""
) -> AssetExport:
    """An export that nobody asked for before: a person in Figma picked the asset out of the library. Held already."""
    asset = access.assets(Right.READ).ready().filter(pk=as_uuid(asset_id, "asset_id") or "").first()
    if asset is None:
        raise InvalidRequest(_("There is no such asset with a picture for you."), field="asset_id")
    place = FigmaPlace.checked(file, page_id, frame_name=frame_name)
    export = figma.begin(asset, place, access.user, options={"inserted": True})
    rows.wait_for_plugin(export, url=file_url(place.file_key))
    return claim(access, export.pk, worker=worker, page_id=page_id)


def placed(access: Access, export_id: Any, *, token: int, node_id: str, page_id: str = "") -> tuple[AssetExport, bool]:
    """(the export, whether it was not known before): the picture is this node. See `rows.placed`."""
    export = _seen(access, export_id)
    node, page = parse_node_id(node_id), parse_page_id(page_id)
    return rows.placed(
        export.pk,
        token=token,
        external_id=node,
        url=file_url(export.file_key, node, export.frame_name),
        page_id=page or export.page_id,
    )


def not_placed(access: Access, export_id: Any, *, token: int, reason: str, message: str = "") -> AssetExport:
    """The plugin could not place it: `reason` is one of `REASONS`, `message` what Figma said."""
    if reason not in REASONS:
        raise InvalidRequest(_("reason must be one of %(reasons)s.", reasons=", ".join(REASONS)), field="reason")
    said = " ".join(checked_text(message, "message").split())[:500]
    text = f"{REASONS[reason]} Figma says: {said}" if said else REASONS[reason]
    return rows.not_placed(_seen(access, export_id).pk, token=token, message=text)


def give_back(access: Access, export_id: Any, *, token: int) -> AssetExport:
    """The plugin lets it go: it waits again."""
    return rows.give_back(_seen(access, export_id).pk, token=token)


def placed_asset(access: Access, file_key: str, node_id: str) -> MediaAsset | None:
    """The asset that was placed as this node of the file, if they may see it."""
    placed = rows.visible(access).filter(
        target=ExportTarget.FIGMA, state=ExportState.PLACED, dry_run=False, file_key=file_key, external_id=node_id
    )
    export = placed.order_by("-placed_at").first()
    return export.asset if export is not None else None


def _open(access: Access) -> AssetExportQuerySet:
    """Not placed, and still to be."""
    claimable = Q(pk__in=AssetExport.objects.claimable().values("pk"))
    under_way = Q(state=ExportState.RUNNING)
    # With an expiry it has waited: what Figma's API refused was never for the plugin.
    tried = Q(state=ExportState.FAILED, expires_at__isnull=False)
    return rows.visible(access).filter(claimable | under_way | tried, target=ExportTarget.FIGMA, dry_run=False)


def _seen(access: Access, export_id: Any) -> AssetExport:
    export = rows.visible(access).filter(pk=export_id, target=ExportTarget.FIGMA).first()
    if export is None:
        raise NoSuchExport("There is no such export for you.", field="export_id")
    return export


def _worker(text: str) -> str:
    name = checked_text(text, "worker").strip()
    if not 8 <= len(name) <= 100:
        raise InvalidRequest(_("worker must be a text of 8 to 100 characters that names this plugin."), field="worker")
    return name
