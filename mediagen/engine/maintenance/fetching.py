"""Fetching what is bought: jobs at providers whose process died, or was stopped, before they were done.

Workers do so by themselves with what they take; this is for sites without one, and for what no worker takes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.db.models import Q

from mediagen import http
from mediagen.engine.database import in_database
from mediagen.engine.generation import Job, Lease, PutOff, claims, running
from mediagen.errors import GenerationFailed, MediagenError
from mediagen.factory import get_media_generator_chain
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset
from mediagen.models.clock import db_now
from mediagen.types import MAKES_PICTURES, AttemptState

logger = logging.getLogger("mediagen.engine")

KEPT_FOR = timedelta(days=1)
"""No service keeps what it has made for longer."""
AT_ONCE = 8
PER_SWEEP = 200
PATIENCE_S = 15.0
"""for all of them together: later ones are asked for once"""


def fetch_jobs() -> int:
    """Ask for every job that nobody waits for, and keep what is there; how many. Nothing is bought, and what has not
    ended stays as it is."""
    found = _left()
    return async_to_sync(_fetch_all)(found) if found else 0


def _left() -> dict[Any, list[str]]:
    """Providers with a job that was not fetched, by asset. Of assets that wait, and of failed ones: they may be paid
    for all the same."""
    is_open = Q(state=AttemptState.SUBMITTED) | Q(state=AttemptState.UNKNOWN)
    states = (GenerationState.PENDING, GenerationState.INTERRUPTED, GenerationState.FAILED)
    attempts = GenerationAttempt.objects.filter(
        is_open,
        operation__in=MAKES_PICTURES,
        billable=True,
        started_at__gte=db_now() - KEPT_FOR,
        asset__generation_state__in=states,
    ).exclude(provider_job_id="")
    left: dict[Any, list[str]] = defaultdict(list)
    for asset_id, name, job in attempts.order_by("id").values_list("asset", "provider_name", "provider_job"):
        if not (job or {}).get("given_up") and (asset_id in left or len(left) < PER_SWEEP):
            left[asset_id].append(name)
    return left


async def _fetch_all(left: dict[Any, list[str]]) -> int:
    places = asyncio.Semaphore(AT_ONCE)
    patient_until = time.monotonic() + PATIENCE_S

    async def one(asset_id: Any, providers: list[str]) -> bool:
        async with places:
            return await _fetch(asset_id, providers, max(0.0, patient_until - time.monotonic()))

    async with http.session():
        return sum(await asyncio.gather(*(one(pk, names) for pk, names in left.items())))


async def _fetch(asset_id: Any, providers: list[str], for_s: float) -> bool:
    try:
        job = await in_database(_taken, asset_id, providers, for_s)
        if job is None:
            return False
        await running.run(job)
    except (PutOff, GenerationFailed):
        return False
    except MediagenError as exc:
        logger.warning("what was bought for asset %s could not be fetched: %s", asset_id, exc)
        return False
    return True


def _taken(asset_id: Any, providers: list[str], for_s: float) -> Job | None:
    """The asset in our hands; None when somebody works on it, or its time has not come."""
    # First: a provider that is there no more, or whose settings cannot work, says so before anything is taken.
    chain = get_media_generator_chain(list(dict.fromkeys(providers)))
    asset = MediaAsset.objects.kept().select_related("library").filter(pk=asset_id).first()
    if asset is None or asset.generation_state == GenerationState.RUNNING:
        return None
    left_as = GenerationState(asset.generation_state)
    put_off = asset.lease_until is not None and asset.lease_until > db_now()
    if put_off or not claims.take_over(asset):
        return None
    lease = Lease(asset.pk, asset.lease_token)
    order = claims.order_of(asset)
    budgets = claims.library_budgets(asset.library)
    return Job(
        asset,
        order,
        lease,
        chain,
        budgets=budgets,
        is_recovery=True,
        fetch_for_s=for_s,
        left_as=left_as,
    )
