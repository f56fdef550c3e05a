"""Attempts become rows: a billable one before its request leaves, all others with the next write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.db import InterfaceError, OperationalError

import mediagen.engine.generation.attempt_log as attempt_log
from mediagen.engine.database import durable, together
from mediagen.engine.events import progress
from mediagen.engine.files import answers, refusals, storage
from mediagen.engine.money import Budget, ledger
from mediagen.errors import AssetCancelled, LeaseLost, Outcome
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset
from mediagen.models.attempt import UNDER_WAY
from mediagen.models.clock import db_now, from_db, to_db
from mediagen.models.costs import Cost
from mediagen.models.routing import atomic
from mediagen.models.statements import insert_rows, update_rows
from mediagen.types import MAKES_PICTURES, Attempt, AttemptState, ProviderJob

logger = logging.getLogger("mediagen.engine")


class RowRecorder:
    """Writes the attempts of one run of one asset, and holds and settles their money.

    `pending` are rows that can wait because nothing would be lost with them: skips, dry runs, and the success
    whose row is written in the same transaction as the asset's. `flush()` belongs into that transaction.
    """

    def __init__(
        self,
        asset: MediaAsset,
        *,
        budgets: Sequence[Budget] = (),
        provider_budgets: dict[str, Budget] | None = None,
        lease_token: int | None = None,
    ) -> None:
        """`budgets` bind every billable attempt, `provider_budgets` those of a provider. With a `lease_token` nothing
        is written once somebody else has taken the asset."""
        self.asset = asset
        self.lease_token = lease_token
        self.adoptable: dict[str, GenerationAttempt] = {}
        self.budgets = list(budgets)
        self.provider_budgets = provider_budgets or {}
        self.adopted: dict[Any, str] = {}
        """attempts of earlier runs, with the job by which each was known, "" where it was known by its key"""
        self.fetchable: set[Any] = set()
        self._outcomes: set[Outcome | None] = set()
        self.pending: list[GenerationAttempt] = []
        self.left_open: list[GenerationAttempt] = []
        self.cost = Cost()
        """what this run has added to what the asset cost before"""

    def adopt(self, rows: Iterable[GenerationAttempt]) -> None:
        """Attempts of an earlier run that can be brought to an end: a purchase keeps its one row."""
        self.adoptable = {row.provider_name: row for row in rows}

    @property
    def jobs(self) -> dict[str, ProviderJob]:
        """What the chain is to fetch before it buys anything, by provider."""
        return {name: row.job for name, row in self.adoptable.items() if row.job is not None}

    @property
    def keys(self) -> dict[str, str]:
        """What the chain is to find out about before it buys anything: keys of purchases without a job, by provider."""
        return {name: row.purchase_key for name, row in self.adoptable.items() if row.job is None}

    async def started(self, attempt: Attempt) -> None:
        if attempt.billable:
            await refusals.wait_until_taken(self._file_name)
        left = self.adoptable.get(attempt.provider_name)
        if left is not None and (attempt.job is not None or attempt.purchase_key == left.purchase_key):
            attempt.state = AttemptState.SUBMITTED
            attempt.row = self.adoptable.pop(attempt.provider_name)
            attempt.started_at = from_db(attempt.row.started_at)
            attempt.row.lease_token = self.lease_token
            self.adopted[attempt.row.pk] = attempt.row.provider_job_id
            self.cost -= Cost.of(attempt.row)
            return
        if not attempt.billable:
            return
        attempt.state = AttemptState.SUBMITTED
        row = self._row(attempt)
        await together(_begin, (row, self.budgets_of(attempt.provider_name), attempt.price))
        attempt.row = row

    def budgets_of(self, provider_name: str) -> list[Budget]:
        own = self.provider_budgets.get(provider_name)
        return [*self.budgets, own] if own else self.budgets

    async def job_submitted(self, attempt: Attempt) -> None:
        _copy(attempt, attempt.row)
        self.fetchable.add(attempt.row.pk)
        await self._to_be_written(_note_job, attempt)

    async def finished(self, attempt: Attempt) -> None:
        self._outcomes.add(attempt.outcome)
        if attempt.row is None:  # nothing was written yet: a skip, a veto, a dry run
            attempt.row = self._row(attempt)
        # One whose job became known only now has not been looked for by it.
        is_no_news = self.adopted.get(attempt.row.pk) == attempt.provider_job_id[:255]
        in_vain = is_no_news and attempt.state is AttemptState.UNKNOWN and not attempt.interrupted
        _copy(attempt, attempt.row)
        if in_vain:  # looked for twice and not found: the next run buys anew
            attempt.row.provider_job = {**attempt.row.provider_job, "given_up": True}
        self.cost += Cost.of(attempt.row)
        attempt_log.ended(attempt.row, self.asset)
        can_wait = not attempt.billable or attempt.state in (
            AttemptState.SKIPPED,
            AttemptState.SUCCEEDED,
            AttemptState.ADOPTED,
        )
        if can_wait:
            self.pending.append(attempt.row)
        else:
            await self._to_be_written(_end, attempt)
        if attempt.answer is not None and attempt.billable and attempt.operation in MAKES_PICTURES:
            await answers.keep(attempt.row, attempt.answer)

    async def _to_be_written(self, write: Callable[[list[GenerationAttempt]], list[None]], attempt: Attempt) -> None:
        """What came of a request is known and may be paid for: a database that takes nothing does not lose it."""
        try:
            await together(write, attempt.row)
        except (OperationalError, InterfaceError) as exc:
            logger.error("attempt %s of asset %s could not be written: %s", attempt.row.pk, self.asset.pk, exc)

    def leave_jobs(self) -> None:
        """Those that were not fetched stay as they are, for whoever looks for them next."""
        self.adoptable = {}

    def met(self, outcome: Outcome) -> bool:
        """Whether an attempt of this run ended so."""
        return outcome in self._outcomes

    def forget_skips(self) -> None:
        self.pending = [row for row in self.pending if row.state != AttemptState.SKIPPED]

    def forget_success(self) -> None:
        """The picture could not be kept: its attempt stays open, and whoever takes the asset next looks for it."""
        served = self._served()
        self.pending = [row for row in self.pending if row not in served]

    def leave_open(self, why: str) -> None:
        """As `forget_success`, and the attempt says why it is open."""
        for row in self._served():
            row.state, row.outcome, row.finished_at = AttemptState.SUBMITTED.value, "", None
            row.message = why
            self.left_open.append(row)
        self.pending = [row for row in self.pending if row not in self.left_open]

    def lose_picture(self, why: str) -> None:
        """The picture was bought and is lost, so its attempt has not succeeded; it is booked all the same."""
        for row in self._served():
            row.state, row.outcome, row.message = AttemptState.FAILED.value, Outcome.ERROR.value, why

    @property
    def served_by_job(self) -> str:
        """The job that brought the picture, when it can be fetched again; else ""."""
        known = self.fetchable | {pk for pk, job_id in self.adopted.items() if job_id}
        return next((row.provider_job_id for row in self._served() if row.pk in known), "")

    def _served(self) -> list[GenerationAttempt]:
        return [row for row in self.pending if row.billable and row.outcome == Outcome.SUCCEEDED]

    def _file_name(self) -> str:
        """Of a file that is not there for long; the sweep knows whose it was."""
        return storage.file_name(self.asset, self.lease_token or 0, "")

    def flush(self) -> None:
        """Write what is pending. Inside the caller's transaction; safe to call again after a roll-back."""
        flush([self])

    def unwritten(self) -> list[GenerationAttempt]:
        """The pending rows, and those whose jobs nobody fetched."""
        for row in self.adoptable.values():  # its provider was not asked: gone from the chain, or without a key
            row.state, row.outcome = AttemptState.UNKNOWN.value, Outcome.UNKNOWN.value
            row.message = row.message or (
                "it was not asked for again: another picture came first, or its provider is not in the chain, "
                "or not set up."
            )
            row.finished_at = row.finished_at or db_now()
            self.pending.append(row)
        self.adoptable = {}
        for row in [*self.pending, *self.left_open]:
            # One of another asset's, whose picture comes beside that one, is nobody's work any more.
            row.lease_token = self.lease_token if row.asset_id == self.asset.pk else None
        return self.pending

    def _row(self, attempt: Attempt) -> GenerationAttempt:
        row = _row(self.asset, attempt)
        row.lease_token = self.lease_token
        return row


