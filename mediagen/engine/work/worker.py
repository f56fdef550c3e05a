"""One event loop that works off waiting assets: claims them in groups, runs many at once, and lets go in order.

The command that starts a batch runs a worker for that batch; `manage.py generate_worker` runs one for everything.
Any number of them on any number of machines share the work by the rows alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Q

from mediagen import circuits, conf, http
from mediagen.breaker import BreakerKey, Circuit
from mediagen.chain import MediaGeneratorChain
from mediagen.circuits import SharedBreaker
from mediagen.engine.batches import lifecycle
from mediagen.engine.database import grouped, in_database, is_full, to_the_end
from mediagen.engine.events import announcements, progress
from mediagen.engine.generation import Job, PutOff, claims, failures, leases, running
from mediagen.errors import ConfigurationError, GenerationFailed, InvalidRequest, LeaseLost, StorageFailed
from mediagen.factory import ChainsNow
from mediagen.models import BatchState, GenerationBatch, GenerationState, MediaAsset
from mediagen.models.clock import db_now
from mediagen.models.costs import NOTHING, Cost
from mediagen.models.routing import atomic

logger = logging.getLogger("mediagen.engine")

CHAIN_AGE_S = 1.0
IDLE_S = 0.5
LONGEST_PAUSE_S = 30.0


class Until(StrEnum):
    STOPPED = "stopped"
    """somebody says so"""
    IDLE = "idle"
    """nothing can be taken at the moment"""
    DONE = "done"
    """nothing is left, neither waiting for its time nor in another worker's hands"""


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one asset. `kind` is "ready", "failed", "put_off", "lost" or "started"."""

    kind: str
    asset: MediaAsset
    seconds: float = 0.0
    message: str = ""
    attempts: int = 0
    """providers asked in this run, retries included"""
    cost: Cost = NOTHING
    """what this run of the asset has cost"""


@dataclass(slots=True)
class Worker:
    """Claims and fills assets until it is stopped, or until there is nothing left to do.

    `batch_id` restricts it to a batch; `limit` to so many assets; `watch` is told of every event, in the event loop.
    """

    batch_id: Any = None
    asset_ids: list[Any] | None = None
    """only these assets: what a task engine's kick names"""
    concurrency: int = 16
    limit: int | None = None
    watch: Callable[[Event], None] = lambda event: None
    patient: bool = True
    """what waiting may help is put off, not failed"""
    left_as: GenerationState = GenerationState.PENDING
    """how rows wait that it has taken and not made: for any worker, or interrupted, for whoever asked for them"""
    name: str = field(default_factory=lambda: f"{leases.worker_name()}:{uuid.uuid4().hex[:6]}")
    begun: int = 0
    _buffer: deque[MediaAsset] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _worked_on: set[Any] = field(default_factory=set)
    """batches that may be finished when it has nothing to do"""
    _batches: dict[Any, tuple[float, GenerationBatch | None]] = field(default_factory=dict)
    _chains: dict[Any, tuple[float, MediaGeneratorChain]] = field(default_factory=dict)
    _breaker: SharedBreaker = field(default_factory=SharedBreaker)
    _stopping: bool = False
    _full: Exception | None = None
    """how the database said that its disk is full"""
    _not_before: float = 0.0
    """`time.monotonic()` until which nothing is begun, because the providers are known not to answer"""
    _last_look: float = 0.0
    _last_beat: float = 0.0
    _clocks_apart: float = 0.0
    """what `time.time()` is ahead of `time.monotonic()`: it jumps when the machine slept or its clock was set"""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, until: Until = Until.STOPPED) -> None:
        """Work, for as long as `until` says or until `stop()`. `OperationalError` when the database takes no more."""
        self._note_beat()
        async with http.session():
            with grouped(self.concurrency):
                heartbeat = asyncio.create_task(self._beat())
                try:
                    # First: the jobs that they have bought do not wait for ever.
                    await in_database(leases.free_dead_workers)
                    try:
                        await self._loop(until)
                    except (OperationalError, InterfaceError):
                        # It takes no more rows: what is bought already can still be stored.
                        await self._drained()
                        raise
                    await self._drained()
                    if self._full is not None:
                        raise self._full
                finally:
                    for task in self._tasks:
                        task.cancel()
                    await asyncio.gather(*self._tasks, return_exceptions=True)
                    heartbeat.cancel()
                    await asyncio.gather(heartbeat, return_exceptions=True)
                    await in_database(self._let_go)
                    self._buffer.clear()
        await self._finish_batches()

    async def _drained(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)

    def circuits(self) -> Mapping[BreakerKey, Circuit]:
        """The breakers as this process knows them."""
        return {**circuits.of_this_process().known(), **self._breaker.known()}

    def stop(self) -> None:
        """Begin nothing new; what is under way ends."""
        self._stopping = True
        self._wake.set()

    def stop_now(self) -> None:
        """Cancel what is under way too. Its attempts are recorded as unknown, its rows can be taken again."""
        self.stop()
        for task in self._tasks:
            task.cancel()

    async def _loop(self, until: Until) -> None:
        while not self._stopping:
            self._wake.clear()  # before anything is looked at: a task may end while rows are fetched
            room = self.concurrency - len(self._tasks)
            if self.limit is not None:
                room = min(room, self.limit - self.begun)
                if self.limit <= self.begun:
                    return
            if self._not_before > time.monotonic():
                room = 0
            if room > 0 and len(self._buffer) < room:
                await self._fetch(self.concurrency)
            for _ in range(min(room, len(self._buffer))):
                self._begin(self._buffer.popleft())
            if len(self._tasks) >= self.concurrency:
                await self._wake.wait()
                continue
            if not self._buffer and not self._tasks and await self._is_over(until):
                return
            try:
                await asyncio.wait_for(self._wake.wait(), IDLE_S)
            except TimeoutError:
                continue

    async def _is_over(self, until: Until) -> bool:
        """Nothing is under way: whether that is the end."""
        if time.monotonic() - self._last_look > 5.0:
            self._last_look = time.monotonic()
            if await in_database(self._tidy_up):
                self._wake.set()
                return False
            await self._finish_batches()
        if until is Until.DONE:
            return not await in_database(self._is_anything_left)
        return until is Until.IDLE

    async def _fetch(self, count: int) -> None:
        if self._has_slept():
            await self._renew()  # what it has comes before what it takes
        wanted = count if self.limit is None else min(count, self.limit - self.begun - len(self._buffer))
        self._take(await in_database(self._claim, wanted))

    def _take(self, claimed: Sequence[MediaAsset]) -> None:
        for asset in claimed:
            leases.take_in_hand(asset.pk, asset.lease_token, self.name)
        self._buffer.extend(claimed)

    def _claim(self, count: int) -> list[MediaAsset]:
        return claim(self._mine(), self.name, count)

    def _mine(self) -> Any:
        assets = MediaAsset.objects.all()
        if self.batch_id is not None:
            assets = assets.filter(batch=self.batch_id)
        return assets if self.asset_ids is None else assets.filter(pk__in=self.asset_ids)

    def _is_anything_left(self) -> bool:
        """Whether a row waits for its time, or another worker has one that may come back."""
        open_states = (GenerationState.PENDING, GenerationState.RUNNING)
        left = self._mine().filter(generation_state__in=open_states)
        return bool(left.filter(Q(batch__isnull=True) | Q(batch__state="running")).exists())

    def _tidy_up(self) -> bool:
        """While nothing is under way: free what nobody works on. True when there is something to do again."""
        # What still bears our name was claimed, or ended, by a commit whose answer got lost.
        return bool(self._let_go() + leases.free_dead_workers())

    def _let_go(self) -> int:
        """Give back every row that we hold; how many."""
        leases.let_go_of_all(self.name)
        mine = MediaAsset.objects.filter(generation_state=GenerationState.RUNNING, lease_worker=self.name)
        return mine.update(generation_state=self.left_as, lease_worker="", lease_until=None, updated_at=db_now())

    async def _finish_batches(self) -> None:
        for batch_id in {*self._worked_on, self.batch_id} - {None}:
            await in_database(lifecycle.finish_if_done, batch_id)
        self._worked_on.clear()

    def _begin(self, asset: MediaAsset) -> None:
        self.begun += 1
        self._worked_on.add(asset.batch_id)
        task = asyncio.create_task(self._work(asset))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (exc := task.exception()) is not None:
            logger.error("a worker's task ended by %s", type(exc).__name__, exc_info=exc)

    async def _work(self, asset: MediaAsset) -> None:
        began = time.monotonic()
        self.watch(Event("started", asset))
        kind, message = "ready", ""
        job: Job | None = None
        try:
            job = await self._job(asset)
            if job is not None:
                await running.run(job)
                self._not_before = 0.0
            else:
                kind, message = "put_off", asset.failure
        except PutOff as exc:
            kind, message = "put_off", str(exc)
            # What keeps this one waiting keeps most others waiting too: they are not all tried in vain.
            self._not_before = time.monotonic() + min(exc.retry_in_s or 0.0, LONGEST_PAUSE_S)
            if exc.vetoed and asset.batch is not None:
                await in_database(lifecycle.pause, asset.batch, message)
        except StorageFailed as exc:
            kind, message = "put_off" if self.patient and not exc.lost else "failed", str(exc)
            if not self.patient:
                pass  # the row says so, and where the picture is kept meanwhile
            elif asset.batch is not None:  # every further picture would have the same fate
                await in_database(lifecycle.pause, asset.batch, message)
            else:
                await asyncio.sleep(5.0)
        except GenerationFailed as exc:
            kind, message = "failed", str(exc)
        except LeaseLost as exc:
            kind, message = "lost", str(exc)
        except (InvalidRequest, ConfigurationError) as exc:
            kind, message = "failed", str(exc)
        except asyncio.CancelledError:
            raise
        except (OperationalError, InterfaceError) as exc:
            kind, message = "lost", f"the database is away ({exc}); the asset is taken again later."
            if is_full(exc):  # no asset would fare better, and each would be paid for in vain
                self._full = exc
                self.stop()
            logger.error("asset %s: %s", asset.pk, message)
        except Exception as exc:
            logger.exception("asset %s could not be made", asset.pk)
            kind, message = "failed", type(exc).__name__
            await self._end(asset, GenerationState.FAILED, message, failures.of_exception(exc))
        finally:
            leases.let_go(asset.pk)
        if kind in ("put_off", "lost"):
            self.begun -= 1
        asked, cost = (job.asked, job.cost) if job else (0, NOTHING)
        self.watch(Event(kind, asset, time.monotonic() - began, message, asked, cost))

    async def _job(self, asset: MediaAsset) -> Job | None:
        """The job of a claimed row; None when its batch does not run any more, or when wrong settings keep every row
        from being made, so that it waits."""
        batch = await self._batch_of(asset)
        if asset.batch_id is not None and (batch is None or batch.state != BatchState.RUNNING):
            is_cancelled = batch is not None and batch.state == BatchState.CANCELLED
            state = GenerationState.CANCELLED if is_cancelled else GenerationState.PENDING
            await self._end(asset, state, asset.failure)
            return None
        try:
            order = claims.order_of(asset)
            chain = await self._chain(order.providers, order.dry_run)
        except ConfigurationError as exc:
            asset.failure = str(exc)
            if asset.batch is None:
                await self._end(asset, GenerationState.FAILED, str(exc), failures.of_exception(exc))
                raise
            await in_database(lifecycle.pause, asset.batch, str(exc))
            await self._end(asset, GenerationState.PENDING, str(exc))
            return None
        except InvalidRequest as exc:
            await self._end(asset, GenerationState.FAILED, str(exc), failures.of_exception(exc))
            raise
        budgets = [*lifecycle.batch_budgets(batch), *claims.library_budgets(asset.library)]
        return claims.take(asset, order, chain, budgets, patient=self.patient, left_as=self.left_as)

    async def _end(self, asset: MediaAsset, state: GenerationState, reason: str, code: str = "") -> None:
        leases.let_go(asset.pk)
        await in_database(_end, asset, self.name, state, reason, code)

    async def _batch_of(self, asset: MediaAsset) -> GenerationBatch | None:
        """The batch as it is now, at most a second old: it may have been paused meanwhile, or have got a limit."""
        if asset.batch_id is None:
            return None
        async with self._reading:
            read_at, batch = self._batches.get(asset.batch_id, (0.0, None))
            if time.monotonic() - read_at > CHAIN_AGE_S:
                batch = await in_database(GenerationBatch.objects.filter(pk=asset.batch_id).first)
                if len(self._batches) > 100:
                    self._batches.clear()
                self._batches[asset.batch_id] = (time.monotonic(), batch)
            return batch

    async def _chain(self, providers: tuple[str, ...], dry_run: bool | None) -> MediaGeneratorChain:
        """The chain as it is configured now, at most a second old."""
        key = (providers, dry_run)
        async with self._reading:
            made_at, chain = self._chains.get(key, (0.0, None))
            if chain is None or time.monotonic() - made_at > CHAIN_AGE_S:
                chain = await in_database(lambda: ChainsNow().of(providers, dry_run, breaker=self._breaker))
                if len(self._chains) > 100:
                    self._chains.clear()
                self._chains[key] = (time.monotonic(), chain)
            return chain

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(conf.get("LEASE_S") / 3)
            await self._renew()

    async def _renew(self) -> None:
        try:
            await to_the_end(in_database(leases.renew_all, self.name))
        except (OperationalError, InterfaceError) as exc:
            logger.error("the leases of %s could not be renewed (%s); trying again", self.name, exc)
        except Exception:
            logger.exception("the leases of %s could not be renewed; trying again", self.name)
        else:
            self._note_beat()

    def _note_beat(self) -> None:
        self._last_beat = time.monotonic()
        self._clocks_apart = time.time() - self._last_beat

    def _has_slept(self) -> bool:
        """Whether it, or the machine, stood still since the last heartbeat, or a clock was set: leases may be over."""
        now = time.monotonic()
        stood_still = now - self._last_beat > conf.get("LEASE_S") / 2
        return stood_still or abs(time.time() - now - self._clocks_apart) > 1.0


