"""What a caller asks for, and what an earlier run of the same has left of it: made, waiting, or never begun."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

import mediagen.engine.generation.claims as claims
import mediagen.engine.generation.leases as leases
from mediagen.engine.events import progress
from mediagen.engine.generation.orders import AssetOrder
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, MediaTag, ReviewStatus
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import MAKES_PICTURES, AttemptState, uuid7, uuid7_in

REMEMBERED_FOR = timedelta(days=1)
RUNS_LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """One picture of a run. Its row has this id, from the moment at which it is begun."""

    pk: uuid.UUID
    order: AssetOrder
    earlier: MediaAsset | None = None
    """the row, where an earlier run has made it"""

    @property
    def is_made(self) -> bool:
        """Nothing is to be done: it has its picture, or somebody has deleted it."""
        row = self.earlier
        return row is not None and (row.is_ready or row.status == ReviewStatus.DELETED)


@dataclass(frozen=True, slots=True)
class Run:
    """All that is wanted, in the caller's order."""

    pictures: Sequence[Wanted]
    begun_at: datetime | None = None
    """when the earlier run was begun that this one goes on with; None when all is new"""

    @property
    def made(self) -> list[Wanted]:
        return [wanted for wanted in self.pictures if wanted.is_made]

    @property
    def waiting(self) -> list[Wanted]:
        """What was begun and is not made, also what has failed."""
        return [wanted for wanted in self.pictures if wanted.earlier is not None and not wanted.is_made]

    @property
    def todo(self) -> list[Wanted]:
        """What was begun before comes first."""
        return [*self.waiting, *(wanted for wanted in self.pictures if wanted.earlier is None)]


def anew(orders: Iterable[AssetOrder]) -> Run:
    """A run of its own."""
    return Run(_numbered(orders, uuid7()))


def _numbered(orders: Iterable[AssetOrder], run_id: uuid.UUID) -> list[Wanted]:
    """The ids follow from the run and from all that it wants, so that the same command, and no other, finds what it has
    begun, and begins nothing twice."""
    asked = [replace(order, generation_id=run_id) for order in orders]
    words = json.dumps([[str(order.library_id), order.tags, claims.row_values(order)] for order in asked], default=str)
    key = hashlib.sha256(words.encode()).hexdigest()
    return [Wanted(uuid7_in(run_id, number, key), order) for number, order in enumerate(asked)]


def look_back(orders: Sequence[AssetOrder]) -> Run | None:
    """The run that goes on with what an earlier one of the same prompts and parameters has left within the last day;
    None when there is nothing. The orders name their library.

    An earlier run of exactly these orders is gone on with as a whole: what it has made is not made again. Of another
    one only what waits is taken. What was asked for by a person on a page or by a program with a token is not looked
    at, nor what somebody works on.
    """
    leases.free_dead_workers()
    of_nobody = MediaAsset.objects.filter(
        batch=None,
        created_by=None,
        idempotency_key=None,
        created_at__gte=db_now() - REMEMBERED_FOR,
        prompt__in={order.request.prompt for order in orders},
    )
    parents = {order.parent_id for order in orders}
    of_nobody = of_nobody.filter(Q(parent__in=parents - {None}) | (Q(parent=None) if None in parents else Q(pk=None)))
    runs = of_nobody.exclude(generation_id=None).order_by("-generation_id").values_list("generation_id", flat=True)
    for run_id in runs.distinct()[:RUNS_LOOKED_AT]:
        if run_id is not None and (found := _unfinished(orders, run_id)) is not None:
            return found
    waiting = [row for row in _takeable(of_nobody.kept()) if any(_is_of(row, order) for order in orders)]
    pictures = []
    for wanted in anew(orders).pictures:
        row = next((asset for asset in waiting if _is_of(asset, wanted.order)), None)
        if row is not None:
            waiting.remove(row)
            wanted = replace(wanted, pk=row.pk, earlier=row)
        pictures.append(wanted)
    begun = [wanted.earlier.created_at for wanted in pictures if wanted.earlier is not None]
    return Run(pictures, min(begun)) if begun else None


