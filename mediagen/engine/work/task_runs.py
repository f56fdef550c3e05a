"""What a site's task engine runs when it comes back with assets that it was told of."""

from __future__ import annotations

import asyncio

from asgiref.sync import async_to_sync
from django.db.models import Min, Q

from mediagen.engine.database import in_database
from mediagen.engine.work.worker import Until, Worker
from mediagen.models import BatchState, GenerationState, MediaAsset
from mediagen.models.clock import db_now

BEGIN_FOR_S = 60.0
"""One run of an engine's task begins nothing after so long. It ends when what it has begun has ended: at the latest
after DEADLINE_S more, and the patience with storage and database."""


def work_off(asset_ids: list[str]) -> int:
    """Fill those of these assets that nobody has taken: what an engine's task runs. How many were begun."""
    return async_to_sync(work_off_soon)(asset_ids) if asset_ids else 0


async def work_off_soon(asset_ids: list[str]) -> int:
    """As `work_off`, in the running event loop."""
    loop = asyncio.get_running_loop()
    worker = Worker(asset_ids=asset_ids, concurrency=len(asset_ids))
    over = loop.time() + BEGIN_FOR_S
    stop = loop.call_at(over, worker.stop)
    try:
        await worker.run(Until.IDLE)
        # What a provider has put off for a moment is not worth another message.
        while (due_in_s := await in_database(_due_in_s, asset_ids)) is not None:
            # Not what has been due for some time: a worker that was told to stop will not take it.
            wait_s = max(due_in_s, 0.1)
            if loop.time() + wait_s >= over:
                break
            await asyncio.sleep(wait_s)
            await worker.run(Until.IDLE)
    finally:
        stop.cancel()
    return worker.begun


def _due_in_s(asset_ids: list[str]) -> float | None:
    """Seconds until the first of those that were put off may be taken; None when there are none."""
    waiting = MediaAsset.objects.filter(
        Q(batch__isnull=True) | Q(batch__state=BatchState.RUNNING),
        pk__in=asset_ids,
        generation_state=GenerationState.PENDING,
    )
    due = waiting.aggregate(due=Min("lease_until"))["due"]
    return None if due is None else (due - db_now()).total_seconds()