@atomic()
def claim(assets: Any, worker: str, count: int) -> list[MediaAsset]:
    """Take so many of these assets (a QuerySet) that can be taken, the oldest first; with library and batch.

    What somebody is known to work on, here or in another process of this machine, is left alone although its lease is
    over.
    """
    out_of_ours: Any = leases.not_ours(assets.claimable())
    waiting = out_of_ours.order_by("id").locked(skip=True)
    found = list(waiting.values_list("pk", "lease_worker")[:count])
    if any(leases.is_another_living(holder) for _, holder in found):
        found = list(leases.out_of_hand(waiting).values_list("pk", "lease_worker")[:count])
    pks = [pk for pk, _ in found]
    if not pks or not MediaAsset.objects.claim(pks, worker=worker, lease_s=conf.get("LEASE_S")):
        return []
    claimed = MediaAsset.objects.filter(pk__in=pks, lease_worker=worker, generation_state=GenerationState.RUNNING)
    progress.changed(pks)
    return list(claimed.select_related("library", "batch").order_by("id"))


@atomic()
def claim_new(assets: Sequence[MediaAsset], worker: str) -> list[MediaAsset]:
    """As `claim`, of assets that this process has just made, with library and without a batch: those of them whose rows
    nobody has touched since. What is known of them need not be read again."""
    claimed = []
    for asset in assets:
        untouched = MediaAsset.objects.filter(lease_token=asset.lease_token, updated_at=asset.updated_at)
        if untouched.claim([asset.pk], worker=worker, lease_s=conf.get("LEASE_S")):
            claimed.append(asset)
    progress.changed(asset.pk for asset in claimed)
    for asset in claimed:
        asset.generation_state, asset.lease_token = GenerationState.RUNNING, asset.lease_token + 1
        asset.lease_worker = worker[:100]
    return claimed


@atomic()
def _end(asset: MediaAsset, worker: str, state: GenerationState, reason: str, code: str) -> None:
    ended = MediaAsset.objects.filter(pk=asset.pk, lease_worker=worker).update(
        generation_state=state,
        failure=reason,
        failure_code=code,
        lease_worker="",
        lease_until=None,
        updated_at=db_now(),
    )
    progress.changed([asset.pk], is_end=True)
    if ended and state == GenerationState.FAILED:
        announcements.assets_failed([asset.pk])
