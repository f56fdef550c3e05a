"""How much of the pictures that arrive is in memory at once.

Sixty answers that arrive at one instant would be sixty pictures and sixty JSON texts. An answer's body is read only
when there is room for it; the others wait in the kernel's buffers, where they cost the provider's connection and not
our memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from mediagen import http

ROOM_BYTES = 24 * 1024 * 1024
"""of answers as they come; the pictures that are taken out of them need about as much again"""

_rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, http.BodyRoom] = WeakKeyDictionary()


@asynccontextmanager
async def place() -> AsyncIterator[Callable[[], None]]:
    """Inside, a large body that is read takes its part of the room, and keeps it until the block ends or what this
    yields is called, because the picture is in the storage."""
    room = _rooms.setdefault(asyncio.get_running_loop(), http.BodyRoom(ROOM_BYTES))
    async with http.body_room(room) as leave:
        yield leave
