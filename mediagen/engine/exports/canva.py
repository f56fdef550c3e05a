"""Pictures on their way into a Canva account: a row first, one holder at a time, and no upload made twice.

pending (waiting for somebody who sends it) -> running (held under a lease) -> placed, failed or cancelled. Canva's job
is kept in the row from the moment it has an id, so that whoever takes the row over from a dead process goes on with it.
A limit of Canva's puts a waiting export off; it fails nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Now

import mediagen.engine.exports.rows as rows
from mediagen import conf
from mediagen.engine.database import as_uuid, in_database
from mediagen.engine.exports.figma import as_image
from mediagen.engine.generation import RowRecorder, leases
from mediagen.engine.library import get_asset
from mediagen.errors import GenerationFailed, InvalidRequest, MediagenError, Outcome
from mediagen.execution import ChainOutcome
from mediagen.factory import aget_media_generator_chain
from mediagen.models import AssetExport, ExportState, ExportTarget, GenerationAttempt, MediaAsset
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.providers.canva_api import ENDED
from mediagen.providers.canva_inputs import checked_title, parse_folder
from mediagen.types import Attempt, AttemptState, CanvaExportResult, ProviderJob
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

OPERATION = "export_to_canva"
LINK_LIVES = timedelta(days=30)
"""Canva's links for editing end then; the design does not"""
MAX_PUT_OFF = 60
PUT_OFF_S, LONGEST_PUT_OFF_S = 60.0, 3600.0
DIED = (
    "The process died after the upload may have left, before Canva named a job. Look into the account's uploads; "
    "retry the export to upload the picture again."
)
LOST = " Canva does not know the upload's job any more: retry the export to upload the picture again."
KEPT = " What was done at Canva is kept: a retry goes on from there."


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvaPlace:
    """Where a picture is to go, checked."""

    title: str
    create_design: bool = True
    folder: str = ""

    @classmethod
    def checked(cls, asset: MediaAsset, title: Any = None, create_design: Any = True, folder: Any = None) -> CanvaPlace:
        """`InvalidRequest` for what cannot be a title or folder. Without a title: the asset's name."""
        if not isinstance(create_design, bool):
            raise InvalidRequest(_("create_design must be true or false."), field="create_design")
        name = title if title is not None else " ".join(str(asset).split())[:255]
        return cls(title=checked_title(name), create_design=create_design, folder=parse_folder(folder))


async def export_to_canva(
    asset_id: Any,
    create_design: bool = True,
    title: str | None = None,
    folder: str | None = None,
    *,
    by: Any = None,
    dry_run: bool | None = None,
    deadline_s: float | None = None,
) -> dict[str, Any]:
    """What is known of the export when it has ended. `GenerationFailed` with every attempt when no provider can,
    `InvalidRequest` for an asset that does not exist or has no picture. The row keeps the end and the reason."""
    export = await in_database(begin, asset_id, create_design, title, folder, by=by, dry_run=dry_run)
    return await send(await in_database(_claimed, export.pk), deadline_s=deadline_s)


@atomic()
def begin(
    asset_id: Any,
    create_design: bool = True,
    title: str | None = None,
    folder: str | None = None,
    *,
    by: Any = None,
    dry_run: bool | None = None,
) -> AssetExport:
    """A new export of the asset, waiting for `work_off` or `send`. `InvalidRequest` as `export_to_canva`."""
    asset = get_asset(asset_id)
    if not asset.is_ready:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: there is no picture to export.", pk=asset.pk, state=asset.generation_state),
            field="asset_id",
        )
    place = CanvaPlace.checked(asset, title, create_design, folder)
    options: dict[str, Any] = {"create_design": place.create_design}
    if dry_run is not None:
        options["dry_run"] = dry_run
    return AssetExport.objects.create(
        asset=asset,
        target=ExportTarget.CANVA,
        state=ExportState.PENDING,
        frame_name=place.title,
        file_key=place.folder,
        options=options,
        created_by_id=getattr(by, "pk", by),
    )


