"""Setting right what crashes leave: work and money nobody holds, files nobody knows, attempts nobody ended."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from asgiref.sync import async_to_sync
from django.db.models import Q
from django.db.models.functions import Now

import mediagen.engine.maintenance.fetching as fetching
from mediagen import conf
from mediagen.engine.batches import lifecycle
from mediagen.engine.database import is_full
from mediagen.engine.dispatch import task_engine
from mediagen.engine.events import delivery
from mediagen.engine.exports import rows, sending
from mediagen.engine.files import answers, looks, originals, renditions
from mediagen.engine.files import storage as files
from mediagen.engine.generation import (
    Lease,
    claims,
    descriptions,
    free_dead_workers,
    idempotency,
    incoming_webhooks,
    is_held,
    not_in_hand,
    out_of_hand,
    recovery,
    running,
)
from mediagen.engine.insight import alerts
from mediagen.engine.library import trash
from mediagen.engine.money import ledger
from mediagen.engine.work import jobs
from mediagen.errors import MediagenError, Outcome
from mediagen.factory import get_media_generator_chain
from mediagen.models import (
    BatchState,
    GenerationAttempt,
    GenerationBatch,
    GenerationState,
    MediaAsset,
    asset_storage,
)
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic, connection
from mediagen.types import MAKES_PICTURES, AttemptState

logger = logging.getLogger("mediagen.engine")

WAITING = (GenerationState.PENDING, GenerationState.INTERRUPTED)


@dataclass(slots=True, kw_only=True)
class MaintenanceReport:
    """What `maintain` found and set right."""

    requeued: int = 0
    """assets whose worker is gone, waiting again"""
    pictures_kept: int = 0
    """stored pictures whose worker died before it could write the row; the row is written now"""
    jobs_fetched: int = 0
    """pictures whose jobs a process had bought that died, or was stopped, before they were done"""
    files_removed: int = 0
    attempts_closed: int = 0
    """attempts nobody will end any more, marked unknown"""
    accounts_corrected: int = 0
    corrections: list[str] = field(default_factory=list)
    """of which account, what stood there and what its attempts add up to"""
    batches_finished: int = 0
    deleted_purged: int = 0
    """assets deleted so long ago that their rows and files went"""
    webhooks_sent: int = 0
    """messages to other sites that were due, taken there or not"""
    job_files_removed: int = 0
    """zips that were too old"""
    answers_removed: int = 0
    """kept answers without a picture that were too old"""
    originals_removed: int = 0
    """files as their vendors sent them that were too old"""
    looked_at: int = 0
    """pictures stored by an earlier version, whose looks are known now"""
    kicked: int = 0
    """assets the task engine was told of"""
    exports_ended: int = 0
    """exports that waited too long, or whose process died before they were sent"""
    exports_told: int = 0
    """waiting exports that the task engine was told of"""
    alerts_open: int = 0
    """conditions that need somebody, as of now"""
    failed: list[str] = field(default_factory=list)
    """steps that could not be done, as "what: class of the error"; the log has the rest"""
    disk_is_full: bool = False
    """the database said so in one of them"""


def maintain() -> MaintenanceReport:
    """Do all of it, once. Safe at any time, beside any number of workers, and to be interrupted.

    A step that fails keeps no other from being done: it is logged, and named in `failed`.
    """
    report = MaintenanceReport()
    for what, step in STEPS:
        try:
            for name, found in (step() or {}).items():
                setattr(report, name, found)
        except Exception as exc:  # whatever a host's tables, its storage or a broken row raises
            if is_full(exc):
                logger.error("maintenance: %s failed: %s", what, exc)
                report.disk_is_full = True
            else:
                logger.exception("maintenance: %s failed", what)
            report.failed.append(f"{what}: {type(exc).__name__}")
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
    return report


def _sorted_files() -> dict[str, int]:
    kept, removed = _sort_out_files()
    return {"pictures_kept": kept, "files_removed": removed}


def _finish_batches() -> int:
    begun = GenerationBatch.objects.filter(
        Q(state__in=(BatchState.RUNNING, BatchState.PAUSED))
        | Q(state=BatchState.CANCELLED, assets__generation_state=GenerationState.PENDING)
    )
    return sum(lifecycle.finish_if_done(pk) for pk in set(begun.values_list("pk", flat=True)))


def _requeue() -> int:
    stale = MediaAsset.objects.filter(generation_state=GenerationState.RUNNING, lease_until__lt=Now())
    return out_of_hand(stale).update(
        generation_state=GenerationState.PENDING, lease_worker="", lease_until=None, kicked_at=None, updated_at=db_now()
    )


def _sort_out_files() -> tuple[int, int]:
    """(pictures kept, files removed): stored files that no asset's row names."""
    kept = removed = 0
    names = _stored_names()
    while chunk := list(islice(names, 500)):
        by_asset: dict[str, list[str]] = defaultdict(list)
        for name in [
            *renditions.unknown_among(chunk),
            *jobs.unknown_among(chunk),
            *answers.unknown_among(chunk),
        ]:
            removed += files.remove_file(name)
        for name in chunk:
            last = name.rpartition("/")[2]
            if match := files.NAME.fullmatch(last) or originals.NAME.fullmatch(last):
                by_asset[match["id"]].append(name)
        assets = MediaAsset.objects.in_bulk(list(by_asset))
        rows = {str(pk): asset for pk, asset in assets.items()}
        beside = originals.names_of(list(assets))
        for asset_id, asset_names in by_asset.items():
            asset = rows.get(asset_id)
            if asset is not None and (asset.generation_state == GenerationState.RUNNING or is_held(asset)):
                continue  # its worker lives and knows what it stores
            if asset is None and files.may_be_arriving(asset_id):
                continue
            known = {asset.file.name, beside.get(asset.pk)} if asset is not None else set()
            unknown = [name for name in asset_names if name not in known]
            if not unknown:
                continue
            if asset is not None and asset.generation_state in WAITING and recovery.open_attempt(asset) is not None:
                if not _keep_picture(asset):
                    continue  # it may be the only copy: whoever takes the asset looks at it, or the next sweep
                kept += 1
                asset.refresh_from_db()
                known = {asset.file.name, originals.names_of([asset.pk]).get(asset.pk)}
            for name in unknown:
                if name not in known and asset_storage().exists(name):
                    removed += files.remove_file(name)
    return kept, removed


