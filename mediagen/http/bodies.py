"""How much of large answers is in memory at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar


class BodyRoom:
    """Room for so many bytes of large bodies, for the tasks of one event loop.

    Given in the order in which it was asked for. A body that is larger than all of it gets in when nobody else is.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.taken_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self.taken_bytes += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # cancelled when it had just got its room
                self.give_back(size)
            else:
                self._let_in()  # who waited behind it
            raise

    def take_more(self, size: int) -> None:
        """For a body that is larger than it was thought to be: it is half here, and does not wait."""
        self.taken_bytes += size

    def give_back(self, size: int) -> None:
        self.taken_bytes -= size
        self._let_in()

    def _fits(self, size: int) -> bool:
        return not self.taken_bytes or self.taken_bytes + size <= self.size_bytes

    def _let_in(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._fits(self._waiting[0][0])):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self.taken_bytes += size
                turn.set_result(None)


class _Part:
    """What this context has of a room."""

    __slots__ = ("bytes", "room")

    def __init__(self, room: BodyRoom) -> None:
        self.room = room
        self.bytes = 0

    async def take(self, size: int) -> None:
        if self.bytes:
            self.room.take_more(max(0, size - self.bytes))
        else:
            await self.room.take(size)
        self.bytes = max(self.bytes, size)

    def give_back(self) -> None:
        taken, self.bytes = self.bytes, 0
        if taken:
            self.room.give_back(taken)


_part: ContextVar[_Part | None] = ContextVar("mediagen_body_room", default=None)


@asynccontextmanager
async def body_room(room: BodyRoom) -> AsyncIterator[Callable[[], None]]:
    """Inside, a large body that `send` reads takes its bytes out of `room`, until the block ends or what it yields is
    called: the bytes are no longer needed."""
    part = _Part(room)
    token = _part.set(part)
    try:
        yield part.give_back
    finally:
        _part.reset(token)
        part.give_back()


def needs_room(size: int) -> bool:
    """Whether a body of this size has to wait for room in this context, or has less than that."""
    part = _part.get()
    return part is not None and part.bytes < size


async def take_room(size: int) -> None:
    """Wait for room for a body. Without `body_room` there is room for everything."""
    if (part := _part.get()) is not None:
        await part.take(size)