def _takeable(assets: QuerySet[MediaAsset]) -> QuerySet[MediaAsset]:
    """Those that were begun and that nobody works on, the newest first."""
    # What was never begun, and is pending, was given to the workers on purpose.
    begun = Q(generation_state__in=(GenerationState.PENDING, GenerationState.RUNNING), lease_token__gt=0)
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    waiting = assets.filter(Q(generation_state=GenerationState.INTERRUPTED) | (begun & free))
    return leases.out_of_hand(waiting).order_by("-id")


def _unfinished(orders: Sequence[AssetOrder], run_id: uuid.UUID) -> Run | None:
    """The earlier run, if it was one of exactly these orders, has not come to its end, and nobody works on it."""
    pictures = {wanted.pk: wanted for wanted in _numbered(orders, run_id)}
    assets = MediaAsset.objects.filter(generation_id=run_id)
    rows = {row.pk: row for row in assets}
    if not rows.keys() <= pictures.keys():
        return None
    open_states = (GenerationState.PENDING, GenerationState.RUNNING, GenerationState.INTERRUPTED)
    waiting = {row.pk for row in rows.values() if row.generation_state in open_states}
    is_over = len(rows) == len(pictures) and not waiting
    if is_over or waiting != {row.pk for row in _takeable(assets)}:
        return None
    found = [replace(wanted, earlier=rows.get(pk)) for pk, wanted in pictures.items()]
    return Run(found, min(row.created_at for row in rows.values()))


def _is_of(row: MediaAsset, order: AssetOrder) -> bool:
    values = claims.row_values(order)
    alike = all(getattr(row, name) == values[name] for name in ("prompt", "negative_prompt", "seed", "parameters"))
    return alike and row.library_id == order.library_id


def bought(run: Run) -> int:
    """Of how many that wait the job is bought already, and only to be fetched."""
    rows = GenerationAttempt.objects.filter(
        asset__in=[wanted.pk for wanted in run.waiting],
        operation__in=MAKES_PICTURES,
        billable=True,
        state__in=(AttemptState.SUBMITTED, AttemptState.UNKNOWN),
    )
    return rows.exclude(provider_job_id="").values("asset").distinct().count()


@atomic()
def begin(pictures: Sequence[Wanted], worker: str, lease_s: float) -> list[MediaAsset]:
    """Their rows, made where there are none, in the worker's hands; without those that somebody else has taken. Safe
    to repeat."""
    pks = _written(pictures)
    MediaAsset.objects.claim(pks, worker=worker, lease_s=lease_s, on_request=True)
    mine = MediaAsset.objects.filter(pk__in=pks, lease_worker=worker, generation_state=GenerationState.RUNNING)
    mine.filter(cancel_requested_at__isnull=False).update(cancel_requested_at=None)
    progress.changed(pks)
    rows = mine.select_related("library", "batch").in_bulk()
    return [rows[pk] for pk in pks if pk in rows]


@atomic()
def leave(pictures: Sequence[Wanted]) -> None:
    """What was not begun waits for whoever asked for it."""
    there = _rows(pictures)
    _written(pictures)
    new = MediaAsset.objects.filter(pk__in=[wanted.pk for wanted in pictures if wanted.pk not in there])
    new.update(generation_state=GenerationState.INTERRUPTED, failure="Interrupted before it was begun.")


def _rows(pictures: Iterable[Wanted]) -> set[Any]:
    pks = [wanted.pk for wanted in pictures]
    return set(MediaAsset.objects.filter(pk__in=pks).values_list("pk", flat=True))


def _written(pictures: Sequence[Wanted]) -> list[Any]:
    there = _rows(pictures)
    for wanted in pictures:
        if wanted.pk not in there:
            claims.create(wanted.order, held=False, pk=wanted.pk)
        elif wanted.order.tags and wanted.earlier is not None:
            wanted.earlier.tags.add(*MediaTag.objects.ensure(wanted.order.tags))
    return [wanted.pk for wanted in pictures]
