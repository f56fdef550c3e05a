"""The life of an export: a row before anybody is asked, one holder at a time, and one end.

pending (the other side is being asked) -> waiting (for the plugin, which claims it: running) -> placed; or failed,
expired, cancelled. What is placed stays placed: whoever reports a second place is told of the first.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from mediagen import conf
from mediagen.engine.events import announcements
from mediagen.engine.library import Access, Right, review
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import AssetExport, ExportState, ExportTarget, MediaAsset
from mediagen.models.clock import db_now
from mediagen.models.export import AssetExportQuerySet
from mediagen.models.routing import atomic
from mediagen.wording import say as _

LEASE_S = 120.0
"""for placing one picture; a plugin that was closed half way has lost it then"""

OVER = (ExportState.PLACED, ExportState.FAILED, ExportState.EXPIRED, ExportState.CANCELLED)
DIED = "The process that asked died before the answer was written. Export the asset again."


class ExportConflict(MediagenError):
    """The export is not to be had: somebody else holds it, or it has ended. `export` says how it stands."""

    def __init__(self, message: str, export: AssetExport) -> None:
        super().__init__(message)
        self.export = export


def visible(access: Access) -> AssetExportQuerySet:
    """Exports of the assets that they may read."""
    exports: Any = AssetExport.objects
    return exports.filter(asset__in=access.assets(Right.READ)).select_related("asset__library")  # type: ignore[no-any-return]


def begin(asset: MediaAsset, target: str, *, by: Any = None, **fields: Any) -> AssetExport:
    """A new export, pending, for this process to send."""
    return AssetExport.objects.create(
        asset=asset,
        target=target,
        state=ExportState.PENDING,
        created_by_id=getattr(by, "pk", by),
        lease_until=db_now() + timedelta(seconds=conf.get("DEADLINE_S") * 2),
        **fields,
    )


def wait_for_plugin(export: AssetExport, **known: Any) -> None:
    """The other side knows of it, or need not: from now on a plugin may claim it."""
    days = timedelta(days=conf.get("EXPORT_WAIT_DAYS"))
    _move(export, ExportState.PENDING, state=ExportState.WAITING, expires_at=db_now() + days, lease_until=None, **known)


@atomic()
def fail(export: AssetExport, message: str) -> None:
    """It did not come about, and `message` says why and what to do. An export that has ended stays as it ended."""
    going_on = (ExportState.PENDING, ExportState.RUNNING)
    if _move(export, *going_on, state=ExportState.FAILED, message=message, lease_worker="", lease_until=None):
        announcements.export_failed(export.pk)


def finish_dry(export: AssetExport, **known: Any) -> None:
    """Nothing was sent anywhere: the row says so, and the asset is not tagged."""
    now = db_now()
    mine = (ExportState.PENDING, ExportState.RUNNING)
    ended = {"state": ExportState.PLACED, "dry_run": True, "placed_at": now, "lease_worker": "", "lease_until": None}
    _move(export, *mine, **ended, **known)


def claim(export_id: Any, *, worker: str, lease_s: float = LEASE_S) -> AssetExport:
    """The export, held by `worker` until its lease is over. `ExportConflict` when it is not to be had.

    Who holds it already gets it again, under the same token: the answer to his first claim may have been lost.
    """
    with atomic():
        exports: Any = AssetExport.objects
        if exports.filter(pk=export_id).claim(worker=worker, lease_s=lease_s):
            return _get(export_id)
        export = _get(export_id)
    if export.state == ExportState.RUNNING and export.lease_worker == worker[:100]:
        until = Now() + timedelta(seconds=lease_s)
        mine = AssetExport.objects.filter(pk=export.pk, state=ExportState.RUNNING, lease_token=export.lease_token)
        if mine.update(lease_until=until):
            return export
        export.refresh_from_db()
    raise ExportConflict(_why_not(export), export)


def placed(
    export_id: Any, *, token: int | None, external_id: str, url: str = "", **known: Any
) -> tuple[AssetExport, bool]:
    """(the export, whether this call was the first to say so): it is at `external_id`, and the asset is tagged.

    A place is a fact, so that it counts from whoever ever held the export, however late. `ExportConflict` when it is
    known to be somewhere else, so that the second one can be taken away. `token` None: from this process itself.
    """
    with atomic():
        export = AssetExport.objects.locked().select_related("asset__library").filter(pk=export_id).first()
        if export is None:
            raise InvalidRequest(_("There is no export %(export_id)s.", export_id=export_id), field="export_id")
        if export.state == ExportState.PLACED:
            if export.external_id == external_id:
                return export, False
            raise ExportConflict(_("It is placed already, at %(external_id)s.", external_id=export.external_id), export)
        if token is not None and not 0 < token <= export.lease_token:
            raise ExportConflict(_("This token was never given out for the export. Claim it first."), export)
        values: dict[str, Any] = {
            "state": ExportState.PLACED,
            "external_id": external_id,
            "url": url or export.url,
            "message": "",
            "lease_worker": "",
            "lease_until": None,
            "placed_at": db_now(),
            "updated_at": db_now(),
            **known,
        }
        # Said again in the statement: SQLite has no row locks.
        if not AssetExport.objects.filter(pk=export.pk).exclude(state=ExportState.PLACED).update(**values):
            export.refresh_from_db()
            raise ExportConflict(_("It is placed already, at %(external_id)s.", external_id=export.external_id), export)
        for name, value in values.items():
            setattr(export, name, value)
        review.change_tags(export.asset.tags, add=[f"{export.target}_exported"])
        announcements.export_placed(export.pk)
    return export, True


def not_placed(export_id: Any, *, token: int, message: str) -> AssetExport:
    """Its holder could not place it. Not from a holder whose lease another has taken over: that one may still do it."""
    export = _get(export_id)
    held = AssetExport.objects.filter(pk=export.pk, state=ExportState.RUNNING, lease_token=token)
    values: dict[str, Any] = {
        "state": ExportState.FAILED,
        "message": message,
        "lease_worker": "",
        "lease_until": None,
        "updated_at": db_now(),
    }
    with atomic():
        changed = held.update(**values)
        if changed:
            announcements.export_failed(export.pk)
    export.refresh_from_db()
    if changed or (export.state == ExportState.FAILED and export.lease_token == token):
        return export
    raise ExportConflict(_why_not(export), export)


def give_back(export_id: Any, *, token: int, message: str = "") -> AssetExport:
    """Its holder lets it go: it waits again, for anybody."""
    held = AssetExport.objects.filter(pk=export_id, state=ExportState.RUNNING, lease_token=token)
    held.update(state=ExportState.WAITING, message=message, lease_worker="", lease_until=None, updated_at=db_now())
    return _get(export_id)


def wait_again(export_id: Any) -> AssetExport:
    """A Figma export that failed, expired or was cancelled waits for the plugin once more, without another question
    to Figma. `InvalidRequest` for one that is placed, on its way, or was never fit to wait."""
    export = _get(export_id)
    if export.target != ExportTarget.FIGMA:
        raise InvalidRequest(
            _("Only an export to Figma can wait again. Export the asset once more."), field="export_id"
        )
    over = (ExportState.FAILED, ExportState.EXPIRED, ExportState.CANCELLED)
    # With no expiry it never waited: Figma was asked and said no.
    ended = AssetExport.objects.filter(pk=export.pk, state__in=over, expires_at__isnull=False)
    days = timedelta(days=conf.get("EXPORT_WAIT_DAYS"))
    now = db_now()
    if not ended.update(state=ExportState.WAITING, message="", expires_at=now + days, updated_at=now):
        raise InvalidRequest(
            _(
                "The export is %(state)s: it cannot wait again. Export the asset once more.",
                state=export.get_state_display(),
            ),
            field="export_id",
        )
    return _get(export_id)


def cancel(export_ids: list[Any]) -> int:
    """Exports that nobody has placed yet will not be; how many. One that is being placed at this moment is left."""
    unclaimed = Q(state__in=(ExportState.PENDING, ExportState.WAITING)) | Q(
        state=ExportState.RUNNING, lease_until__lt=Now()
    )
    return AssetExport.objects.filter(unclaimed, pk__in=export_ids).update(
        state=ExportState.CANCELLED, lease_worker="", lease_until=None, updated_at=db_now()
    )


def expire() -> int:
    """End what waited too long, and what a dead process left; how many. For maintenance."""
    now = db_now()  # by which these times were written; leases are the database's, by its own clock
    # Held when its time is up: whoever holds it may finish.
    waiting = Q(state=ExportState.WAITING) | Q(state=ExportState.RUNNING, lease_until__lt=Now())
    ended = AssetExport.objects.filter(waiting, target=ExportTarget.FIGMA, expires_at__lte=now).update(
        state=ExportState.EXPIRED,
        message=f"Nobody placed it in {conf.get('EXPORT_WAIT_DAYS')} days. Export the asset again.",
        lease_worker="",
        lease_until=None,
        updated_at=now,
    )
    # One to Canva waits until somebody sends it.
    left = AssetExport.objects.filter(state=ExportState.PENDING, target=ExportTarget.FIGMA, lease_until__lt=now)
    for export in left:
        fail(export, DIED)
        ended += export.state == ExportState.FAILED
    return ended


def _get(export_id: Any) -> AssetExport:
    export = AssetExport.objects.select_related("asset__library").filter(pk=export_id).first()
    if export is None:
        raise InvalidRequest(_("There is no export %(export_id)s.", export_id=export_id), field="export_id")
    return export


def _move(export: AssetExport, *sources: ExportState, **values: Any) -> bool:
    """Write `values` if the row is still in one of `sources`; `export` then says what the row says."""
    changed = AssetExport.objects.filter(pk=export.pk, state__in=sources).update(**values, updated_at=db_now())
    if not changed:
        export.refresh_from_db()
        return False
    for name, value in values.items():
        setattr(export, name, value)
    return True


def _why_not(export: AssetExport) -> str:
    match export.state:
        case ExportState.RUNNING:
            return "Somebody else is placing it just now."
        case ExportState.PLACED:
            return f"It is placed already, at {export.external_id}."
        case ExportState.PENDING:
            return "It is still being prepared. Look again in a moment."
        case ExportState.WAITING:
            return "It has waited too long. Export the asset again."
    return f"It is {export.get_state_display()}. {export.message}".strip()