def retry(export_id: Any) -> AssetExport:
    """Let an export that failed or was cancelled wait once more, with what was done at Canva so far.

    A person asks for it: what may have been made and could not be found is made again.
    """
    export = _get(export_id)
    options = {**export.options, "asked_at": db_now().isoformat()}
    options.pop("put_off", None)
    job = options.pop("job", None)
    if job and not options.pop("job_lost", False):
        data = {name: value for name, value in job["data"].items() if (name, value) != ("design", "asked")}
        options["job"] = {**job, "data": data}
    over = (ExportState.FAILED, ExportState.CANCELLED, ExportState.EXPIRED)
    changed = AssetExport.objects.filter(pk=export.pk, state__in=over).update(
        state=ExportState.PENDING, message="", options=options, lease_worker="", lease_until=None, updated_at=db_now()
    )
    if not changed:
        export.refresh_from_db()
        raise rows.ExportConflict(
            _("The export is %(state)s: there is nothing to retry.", state=export.get_state_display()), export
        )
    return _get(export.pk)


async def work_off(export_ids: Iterable[Any]) -> int:
    """Send those of these exports that wait, one after the other, and those put off when their time has come.

    How many were sent. What somebody else holds is left to them.
    """
    count, left = 0, list(dict.fromkeys(str(pk) for pk in export_ids))
    while left:
        later: list[str] = []
        for pk in left:
            count += await send_one(pk)
            if await in_database(_due_in_s, pk) is not None:
                later.append(pk)
        if later:
            waits = [wait_s for pk in later if (wait_s := await in_database(_due_in_s, pk)) is not None]
            await asyncio.sleep(min(max(min(waits, default=0.0), 0.05), 60.0))
        left = later
    return count


async def send_one(export_id: Any) -> bool:
    """Send this export if it can be taken now; whether it could. What became of it is in its row."""
    export = await in_database(_take, export_id)
    if export is None:
        return False
    with suppress(MediagenError):  # its row says why
        await send(export, may_wait=True)
    return True


def waiting(limit: int = 500) -> list[str]:
    """Ids of the exports that can be taken now: never begun, put off until now, or left by a process that died."""
    return [
        str(pk) for pk in AssetExport.objects.filter(_takeable()).order_by("pk").values_list("pk", flat=True)[:limit]
    ]


async def send(export: AssetExport, *, deadline_s: float | None = None, may_wait: bool = False) -> dict[str, Any]:
    """Send an export that we hold, to its end. `may_wait`: a limit of Canva's puts it off instead of failing it."""
    beat = asyncio.ensure_future(_beat(export))
    try:
        return await _send(export, deadline_s=deadline_s, may_wait=may_wait)
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        # Whoever comes next goes on with the job, if there is one by then.
        await asyncio.shield(in_database(_let_go, export))
        raise
    except GenerationFailed:
        raise
    except BaseException as exc:
        # Our own texts are scrubbed; a foreign exception's text may hold anything.
        reason = str(exc) if isinstance(exc, MediagenError) else f"It ended early: {type(exc).__name__}."
        await in_database(_fail, export, reason)
        raise
    finally:
        beat.cancel()


async def _send(export: AssetExport, *, deadline_s: float | None, may_wait: bool) -> dict[str, Any]:
    asset, options = export.asset, export.options
    dry_run = options.get("dry_run")
    job = job_of(export)
    if job is None and await in_database(_may_be_uploaded, export):
        await in_database(_fail, export, DIED)
        raise GenerationFailed(DIED, asset_id=asset.asset_id, asset=asset)
    chain = await aget_media_generator_chain(dry_run=dry_run)
    recorder = _ExportRecorder(asset, export)
    asked: dict[str, Any] = {"title": export.frame_name, "create_design": bool(options.get("create_design", True))}
    if export.file_key:  # only what was asked: a foreign provider may not know it
        asked["folder"] = export.file_key
    outcome = await chain.execute(
        OPERATION,
        recorder=recorder,
        dry_run=dry_run,
        deadline_s=deadline_s,
        resume=job,
        patient=may_wait,
        image=await as_image(asset),
        **asked,
    )
    if outcome.result is None:
        await in_database(_ended_without, export, outcome, recorder, may_wait, job is not None)
        raise GenerationFailed(export.message, attempts=outcome.attempts, asset_id=asset.asset_id, asset=asset)
    await in_database(_keep, export, outcome.result, outcome.served_by, recorder)
    return shown(export)


