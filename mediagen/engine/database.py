"""Database work from a coroutine: one hop to a thread, and patience with a database that is away for a moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger("mediagen.engine")

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 60.0


async def in_database(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in the thread that may use the ORM. It must be safe to run again: one transaction, or one statement.

    A picture may be paid for by the time its row is written, so a lost connection is waited out for a minute.
    """
    return await sync_to_async(_patiently)(lambda: work(*args, **kwargs))


def _patiently(work: Callable[[], T]) -> T:
    give_up_at = time.monotonic() + PATIENCE_S
    wait_s = 0.1
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as exc:
            # Inside the caller's own transaction there is nothing left to save: it is his to repeat.
            if connection.in_atomic_block or not _may_pass(exc) or time.monotonic() + wait_s > give_up_at:
                raise
            logger.warning("the database is away (%s); trying again in %.1f s", type(exc).__name__, wait_s)
            connection.close()
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)


def _may_pass(exc: Exception) -> bool:
    """Whether waiting can help. SQLite says "no such table" by the same class as "database is locked"."""
    return connection.vendor != "sqlite" or "locked" in str(exc) or "busy" in str(exc)
