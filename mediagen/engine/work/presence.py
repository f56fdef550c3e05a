"""Workers that say they are there, so that one that is gone is missed: also when it had nothing in hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

from mediagen import conf
from mediagen.engine.database import in_database
from mediagen.engine.dispatch import periodic
from mediagen.engine.generation import is_dead
from mediagen.models import WorkerPresence
from mediagen.models.clock import db_now

UNSAID = "a worker could not say that it is there"
FORGOTTEN_AFTER = timedelta(days=1)
"""one that was not followed by another of its host is not missed for longer"""


def missing_after() -> timedelta:
    """How long a worker may be silent."""
    return timedelta(seconds=3 * conf.get("LEASE_S"))


def keep_saying(name: str) -> Callable[[asyncio.Event], Coroutine[Any, Any, None]]:
    """A chore beside the worker of this name: it says so until it is told to stop, and then that it leaves."""

    async def say_until(stop: asyncio.Event) -> None:
        try:
            every_s = conf.get("LEASE_S") / 2
            await periodic.until_stopped(stop, partial(in_database, say, name), every_s=every_s, what=UNSAID)
        finally:
            await in_database(leave, name)

    return say_until


def say(name: str) -> None:
    """`name` is there. Who starts on a host takes the place of those that are gone from it."""
    now = db_now()
    if WorkerPresence.objects.filter(name=name).update(seen_at=now):
        return
    host = socket.gethostname()[:64]
    gone = [row.pk for row in WorkerPresence.objects.filter(host=host) if is_gone(row)]
    WorkerPresence.objects.filter(pk__in=gone).delete()
    WorkerPresence.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()
    WorkerPresence.objects.get_or_create(name=name, defaults={"host": host, "started_at": now, "seen_at": now})


def leave(name: str) -> None:
    WorkerPresence.objects.filter(name=name).delete()


def is_gone(row: WorkerPresence) -> bool:
    """Whether it left without a word: its process has ended (asked on this machine only), or it is silent too long."""
    return row.seen_at < db_now() - missing_after() or is_dead(row.name)


def workers() -> tuple[list[WorkerPresence], list[WorkerPresence]]:
    """(those that are there, those that are gone). One query."""
    rows = list(WorkerPresence.objects.filter(seen_at__gte=db_now() - FORGOTTEN_AFTER))
    gone = [row for row in rows if is_gone(row)]
    return [row for row in rows if row not in gone], gone