def shown(export: AssetExport) -> dict[str, Any]:
    """What `export_asset_to_canva` answers."""
    return {
        "export_id": export.export_id,
        "asset_id": str(export.asset_id),
        "canva_asset_id": export.external_id,
        "canva_design_id": export.design_id,
        "edit_url": export.url,
        "title": export.frame_name,
        "folder": export.file_key,
        "status": "dry_run" if export.dry_run else str(export.state),
        "notes": [line for line in export.message.splitlines() if line],
    }


def job_of(export: AssetExport) -> dict[str, ProviderJob] | None:
    """The job to go on with, by the provider that has it, as the chain's `resume` wants it."""
    kept = (export.options or {}).get("job")
    if not isinstance(kept, dict) or not kept.get("id") or (kept.get("data") or {}).get(ENDED):
        return None
    return {str(kept.get("provider", "")): ProviderJob(str(kept["id"]), dict(kept.get("data") or {}))}


class _ExportRecorder(RowRecorder):
    """Attempts become rows, and what is known of Canva's job goes into the export's row before the next step."""

    def __init__(self, asset: MediaAsset, export: AssetExport) -> None:
        super().__init__(asset)
        self.export = export

    async def job_submitted(self, attempt: Attempt) -> None:
        await super().job_submitted(attempt)
        if attempt.job is not None:
            await in_database(_note, self.export, attempt.provider_name, attempt.job)


def _note(export: AssetExport, provider_name: str, job: ProviderJob) -> None:
    data = dict(job.data)
    export.options = {**export.options, "job": {"provider": provider_name, "id": job.id, "data": data}}
    values = {
        "options": export.options,
        "job_id": job.id[:255],
        "provider_name": provider_name[:100],
        "external_id": str(data.get("asset_id", ""))[:200],
        "design_id": str(data.get("design_id", ""))[:200],
        "url": str(data.get("edit_url", "")),
    }
    # Also under a lease that is over: that an upload exists is a fact, whoever holds the row.
    AssetExport.objects.filter(pk=export.pk).exclude(state=ExportState.PLACED).update(**values, updated_at=db_now())


@atomic()
def _keep(export: AssetExport, result: CanvaExportResult, provider_name: str, recorder: RowRecorder) -> None:
    recorder.flush()
    metadata = result.metadata
    known: dict[str, Any] = {
        "provider_name": provider_name[:100],
        "design_id": result.design_id[:200],
        "job_id": str(metadata.get("job_id", ""))[:255],
        "message": "\n".join(_notes(metadata.get("fit_report") or {})),
    }
    canva_asset = str(metadata.get("asset_id", ""))[:200]
    if metadata.get("dry_run"):
        rows.finish_dry(export, external_id=canva_asset, url=result.edit_url, **known)
        return
    lives_until = db_now() + LINK_LIVES if result.edit_url else None
    placed, _ = rows.placed(
        export.pk,
        token=export.lease_token,
        external_id=canva_asset or result.design_id[:200],
        url=result.edit_url,
        expires_at=lives_until,
        **known,
    )
    _copy(placed, export)


def _notes(report: dict[str, Any]) -> list[str]:
    """What was done otherwise than asked, one line each."""
    lines = []
    for name, entry in report.items():
        if isinstance(entry, dict):
            detail = entry.get("why") or f"{entry.get('asked')} became {entry.get('made')}"
            lines.append(f"{name}: {detail}"[:500])
    return lines


@atomic()
def _ended_without(
    export: AssetExport, outcome: ChainOutcome, recorder: RowRecorder, may_wait: bool, resumed: bool
) -> None:
    """Nobody has placed it: put off when waiting helps, else failed, with all that is known."""
    recorder.flush()
    message = outcome.explain()
    tries = int(export.options.get("put_off", 0))
    if may_wait and outcome.may_pass and tries < MAX_PUT_OFF:
        wait_s = min(max(outcome.retry_after_s or PUT_OFF_S, 1.0), LONGEST_PUT_OFF_S)
        until = db_now() + timedelta(seconds=wait_s)
        options = {**export.options, "put_off": tries + 1}
        _held(export).update(
            state=ExportState.PENDING, message=message, options=options, lease_worker="", lease_until=until
        )
        export.message = message
        return
    if resumed and getattr(outcome.error, "http_status", None) == 404:
        export.options = {**export.options, "job_lost": True}
        _held(export).update(options=export.options)
        message += LOST
    elif job_of(export) is not None:
        message += KEPT
    _fail(export, message)


