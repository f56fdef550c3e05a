"""Coroutines for callers without an event loop."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import async_to_sync

P = ParamSpec("P")
T = TypeVar("T")


def run_sync(function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """As `async_to_sync(function)(...)`, but Ctrl-C cancels the coroutine, and is raised when that has ended.

    Else the coroutine would go on in its thread, wait for a provider for minutes while the interpreter wants to leave,
    and have nobody to write its rows. A second Ctrl-C does not wait.
    """
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
