"""What ends a command early: a signal (Ctrl-C, SIGTERM, SIGHUP), or nobody reading any more what it writes.

The first ends what is under way, the second stops at once, the third leaves without another word.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from asgiref.sync import async_to_sync

from mediagen.engine.work import Until, Worker
from mediagen.management.streams import ForgivingStream

Chore = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""goes on until the event is set"""
GOES_WITH_THE_TERMINAL = getattr(signal, "SIGHUP", None)  # Windows has none
FIRST, SECOND = "Ending what is under way. Once more stops at once.", "Stopping. Once more leaves without a word."


def run_until_told(
    worker: Worker,
    until: Until,
    say: Callable[[str], None],
    chores: Sequence[Chore] = (),
    reader: ForgivingStream | None = None,
) -> str:
    """Run the worker, and the chores beside it; what ended it early ("SIGINT", "its output is not read any more"), or
    "".

    `say` is given what a signal does. When `reader` is gone nothing new is begun. Signals are as before afterwards.
    """
    told = _Told(worker, say)
    if reader is not None:
        reader.when_gone = told.reader_is_gone
        reader.look()
        if reader.is_gone:
            told.reader_is_gone()
    try:
        with _signals(told.signalled):
            async_to_sync(told.work)(until, chores)
    finally:
        if reader is not None:
            reader.when_gone = lambda: None
    return told.why


class _Told:
    """The worker, and what it was told. The event loop runs in another thread (asgiref's), so that the ORM stays in the
    main one, in which signals arrive: hence no `loop.add_signal_handler`."""

    def __init__(self, worker: Worker, say: Callable[[str], None]) -> None:
        self.worker = worker
        self.say = say
        self.why = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._signals = 0

    def signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self.why = self.why or signal.Signals(number).name
        if self._signals > 2:
            # As kill -9, whatever hangs: the rows are such that the next one goes on from there.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        else:
            # Said there, too: what the signal has interrupted may be writing this very moment.
            self._in_loop(self._stop, self._signals)

    def reader_is_gone(self) -> None:
        self.why = self.why or "nobody reads its output any more"
        self._in_loop(self.worker.stop)

    def _in_loop(self, function: Callable[..., None], *args: Any) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(function, *args)

    def _stop(self, times: int) -> None:
        if times == 1:
            self.worker.stop()
        else:
            self.worker.stop_now()
        self.say(FIRST if times == 1 else SECOND)

    async def work(self, until: Until, chores: Sequence[Chore]) -> None:
        self._loop = asyncio.get_running_loop()
        if self.why:  # before it could begin
            self.worker.stop()
        over = asyncio.Event()
        beside = [asyncio.create_task(chore(over)) for chore in chores]
        try:
            await self.worker.run(until)
        finally:
            over.set()
            await asyncio.gather(*beside)


@contextmanager
def in_steps(say: Callable[[str], None]) -> Iterator[Callable[[], str]]:
    """For a command whose work are short steps: what ended it early, "" so far. The first signal lets the step under
    way end, the second leaves without another word."""
    told: list[str] = []

    def signalled(number: int, frame: FrameType | None) -> None:
        told.append(signal.Signals(number).name)
        if len(told) > 1:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        with suppress(RuntimeError):  # it has interrupted a write to the same stream
            say(FIRST)

    with _signals(signalled):
        yield lambda: told[0] if told else ""


@contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """The signals that end a command go to the handler; in the main thread, the only one that gets any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ending = {signal.SIGINT, signal.SIGTERM}
    # nohup is for those that are to outlive their terminal.
    if GOES_WITH_THE_TERMINAL is not None and signal.getsignal(GOES_WITH_THE_TERMINAL) is not signal.SIG_IGN:
        ending.add(GOES_WITH_THE_TERMINAL)
    before = {number: signal.signal(number, handler) for number in ending}
    try:
        yield
    finally:
        for number, earlier in before.items():
            if earlier is not None:  # not one of Python's: it cannot be put back
                signal.signal(number, earlier)
