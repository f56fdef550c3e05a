"""One prompt becomes one asset: the row first, then the chain, then the file, then everything in one transaction."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now

import mediagen.engine.generation.failures as failures
import mediagen.engine.generation.job_notices as job_notices
import mediagen.engine.generation.leases as leases
import mediagen.engine.generation.memory_limit as memory_limit
import mediagen.engine.generation.recovery as recovery
import mediagen.engine.generation.sources as editing
from mediagen import conf, images, steps
from mediagen.chain import ChainOutcome, MediaGeneratorChain
from mediagen.engine.database import durable, grouped, in_database, to_the_end, together
from mediagen.engine.events import announcements, progress
from mediagen.engine.files import looks, originals, refusals, signatures, storage
from mediagen.engine.generation.leases import Lease
from mediagen.engine.generation.orders import AssetOrder, request_kwargs
from mediagen.engine.generation.recorder import RowRecorder, flush
from mediagen.engine.library import tag_served
from mediagen.engine.money import Budget
from mediagen.errors import (
    AssetCancelled,
    GenerationFailed,
    InvalidRequest,
    LeaseLost,
    MediagenError,
    Outcome,
    StorageFailed,
)
from mediagen.images import origin
from mediagen.models import AssetOriginal, GenerationState, KeptAnswer, MediaAsset
from mediagen.models.asset import FailureCode
from mediagen.models.clock import db_now
from mediagen.models.costs import NOTHING, Cost
from mediagen.models.routing import atomic
from mediagen.models.statements import update_where
from mediagen.types import MAX_SEED, AttemptState, GeneratedImage

logger = logging.getLogger("mediagen.engine")

MAX_TRIES = 10
SHORTEST_WAIT_S = 0.5
LONGEST_WAIT_S = 3600.0


@dataclass(slots=True)
class Job:
    """An asset that this process holds, and all it takes to fill it."""

    asset: MediaAsset
    order: AssetOrder
    lease: Lease
    chain: MediaGeneratorChain
    budgets: Sequence[Budget] = ()
    is_recovery: bool = False
    """somebody had the asset before: what he left is looked at first"""
    patient: bool = False
    """put off, not failed, when waiting may help: somebody comes back to it"""
    lease_is_kept: bool = False
    """the worker renews all its leases together"""
    left_as: GenerationState = GenerationState.PENDING
    """how it waits when this process is stopped: for any worker, or interrupted, for whoever asked for it"""
    fetch_for_s: float | None = None
    """where given, nothing is bought: what an earlier process has bought is taken if it comes within this time, else
    all stays as it was"""
    asked: int = 0
    """attempts of this run, without those that were skipped"""
    existing: bool = False
    """an asset with this idempotency key was there already: nothing is to be done"""
    cost: Cost = NOTHING
    """what the run has cost, once it is over"""


class PutOff(MediagenError):
    """Not now: the asset waits, pending, and `retry_in_s` says when to look again (None: when somebody lets it)."""

    def __init__(self, message: str, *, retry_in_s: float | None, vetoed: bool, is_try: bool = False) -> None:
        super().__init__(message)
        self.retry_in_s = retry_in_s
        self.vetoed = vetoed
        """True when a budget is used up, so that no wait helps"""
        self.is_try = is_try
        """it counts as a try, although no provider was asked"""


async def run(job: Job) -> MediaAsset:
    """Fill an asset that this process holds.

    `GenerationFailed` with every attempt when no provider delivered; the row stays. `PutOff` for a patient job, and
    when what was to be fetched only is not there.
    """
    recorder = RowRecorder(
        job.asset,
        budgets=job.budgets,
        provider_budgets=provider_budgets(job.chain),
        lease_token=job.lease.token,
    )
    try:
        with grouped(), steps.step("picture", asset=job.asset.asset_id):
            return await _run(job, recorder)
    finally:
        job.cost = recorder.cost


async def _run(job: Job, recorder: RowRecorder) -> MediaAsset:
    left = recovery.LeftBehind()
    is_fetch = job.fetch_for_s is not None
    has_come = False
    try:
        async with memory_limit.place() as give_room_back, leases.kept(job.lease, already=job.lease_is_kept):
            if job.is_recovery:
                if await to_the_end(keep_stored(job, recorder)):
                    return job.asset
                # A question with a purchase's key may buy it, if it never came there: not where only jobs are fetched,
                # nor for one that was cancelled.
                seconds = job.chain.purchases_resolved_for_s
                resolvable = {} if is_fetch else {by: seconds(by_looking=by) for by in (False, True)}
                left = await in_database(recovery.left_behind, job.asset, job.lease.token, resolvable)
                recorder.adopt(left.adoptable)
            fetch_for_s = job.fetch_for_s
            gone: InvalidRequest | None = None
            try:
                sources = await editing.pictures_of(job.order)
            except InvalidRequest as exc:
                if not recorder.jobs:
                    raise
                # What is bought is fetched by its id, whatever became of what it was made of; nothing else is.
                gone, sources = exc, editing.without_pictures(job.order)
                fetch_for_s = fetch_for_s if is_fetch else conf.get("DEADLINE_S")
            outcome = await job.chain.execute(
                job.order.operation,
                recorder=recorder,
                deadline_s=job.order.deadline_s,
                dry_run=job.order.dry_run,
                resume=recorder.jobs,
                keys=recorder.keys,
                avoid=left.may_be_paid,
                stop_for=left.stop_for,
                stop_unless_asked=left.stop_unless_asked,
                fetch_for_s=fetch_for_s,
                delivered=job_notices.delivered if conf.get("WEBHOOK_BASE_URL") else None,
                patient=job.patient and job.asset.tries < MAX_TRIES,
                **request_kwargs(job.order.request),
                **sources,
            )
            job.asked = sum(attempt.state is not AttemptState.SKIPPED for attempt in outcome.attempts)
            if outcome.result is not None:
                # The picture is here and may be paid for: it is kept, whoever loses interest now.
                has_come = True
                stands_for = failures.of_outcome(outcome) if outcome.result.is_placeholder else ""
                storing = store(job, outcome.result, recorder, give_room_back, stands_for=stands_for)
                outcome.result = None  # the bytes are not kept here, while the rows are written
                return await to_the_end(storing)
            if gone is not None:
                raise gone
    except LeaseLost:
        raise
    except BaseException as exc:
        is_stopped = isinstance(exc, asyncio.CancelledError)
        reason = "cancelled" if is_stopped else _reason(exc)
        is_away = isinstance(exc, OperationalError | InterfaceError)
        if has_come and (is_away or is_stopped):
            recorder.forget_success()
        # What was paid and lost is not bought again before somebody says so.
        is_lost = isinstance(exc, StorageFailed) and exc.lost
        can_go_on = job.patient and (is_away or is_stopped or isinstance(exc, StorageFailed))
        can_go_on |= is_fetch or (is_stopped and job.left_as == GenerationState.INTERRUPTED)
        recorder.leave_jobs()  # it ended before they were asked for, which says nothing of them
        # A picture that is stored and not written is kept by whoever takes the waiting asset, and by maintenance.
        waits = (can_go_on and not is_lost) or (has_come and is_away)
        leave = let_wait if waits else partial(give_up, code=_code(exc, recorder))
        leases.let_go(job.asset.pk)
        said = job.asset.failure if is_fetch else f"The generation ended early: {reason}"
        await asyncio.shield(in_database(leave, job, recorder, said))
        raise
    leases.let_go(job.asset.pk)
    if is_fetch:
        recorder.leave_jobs()
        await in_database(let_wait, job, recorder, job.asset.failure)
        raise PutOff("what was bought for it is not there yet.", retry_in_s=None, vetoed=False)
    if isinstance(outcome.vetoed, AssetCancelled):
        await in_database(end_cancelled, job, recorder)
        raise GenerationFailed(
            f"Asset {job.asset.pk} was cancelled.",
            attempts=outcome.attempts,
            asset_id=job.asset.asset_id,
            asset=job.asset,
        )
    if job.patient and (put_off := _put_off(job, outcome)) is not None:
        await in_database(postpone, job, recorder, put_off)
        raise put_off
    await in_database(give_up, job, recorder, outcome.explain(), failures.of_outcome(outcome))
    raise GenerationFailed(
        outcome.explain(),
        attempts=outcome.attempts,
        asset_id=job.asset.asset_id,
        asset=job.asset,
        vetoed=outcome.vetoed,
        retry_after_s=outcome.retry_after_s,
    )


def provider_budgets(chain: MediaGeneratorChain) -> dict[str, Budget]:
    """The budgets of the chain's providers that have one, by name."""
    budgets = {}
    for provider in chain.providers:
        limit, period = getattr(provider, "budget", (None, ""))
        if limit is not None:
            name = provider.get_name()
            hint = " Raise the budget of the provider, or wait."
            budgets[name] = Budget(f"provider:{name}", limit, period, hint, label=f"provider '{name}'")
    return budgets


