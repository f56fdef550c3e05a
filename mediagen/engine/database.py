"""Database work from a coroutine: one hop to a thread, and patience with a database that is away for a moment.

Where many pictures are made at once, a `GroupWriter` puts the work of all of them that is ready at the moment into
one hop and one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection, transaction

logger = logging.getLogger("mediagen.engine")

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 60.0
LARGEST_GROUP = 64


async def in_database(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in the thread that may use the ORM. It must be safe to run again: one transaction, or one statement.

    A picture may be paid for by the time its row is written, so a lost connection is waited out for a minute.
    """
    writer = _writer.get()
    if writer is not None:
        return await writer.do(lambda: work(*args, **kwargs))
    return await sync_to_async(_patiently)(lambda: work(*args, **kwargs))


class GroupWriter:
    """Gathers database work of many tasks. Each piece keeps its own savepoint: one that fails takes no other along."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._wake = asyncio.Event()

    async def do(self, work: Callable[[], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        self._wake.set()
        return await future

    async def pump(self) -> None:
        """Run what gathers, for ever. While one group is in the database the next one gathers by itself."""
        while True:
            await self._wake.wait()
            group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
            if not self._waiting:
                self._wake.clear()
            await self._run(group)

    async def _run(self, group: list[tuple[Callable[[], Any], asyncio.Future[Any]]]) -> None:
        try:
            results = await sync_to_async(_patiently)(lambda: _run_group([work for work, _ in group]))
        except Exception as exc:
            results = [exc] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


_writer: ContextVar[GroupWriter | None] = ContextVar("mediagen_writer", default=None)


@asynccontextmanager
async def grouped() -> AsyncIterator[None]:
    """Inside, and in tasks begun inside, database work goes in groups."""
    writer = GroupWriter()
    token = _writer.set(writer)
    pump = asyncio.create_task(writer.pump())
    try:
        yield
    finally:
        _writer.reset(token)
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump


def _run_group(works: list[Callable[[], Any]]) -> list[Any]:
    """Results, or the exceptions that were raised instead. A lost connection takes the whole group back."""
    if len(works) == 1:
        return [_caught(works[0])]
    with transaction.atomic():
        return [_caught(work, in_group=True) for work in works]


def _caught(work: Callable[[], Any], *, in_group: bool = False) -> Any:
    try:
        if not in_group:
            return work()
        with transaction.atomic():
            return work()
    except (OperationalError, InterfaceError):
        raise
    except Exception as exc:
        return exc


def _patiently(work: Callable[[], T]) -> T:
    give_up_at = time.monotonic() + PATIENCE_S
    wait_s = 0.1
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as exc:
            # Inside the caller's own transaction there is nothing left to save: it is his to repeat.
            if connection.in_atomic_block or not _may_pass(exc) or time.monotonic() + wait_s > give_up_at:
                raise
            logger.warning("the database is away (%s); trying again in %.1f s", type(exc).__name__, wait_s)
            connection.close()
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)


def _may_pass(exc: Exception) -> bool:
    """Whether waiting can help. SQLite says "no such table" by the same class as "database is locked"."""
    return connection.vendor != "sqlite" or "locked" in str(exc) or "busy" in str(exc)
