"""What a picture shows, asked of the chain: a row first, one holder at a time, and its text kept before it is shown.

pending -> running (held under a lease) -> ready or failed. Such a question has no job to be fetched by. So where a
process died after it may have left, its attempt is unknown, the description has failed, and nothing is bought before a
person asks again.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now
from django.utils.translation import get_language

import mediagen.engine.generation.failures as failures
import mediagen.engine.generation.leases as leases
import mediagen.engine.generation.recorder as recording
import mediagen.engine.generation.recovery as recovery
from mediagen.chain import ChainOutcome, MediaGeneratorChain
from mediagen.descriptions import ALT_TEXT_CHARS, checked_wish
from mediagen.engine.database import durable, grouped, in_database, to_the_end, together
from mediagen.engine.events import progress
from mediagen.engine.files import storage
from mediagen.engine.generation.claims import library_budgets
from mediagen.engine.generation.estimates import Estimate, estimate_of_descriptions
from mediagen.engine.generation.requests import demand_budget, demand_somebody
from mediagen.engine.generation.running import provider_budgets
from mediagen.engine.library import alt_texts
from mediagen.engine.money import Budget
from mediagen.errors import Conflict, GenerationFailed, InvalidRequest, LeaseLost, MediagenError
from mediagen.factory import ChainsNow
from mediagen.models import AssetDescription, DescriptionState, GenerationAttempt, MediaAsset, MediaLibrary
from mediagen.models.asset import FailureCode
from mediagen.models.clock import db_now
from mediagen.models.costs import NOTHING, Cost
from mediagen.models.routing import atomic
from mediagen.operations import DESCRIBE
from mediagen.types import Attempt, AttemptState, GeneratedImage, ImageDescription, uuid7
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

DEADLINE_S = 120.0
"""one description, with all providers and retries, where nobody says"""
LEASE_MORE_S = 60.0
MOST_WAITS, LONGEST_WAIT_S = 5, 60.0
MOST_S = (MOST_WAITS + 1) * DEADLINE_S + MOST_WAITS * LONGEST_WAIT_S
"""one description, where what passes by itself is waited for"""
DIED = (
    "The process that asked died after the question may have left: it may have been answered, and paid for. Nothing "
    "was asked again. Ask for it once more if you still want it."
)
LOST = (
    "The words came and are paid for, and could not be written down: the log has them. Ask for it once more if you "
    "want it anew."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How pictures are to be described. Build it with `of()`."""

    language: str
    max_chars: int = ALT_TEXT_CHARS
    providers: tuple[str, ...] = ()
    """asked instead of the chain, in this order; empty: the chain"""
    dry_run: bool | None = None

    @classmethod
    def of(
        cls,
        language: str | None = None,
        max_chars: int | None = None,
        *,
        provider: str | None = None,
        providers: Any = None,
        dry_run: bool | None = None,
    ) -> Wish:
        """`InvalidRequest` that names the argument. Without a language that of whoever asks, or of the site."""
        wanted, most = checked_wish(language or get_language() or settings.LANGUAGE_CODE, max_chars or ALT_TEXT_CHARS)
        if dry_run not in (None, True, False):
            raise InvalidRequest(
                _("dry_run must be True, False or None, not %(dry_run)s.", dry_run=f"{dry_run!r:.40}"), field="dry_run"
            )
        chosen = [provider] if provider else [providers] if isinstance(providers, str) else list(providers or ())
        return cls(language=wanted, max_chars=most, providers=tuple(chosen), dry_run=dry_run)

    @property
    def options(self) -> dict[str, Any]:
        """As the row keeps them."""
        kept: dict[str, Any] = {"providers": list(self.providers)} if self.providers else {}
        return kept if self.dry_run is None else {**kept, "dry_run": self.dry_run}


@dataclass(slots=True)
class Described:
    """A description that has ended, and what its run has cost."""

    description: AssetDescription
    cost: Cost = NOTHING
    attempts: list[Attempt] = field(default_factory=list)