def _reason(exc: BaseException) -> str:
    # Our own texts are scrubbed; a foreign exception's text may hold anything.
    return str(exc) if isinstance(exc, MediagenError) else type(exc).__name__


def _code(exc: BaseException, recorder: RowRecorder) -> FailureCode:
    if isinstance(exc, asyncio.CancelledError):
        return FailureCode.UNKNOWN if recorder.met(Outcome.UNKNOWN) else FailureCode.CANCELLED
    return failures.of_exception(exc)


def _put_off(job: Job, outcome: ChainOutcome) -> PutOff | None:
    """Whether and for how long the asset should wait instead of failing."""
    own_wait_s = min(2.0**job.asset.tries, 60.0)
    if outcome.vetoed is not None:
        if any(getattr(veto, "may_pass", False) for veto in outcome.vetoes) and job.asset.tries < MAX_TRIES:
            return PutOff(str(outcome.vetoed), retry_in_s=own_wait_s, vetoed=False, is_try=True)
        if job.asset.batch_id is None:
            return None  # nobody would start it again
        return PutOff(str(outcome.vetoed), retry_in_s=None, vetoed=True)
    if not outcome.may_pass or job.asset.tries >= MAX_TRIES:
        return None
    wait_s = outcome.retry_after_s if outcome.retry_after_s is not None else own_wait_s
    if wait_s > LONGEST_WAIT_S:
        return None
    return PutOff(outcome.explain(), retry_in_s=max(wait_s, SHORTEST_WAIT_S), vetoed=False)


