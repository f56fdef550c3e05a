"""Commits that outlive a power cut, for the few whose loss would cost money."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import DatabaseError

from mediagen import conf
from mediagen.models.routing import connection

T = TypeVar("T", bound=Callable[..., Any])

NORMAL, FULL = 1, 2


def durable(work: T) -> T:
    """Mark work for `together`: what it has committed must still be there after a power cut."""
    work.is_durable = True  # type: ignore[attr-defined]
    return work


def is_durable(work: Callable[..., Any]) -> bool:
    return getattr(work, "is_durable", False)


@contextmanager
def durably(is_wanted: bool = True) -> Iterator[None]:
    """Around a transaction: on SQLite its commit is on the disk when it returns, and with it all commits before it.

    In WAL mode with synchronous=NORMAL, as sites have it, SQLite syncs nothing at a commit. A site that has turned
    syncing off altogether (OFF), or MEDIAGEN["SYNC_TO_DISK"], is left alone. Other databases sync every commit, unless
    they are told not to: `checks` looks.
    """
    if not is_wanted or not conf.get("SYNC_TO_DISK") or not _can_be_set():
        yield
        return
    with connection.cursor() as cursor:
        [before] = cursor.execute("PRAGMA synchronous").fetchone()
        if before == NORMAL:
            cursor.execute(f"PRAGMA synchronous = {FULL}")
    try:
        yield
    finally:
        # One that was closed meanwhile is opened with the site's own settings.
        if before == NORMAL and connection.connection is not None and _can_be_set():
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA synchronous = {NORMAL}")


def _can_be_set() -> bool:
    """SQLite changes it between transactions only."""
    return connection.vendor == "sqlite" and not connection.in_atomic_block and connection.get_autocommit()


def unsynced() -> str:
    """How the database is told to lose commits at a power cut, "synchronous_commit = off"; "" when it is not, or
    cannot be asked."""
    question, lossy = QUESTIONS.get(connection.vendor, ("", ()))
    if not question:
        return ""
    try:
        with connection.cursor() as cursor:
            cursor.execute(question)
            [value] = cursor.fetchone()
    except DatabaseError:
        return ""
    return f"{question.split()[-1].lstrip('@')} = {value}" if str(value) in lossy else ""


QUESTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sqlite": ("PRAGMA synchronous", ("0",)),
    "postgresql": ("SHOW synchronous_commit", ("off",)),
    "mysql": ("SELECT @@innodb_flush_log_at_trx_commit", ("0", "2")),
}
"""by vendor: what to ask, and the answers that mean it"""
