"""What has changed among all assets, told to whoever has a gallery open.

One task per event loop looks at the rows, whatever the number of galleries: at those that were written since, and at
the attempts of the few that are being made. What changed is only named; who may see it is asked when it is shown.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import close_old_connections

from mediagen.engine.database import in_database
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, ReviewStatus
from mediagen.models.clock import db_now

logger = logging.getLogger("mediagen.engine")

LOOK_S = 1.0
OVERLAP = timedelta(seconds=10)
"""a transaction's rows may be seen so long after the moment that stands in them"""
MOST = 20_000
"""rows of one look"""
MOST_MADE = 500
"""assets whose attempts are looked at; of a large batch the newest"""
OPEN = (GenerationState.PENDING, GenerationState.RUNNING)


class Change(NamedTuple):
    """Of one asset, since the last look."""

    asset_id: UUID
    library_id: UUID
    is_new: bool
    is_gone: bool


Changes = list[Change]


@asynccontextmanager
async def following() -> AsyncIterator[asyncio.Queue[Changes]]:
    """What changes while the block runs, as often as there is something."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = _Hub()
    news: asyncio.Queue[Changes] = asyncio.Queue()
    hub.add(news)
    try:
        yield news
    finally:
        hub.readers.discard(news)


class _Hub:
    """Who follows in one event loop, and the task that looks for all of them."""

    def __init__(self) -> None:
        self.readers: set[asyncio.Queue[Changes]] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, news: asyncio.Queue[Changes]) -> None:
        self.readers.add(news)
        if self._task is None or self._task.done():
            # Not in the context of the request that comes first: its thread for the database ends with it.
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._look_on(), context=contextvars.Context())

    async def _look_on(self) -> None:
        look: Look | None = None
        while self.readers:
            try:
                if look is None:
                    look = await in_database(Look)
                changes = await in_database(look.changes)
            except Exception as exc:
                logger.warning("changes of assets could not be read (%s); trying again", type(exc).__name__)
            else:
                for news in self.readers if changes else ():
                    news.put_nowait(changes)
            await asyncio.sleep(LOOK_S)
        await in_database(close_old_connections)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub] = WeakKeyDictionary()


class Look:
    """What is known of the rows. Begins with what there is now."""

    def __init__(self) -> None:
        self._began = self._newest = db_now()
        self._seen: dict[UUID, datetime] = {}
        self._made: dict[UUID, Any] = {}
        self.changes()

    def changes(self) -> Changes:
        """Since the last call. Two queries, of which the second is about those that are being made."""
        rows = MediaAsset.objects.filter(updated_at__gte=self._newest - OVERLAP).order_by("updated_at")
        wanted = ("pk", "library_id", "updated_at", "created_at", "status")
        found: dict[UUID, Change] = {}
        for pk, library, updated, created, status in rows.values_list(*wanted)[:MOST]:
            if self._seen.get(pk) == updated:
                continue
            is_new = pk not in self._seen and created >= self._began
            self._seen[pk] = updated
            self._newest = max(self._newest, updated)
            found[pk] = Change(pk, library, is_new, status == ReviewStatus.DELETED)
        self._seen = {pk: at for pk, at in self._seen.items() if at >= self._newest - 2 * OVERLAP}
        made = _being_made()
        for pk, (library, _signature) in made.items():
            if pk not in found and self._made.get(pk, made[pk]) != made[pk]:
                found[pk] = Change(pk, library, is_new=False, is_gone=False)
        self._made = made
        return list(found.values())


def _being_made() -> dict[UUID, tuple[UUID, Any]]:
    """{asset: (library, what its attempts are in)} of those that wait or are being made."""
    newest = MediaAsset.objects.filter(generation_state__in=OPEN).order_by("-pk").values_list("pk", "library_id")
    newest = MediaAsset.objects.filter(generation_state__in=OPEN).order_by("-pk").values_list("pk", "library_id")
    libraries = dict(newest[:MOST_MADE])
    rows = GenerationAttempt.objects.filter(asset__in=list(libraries)).values_list("asset_id", "pk", "state")
    attempts = _by_asset(rows)
    return {pk: (library, attempts.get(pk, frozenset())) for pk, library in libraries.items()}


def _by_asset(rows: Iterable[tuple[Any, Any, str]]) -> dict[Any, frozenset[tuple[Any, str]]]:
    found: dict[Any, set[tuple[Any, str]]] = defaultdict(set)
    for asset, pk, state in rows:
        found[asset].add((pk, state))
    return {asset: frozenset(states) for asset, states in found.items()}