async def keep_stored(job: Job, recorder: RowRecorder | None = None) -> bool:
    """Finish the asset with a picture that an earlier worker stored before it died, or put aside. False when there is
    none."""
    recorder = recorder or RowRecorder(job.asset, lease_token=job.lease.token)
    found = await recovery.find_picture(job.asset, *await in_database(recovery.purchases, job.asset))
    if found is None:
        return False
    recorder.pending.append(recovery.adopted(found))
    await store(job, found.image, recorder, kept_in=str(found.place))
    # A copy was made: whoever stored it may live after all, and take his file away.
    await found.remove()
    return True


async def store(
    job: Job,
    image: GeneratedImage,
    recorder: RowRecorder,
    is_stored: Callable[[], None] = lambda: None,
    *,
    kept_in: str = "",
    answer_id: Any = None,
    stands_for: str = "",
) -> MediaAsset:
    """Store the picture, then write asset, tags and attempts in one transaction. A picture whose rows cannot be
    written is not left stored either, but put aside when it was paid for. `is_stored` is called when its bytes need no
    memory any more. `kept_in`: where the picture lies already, to be taken from there again should the storage refuse
    it. `answer_id`: of the kept answer in which it was, which is used up then. `stands_for`: why it is a placeholder,
    when it is one and live."""
    content = image.content if isinstance(image.content, bytes) else b""
    source_type = images.source_type_in(content) or source_type_of(image, job.order)
    if image.original and signatures.is_asked_for():
        image = await asyncio.to_thread(_signed, image, content, source_type)
        content = image.content if isinstance(image.content, bytes) else b""
    size_bytes = len(content)
    traits: dict[str, Any] = {}
    # Decoding it is work for the thread that stores it.
    look = partial(_look, traits, image, content, source_type)
    name = await _stored(job, image, content, recorder, kept_in, look)
    original: AssetOriginal | None = None
    if image.original and originals.is_kept():
        original = await originals.keep(job.asset, job.lease.token, image.original)
    if image.original and original is None and originals.is_kept():
        image = replace(image, fit_report={**image.fit_report, **originals.LOST})
    beside = [str(original.file.name)] if original is not None else []
    image, content = replace(image, content=b"", original=b""), b""
    is_stored()
    old_name = job.asset.file.name or ""
    try:
        stored = Stored(job, image, name, size_bytes, recorder, source_type, traits, answer_id, stands_for, original)
        values = await together(complete, stored)
    except (OperationalError, InterfaceError):
        raise  # the database is away for long: the file is found by its name when somebody takes the asset again
    except LeaseLost:
        await _removed(name, *beside)
        raise
    except Exception as exc:
        # Something about it does not go into a row: the next try takes the picture without what its provider said.
        is_paid = not (image.is_placeholder or image.dry_run)
        path = kept_in or (await storage.put_aside(name, await storage.read_stored(name)) if is_paid else "")
        if path:
            said = f"The picture's row could not be written ({type(exc).__name__}). It is kept in {path} and taken"
            recorder.leave_open(f"{said} when the asset is generated again.")
        await _removed(name, *beside)
        raise
    for field_name, value in values.items():  # only now: what was not committed is not so
        setattr(job.asset, field_name, value)
    if old_name and old_name != name:
        await storage.aremove_file(old_name)
    return job.asset


