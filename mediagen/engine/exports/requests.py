"""What edges ask for: an asset into Figma or Canva, once more, not any more. The same for admin, API, studio, command.

An export to Figma is sent at once: two or three quick requests, then it waits for the plugin. One to Canva takes as
long as Canva's jobs do, and waits for its limits: it is sent by whoever works for the site.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import mediagen.engine.exports.canva as canva
import mediagen.engine.exports.figma as figma
import mediagen.engine.exports.rows as rows
import mediagen.engine.exports.sending as sending
from mediagen.engine.database import run_sync
from mediagen.engine.library import Access, Right
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.models import AssetExport, ExportState, ExportTarget, MediaAsset
from mediagen.models.export import AssetExportQuerySet
from mediagen.models.routing import atomic
from mediagen.providers.figma_inputs import FigmaPlace
from mediagen.wording import say as _

OF_FIGMA = ("file_key", "page_id", "x", "y", "comment")
OF_CANVA = ("folder", "create_design")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOrder:
    """Where an asset is to go. None: not said."""

    target: str
    title: str | None = None
    """Figma: name of the frame. Canva: title of the design"""
    file_key: str | None = None
    page_id: str | None = None
    x: float | None = None
    y: float | None = None
    comment: str | bool | None = None
    folder: str | None = None
    create_design: bool | None = None
    dry_run: bool | None = None

    def check(self) -> None:
        """`InvalidRequest` with the field for what cannot be, before anything is written."""
        if self.target not in ExportTarget.values:
            raise InvalidRequest(
                _("target must be one of %(values)s.", values=", ".join(ExportTarget.values)), field="target"
            )
        is_figma = self.target == ExportTarget.FIGMA
        for name in OF_CANVA if is_figma else OF_FIGMA:
            if getattr(self, name) not in (None, ""):
                raise InvalidRequest(
                    _("%(name)s is for %(value)s only.", name=name, value="Canva" if is_figma else "Figma"), field=name
                )
        if not is_figma:
            canva.CanvaPlace.checked(MediaAsset(), self.title or None, self.creates_design, self.folder)
            return
        if not self.file_key:
            raise InvalidRequest(_("file_key is missing: the key or address of the Figma file."), field="file_key")
        FigmaPlace.checked(self.file_key, self.page_id, frame_name=self.title, x=self.x, y=self.y, comment="")

    @property
    def creates_design(self) -> bool:
        return self.create_design is not False


def place(asset: MediaAsset, order: ExportOrder, *, by: Any = None) -> AssetExport:
    """The export of the asset as it stands then: to Figma sent and waiting for the plugin, or failed; to Canva pending,
    and sent soon. Whether `by` may is asked before, at the edge (`Right.CHANGE` on the asset). Not in a transaction.
    """
    order.check()
    if order.target == ExportTarget.CANVA:
        return _begin_canva(asset, order, by)
    try:
        found = run_sync(
            figma.export_to_figma,
            asset.pk,
            order.file_key or "",
            order.page_id or None,
            frame_name=order.title or "",
            x=order.x,
            y=order.y,
            comment=order.comment,
            by=by,
            dry_run=order.dry_run,
        )
    except GenerationFailed:
        exports = AssetExport.objects.filter(
            asset=asset, target=ExportTarget.FIGMA, created_by_id=getattr(by, "pk", by)
        )
        return exports.select_related("asset").latest("pk")  # its row says why
    return AssetExport.objects.select_related("asset").get(pk=found["export_id"])


def place_once(
    asset: MediaAsset | None, arguments: Mapping[str, Any], *, by: Any, since: datetime
) -> AssetExport | None:
    """As `place`, for a job that may come to the same asset twice: what `by` has had put there since it began counts.
    Without an asset the arguments are only checked."""
    order = ExportOrder(**arguments)
    order.check()
    if asset is None:
        return None
    before = AssetExport.objects.filter(
        asset=asset, target=order.target, created_by_id=getattr(by, "pk", by), created_at__gte=since
    ).exclude(state=ExportState.FAILED)
    return before.first() or place(asset, order, by=by)


def send_now(asset: MediaAsset, order: ExportOrder, *, by: Any = None) -> AssetExport:
    """As `place`, but an export to Canva is sent by us and has ended then; its limits are waited out."""
    order.check()
    if order.target == ExportTarget.FIGMA:
        return place(asset, order, by=by)
    export = canva.begin(
        asset.pk, order.creates_design, order.title or None, order.folder, by=by, dry_run=order.dry_run
    )
    run_sync(canva.work_off, [export.pk])
    export.refresh_from_db()
    return export


def retry(export: AssetExport) -> AssetExport:
    """The export, on its way once more. `ExportConflict` or `InvalidRequest` when there is nothing to retry."""
    if export.target == ExportTarget.FIGMA:
        return rows.wait_again(export.pk)
    with atomic():
        again = canva.retry(export.pk)
        sending.send_soon([again.pk])
    return again


def cancel(export: AssetExport) -> AssetExport:
    """The export, which nobody will place any more. `ExportConflict` when it has ended, or is being placed."""
    if not rows.cancel([export.pk]):
        export.refresh_from_db()
        raise rows.ExportConflict(
            _("The export is %(state)s: it cannot be cancelled now.", state=export.get_state_display()), export
        )
    export.refresh_from_db()
    return export


def changeable(access: Access) -> AssetExportQuerySet:
    """Exports that they may retry and cancel: of assets that they may change."""
    return rows.visible(access).filter(asset__in=access.assets(Right.CHANGE))


@atomic()
def _begin_canva(asset: MediaAsset, order: ExportOrder, by: Any) -> AssetExport:
    export = canva.begin(
        asset.pk, order.creates_design, order.title or None, order.folder, by=by, dry_run=order.dry_run
    )
    sending.send_soon([export.pk])
    return export
