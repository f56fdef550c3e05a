"""Cancelling what is to be generated, without losing a picture that is paid for."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from mediagen.engine.dispatch import task_engine
from mediagen.engine.events import progress
from mediagen.engine.library.review import bounded
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import AttemptState

WAITING = (GenerationState.PENDING, GenerationState.INTERRUPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What became of the assets that were to be cancelled."""

    cancelled: tuple[uuid.UUID, ...]
    """waited, and are cancelled now"""
    ending: tuple[uuid.UUID, ...]
    """a provider may be making them: nothing more is bought, and a picture that comes is kept"""
    over: int
    """had ended already; left as they are"""


@atomic()
def cancel(asset_ids: Iterable[Any]) -> Cancelled:
    """Cancel those of these assets that wait or are being made. A few queries, for 1,000 assets at most.

    One that waits is cancelled at once. For one that somebody works on no further provider is asked; what a provider
    is making already is waited for, because it is paid for, and makes the asset ready after all. So it is also with a
    waiting one that a dead worker may have bought. Whether the caller may is asked before, at the edge.
    """
    ids = bounded(asset_ids)
    rows = list(
        MediaAsset.objects.select_for_update()
        .filter(pk__in=ids)
        .order_by("pk")
        .values_list("pk", "generation_state", "lease_token")
    )
    waiting = {pk: token for pk, state, token in rows if state in WAITING}
    bought = _may_be_bought([pk for pk, token in waiting.items() if token])
    now = db_now()
    # Said again in the statement: SQLite has no row locks, and a worker may have claimed one meanwhile.
    free = MediaAsset.objects.filter(pk__in=set(waiting) - bought)
    free.filter(generation_state__in=WAITING).update(
        generation_state=GenerationState.CANCELLED, failure="It was cancelled.", lease_until=None, updated_at=now
    )
    bought |= set(free.exclude(generation_state=GenerationState.CANCELLED).values_list("pk", flat=True))
    ending = tuple(pk for pk, state, _ in rows if state == GenerationState.RUNNING or pk in bought)
    open_states = (GenerationState.PENDING, GenerationState.RUNNING)
    told = MediaAsset.objects.filter(pk__in=ending)
    # Its caller will not come back for it: whoever works fetches what was bought.
    told.filter(generation_state=GenerationState.INTERRUPTED).update(generation_state=GenerationState.PENDING)
    told.filter(generation_state__in=open_states).update(cancel_requested_at=now, updated_at=now)
    task_engine.kick(bought)
    progress.changed(ids, is_end=True)
    cancelled = tuple(pk for pk in waiting if pk not in bought)
    return Cancelled(cancelled=cancelled, ending=ending, over=len(rows) - len(cancelled) - len(ending))


def _may_be_bought(asset_ids: list[Any]) -> set[Any]:
    """Those for which a purchase was begun whose end nobody saw: whoever takes them next looks for it."""
    if not asset_ids:
        return set()
    is_open = Q(state__in=(AttemptState.PLANNED, AttemptState.SUBMITTED))
    has_job = Q(state=AttemptState.UNKNOWN) & ~Q(provider_job_id="")
    attempts = GenerationAttempt.objects.filter(is_open | has_job, asset__in=asset_ids, billable=True)
    return set(attempts.values_list("asset_id", flat=True))
