"""Work inside a server process, for sites that have neither a worker nor a task engine.

One thread with one event loop and one worker in it, started when there is something to do. It is a helper, not the
truth: what it holds when the process dies waits in the rows, and whoever asks for those next has them taken up again.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from django.db import close_old_connections

from mediagen import conf
from mediagen.engine.batches import lifecycle
from mediagen.engine.database import in_database, loop_thread
from mediagen.engine.dispatch import look_wanted
from mediagen.engine.work.worker import CHAIN_AGE_S, Event, Until, Worker, claim, claim_new
from mediagen.models import BatchState, GenerationBatch, GenerationState, MediaAsset
from mediagen.models.routing import connection, on_commit

logger = logging.getLogger("mediagen.engine")

T = TypeVar("T")

AT_ONCE_WORD = "at_once"
AT_ONCE = 512
"""generations open at a time; further ones wait in their rows. What is in memory of them is bounded by `intake`."""
OF_BATCHES_AT_ONCE = 32
"""of those; a long batch leaves room for people who wait"""
LINGER_S = 10.0
"""how long the worker stays when it has nothing to do, with its connections to providers"""
FIRST_LOOK_S, LONGEST_LOOK_S = 0.5, 5.0
"""how often it looks whether what was put off may be taken; doubled each time in vain"""
PER_LOOK = 1000
ALERTS_EVERY_S = 30.0


def is_wanted() -> bool:
    """Whether this process is to do the work: no engine is told of it, and the site has not said no."""
    return conf.get("TASK_BACKEND") is None and bool(conf.get("RUN_IN_SERVER"))


def is_at_once() -> bool:
    """Whether work that is asked for here is done here and now, by the caller and in his connection: RUN_IN_SERVER is
    "at_once", or a TestCase keeps everything in a transaction that nobody else could look into. Asks the database's
    thread."""
    return is_wanted() and (conf.get("RUN_IN_SERVER") == AT_ONCE_WORD or _holds_test())


async def is_in_test() -> bool:
    """Whether a TestCase holds the connection of this coroutine's database work."""
    return _may_be_test() and await in_database(_holds_test)


def _may_be_test() -> bool:
    # A site under way is not asked. Test runners have made the box that mail goes to; Django's TestCase alone says
    # little, REST framework's schema generator imports it.
    return "django.test.testcases" in sys.modules and hasattr(sys.modules.get("django.core.mail"), "outbox")


