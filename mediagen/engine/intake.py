"""How many pictures are in memory at once.

Sixty answers that arrive at one instant would be sixty pictures and sixty JSON texts. An answer's body is read only
by one of a few at a time; the others wait in the kernel's buffers, where they cost the provider's connection and not
our memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from mediagen import http

AT_ONCE = 8

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@asynccontextmanager
async def place() -> AsyncIterator[None]:
    """Inside, the first large body that is read takes one of the places, and keeps it until the block ends."""
    gate = _gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    async with http.body_gate(gate):
        yield