def flush(recorders: Iterable[RowRecorder], *, is_held: bool = False) -> None:
    """Write what is pending with all of them, in one statement. Inside the caller's transaction. `is_held`: it has just
    changed their assets, as the holder of the newest lease, so that they are locked and nobody has taken them."""
    recorders = list(recorders)
    if rows := [row for recorder in recorders for row in recorder.unwritten()]:
        _end(rows, is_held=is_held)
    if rows := [row for recorder in recorders for row in recorder.left_open]:
        lost = fenced(rows)
        if ours := [row for row in rows if row.asset_id not in lost]:
            ledger.book(ours)  # one that had counted as spent is held for again
            _write(ours)


@durable
@atomic()
def _begin(begun: list[tuple[GenerationAttempt, list[Budget], Decimal | None]]) -> list[Exception | None]:
    why_not = _why_not([row for row, _, _ in begun])
    if wanted := [item for item in begun if item[0].asset_id not in why_not]:
        begin_held(wanted)
    return [why_not.get(row.asset_id) for row, _, _ in begun]


def _why_not(rows: list[GenerationAttempt]) -> dict[Any, Exception]:
    """By asset: why nothing may be bought for it any more. The assets stay locked until the transaction ends, so that
    nobody takes one over before the attempt is written."""
    tokens = {row.asset_id: row.lease_token for row in rows if row.asset_id is not None}
    assets = MediaAsset.objects.filter(pk__in=tokens).order_by("pk").select_for_update()
    found: dict[Any, Exception] = {}
    for pk, token, state, asked_at in assets.values_list(
        "pk", "lease_token", "generation_state", "cancel_requested_at"
    ):
        if tokens[pk] is not None and token != tokens[pk]:
            found[pk] = _lost(pk)
        elif asked_at is not None or (tokens[pk] is not None and state == GenerationState.CANCELLED):
            found[pk] = AssetCancelled()
    return found