def _holds_test() -> bool:
    return _may_be_test() and any(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


async def _is_at_once() -> bool:
    return conf.get("RUN_IN_SERVER") == AT_ONCE_WORD or (_may_be_test() and await in_database(is_at_once))


async def _do_at_once(asset_ids: Iterable[Any]) -> None:
    await Worker(asset_ids=list(asset_ids)).run(Until.IDLE)


async def _do_batch_at_once(batch_id: Any) -> None:
    await Worker(batch_id=batch_id).run(Until.IDLE)


def work_soon(asset_ids: Iterable[Any]) -> None:
    """Fill these assets, which wait, in this process once the present transaction is committed.

    For edges (views, admin, API) after `enqueue`. Does nothing where the site has a task engine, which was told of
    them, or says `RUN_IN_SERVER: False` because workers find them. Safe to repeat.
    """
    ids = set(asset_ids)
    if ids and is_at_once():
        async_to_sync(_do_at_once)(ids)
    elif ids and is_wanted():
        on_commit(partial(_thread.call, _work.feed, ids, ()))


async def work_now(asset_ids: Iterable[Any], *, new: Iterable[MediaAsset] = ()) -> None:
    """As `work_soon`, for coroutines, and assets that are committed already.

    `new`: those of them that the caller has just made, with their library. Their rows need not be read again.
    """
    ids = set(asset_ids)
    if not ids or not is_wanted():
        return
    if await _is_at_once():
        await _do_at_once(ids)
    else:
        _thread.call(_work.feed, ids, (), [_copied(asset) for asset in new])


def _copied(asset: MediaAsset) -> MediaAsset:
    """For the thread that fills it: the caller goes on reading his."""
    own = copy(asset)
    vars(own).pop("_prefetched_objects_cache", None)  # it will get tags
    return own


def work_on_batch_soon(batch_id: Any) -> None:
    """As `work_soon`, for all that waits in a running batch."""
    if is_at_once():
        async_to_sync(_do_batch_at_once)(batch_id)
    elif is_wanted():
        on_commit(partial(_thread.call, _work.feed, (), {batch_id}))


def run_soon(work: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
    """Run other work, a coroutine function with these arguments, in this process after the commit; only where
    `is_wanted`. Its rows must say by themselves whether it is still to be done."""
    if is_at_once():
        on_commit(partial(async_to_sync(work), *args))
    elif is_wanted():
        on_commit(partial(_thread.call, _work.begin, work, args))


async def awaited(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, which is done in the thread of this process: it goes on there when nobody waits any more."""
    result: Future[T] = Future()
    result.set_running_or_notify_cancel()
    _thread.call(_work.tell, work, result)
    return await asyncio.wrap_future(result)


class _Work:
    """What the thread has to do. Touched in its event loop only."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.assets: set[Any] = set()
        self.batches: set[Any] = set()
        self.new: dict[Any, tuple[float, MediaAsset]] = {}
        """of the assets, as they were made, and when they were; gone when they have been looked at once"""
        self._worker: _FedWorker | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_running = False
        self._is_ending = False

    def feed(self, assets: Iterable[Any], batches: Iterable[Any], new: Iterable[MediaAsset] = ()) -> None:
        if self._is_ending:
            return
        self.assets.update(assets)
        now = asyncio.get_running_loop().time()
        self.new.update((asset.pk, (now, asset)) for asset in new)
        self.batches.update(batches)
        if self._worker is not None:
            self._worker.look_now()
        if not self._is_running:
            self._is_running = True
            self.begin(self._run, ())

    async def end(self) -> None:
        """Begin nothing new, wait for what is under way for `END_S`, then let it wait in its rows."""
        self._is_ending = True
        for told in (self.assets, self.batches, self.new):
            told.clear()
        if self._worker is not None:
            self._worker.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=loop_thread.END_S)
        if self._worker is not None:
            self._worker.stop_now()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=loop_thread.CANCEL_S)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=loop_thread.CANCEL_S)

    def begin(self, work: Callable[..., Coroutine[Any, Any, Any]], args: Iterable[Any]) -> None:
        if self._is_ending:
            return
        task = asyncio.get_running_loop().create_task(_logged(work(*args)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tell(self, work: Coroutine[Any, Any, T], result: Future[T]) -> None:
        task = asyncio.get_running_loop().create_task(_with_connections_closed(work))
        self._tasks.add(task)

        def ended(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                result.set_exception(asyncio.CancelledError())
            elif (exc := task.exception()) is not None:
                result.set_exception(exc)
            else:
                result.set_result(task.result())

        task.add_done_callback(ended)

    async def _run(self) -> None:
        over = asyncio.Event()
        self.begin(_look_for_alerts, (over,))
        try:
            while self.assets or self.batches:
                self._worker = _FedWorker(concurrency=AT_ONCE)
                await self._worker.run(Until.IDLE)
                await in_database(close_old_connections)
        finally:
            self._worker, self._is_running = None, False
            over.set()


async def _look_for_alerts(over: asyncio.Event) -> None:
    """While there is work, and once when it is done: a site without a worker has nobody else who looks."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), ALERTS_EVERY_S)
        looks: list[tuple[Any, Any]] = look_wanted.send(None)
        for _, look in looks:
            await look
        if over.is_set():
            return


@dataclass(slots=True)
class _FedWorker(Worker):
    """Takes what it was told of, asks the database only while there is such, and stays for a while afterwards."""

    _look_at: float = 0.0
    _look_every_s: float = FIRST_LOOK_S
    _of_batches: int = 0

    def __post_init__(self) -> None:
        self.watch = self._note

    def look_now(self) -> None:
        """There is something new."""
        self._look_at, self._look_every_s = 0.0, FIRST_LOOK_S
        self._wake.set()

    def _note(self, event: Event) -> None:
        if event.kind == "started":
            return
        self._of_batches -= event.asset.batch_id is not None
        if _work._is_ending:
            return
        if event.kind in ("put_off", "lost"):
            _work.assets.add(event.asset.pk)
            # Others may be asked of other providers: they need not wait for what keeps this one waiting.
            self._not_before = 0.0

    async def _fetch(self, count: int) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._look_at or not (_work.assets or _work.batches):
            return
        self._look_at = now + self._look_every_s
        self._look_every_s = min(self._look_every_s * 2, LONGEST_LOOK_S)
        looked_at = set(islice(_work.assets, PER_LOOK))
        # Taken out first: what is said again meanwhile is looked at again.
        _work.assets -= looked_at
        told_batches, _work.batches = _work.batches, set()
        made = [_work.new.pop(pk) for pk in looked_at & _work.new.keys()]
        # Of those that had to wait the library's budget may be another one by now.
        new = [asset for made_at, asset in made if now - made_at < CHAIN_AGE_S]
        room = max(0, OF_BATCHES_AT_ONCE - self._of_batches)
        claimed, waiting, running = await in_database(self._look, count, looked_at, told_batches, room, new)
        self._of_batches += sum(asset.batch_id is not None for asset in claimed)
        self._take(claimed)
        _work.assets |= waiting
        _work.batches |= running
        if claimed:
            self.look_now()

    def _look(
        self, count: int, assets: set[Any], told_batches: set[Any], room: int, new: list[MediaAsset]
    ) -> tuple[list[MediaAsset], set[Any], set[Any]]:
        """(claimed, those of the assets that still wait, those of the batches that still run)."""
        claimed = claim_new(new[:count], self.name) if new else []
        rest = assets - {asset.pk for asset in claimed}
        if rest and len(claimed) < count:
            claimed += claim(MediaAsset.objects.filter(pk__in=rest), self.name, count - len(claimed))
            rest = assets - {asset.pk for asset in claimed}
        waiting: set[Any] = set()
        if rest:
            still = MediaAsset.objects.filter(pk__in=rest, generation_state=GenerationState.PENDING)
            waiting = set(still.exclude(batch__state__in=STANDING).values_list("pk", flat=True))
        for batch_id in told_batches:
            some = min(room, count - len(claimed))
            of_batch = claim(MediaAsset.objects.filter(batch=batch_id), self.name, some) if some > 0 else []
            claimed += of_batch
            room -= len(of_batch)
            if some > 0 and not of_batch:
                lifecycle.finish_if_done(batch_id)
        running: set[Any] = set()
        if told_batches:
            going = GenerationBatch.objects.filter(pk__in=told_batches, state=BatchState.RUNNING)
            running = set(going.values_list("pk", flat=True))
        return claimed, waiting, running

    async def _is_over(self, until: Until) -> bool:
        if _work.assets or _work.batches:
            return False
        try:
            await asyncio.wait_for(self._wake.wait(), LINGER_S)
        except TimeoutError:
            return not (_work.assets or _work.batches)
        return False


STANDING = (BatchState.PAUSED, BatchState.CANCELLED, BatchState.FINISHED, BatchState.LOADING)


async def _with_connections_closed(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    finally:
        await in_database(close_old_connections)


async def _logged(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except Exception as exc:
        logger.exception("work in the server process ended by %s; its rows wait", type(exc).__name__)


_work = _Work()
_thread = loop_thread.of_process
_thread.at_end.append(_work.end)
_thread.after_fork.append(_work.forget)
