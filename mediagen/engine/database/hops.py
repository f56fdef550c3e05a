"""Database work from a coroutine: one hop to a thread, and patience with a database that is away for a moment.

Where many pictures are made at once, a `GroupWriter` puts the work of all of them that is ready at the moment into
one hop and one transaction, and work of the same kind into the same few statements.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import InterfaceError, OperationalError, connections, models

from mediagen.engine.database.durability import durably, is_durable
from mediagen.models.routing import alias, atomic, connection

logger = logging.getLogger("mediagen.engine")

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

PATIENCE_S = 60.0
LARGEST_GROUP = 64
GATHER_S = 0.005
"""How long a group waits for company: a hop and a commit cost as much CPU as several rows."""


async def in_database(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in the thread that may use the ORM. It must be safe to run again: one transaction, or one statement.

    A picture may be paid for by the time its row is written, so a lost connection is waited out for a minute.
    """
    return await together(lambda _: [work(*args, **kwargs)], None)


async def together(work: Callable[[list[Item]], Sequence[T | Exception]], item: Item) -> T:
    """As `in_database`, for work that has a form for many: `work` is called with this item, and with those that
    other tasks hand it at the same moment.

    It returns for each item, in order, a result or the exception to raise where the item came from. When it raises,
    it is called again for each item alone, so that one that fails takes no other along.
    """
    writer = _writer.get()
    if writer is not None:
        result = await writer.do(work, item)
    else:
        [result] = await sync_to_async(patiently)(lambda: _called(work, [item]))
    if isinstance(result, Exception):
        raise result
    return result


async def hold_no_thread(*, is_closed: bool = False) -> None:
    """Give up the thread, and with it the database connection, that Django keeps for the request this runs in.

    Under ASGI a request has a thread of its own from its first database work until its answer has been sent: for one
    that waits or streams for minutes, that is a thread and a connection for nothing. Database work afterwards gets a
    new one. Does nothing elsewhere. `is_closed`: nothing was asked since `close_own_connections`.
    """
    context = _own_context()
    if context is None:
        return
    if not is_closed:
        await sync_to_async(connections.close_all)()
    # As asgiref does at the end of the request.
    executor = SyncToAsync.context_to_thread_executor.pop(context, None)
    if executor is not None:
        executor.shutdown(wait=False)


def close_own_connections() -> None:
    """In the thread that Django keeps for one request: give its database connections back. Nothing elsewhere."""
    if _own_context() is not None:
        connections.close_all()


