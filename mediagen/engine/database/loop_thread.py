"""The event loop of this process, in a thread of its own: for work beside a server's requests, and for callers that
have no loop. What it keeps, connections to providers and the thread for the database, serves all of them.

Begun when there is something to do. A server may fork after it was loaded: the thread stays behind in the parent, and
the child begins its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync

logger = logging.getLogger("mediagen.engine")

T = TypeVar("T")

END_S = 20.0
"""how long what is under way is waited for when the process ends; servers kill after 30 s by default"""
CANCEL_S = 5.0
"""and how long it then may take to write that it waits"""


class LoopThread:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over = False
        self.at_end: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """awaited when the process is about to end"""
        self.after_fork: list[Callable[[], None]] = []
        os.register_at_fork(after_in_child=self._forget)

    def call(self, function: Callable[..., None], *args: Any, context: contextvars.Context | None = None) -> bool:
        """Call the function there, soon; False when the process is about to end."""
        with self._lock:
            if self._is_over:
                return False
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                _at_exit(self.end)
                threading.Thread(target=self._run, args=[self._loop], name="mediagen", daemon=True).start()
            # Not in the caller's context: the thread for his request's database work ends with the request.
            self._loop.call_soon_threadsafe(function, *args, context=context or contextvars.Context())
            return True

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `work()` gives, done there in the context of the caller, who waits. Ctrl-C cancels it, and is raised
        when that has ended; a second one does not wait. RuntimeError when the process is about to end."""
        result: Future[T] = Future()
        tasks: list[asyncio.Task[None]] = []

        async def told() -> None:
            try:
                result.set_result(await work())
            except BaseException as exc:
                result.set_exception(exc)

        def begin() -> None:
            tasks.append(asyncio.get_running_loop().create_task(told()))

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        if not self.call(begin, context=contextvars.copy_context()):
            raise RuntimeError("the process is about to end: nothing is begun any more.")
        try:
            return result.result()
        except BaseException:
            if not result.done():
                self.call(cancel)
                result.exception()
            raise

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    def end(self) -> None:
        """The process is about to end: finish what is under way, and hand the rest over to whoever comes next."""
        with self._lock:
            loop, self._loop, self._is_over = self._loop, None, True
        if loop is None:
            return
        ended = asyncio.run_coroutine_threadsafe(self._end(loop), loop)
        try:
            ended.result(END_S + 3 * CANCEL_S)
        except Exception as exc:  # killed or not, the rows say what there is to do
            logger.warning("work in this process could not be handed over in order (%s)", type(exc).__name__)

    async def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        for at_end in self.at_end:
            await at_end()
        await loop.shutdown_asyncgens()  # and with them the connections

    def _forget(self) -> None:
        self._lock, self._loop, self._is_over = threading.Lock(), None, False
        # Its thread stayed behind as well, and it would wait for that one for ever.
        SyncToAsync.single_thread_executor = ThreadPoolExecutor(max_workers=1)
        for forget in self.after_fork:
            forget()


def _at_exit(call: Callable[[], None]) -> None:
    """Have it called when the interpreter begins to end: while the threads for the database still take work, which is
    over by the time of `atexit`."""
    register = getattr(threading, "_register_atexit", atexit.register)
    try:
        register(call)
    except RuntimeError:  # it ends already
        logger.debug("the process ends already")


of_process = LoopThread()