def _fail(export: AssetExport, message: str) -> None:
    export.message = message
    with suppress(rows.ExportConflict):  # another has taken it over since
        rows.not_placed(export.pk, token=export.lease_token, message=message)


def _let_go(export: AssetExport) -> None:
    """The lease ends now; the row stays running, so that whoever takes it looks what was done."""
    _held(export).update(lease_until=db_now() - timedelta(seconds=1))


def _may_be_uploaded(export: AssetExport) -> bool:
    """Whether an earlier holder may have sent the upload and not learned of a job. What he left open is then ended."""
    if export.lease_token <= 1:
        return False
    asked_at = export.options.get("asked_at")  # by a person, who may have a second upload
    since = datetime.fromisoformat(asked_at) if asked_at else export.created_at
    sent = GenerationAttempt.objects.filter(
        asset=export.asset, operation=OPERATION, provider_job_id="", billable=True, started_at__gte=since
    )
    sent.open().update(
        state=AttemptState.UNKNOWN.value,
        outcome=Outcome.UNKNOWN.value,
        message="the process died after the upload may have left.",
        finished_at=db_now(),
    )
    return sent.filter(state=AttemptState.UNKNOWN).exists()


def _takeable() -> Q:
    time_has_come = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    waits = Q(state=ExportState.PENDING) & time_has_come
    left = Q(state=ExportState.RUNNING, lease_until__lt=Now())
    return Q(target=ExportTarget.CANVA) & (waits | left)


def _take(pk: Any) -> AssetExport | None:
    """The export, ours from now on; None when it is not to be had. One conditional UPDATE; the token only grows."""
    taken = AssetExport.objects.filter(_takeable(), pk=pk).update(
        state=ExportState.RUNNING,
        lease_token=F("lease_token") + 1,
        lease_worker=leases.worker_name()[:100],
        lease_until=Now() + timedelta(seconds=conf.get("LEASE_S")),
        updated_at=Now(),
    )
    return _get(pk) if taken else None


def _claimed(pk: Any) -> AssetExport:
    export = _take(pk)
    if export is None:
        export = _get(pk)
        raise rows.ExportConflict(_("The export is %(state)s already.", state=export.get_state_display()), export)
    return export


def _held(export: AssetExport) -> Any:
    return AssetExport.objects.filter(pk=export.pk, state=ExportState.RUNNING, lease_token=export.lease_token)


def _due_in_s(pk: Any) -> float | None:
    """Seconds until a waiting export may be taken; None when it does not wait."""
    found = AssetExport.objects.filter(pk=pk, state=ExportState.PENDING).values_list("lease_until", flat=True).first()
    return max(0.0, (found - db_now()).total_seconds()) if found is not None else None


async def _beat(export: AssetExport) -> None:
    """Keep the lease while we work."""
    while True:
        await asyncio.sleep(conf.get("LEASE_S") / 3)
        try:
            await in_database(_renew, export)
        except Exception:
            logger.exception("the lease of export %s could not be renewed; trying again", export.pk)


def _renew(export: AssetExport) -> None:
    _held(export).update(lease_until=Now() + timedelta(seconds=conf.get("LEASE_S")))


def _get(pk: Any) -> AssetExport:
    exports = AssetExport.objects.filter(target=ExportTarget.CANVA).select_related("asset", "asset__library")
    found = as_uuid(pk, "export_id")
    export = exports.filter(pk=found).first() if found is not None else None
    if export is None:
        raise InvalidRequest(_("There is no export %(pk)s to Canva.", pk=pk), field="export_id")
    return export


def _copy(source: AssetExport, target: AssetExport) -> None:
    for field in AssetExport._meta.concrete_fields:
        if field.name != "asset":
            setattr(target, field.attname, getattr(source, field.attname))
