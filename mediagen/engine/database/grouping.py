"""Database work of many tasks that is ready at the same moment: one hop, one transaction, few statements."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync
from django.db import InterfaceError, OperationalError, close_old_connections

from mediagen import steps
from mediagen.engine.database.durability import durably, is_durable
from mediagen.engine.database.patience import patiently
from mediagen.models.routing import atomic

logger = logging.getLogger("mediagen.engine")

Item = TypeVar("Item")
T = TypeVar("T")
Work = Callable[[list[Any]], Sequence[Any]]

LARGEST_GROUP = 64
GATHER_S = 0.005
"""How long a group waits for company: a hop and a commit cost as much CPU as several rows."""
IDLE_S = 5.0
"""A thread of ours that has nothing to do for so long closes the connections that have reached CONN_MAX_AGE."""


def prepared_by(prepare: Callable[[list[Any]], None]) -> Callable[[T], T]:
    """Mark work for `together`: `prepare` is called with the same items before its transaction begins. What it reads
    there holds no lock that others wait for."""

    def mark(work: T) -> T:
        work.prepare = prepare  # type: ignore[attr-defined]
        return work

    return mark


class GroupWriter:
    """Gathers the database work of all who share an event loop and a thread for the database. Each kind of work keeps
    its own savepoint."""

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: Any, context: Context) -> None:
        self.loop = loop
        self.users = 0
        """who hands it work at the moment, or is about to"""
        self.executor = executor
        self._context = context
        self._waiting: list[tuple[Work, Any, asyncio.Future[Any]]] = []
        self._is_running = False

    async def do(self, work: Callable[[list[Item]], Sequence[T | Exception]], item: Item) -> T | Exception:
        future: asyncio.Future[T | Exception] = self.loop.create_future()
        self._waiting.append((work, item, future))
        if not self._is_running:
            self._is_running = True
            self.loop.create_task(self._run_all(), context=self._context)
        return await future

    async def _run_all(self) -> None:
        """Until nothing waits. While one group is in the database the next one gathers by itself."""
        try:
            while self._waiting:
                if self.users > 1 and len(self._waiting) < LARGEST_GROUP:
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(GATHER_S)
                group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
                await self._run(group)
        finally:
            self._is_running = False

    async def _run(self, group: list[tuple[Work, Any, asyncio.Future[Any]]]) -> None:
        kinds: dict[Work, list[tuple[Any, asyncio.Future[Any]]]] = {}
        for work, item, future in group:
            kinds.setdefault(work, []).append((item, future))
        works = [(work, [item for item, _ in pieces]) for work, pieces in kinds.items()]
        futures = [future for pieces in kinds.values() for _, future in pieces]
        results: Sequence[Any]
        try:
            with steps.step("database", pieces=len(group)):
                results = await _to_its_end(
                    self.loop.run_in_executor(self.executor, copy_context().run, _in_thread, works)
                )
        except asyncio.CancelledError:
            results = [RuntimeError("the thread for the database has ended.")] * len(futures)
        except Exception as exc:
            results = [exc] * len(futures)
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)


async def _to_its_end(future: asyncio.Future[T]) -> T:
    """Its result. Whoever cancels all tasks because the loop ends does not end this: others wait, to write what they
    leave."""
    while True:
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if future.cancelled():
                raise


_writer: ContextVar[GroupWriter | None] = ContextVar("mediagen_writer", default=None)
_writers: dict[tuple[asyncio.AbstractEventLoop, Any], GroupWriter] = {}
"""those that have users"""
os.register_at_fork(after_in_child=_writers.clear)


def writer() -> GroupWriter | None:
    """The one of the running task, where it works in groups."""
    found = _writer.get()
    return found if found is not None and found.loop is asyncio.get_running_loop() else None


@contextmanager
def grouped(users: int = 1) -> Iterator[None]:
    """Inside, and in tasks begun inside, database work goes in groups with that of all others of this event loop.
    `users`: how many tasks hand it work at the same time."""
    key, context = _place()
    here = _writers.get(key) or _writers.setdefault(key, GroupWriter(*key, context))
    here.users += users
    token = _writer.set(here)
    try:
        yield
    finally:
        _writer.reset(token)
        here.users -= users
        if not here.users:
            _writers.pop(key, None)
            if here.executor is SyncToAsync.single_thread_executor:
                here.loop.call_later(IDLE_S, _look_after_connections, key)


def _place() -> tuple[tuple[asyncio.AbstractEventLoop, Any], Context]:
    """(event loop, thread for the database), and the context in which they work.

    All of a loop share a thread; but a caller without a loop, who waits in a thread of his own for work that this loop
    does, may be in a transaction, which is to take his work along.
    """
    loop = asyncio.get_running_loop()
    of_loop = AsyncToSync.loop_thread_executors.get(loop)
    of_caller = getattr(AsyncToSync.executors, "current", None)
    if of_caller is not None and of_caller is not of_loop:
        return (loop, of_caller), copy_context()
    # Not the thread of the request that comes first, which under ASGI has one of its own and ends with it.
    return (loop, of_loop or SyncToAsync.single_thread_executor), Context()


def _look_after_connections(key: tuple[asyncio.AbstractEventLoop, Any]) -> None:
    """Close them as at the end of a request: nobody else does it in that thread."""
    if key not in _writers:
        with suppress(RuntimeError):  # it ends, and with it all its connections
            key[1].submit(close_old_connections)


_at_work = threading.local()


def is_writing() -> bool:
    """Whether this very thread is doing what a group has handed it: a receiver of a signal, say."""
    return getattr(_at_work, "is_writing", False)


def _in_thread(works: list[tuple[Work, list[Any]]]) -> list[Any]:
    _at_work.is_writing = True
    try:
        return patiently(lambda: _run_group(works))
    finally:
        _at_work.is_writing = False


def _run_group(works: list[tuple[Work, list[Any]]]) -> list[Any]:
    """Results of all items, or the exceptions that were raised instead. A lost connection takes the whole group
    back."""
    singly = [(work, [item]) for work, items in works for item in items]
    if len(singly) > 1:
        try:
            for work, items in works:
                _prepare(work, items)
            with durably(any(is_durable(work) for work, _ in works)), atomic():
                return [result for work, items in works for result in _called(work, items, in_group=True)]
        except (OperationalError, InterfaceError):
            raise
        except Exception as exc:  # found out at the commit: a row that another one names is gone
            logger.warning("a group of %d could not be written (%s); writing singly", len(singly), type(exc).__name__)
    return [result for work, items in singly for result in alone(work, items)]


def _prepare(work: Work, items: list[Any]) -> None:
    if (prepare := getattr(work, "prepare", None)) is not None:
        prepare(items)


def alone(work: Work, items: list[Any]) -> Sequence[Any]:
    """Results of work that is in no group, or the exceptions that were raised instead."""
    try:
        _prepare(work, items)
    except (OperationalError, InterfaceError):
        raise
    except Exception as exc:
        if len(items) == 1:
            return [exc]
        raise
    return _called(work, items)


def _called(work: Work, items: list[Any], *, in_group: bool = False) -> Sequence[Any]:
    try:
        if not in_group:
            with durably(is_durable(work)):
                return work(items)
        with atomic():
            return work(items)
    except (OperationalError, InterfaceError):
        raise
    except Exception as exc:
        if len(items) == 1:
            return [exc]
        return [result for item in items for result in _called(work, [item], in_group=True)]
