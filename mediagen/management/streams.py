"""Where a command writes: whatever becomes of that, the work goes on or ends in order."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class ForgivingStream:
    """A text stream that never raises. Put around standard output and error by `MediagenCommand`.

    Characters that its encoding does not have are replaced. When it cannot be written to any more (the reader has
    left, the terminal is gone, the disk is full), it is silent from then on, `is_gone` is true, and `when_gone` is
    called, once.
    """

    def __init__(self, stream: Any) -> None:
        """`stream`: None where the process was started without one."""
        self._stream = stream
        self.is_gone = False
        self.when_gone: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return bool(not self.is_gone and self._stream is not None and self._stream.isatty())

    def write(self, text: str) -> int:
        if self._stream is not None and not self.is_gone:
            try:
                self._stream.write(self._sayable(text))
                if "\n" in text:
                    self._stream.flush()  # for who reads along; and what cannot be written is known at once
            except OSError:
                self._lost()
        return len(text)

    def flush(self) -> None:
        if self._stream is not None and not self.is_gone:
            try:
                self._stream.flush()
            except OSError:
                self._lost()

    def look(self) -> None:
        """Find out whether the reader of a pipe has left, where nothing is to be written for a while."""
        if self.is_gone or not hasattr(select, "poll"):  # Windows: the next line finds it out
            return
        with suppress(AttributeError, OSError, ValueError):  # no file, or closed
            pipe = select.poll()
            pipe.register(self._stream.fileno(), 0)
            if any(event & select.POLLERR for _, event in pipe.poll(0)):
                self._lost()

    def _sayable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None)
        return text.encode(encoding, "replace").decode(encoding) if encoding else text

    def _lost(self) -> None:
        self.is_gone = True
        # What is left in its buffer would be written when the interpreter ends, which would end with a code of its own.
        with suppress(AttributeError, OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
        self.when_gone()