def _signed(image: GeneratedImage, content: bytes, source_type: str) -> GeneratedImage:
    """The picture signed by this site, with what came as its ingredient; as it is where that cannot be done, and where
    it is signed already."""
    picture = images.Picture(image.format, image.width, image.height, image.sha256, len(content))
    if images.credentials_in(content, picture):
        return image
    action = str((image.fit_report.get("size") or {}).get("action", ""))
    found = signatures.fitted(content, picture, image.original, action, source_type)
    return replace(image, content=found, sha256=hashlib.sha256(found, usedforsecurity=False).hexdigest())


def _look(traits: dict[str, Any], image: GeneratedImage, content: bytes, source_type: str) -> None:
    """Find out what the asset's row says of the file besides."""
    traits.update(looks.NOTHING)
    if image.sha256:  # else of a kind that we do not know
        picture = images.Picture(image.format, image.width, image.height, image.sha256, len(content))
        is_made_up = image.is_placeholder or image.dry_run
        traits.update((looks.plain_traits if is_made_up else looks.traits_of)(content, picture, source_type))
        # What is signed is the file as it came.
        traits["content_credentials"] = images.checked_credentials(image.original or content, picture)


async def _removed(*names: str) -> None:
    for name in names:
        await storage.aremove_file(name)


def source_type_of(image: GeneratedImage, order: AssetOrder) -> str:
    """What a picture is that says nothing of itself: the IPTC's word."""
    if image.is_placeholder or image.dry_run:
        return origin.BY_PROGRAM
    return origin.PARTLY_BY_MODEL if order.source_ids else origin.BY_MODEL


