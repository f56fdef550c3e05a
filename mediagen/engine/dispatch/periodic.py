"""What a worker does beside pictures: looked for again and again until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

logger = logging.getLogger("mediagen.engine")


async def until_stopped(stop: asyncio.Event, work: Callable[[], Awaitable[Any]], *, every_s: float, what: str) -> None:
    """Await `work()` every so many seconds until `stop` is set. An error is logged, with `what`, and work tried again:
    what waits is rows, and a worker must not end because of one of them."""
    while not stop.is_set():
        try:
            await work()
        except Exception:
            logger.exception("%s; trying again", what)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)
