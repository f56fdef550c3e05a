"""How many requests a provider gets at once and per minute, in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

SLOWED_FOR_S = 60.0


class Limiter:
    """At most `max_concurrency` requests at once and `per_minute` a minute, evenly spaced; None: no limit.

    `slow_down()` after a 429 halves what was under way for a minute. Belongs to one event loop.
    """

    def __init__(self) -> None:
        self.max_concurrency: int | None = None
        self.per_minute: int | None = None
        self.under_way = 0
        self._slowed_to: int | None = None
        self._slowed_until = 0.0
        self._next_start = 0.0
        self._freed = asyncio.Event()

    @property
    def limit(self) -> int | None:
        """What may run at once now."""
        if self._slowed_to is None or time.monotonic() >= self._slowed_until:
            self._slowed_to = None
            return self.max_concurrency
        return self._slowed_to if self.max_concurrency is None else min(self._slowed_to, self.max_concurrency)

    def slow_down(self) -> None:
        self._slowed_to = max(1, self.under_way // 2)
        self._slowed_until = time.monotonic() + SLOWED_FOR_S

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a place, and give it back at the end."""
        while (limit := self.limit) is not None and self.under_way >= limit:
            self._freed.clear()
            # A slowed limit ends by the clock, without anybody leaving.
            try:
                await asyncio.wait_for(self._freed.wait(), 1.0)
            except TimeoutError:
                continue
        self.under_way += 1
        try:
            if self.per_minute:
                now = time.monotonic()
                start = max(now, self._next_start)
                self._next_start = start + 60.0 / self.per_minute
                if start > now:
                    await asyncio.sleep(start - now)
            yield
        finally:
            self.under_way -= 1
            self._freed.set()


_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Limiter]] = WeakKeyDictionary()


def limiter_for(provider: str, max_concurrency: int | None, per_minute: int | None) -> Limiter:
    """The running loop's limiter of a provider, with these limits from now on."""
    limiters = _limiters.setdefault(asyncio.get_running_loop(), {})
    limiter = limiters.get(provider)
    if limiter is None:
        limiter = limiters[provider] = Limiter()
    limiter.max_concurrency, limiter.per_minute = max_concurrency, per_minute
    return limiter