async def _stored(
    job: Job,
    image: GeneratedImage,
    content: bytes,
    recorder: RowRecorder,
    kept_in: str,
    behind: Callable[[], None],
) -> str:
    """The name under which the picture is stored. A paid one that the storage will not take is put aside."""
    name = storage.file_name(job.asset, job.lease.token, image.format)
    is_paid = not (image.is_placeholder or image.dry_run)
    try:
        return await storage.save_file(name, content, is_paid=is_paid, behind=behind)
    except Exception as exc:
        logger.exception("the storage did not take the picture of asset %s", job.asset.pk)
        said = f"The storage did not take the picture ({refusals.reason(exc)})."
        if not is_paid:
            raise StorageFailed(said) from exc
        # One that is kept already is not put aside a second time: each try would need more of a full disk.
        path = kept_in or await storage.put_aside(name, content)
        if path:
            said = f"{said} It is kept in {path} and taken when the asset is generated again."
        elif job_id := recorder.served_by_job:
            said = f"{said} Its job {job_id} is fetched, not bought, when the asset is generated again."
        else:
            said = f"Paid and lost: {said} The rescue folder did not take it either, and there is no job to fetch."
        is_lost = not (path or recorder.served_by_job)
        (recorder.lose_picture if is_lost else recorder.leave_open)(said)
        raise StorageFailed(said, rescued=path, lost=is_lost, asset=job.asset) from exc


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture that lies in the storage as `name`, and whose rows are to be written."""

    job: Job
    image: GeneratedImage
    name: str
    size_bytes: int
    recorder: RowRecorder
    source_type: str
    """what its file says of its origin, or else what we know of it"""
    traits: dict[str, Any]
    """its looks, and what else is found out of a file once"""
    answer_id: Any = None
    """of the kept answer in which it was"""
    stands_for: str = ""
    """a `FailureCode`: why nobody made the picture for which a live placeholder stands"""
    original: AssetOriginal | None = None
    """of the file as it came, stored beside this one"""

    @property
    def values(self) -> dict[str, Any]:
        """What the asset's row gets."""
        image, now = self.image, db_now()
        return {
            "file": self.name,
            "format": image.format,
            "width": image.width,
            "height": image.height,
            "file_size": self.size_bytes,
            "content_hash": image.sha256,
            "color": "",
            "blur_hash": "",
            "digital_source_type": self.source_type[:60],
            **self.traits,
            "seed": self._seed,
            "provider_name": image.provider_name[:100],
            "model_name": image.model_name[:200],
            "cost": image.cost,
            "fit_report": image.fit_report,
            "is_placeholder": image.is_placeholder,
            "dry_run": image.dry_run,
            "generation_state": GenerationState.READY,
            "failure": "",
            "failure_code": "" if image.dry_run else self.stands_for,
            "cancel_requested_at": None,
            "lease_until": None,
            "lease_worker": "",
            "generated_at": now,
            "updated_at": now,
        }

    @property
    def _seed(self) -> int | None:
        """The service's, if a column can hold it: some have 64 bits without a sign."""
        said = self.image.seed
        return said if isinstance(said, int) and 0 <= said <= MAX_SEED else self.job.order.request.seed


