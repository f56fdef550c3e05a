"""Coroutines for callers without an event loop."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync, async_to_sync

from mediagen.engine.database import loop_thread
from mediagen.engine.database.grouping import is_writing
from mediagen.models.routing import connection

P = ParamSpec("P")
T = TypeVar("T")


def run_sync(function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """What the coroutine gives. It runs in the event loop of this process, with all others of its kind; as by
    `async_to_sync`, in the caller's connection, where the caller has a transaction of his own (a TestCase, say).

    Ctrl-C cancels the coroutine, and is raised when that has ended. Else it would go on in its thread, wait for a
    provider for minutes while the interpreter wants to leave, and have nobody to write its rows. A second Ctrl-C does
    not wait.
    """
    if not _needs_own_connection():
        return loop_thread.of_process.run(partial(function, *args, **kwargs))
    return _run_here(function, *args, **kwargs)


def _needs_own_connection() -> bool:
    """Whether the work has to be done in the caller's thread for the database, or must not be waited for at all."""
    if _has_running_loop() or is_writing():
        return True
    if "django.test.testcases" in sys.modules:  # which a site under way does not import
        return True
    # A view beside an event loop, or code that a coroutine calls: work of theirs waits in this very thread.
    if getattr(AsyncToSync.executors, "current", None) or SyncToAsync.thread_sensitive_context.get(None):
        return True
    if getattr(SyncToAsync.threadlocal, "main_event_loop", None) is not None:
        return True
    database = connection
    if database.in_atomic_block or (database.connection is not None and not database.autocommit):
        return True
    return database.vendor == "sqlite" and bool(database.is_in_memory_db())


def _has_running_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_here(function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return async_to_sync(function)(*args, **kwargs)
    running: list[tuple[asyncio.AbstractEventLoop, Any]] = []
    asked = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked > 1 or not running:
            raise KeyboardInterrupt
        loop, task = running[0]
        loop.call_soon_threadsafe(task.cancel)

    async def call() -> T:
        running.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await function(*args, **kwargs)

    signal.signal(signal.SIGINT, stop)
    try:
        return async_to_sync(call)()
    except BaseException:
        if asked:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
