"""Who works on an asset: one worker at a time, for a while, renewed as long as it lives.

Leases end by the database's clock. A worker that is known to be dead, because it ran on this very machine and its
process is gone, need not be waited for.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from mediagen import conf
from mediagen.engine.database.hops import in_database
from mediagen.errors import LeaseLost
from mediagen.models import GenerationState, MediaAsset


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fill one asset. Whoever comes later has a larger token."""

    asset_id: Any
    token: int


def worker_name() -> str:
    """host:machine:pid:start, of this process. Not kept: a forked child is another worker."""
    pid = os.getpid()
    return f"{socket.gethostname()[:40]}:{_machine()}:{pid}:{_started(pid)}"


@cache
def _machine() -> str:
    """The running kernel and process namespace: the place in which a process id means one process. "" if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return hashlib.sha256((boot + namespace).encode()).hexdigest()[:16]


def _started(pid: int) -> str:
    """The process's start time in clock ticks since boot; "" when it does not run, or there is no way to know."""
    try:
        # The second field is the command in parentheses and may hold anything, blanks and parentheses too.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie is dead: only its parent has not asked yet what became of it.
        return "" if state in "ZXx" else fields[18]
    except (OSError, ValueError, IndexError):
        return ""


def is_dead(worker: str) -> bool:
    """True when the worker surely no longer runs; False when it does or nobody here can know."""
    _, _, rest = worker.partition(":")
    machine, _, process = rest.partition(":")
    pid, _, start = process.partition(":")
    if not machine or machine != _machine() or not pid.isdecimal() or not start:
        return False
    return _started(int(pid)) != start.partition(":")[0]


def free_dead_workers() -> int:
    """End the leases of workers that died on this machine; how many assets that freed."""
    return free_dead_workers_of(MediaAsset.objects.filter(generation_state=GenerationState.RUNNING))


def free_dead_workers_of(running: QuerySet[Any]) -> int:
    """The same for whatever else is held by `lease_worker` until `lease_until`: of these rows, which are held now."""
    workers = running.order_by().values_list("lease_worker", flat=True).distinct()
    dead = [worker for worker in workers if is_dead(worker)]
    if not dead:
        return 0
    return running.filter(lease_worker__in=dead).update(lease_until=Now() - timedelta(seconds=1))


@asynccontextmanager
async def kept(lease: Lease, *, already: bool = False) -> AsyncIterator[None]:
    """Renew the lease while the block runs, unless somebody does so `already`. `LeaseLost` when another worker has
    taken the asset over.

    The first renewal comes after a third of the lease, so a quick generation writes nothing for it.
    """
    if already:
        yield
        return
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
    until = Now() + timedelta(seconds=conf.get("LEASE_S"))
    return bool(MediaAsset.objects.held(lease.asset_id, lease.token).update(lease_until=until))