@durable
@atomic()
def complete(pictures: list[Stored]) -> list[dict[str, Any] | Exception]:
    """Assets, tags and attempts, all or nothing, and only those whose lease is ours; for each picture the values that
    were written, or `LeaseLost`."""
    results: list[dict[str, Any] | Exception] = []
    written = []
    repeated = []
    for stored in pictures:
        asset, values = stored.job.asset, stored.values
        token = stored.job.lease.token
        held = {"id": asset.pk, "lease_token": token, "generation_state": GenerationState.RUNNING}
        # By the token, whatever a sweep or a cancellation wrote: nobody has taken it since, and it may be paid for.
        if update_where(MediaAsset, held, values):
            written.append(stored)
            results.append(values)
        elif MediaAsset.objects.filter(pk=asset.pk, lease_token=token, file=stored.name).exists():
            results.append(values)  # committed before, by a connection that was lost before it could say so
            repeated.append(asset.pk)
        elif MediaAsset.objects.to_be_filled(asset.pk, token).update(**values):
            written.append(stored)
            results.append(values)
        else:
            results.append(LeaseLost(f"asset {asset.pk} was taken over by another worker."))
    if answers := [stored.answer_id for stored in written if stored.answer_id is not None]:
        KeptAnswer.objects.filter(pk__in=answers).delete()
    kept = [stored.original for stored in written if stored.original is not None]
    originals.write(kept, [stored.job.asset.pk for stored in written if stored.job.asset.file])
    flush((stored.recorder for stored in written), is_held=True)
    if written:
        tag_served([(stored.job.asset, stored.image.provider_name) for stored in written])
    progress.changed((stored.job.asset.pk for stored in written), is_end=True)
    announcements.assets_ready([stored.job.asset.pk for stored in written])
    announcements.signal_ready(repeated)
    return results


@atomic()
def give_up(job: Job, recorder: RowRecorder, reason: str, code: str = FailureCode.ERROR) -> None:
    """The row says why there is no picture. A placeholder that was to be replaced stays what it was."""
    state = GenerationState.READY if job.asset.file else GenerationState.FAILED
    values = {"generation_state": state, "failure": reason, "lease_until": None, "cancel_requested_at": None}
    if _leave(job, recorder, **values, failure_code=code) and not job.asset.file:
        announcements.assets_failed([job.asset.pk])


@atomic()
def end_cancelled(job: Job, recorder: RowRecorder) -> None:
    """Nothing was bought, or what was bought brought no picture. A placeholder stays what it was."""
    state = GenerationState.READY if job.asset.file else GenerationState.CANCELLED
    values = {"generation_state": state, "failure": "It was cancelled.", "lease_until": None}
    _leave(job, recorder, **values, cancel_requested_at=None)


@atomic()
def let_wait(job: Job, recorder: RowRecorder, reason: str) -> None:
    """For whoever comes next, or whoever asked for it."""
    _leave(job, recorder, generation_state=job.left_as, failure=reason, lease_until=None)


@atomic()
def postpone(job: Job, recorder: RowRecorder, put_off: PutOff) -> None:
    """Back to pending, not to be taken before its time.

    Only an outage that this asset met itself is a try: waiting for an open breaker, or as long as a provider asked
    for, may go on for as long as it takes. What was merely skipped leaves no row behind at each of these turns.
    """
    if MediaAsset.objects.filter(pk=job.asset.pk, cancel_requested_at__isnull=False).exists():
        end_cancelled(job, recorder)
        return
    until = None if put_off.retry_in_s is None else Now() + timedelta(seconds=put_off.retry_in_s)
    tries = job.asset.tries + (put_off.is_try or recorder.met(Outcome.UNAVAILABLE))
    recorder.forget_skips()
    _leave(
        job, recorder, generation_state=GenerationState.PENDING, failure=str(put_off), lease_until=until, tries=tries
    )


def _leave(job: Job, recorder: RowRecorder, **values: Any) -> bool:
    """Write how the asset is left, if we still hold it; whether we did."""
    held = MediaAsset.objects.held(job.asset.pk, job.lease.token)
    if job.fetch_for_s is not None:  # it may have kept its state: `claims.while_held`
        held |= MediaAsset.objects.filter(pk=job.asset.pk, lease_token=job.lease.token, generation_state=job.left_as)
    is_left = bool(held.update(**values, lease_worker="", updated_at=db_now()))
    if is_left:
        for name in {"generation_state", "failure", "failure_code"} & values.keys():
            setattr(job.asset, name, values[name])
    recorder.flush()
    progress.changed([job.asset.pk], is_end=True)
    return is_left