def _own_context() -> Any:
    """What the thread of this request hangs on, where it has one of its own; else None."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is None or context not in SyncToAsync.context_to_thread_executor:
        return None
    if getattr(context, "_executor", None) is not None:
        return None  # a thread that somebody else has given, and needs
    return context


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` and let no cancellation end it half done; one that came meanwhile is delivered afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled() and (exc := task.exception()) is not None:
            raise exc from None
        raise


class GroupWriter:
    """Gathers database work of many tasks. Each kind keeps its own savepoint."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[..., Any], Any, asyncio.Future[Any]]] = []
        self._wake = asyncio.Event()

    async def do(self, work: Callable[[list[Item]], Sequence[T | Exception]], item: Item) -> T | Exception:
        future: asyncio.Future[T | Exception] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, item, future))
        self._wake.set()
        return await future

    async def pump(self) -> None:
        """Run what gathers, for ever. While one group is in the database the next one gathers by itself."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_S)
            group, self._waiting = self._waiting[:LARGEST_GROUP], self._waiting[LARGEST_GROUP:]
            if not self._waiting:
                self._wake.clear()
            await self._run(group)

    async def _run(self, group: list[tuple[Callable[..., Any], Any, asyncio.Future[Any]]]) -> None:
        kinds: dict[Callable[..., Any], list[tuple[Any, asyncio.Future[Any]]]] = {}
        for work, item, future in group:
            kinds.setdefault(work, []).append((item, future))
        works = [(work, [item for item, _ in pieces]) for work, pieces in kinds.items()]
        try:
            results = await sync_to_async(patiently)(lambda: _run_group(works))
        except Exception as exc:
            results = [exc] * len(group)
        futures = [future for pieces in kinds.values() for _, future in pieces]
        for future, result in zip(futures, results, strict=True):
            if not future.cancelled():
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


def _run_group(works: list[tuple[Callable[..., Any], list[Any]]]) -> list[Any]:
    """Results of all items, or the exceptions that were raised instead. A lost connection takes the whole group
    back."""
    singly = [(work, [item]) for work, items in works for item in items]
    if len(singly) > 1:
        try:
            with durably(any(is_durable(work) for work, _ in works)), atomic():
                return [result for work, items in works for result in _called(work, items, in_group=True)]
        except (OperationalError, InterfaceError):
            raise
        except Exception as exc:  # found out at the commit: a row that another one names is gone
            logger.warning("a group of %d could not be written (%s); writing singly", len(singly), type(exc).__name__)
    return [result for work, items in singly for result in _called(work, items)]


def _called(work: Callable[[list[Any]], Sequence[Any]], items: list[Any], *, in_group: bool = False) -> Sequence[Any]:
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


def update_where(model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """`model.objects.filter(**where).update(**values)` for plain values of the model's own columns; rows changed.

    For the statement that runs once a picture: its text is made once, where the ORM would make it anew each time,
    which costs more than running it.
    """
    database = connections[alias()]
    statement, fields = _update_statement(database.vendor, model, tuple(values), tuple(where))
    given = (*values.values(), *where.values())
    with database.cursor() as cursor:
        cursor.execute(statement, [f.get_db_prep_save(v, database) for f, v in zip(fields, given, strict=True)])
        return int(cursor.rowcount)


@cache
def _update_statement(
    vendor: str, model: type[models.Model], values: tuple[str, ...], where: tuple[str, ...]
) -> tuple[str, list[models.Field[Any, Any]]]:
    """The statement in the words of the database `vendor`, and the fields of its parameters in their order."""
    quote, meta = connection.ops.quote_name, model._meta
    columns = {field.name: field for field in meta.concrete_fields}
    assigned = ", ".join(f"{quote(str(columns[name].column))} = %s" for name in values)
    matched = " AND ".join(f"{quote(str(columns[name].column))} = %s" for name in where)
    text = f"UPDATE {quote(meta.db_table)} SET {assigned} WHERE {matched}"  # noqa: S608 - names of our own models
    return text, [columns[name] for name in (*values, *where)]


def patiently(work: Callable[[], T]) -> T:
    """Run `work`, again while the database is away. As with `in_database` it must be safe to run again."""
    give_up_at = time.monotonic() + PATIENCE_S
    wait_s = 0.1
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as exc:
            # Inside the caller's own transaction there is nothing left to save: it is his to repeat.
            if connection.in_atomic_block or not may_pass(exc) or time.monotonic() + wait_s > give_up_at:
                raise
            logger.warning("the database is away (%s); trying again in %.1f s", type(exc).__name__, wait_s)
            connection.close()
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)


def is_full(exc: BaseException) -> bool:
    """Whether a database says that its disk, or what it may take of it, is full."""
    code = getattr(exc.__cause__, "sqlstate", None)  # PostgreSQL: psycopg's DiskFull
    number = exc.args[0] if exc.args else None  # MariaDB and MySQL: ER_DISK_FULL, ER_RECORD_FILE_FULL
    return code == "53100" or number in (1021, 1114) or "disk is full" in str(exc)


def may_pass(exc: Exception) -> bool:
    """Whether waiting can help, after such an exception of the database. SQLite says "no such table" by the same class
    as "database is locked"."""
    said = str(exc)
    # "table is locked" is a shared in-memory database, whose other user may be waiting for us.
    return connection.vendor != "sqlite" or ("locked" in said and "table is locked" not in said) or "busy" in said
