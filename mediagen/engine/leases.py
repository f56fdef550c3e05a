"""Who works on an asset: one worker at a time, for a while, renewed as long as it lives."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mediagen import conf
from mediagen.engine.database import in_database
from mediagen.errors import LeaseLost
from mediagen.models import MediaAsset
from mediagen.types import utcnow

WORKER = f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fill one asset. Whoever comes later has a larger token."""

    asset_id: Any
    token: int


def lease_end() -> datetime:
    return utcnow() + timedelta(seconds=conf.get("LEASE_S"))


@asynccontextmanager
async def kept(lease: Lease) -> AsyncIterator[None]:
    """Renew the lease while the block runs. `LeaseLost` when somebody else has taken the asset over.

    The first renewal comes after a third of the lease, so a quick generation writes nothing for it.
    """
    main = asyncio.current_task()
    lost = False

    async def renew() -> None:
        nonlocal lost
        while True:
            await asyncio.sleep(conf.get("LEASE_S") / 3)
            if not await in_database(_renew, lease):
                lost = True
                if main is not None:
                    main.cancel()
                return

    heartbeat = asyncio.create_task(renew())
    try:
        yield
    except asyncio.CancelledError:
        if lost and main is not None:
            main.uncancel()
            raise LeaseLost(f"asset {lease.asset_id} was taken over by another worker.") from None
        raise
    finally:
        heartbeat.cancel()
        with suppress(asyncio.CancelledError):
            await heartbeat


def _renew(lease: Lease) -> bool:
    return bool(MediaAsset.objects.held(lease.asset_id, lease.token).update(lease_until=lease_end()))