def _stored_names() -> Iterator[str]:
    """Every file below the app's folder. A storage that cannot list its files has none to sort out."""
    storage = asset_storage()
    todo = [conf.get("UPLOAD_TO").strip("/")]
    while todo:
        folder = todo.pop()
        try:
            folders, names = storage.listdir(folder)
        except (FileNotFoundError, NotADirectoryError, NotImplementedError):
            continue
        todo += [f"{folder}/{name}".lstrip("/") for name in folders if name]
        yield from (f"{folder}/{name}".lstrip("/") for name in names if name)


def _keep_picture(asset: MediaAsset) -> bool:
    """Take a waiting asset whose paid picture lies stored, and write its row. False when there is none to keep."""
    left_as = GenerationState(asset.generation_state)
    if not claims.take_over(asset):
        return False
    lease = Lease(asset.pk, asset.lease_token)
    job = running.Job(asset, claims.order_of(asset), lease, get_media_generator_chain([]), is_recovery=True)
    try:
        if async_to_sync(running.keep_stored)(job):
            return True
    except MediagenError as exc:
        logger.warning("the stored picture of asset %s could not be kept: %s", asset.pk, exc)
    held = MediaAsset.objects.filter(
        pk=asset.pk, lease_token=lease.token, generation_state__in=(left_as, GenerationState.RUNNING)
    )
    held.update(generation_state=left_as, lease_worker="", lease_until=None)
    return False


@atomic()
def _close_attempts() -> int:
    """Open attempts of assets that nobody works on and that no recovery will look at."""
    over = (GenerationState.READY, GenerationState.FAILED, GenerationState.CANCELLED)
    rows = GenerationAttempt.objects.open()
    of_nobody = not_in_hand(rows.filter(asset__generation_state__in=over))
    closed = 0
    for row in [*rows.filter(asset__isnull=True), *of_nobody]:
        if row.operation in MAKES_PICTURES or row.started_at < db_now() - claims.lease_length() * 10:
            values = {
                "state": AttemptState.UNKNOWN.value,
                "outcome": Outcome.UNKNOWN.value,
                "finished_at": db_now(),
                # One that was left open on purpose says why.
                "message": row.message or "its process died: what came of it is not known.",
            }
            # Still open, said in the statement: whoever made it may have ended it meanwhile, and booked it.
            if not GenerationAttempt.objects.open().filter(pk=row.pk).update(**values):
                continue
            for name, value in values.items():
                setattr(row, name, value)
            ledger.book([row])
            row.save(update_fields=["cost_held", "booked"])
            closed += 1
    return closed


def _correct_accounts() -> dict[str, Any]:
    corrections = ledger.correct_accounts()
    return {"accounts_corrected": len(corrections), "corrections": corrections}


def _quietly(step: Callable[[], Any]) -> None:
    step()


# Looked up when they run: what each is, and what of the report it fills.
STEPS: tuple[tuple[str, Callable[[], dict[str, Any] | None]], ...] = (
    ("freeing what dead workers held", lambda: _quietly(free_dead_workers)),
    ("putting stale work back", lambda: {"requeued": _requeue()}),
    ("removing assets deleted long ago", lambda: {"deleted_purged": trash.purge()}),
    ("removing old zips", lambda: {"job_files_removed": jobs.remove_expired()}),
    ("removing old answers", lambda: {"answers_removed": answers.remove_old()}),
    ("removing old originals", lambda: {"originals_removed": originals.remove_old()}),
    ("telling of waiting jobs", lambda: _quietly(jobs.tell_again)),
    ("sorting out stored files", _sorted_files),
    ("looking at pictures", lambda: {"looked_at": looks.fill()}),
    ("fetching jobs", lambda: {"jobs_fetched": fetching.fetch_jobs()}),
    ("ending descriptions", lambda: _quietly(descriptions.sweep)),
    ("closing attempts", lambda: {"attempts_closed": _close_attempts()}),
    ("correcting accounts", _correct_accounts),
    ("finishing batches", lambda: {"batches_finished": _finish_batches()}),
    ("removing old provider webhooks", lambda: _quietly(incoming_webhooks.remove_old)),
    ("looking for alerts", lambda: {"alerts_open": alerts.look_and_tell_sync()}),
    ("removing old messages", lambda: _quietly(delivery.tidy_up)),
    ("sending webhooks", lambda: {"webhooks_sent": async_to_sync(delivery.deliver_due)()}),
    ("removing old idempotency keys", lambda: _quietly(idempotency.remove_old)),
    ("telling the task engine", lambda: {"kicked": task_engine.kick_waiting()}),
    ("ending exports", lambda: {"exports_ended": rows.expire()}),
    ("sending exports", lambda: {"exports_told": sending.send_waiting()}),
)
