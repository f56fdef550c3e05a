"""Ctrl-C and SIGTERM for a worker: the first ends what is under way, the second stops at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Sequence
from types import FrameType
from typing import Any

from asgiref.sync import async_to_sync

from mediagen.engine.work import Until, Worker

Chore = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""goes on until the event is set"""


def run_until_told(
    worker: Worker, until: Until, say_stopping: Callable[[], None], chores: Sequence[Chore] = ()
) -> None:
    """Run the worker, and the chores beside it; `say_stopping` is called at the first signal. Signals are as before
    afterwards.

    The event loop runs in another thread (asgiref's), so that the ORM stays in this one: hence no
    `loop.add_signal_handler`.
    """
    loop: asyncio.AbstractEventLoop | None = None
    asked = 0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if loop is not None:
            loop.call_soon_threadsafe(worker.stop if asked == 1 else worker.stop_now)
        if asked == 1:
            say_stopping()

    async def work() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        if asked:
            worker.stop()
        over = asyncio.Event()
        beside = [asyncio.create_task(chore(over)) for chore in chores]
        try:
            await worker.run(until)
        finally:
            over.set()
            await asyncio.gather(*beside)

    if threading.current_thread() is not threading.main_thread():
        async_to_sync(work)()
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        async_to_sync(work)()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
