"""Database work from a coroutine: one hop to a thread, and patience with a database that is away for a moment.

Where pictures are made, the work of all of them that is ready at the moment goes together: see `grouping`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync, sync_to_async
from django.db import connections

from mediagen.engine.database.grouping import alone, writer
from mediagen.engine.database.patience import patiently

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")


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
    group = writer()
    if group is not None:
        result = await group.do(work, item)
    else:
        [result] = await sync_to_async(patiently)(lambda: alone(work, [item]))
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


AT_ONCE = 4
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def few_at_once() -> asyncio.Semaphore:
    """To be entered by what begins with a thread and a connection of its own and then waits for minutes: four do in an
    event loop, and the others wait their turn."""
    loop = asyncio.get_running_loop()
    return _turns.setdefault(loop, asyncio.Semaphore(AT_ONCE))


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
