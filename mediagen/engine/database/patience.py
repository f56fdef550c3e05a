"""A database that is away for a moment is waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError

from mediagen.models.routing import connection

logger = logging.getLogger("mediagen.engine")

T = TypeVar("T")

PATIENCE_S = 60.0


def patiently(work: Callable[[], T]) -> T:
    """Run `work`, again while the database is away. As with `in_database` it must be safe to run again."""
    give_up_at = time.monotonic() + PATIENCE_S
    wait_s = 0.1
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as exc:
            # Inside the caller's own transaction there is nothing left to save: it is his to repeat.
            if connection.in_atomic_block or not may_pass(exc) or time.monotonic() + wait_s > give_up_at:
                raise
            logger.warning("the database is away (%s); trying again in %.1f s", type(exc).__name__, wait_s)
            connection.close()
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)


def is_full(exc: BaseException) -> bool:
    """Whether a database says that its disk, or what it may take of it, is full."""
    code = getattr(exc.__cause__, "sqlstate", None)  # PostgreSQL: psycopg's DiskFull
    number = exc.args[0] if exc.args else None  # MariaDB and MySQL: ER_DISK_FULL, ER_RECORD_FILE_FULL
    return code == "53100" or number in (1021, 1114) or "disk is full" in str(exc)


def may_pass(exc: Exception) -> bool:
    """Whether waiting can help, after such an exception of the database. SQLite says "no such table" by the same class
    as "database is locked"."""
    said = str(exc)
    # "table is locked" is a shared in-memory database, whose other user may be waiting for us.
    return connection.vendor != "sqlite" or ("locked" in said and "table is locked" not in said) or "busy" in said