def plan(library: MediaLibrary | None, wish: Wish, number: int = 1) -> Estimate:
    """What so many descriptions may cost. Nothing is written. `InvalidRequest` when nobody can describe,
    `ProvidersCoolingDown` when nobody can be asked now, `BudgetTooSmall` when a budget of the library, where one is
    given, or of every provider does not leave the least of it."""
    chain = ChainsNow().of(wish.providers, wish.dry_run)
    demand_somebody(chain, DESCRIBE)
    picture = GeneratedImage(content=b"", format="png", width=1, height=1)
    asked = {"image": picture, "language": wish.language, "max_chars": wish.max_chars}
    found = estimate_of_descriptions(chain, asked, number)
    if library is not None:
        demand_budget(library, chain, found)
    return found


def begin(asset: MediaAsset, wish: Wish, *, by: Any = None, pk: uuid.UUID | None = None) -> AssetDescription:
    """Its row, pending; the one that is there already under this id. `InvalidRequest` for an asset without a picture.

    Who may have it described is asked before, at the edge.
    """
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: it has no picture yet.", pk=asset.pk, state=asset.generation_state),
            field="source",
        )
    values = {
        "asset": asset,
        "language": wish.language,
        "max_chars": wish.max_chars,
        "options": wish.options,
        "created_by_id": getattr(by, "pk", by),
    }
    row, _is_new = AssetDescription.objects.get_or_create(pk=pk or uuid7(), defaults=values)
    row.asset = asset
    return row


async def run(description: AssetDescription, *, deadline_s: float | None = None, patient: bool = False) -> Described:
    """Take it and bring it to its end; `Conflict` when somebody else works on it. What became of it is in its row, and
    it raises nothing for what a provider does. `patient`: rate limits and outages are waited out, for some minutes."""
    seconds = DEADLINE_S if deadline_s is None else deadline_s
    taken = await in_database(_take, description, seconds)
    if taken.state != DescriptionState.RUNNING:
        return Described(taken)  # it was over, or a dead process had asked
    with grouped():
        try:
            return await _run(taken, seconds, patient)
        except LeaseLost:
            raise
        except BaseException as exc:
            # A foreign exception's text may hold anything.
            reason = str(exc) if isinstance(exc, MediagenError) else f"It ended early: {type(exc).__name__}."
            code = FailureCode.CANCELLED if isinstance(exc, asyncio.CancelledError) else failures.of_exception(exc)
            await asyncio.shield(in_database(_fail_early, taken, reason, code))
            raise


async def _run(description: AssetDescription, seconds: float, patient: bool) -> Described:
    providers, dry_run = description.options.get("providers", ()), description.options.get("dry_run")
    chain: MediaGeneratorChain = await in_database(lambda: ChainsNow().of(tuple(providers), dry_run))
    image = await _image_of(description.asset)
    done = Described(description)
    for waits in range(MOST_WAITS + 1):
        recorder = await in_database(_Recorder, description, chain)
        outcome = await chain.execute(
            DESCRIBE,
            recorder=recorder,
            deadline_s=seconds,
            dry_run=dry_run,
            patient=patient,
            image=image,
            language=description.language,
            max_chars=description.max_chars,
        )
        done.attempts += outcome.attempts
        if outcome.result is not None:
            # It is here and may be paid for: it is kept, whoever loses interest now.
            await to_the_end(_kept(description, outcome.result, recorder))
            done.cost += recorder.cost
            return done
        wait_s = _wait_s(outcome, waits) if patient else None
        if wait_s is None:
            break
        await in_database(_wait, description, recorder, wait_s + seconds)
        done.cost += recorder.cost
        await asyncio.sleep(wait_s)
    await in_database(_end_without, description, outcome, recorder)
    done.cost += recorder.cost
    return done


def _wait_s(outcome: ChainOutcome, waits: int) -> float | None:
    if not outcome.may_pass or waits >= MOST_WAITS:
        return None
    wait_s = 2.0**waits if outcome.retry_after_s is None else max(outcome.retry_after_s, 0.5)
    return wait_s if wait_s <= LONGEST_WAIT_S else None