def _lost(asset_id: Any) -> LeaseLost:
    return LeaseLost(f"asset {asset_id} was taken over by another worker.")


def fenced(rows: Iterable[GenerationAttempt]) -> set[Any]:
    """Assets of these rows that others have taken since: what we know of their attempts is not written any more. The
    others stay locked until the transaction ends."""
    tokens = {row.asset_id: row.lease_token for row in rows if row.asset_id is not None and row.lease_token is not None}
    if not tokens:
        return set()
    assets = MediaAsset.objects.filter(pk__in=tokens).order_by("pk").select_for_update()
    return {pk for pk, token in assets.values_list("pk", "lease_token") if token != tokens[pk]}


def begin_held(begun: list[tuple[GenerationAttempt, list[Budget], Decimal | None]]) -> list[Exception | None]:
    """Their rows, with the money that each may cost held, of which nobody can be in doubt that they are ours."""
    # When this is a second try, the first may have been committed although its answer got lost: money is held once.
    again = [row.pk for row, _, _ in begun if row.accounts]
    known = set(GenerationAttempt.objects.filter(pk__in=again).values_list("pk", flat=True)) if again else set()
    for row, budgets, price in begun:
        if row.pk not in known:
            ledger.hold(row, budgets, price)
    _write([row for row, _, _ in begun])
    return [None] * len(begun)


@atomic()
def _end(rows: list[GenerationAttempt], *, is_held: bool = False) -> list[None]:
    lost = set() if is_held else fenced(rows)
    said = _settled(rows)
    ours = [row for row in rows if row.asset_id not in lost and row.pk not in said]
    for row in rows:
        if row.asset_id in lost:
            logger.warning("attempt %s ended as %s, after others had taken its asset: not written", row.pk, row.state)
    if ours:
        ledger.book(ours)
        _write(ours)
    return [None] * len(rows)


