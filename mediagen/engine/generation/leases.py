"""Who works on an asset: one worker at a time, for a while, renewed as long as it lives.

Leases end by the database's clock, but clocks step and machines sleep. So of workers on this very machine their
processes are asked: who is gone need not be waited for, and who lives keeps what it has, however old its lease. What
this process itself has in hand is noted in it.
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
from mediagen.engine.database import in_database, to_the_end
from mediagen.errors import LeaseLost
from mediagen.models import GenerationState, MediaAsset
from mediagen.models.clock import db_now


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to fill one asset. Whoever comes later has a larger token."""

    asset_id: Any
    token: int


@cache
def worker_name() -> str:
    """host:machine:pid:start, of this process. A forked child is another worker."""
    pid = os.getpid()
    return f"{socket.gethostname()[:40]}:{_machine()}:{pid}:{_started(pid)}"


os.register_at_fork(after_in_child=worker_name.cache_clear)


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
    return _runs(worker) is False


def lives_here(worker: str) -> bool:
    """True when the worker surely runs, on this machine; False when it does not or nobody here can know."""
    return _runs(worker) is True


def _runs(worker: str) -> bool | None:
    """Whether the process of this name runs; None when it is of another machine, or there is no way to know."""
    _, _, rest = worker.partition(":")
    machine, _, process = rest.partition(":")
    pid, _, start = process.partition(":")
    if not machine or machine != _machine() or not pid.isdecimal() or not start:
        return None
    return _started(int(pid)) == start.partition(":")[0]


_IN_HAND: dict[Any, tuple[int, str]] = {}
"""What this process works on: the token and the worker's name, by asset."""
os.register_at_fork(after_in_child=_IN_HAND.clear)


def take_in_hand(asset_id: Any, token: int, worker: str) -> None:
    """Note that this process works on the asset from now on."""
    _IN_HAND[asset_id] = (token, worker)


def let_go(asset_id: Any) -> None:
    """Before what is left of the work is written: no heartbeat takes the asset back then."""
    _IN_HAND.pop(asset_id, None)


def let_go_of_all(worker: str) -> None:
    """As `let_go`, of all that this worker of this process has."""
    for asset_id, (_, holder) in list(_IN_HAND.items()):
        if holder == worker:
            let_go(asset_id)


def is_in_hand(asset: MediaAsset) -> bool:
    """Whether somebody is known to work on the asset now, here or in another process of this machine."""
    return asset.pk in _IN_HAND or is_another_living(asset.lease_worker)


def is_held(asset: MediaAsset) -> bool:
    """Whether somebody may be working on it: as `is_in_hand`, and while its lease lasts."""
    until = asset.lease_until if asset.lease_worker else None
    return is_in_hand(asset) or (until is not None and until > db_now())


def out_of_hand(assets: QuerySet[MediaAsset]) -> QuerySet[MediaAsset]:
    """Without those that somebody is known to work on, whatever the clock says of their leases."""
    over = MediaAsset.objects.filter(generation_state=GenerationState.RUNNING, lease_until__lt=Now())
    workers = over.order_by().values_list("lease_worker", flat=True).distinct()
    living = [worker for worker in workers if is_another_living(worker)]
    if living:
        assets = assets.exclude(generation_state=GenerationState.RUNNING, lease_worker__in=living)
    return not_ours(assets)


def not_ours(assets: QuerySet[MediaAsset]) -> QuerySet[MediaAsset]:
    """Without those that this process itself works on."""
    mine = list(_IN_HAND)
    return assets.exclude(pk__in=mine) if mine else assets


def not_in_hand(attempts: QuerySet[Any]) -> QuerySet[Any]:
    """Attempts whose assets this process does not work on."""
    mine = list(_IN_HAND)
    return attempts.exclude(asset__in=mine) if mine else attempts


def is_another_living(worker: str) -> bool:
    """Whether it is a worker of another process, that lives on this machine."""
    # What bears our own process's name and is not in hand was left by a task of ours that ended badly.
    return not f"{worker}:".startswith(f"{worker_name()}:") and lives_here(worker)


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
            # To the end: one that came after the asset was left would take it back.
            if not await to_the_end(in_database(_renew, lease)):
                lost = True
                if main is not None:
                    main.cancel()
                return

    take_in_hand(lease.asset_id, lease.token, worker_name())
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
        let_go(lease.asset_id)


def _renew(lease: Lease) -> bool:
    return _keep(lease.asset_id, lease.token, worker_name())


def renew_all(worker: str) -> None:
    """Prolong every lease of this worker of this process, and take back what a sweep elsewhere has let wait, while
    nobody has taken it."""
    MediaAsset.objects.renew(worker=worker, lease_s=conf.get("LEASE_S"))
    mine = {asset_id: token for asset_id, (token, holder) in list(_IN_HAND.items()) if holder == worker}
    if not mine:
        return
    waiting = MediaAsset.objects.filter(pk__in=mine, generation_state=GenerationState.PENDING)
    for asset_id, token in waiting.values_list("pk", "lease_token"):
        if mine[asset_id] == token:
            _keep(asset_id, token, worker)


def _keep(asset_id: Any, token: int, worker: str) -> bool:
    values = {"lease_worker": worker[:100], "lease_until": Now() + timedelta(seconds=conf.get("LEASE_S"))}
    if MediaAsset.objects.held(asset_id, token).update(generation_state=GenerationState.RUNNING, **values):
        return True
    # One that was taken for what is bought only (`claims.take_over`) keeps its state.
    aside = MediaAsset.objects.filter(pk=asset_id, lease_token=token, lease_worker=worker[:100])
    return bool(aside.update(**values))