def of_failed(done: Described) -> GenerationFailed:
    """A description that has failed, as an exception of the façade."""
    asset = done.description.asset
    return GenerationFailed(done.description.failure, attempts=done.attempts, asset_id=asset.asset_id, asset=asset)


def sweep() -> int:
    """End what a process that died has left after the question may have left; how many. For maintenance, and before
    the same is asked again."""
    running = AssetDescription.objects.filter(state=DescriptionState.RUNNING)
    leases.free_dead_workers_of(running)
    ended = 0
    for row in running.filter(lease_until__lt=Now()).select_related("asset__library")[:500]:
        if _took(row, 1.0):
            ended += 1
            row.refresh_from_db()
            if row.state == DescriptionState.RUNNING:
                _fail(row, "Its process died before anybody was asked. Ask for it once more.", FailureCode.ERROR)
    return ended


# ---------------------------------------------------------------------- rows


def _take(description: AssetDescription, seconds: float) -> AssetDescription:
    leases.free_dead_workers_of(
        AssetDescription.objects.filter(pk=description.pk, state=DescriptionState.RUNNING, lease_until__isnull=False)
    )
    is_taken = _took(description, seconds)
    row = AssetDescription.objects.select_related("asset__library").get(pk=description.pk)
    if not is_taken and not row.is_over:
        raise Conflict(_("Somebody is asking for this description just now."))
    return row


@atomic()
def _took(description: AssetDescription, seconds: float) -> bool:
    """Whether it is ours now. Of one that a dead process had asked for, the attempt is unknown, and it has failed."""
    taken = AssetDescription.objects.take(description.pk, worker=leases.worker_name(), lease_s=seconds + LEASE_MORE_S)
    if not taken:
        return False
    if _ended_open(description, "its process died after the request may have left: it may have been bought."):
        AssetDescription.objects.filter(pk=description.pk).update(**_failed(DIED, FailureCode.UNKNOWN))
    return True


def _ended_open(description: AssetDescription, why: str) -> bool:
    """Whether there were attempts of it that nobody has ended; they are unknown now."""
    left = GenerationAttempt.objects.open().filter(asset=description.asset_id, description_id=description.pk)
    rows = list(left.filter(billable=True))
    for row in rows:
        row.message = why
    if rows:
        recovery.end_as_unknown(rows, db_now())
    return bool(rows)


def _failed(why: str, code: str) -> dict[str, Any]:
    now = db_now()
    ended = {"lease_worker": "", "lease_until": None, "updated_at": now, "finished_at": now}
    return {"state": DescriptionState.FAILED, "failure": why, "failure_code": code, **ended}


@atomic()
def _fail(description: AssetDescription, why: str, code: str) -> None:
    values = _failed(why, code)
    if AssetDescription.objects.held(description).update(**values):
        _show(description, values)


@atomic()
def _fail_early(description: AssetDescription, why: str, code: str) -> None:
    """As `_fail`; where nobody knows what came of a question, it may be paid for, and is not asked again by itself."""
    if AssetDescription.objects.held(description).select_for_update().exists():
        _ended_open(description, "what came of it could not be written: it may have been bought.")
    _fail(description, why, _careful(description, code))


@atomic()
def _lose(description: AssetDescription, recorder: _Recorder) -> None:
    """The words came and cannot be kept: they are booked at their price, and nobody is asked again by itself."""
    recorder.lose_picture("paid and lost: its words could not be written. The log has them.")
    recorder.flush()
    _fail(description, LOST, FailureCode.UNKNOWN)


@atomic()
def _end_without(description: AssetDescription, outcome: ChainOutcome, recorder: _Recorder) -> None:
    recorder.flush()
    _fail(description, outcome.explain(), _careful(description, failures.of_outcome(outcome)))


def _careful(description: AssetDescription, code: str) -> str:
    """Whatever ended it, that an answer may have been paid for comes first: nobody asks again by accident."""
    mine = GenerationAttempt.objects.filter(asset=description.asset_id, description_id=description.pk)
    return FailureCode.UNKNOWN if mine.filter(billable=True, state=AttemptState.UNKNOWN).exists() else code