def _settled(rows: list[GenerationAttempt]) -> set[Any]:
    """Of these, that end without anybody knowing what came of them, those for which a person has said it meanwhile."""
    unknown = [row.pk for row in rows if row.state == AttemptState.UNKNOWN]
    if not unknown:
        return set()
    known = GenerationAttempt.objects.filter(pk__in=unknown, state=AttemptState.SETTLED)
    return set(known.values_list("pk", flat=True))


@durable
@atomic()
def _note_job(rows: list[GenerationAttempt]) -> list[None]:
    """Write what the provider calls the job. An attempt that others have ended stays ended: it only learns its job,
    so that the job can be looked for, and what the provider wants for it."""
    lost = fenced(rows)
    known = GenerationAttempt.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk").select_for_update()
    written = {row.pk: row for row in known}
    ours = [
        row for row in rows if row.asset_id not in lost and row.pk in written and written[row.pk].state in UNDER_WAY
    ]
    for row in ours:
        if row.cost is not None:
            # It is bought already: there is no asking whether a limit leaves so much. Whoever asks next has to know.
            row.cost_held = max(row.cost, row.cost_held or row.cost)
    if ours:
        ledger.book(ours)
        _write(ours)
    for row in rows:
        if row not in ours and row.pk in written:
            _tell(written[row.pk], row)
    return [None] * len(rows)


def _tell(ended: GenerationAttempt, row: GenerationAttempt) -> None:
    if not ended.provider_job_id:
        ended.provider_job_id, ended.provider_job = row.provider_job_id, row.provider_job
    if ended.state == AttemptState.UNKNOWN and ended.cost is None:
        ended.cost = row.cost
    ledger.book([ended])
    ended.save(update_fields=["provider_job_id", "provider_job", "cost", "cost_held", "booked"])


def _write(rows: list[GenerationAttempt]) -> list[None]:
    """Insert rows, or update those that are there; safe to repeat when a connection broke off."""
    there = [row for row in rows if not row._state.adding]
    new = [row for row in rows if row._state.adding]
    if there and update_rows(there, UPDATABLE) != len(there):
        new += there  # a transaction that was taken back had made them
    if new:
        insert_rows(new, or_update=UPDATABLE)
    progress.changed(row.asset_id for row in rows)
    return [None] * len(rows)


def _row(asset: MediaAsset, attempt: Attempt) -> GenerationAttempt:
    row = GenerationAttempt(
        asset_id=asset.pk,
        library_id=asset.library_id,
        batch_id=asset.batch_id,
        operation=attempt.operation,
        position=attempt.position,
        request_digest=attempt.request_digest,
        purchase_key=attempt.purchase_key,
        dry_run=attempt.dry_run,
        billable=attempt.billable,
    )
    _copy(attempt, row)
    return row


def _copy(attempt: Attempt, row: GenerationAttempt) -> None:
    values: dict[str, Any] = {
        "provider_name": attempt.provider_name[:100],
        "model_name": attempt.model_name[:200],
        "state": attempt.state.value,
        "outcome": attempt.outcome.value if attempt.outcome else "",
        "http_status": attempt.http_status,
        "message": attempt.message.replace("\x00", ""),
        "provider_job_id": attempt.provider_job_id[:255],
        "provider_job": dict(attempt.job.data) if attempt.job else {},
        "cost": attempt.cost,
        "started_at": to_db(attempt.started_at),
        "finished_at": to_db(attempt.finished_at),
        "latency_s": attempt.latency_s,
    }
    for name, value in values.items():
        setattr(row, name, value)


UPDATABLE = [
    "provider_name",
    "model_name",
    "state",
    "outcome",
    "http_status",
    "message",
    "provider_job_id",
    "provider_job",
    "cost",
    "cost_held",
    "booked",
    "finished_at",
    "latency_s",
]
