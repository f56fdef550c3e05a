"""The time that a run of the chain goes by: the real one, unless a rehearsal brings its own."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from mediagen.types import utcnow


class Clock:
    """Seconds that only grow, the time of day, waiting, and giving up at a moment."""

    is_simulated = False
    """True: what happens is played, and nobody has to be alarmed"""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        """Aware, UTC."""
        return utcnow()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def until(self, deadline: float) -> AbstractAsyncContextManager[Any]:
        """What is inside is given up with TimeoutError when `monotonic()` reaches `deadline`."""
        # The loop's clock may have another beginning.
        return asyncio.timeout_at(asyncio.get_running_loop().time() + (deadline - self.monotonic()))


REAL = Clock()