@atomic()
def _wait(description: AssetDescription, recorder: _Recorder, seconds: float) -> None:
    """What passes by itself is waited for: still ours, for longer."""
    recorder.forget_skips()
    recorder.flush()
    until = db_now() + timedelta(seconds=seconds + LEASE_MORE_S)
    if not AssetDescription.objects.held(description).update(lease_until=until):
        raise LeaseLost(f"description {description.pk} was taken over by another process.")


async def _kept(description: AssetDescription, result: ImageDescription, recorder: _Recorder) -> None:
    try:
        values = await together(_keep, (description, result, recorder))
    except Exception as exc:
        # Paid words are not lost for it: they are short enough for the log.
        why = str(exc) if isinstance(exc, OperationalError | InterfaceError) else type(exc).__name__
        text = f"description {description.pk} of asset {description.asset_id} could not be written ({why})"
        logger.error("%s. %s says: %s", text, result.provider_name, result.text)
        await in_database(_lose, description, recorder)
        raise
    _show(description, values)


@durable
@atomic()
def _keep(kept: list[tuple[AssetDescription, ImageDescription, _Recorder]]) -> list[dict[str, Any]]:
    """The text, its attempt and what pages may show of it, all or nothing. Words that came are kept whoever holds the
    row by now, unless it has some: they are paid."""
    written = []
    for description, result, recorder in kept:
        recorder.flush()
        now = db_now()
        values: dict[str, Any] = {
            "state": DescriptionState.READY,
            "text": result.text,
            "provider_name": result.provider_name[:100],
            "model_name": result.model_name[:200],
            "cost": result.cost,
            "dry_run": result.dry_run,
            "fit_report": result.fit_report,
            "failure": "",
            "failure_code": "",
            "lease_worker": "",
            "lease_until": None,
            "finished_at": now,
            "updated_at": now,
        }
        rows = AssetDescription.objects.filter(pk=description.pk).exclude(state=DescriptionState.READY)
        if rows.update(**values):
            alt_texts.suggest(description.asset_id, result.text, rehearsed=result.dry_run)
            progress.changed([description.asset_id])
        written.append(values)
    return written


def _show(description: AssetDescription, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(description, name, value)


async def _image_of(asset: MediaAsset) -> GeneratedImage:
    """The picture as it lies in the storage. Whoever describes it makes it small before it leaves."""
    return GeneratedImage(
        content=await storage.read_file(asset),
        format=asset.format,
        width=asset.width,
        height=asset.height,
        sha256=asset.content_hash,
    )


class _Recorder(recording.RowRecorder):
    """Attempts for a description. Not the asset's lease says who may buy, but the description's own."""

    def __init__(self, description: AssetDescription, chain: MediaGeneratorChain) -> None:
        asset = description.asset
        budgets = library_budgets(asset.library)
        super().__init__(asset, budgets=budgets, provider_budgets=provider_budgets(chain))
        self.description = description

    async def started(self, attempt: Attempt) -> None:
        if not attempt.billable:
            return
        attempt.state = AttemptState.SUBMITTED
        row = self._row(attempt)
        await together(_begin, (self.description, row, self.budgets_of(attempt.provider_name), attempt.price))
        attempt.row = row

    def _row(self, attempt: Attempt) -> GenerationAttempt:
        row = super()._row(attempt)
        row.description_id, row.batch_id = self.description.pk, None
        return row


@durable
@atomic()
def _begin(
    begun: list[tuple[AssetDescription, GenerationAttempt, list[Budget], Decimal | None]],
) -> list[Exception | None]:
    """The attempt's row and its money, before the question leaves, if the description is still ours."""
    results: list[Exception | None] = []
    for description, row, budgets, price in begun:
        if not AssetDescription.objects.held(description).select_for_update().exists():
            results.append(LeaseLost(f"description {description.pk} was taken over by another process."))
        else:
            results += recording.begin_held([(row, budgets, price)])
    return results
