"""What happens to assets, as it happens: for event streams and for requests that wait.

The truth is the rows. One task per event loop reads those of all assets that anybody here watches, so that five
hundred streams cost one look and not five hundred. Work of the same process says when it has written something, and
is seen at once; that of others is seen at the next look.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import close_old_connections
from django.db.models import prefetch_related_objects

from mediagen.engine.database import in_database
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset
from mediagen.models.routing import on_commit
from mediagen.types import AttemptState

logger = logging.getLogger("mediagen.engine")

LOOK_S = 0.5
"""how often rows are read that other processes may have written"""
GATHER_S = 0.01
"""how long news wait for company"""
CHUNK = 500
OPEN = (GenerationState.PENDING, GenerationState.RUNNING)


@dataclass(frozen=True, slots=True)
class Story:
    """An asset as it is now, with library, batch and tags, and all its attempts in order."""

    asset: MediaAsset
    attempts: tuple[GenerationAttempt, ...]

    @property
    def is_over(self) -> bool:
        return self.asset.generation_state not in OPEN


@dataclass(frozen=True, slots=True)
class News:
    """One thing that has happened: to `attempt`, or to the asset itself when that is None."""

    story: Story
    attempt: GenerationAttempt | None
    position: str
    """where the reader is after it: `news` goes on from there, in any process and at any time"""


def news(stories: Sequence[Story], position: str = "") -> Iterator[News]:
    """What has happened since `position` ("": from the beginning). `stories` must be of the same assets each time.

    A position that is not understood counts as the beginning: to hear something twice is better than not to hear it.
    """
    seen = _parsed(position, len(stories))
    for story, known in zip(stories, seen, strict=True):
        for attempt in story.attempts:
            key, is_over = attempt.pk.hex[-6:], attempt.state not in UNDER_WAY
            if known.attempts.get(key) is None or (is_over and not known.attempts[key]):
                known.attempts[key] = is_over
                yield News(story, attempt, _written(seen))
        state = _state(story.asset)
        if known.state != state:
            known.state = state
            yield News(story, None, _written(seen))


UNDER_WAY = (AttemptState.PLANNED, AttemptState.SUBMITTED)


@dataclass(slots=True)
class _Seen:
    """What a reader knows of one asset: its state, and of its attempts whether they have ended."""

    state: str
    attempts: dict[str, bool]


def _state(asset: MediaAsset) -> str:
    # With the token: an asset that is made again goes through the same states.
    return f"{asset.generation_state}{asset.lease_token}"


def _written(seen: Sequence[_Seen]) -> str:
    """ready1:3f2a1c*,9be0af*;pending0:"""
    return ";".join(f"{one.state}:{','.join(key + '*' * over for key, over in one.attempts.items())}" for one in seen)


def _parsed(position: str, count: int) -> list[_Seen]:
    seen = []
    for part in position.split(";") if position else ():
        state, _, marks = part.partition(":")
        attempts = {mark.removesuffix("*"): mark.endswith("*") for mark in marks.split(",") if mark}
        seen.append(_Seen(state, attempts))
    return seen if len(seen) == count else [_Seen("", {}) for _ in range(count)]


# ---------------------------------------------------------------------- watching


def changed(asset_ids: Iterable[Any], *, is_end: bool = False) -> None:
    """Rows of these assets, or attempts of theirs, were written: whoever watches in this process looks at once, after
    the commit. `is_end`: they may be over. Costs nothing while nobody watches."""
    if _hubs.is_any:
        on_commit(partial(_hubs.mark, set(asset_ids), is_end))


class Watch:
    """The stories of some assets, as new as this process knows them. Made by `watching`."""

    def __init__(self, hub: _Hub, ids: tuple[UUID, ...], *, for_the_end: bool) -> None:
        self._hub, self._ids = hub, ids
        self.for_the_end = for_the_end
        """what happens before that can wait"""
        self._changed = asyncio.Event()
        self.unread: set[UUID] = set()
        """what was not read yet since it watches"""

    @property
    def stories(self) -> list[Story]:
        """In the order of their ids; without those that are gone."""
        known = (self._hub.stories.get(pk) for pk in self._ids)
        return [story for story in known if story is not None]

    @property
    def is_over(self) -> bool:
        return all(story.is_over for story in self.stories)

    async def change(self, timeout_s: float) -> bool:
        """Wait for news of any of them; False when there were none for so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True

    def tell(self) -> None:
        self._changed.set()


@asynccontextmanager
async def watching(
    asset_ids: Iterable[UUID], *, known: Iterable[Story] = (), for_the_end: bool = False
) -> AsyncIterator[Watch]:
    """Watch these assets while the block runs. They are read when it begins, unless they are `known`: as they were
    before anybody could have begun them. `for_the_end`: whoever watches waits for nothing else."""
    hub = _hubs.here()
    watch = Watch(hub, tuple(sorted(asset_ids)), for_the_end=for_the_end)
    await hub.add(watch, watch._ids, known)
    try:
        yield watch
    finally:
        hub.remove(watch, watch._ids)


class _Hub:
    """Who watches what in one event loop, and the task that reads for all of them."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.stories: dict[UUID, Story] = {}
        self._ends_only: set[UUID] = set()
        """stories that were read for those who wait for the end alone: without attempts"""
        self._watches: dict[UUID, set[Watch]] = {}
        self._marked: set[UUID] = set()
        self._wake = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def add(self, watch: Watch, ids: Iterable[UUID], known: Iterable[Story] = ()) -> None:
        """From now on these are read for the watch; when this returns they have been."""
        for pk in ids:
            self._watches.setdefault(pk, set()).add(watch)
        for story in known:
            if story.asset.pk not in self.stories:
                self.stories[story.asset.pk] = story
                self._ends_only.add(story.asset.pk)
        watch.unread = {pk for pk in ids if pk not in self.stories}
        if not watch.for_the_end:
            watch.unread |= self._ends_only.intersection(ids)
        self._marked |= watch.unread
        if self._reader is None or self._reader.done():
            # Not in the context of the request that comes first: its thread for the database ends with it, and a
            # request that only watches is to hold none.
            self._reader = self.loop.create_task(self._run(), context=contextvars.Context())
        if watch.unread:
            self._wake.set()
        try:
            while watch.unread:
                await watch.change(LOOK_S)
        except BaseException:
            self.remove(watch, ids)
            raise

    def remove(self, watch: Watch, ids: Iterable[UUID]) -> None:
        for pk in ids:
            watches = self._watches.get(pk, set())
            watches.discard(watch)
            if not watches:
                self._watches.pop(pk, None)
                self._forget(pk)

    def _forget(self, pk: UUID) -> None:
        self.stories.pop(pk, None)
        self._ends_only.discard(pk)

    def mark(self, ids: set[UUID], is_end: bool) -> None:
        """These are to be read now, if somebody watches them for this."""
        watched = ids & self._watches.keys()
        if not is_end:
            watched = {pk for pk in watched if not self._is_for_the_end(pk)}
        if watched:
            self._marked |= watched
            self._wake.set()

    def _is_for_the_end(self, pk: UUID) -> bool:
        return all(watch.for_the_end for watch in self._watches.get(pk, ()))

    async def _run(self) -> None:
        try:
            await self._read_on()
        finally:
            _hubs.leave(self)
        await in_database(close_old_connections)  # of the thread that read for all

    async def _read_on(self) -> None:
        while self._watches:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
                    await asyncio.sleep(GATHER_S)
            self._wake.clear()
            marked, self._marked = self._marked, set()
            try:
                await self._read(marked or await self._differing())
            except Exception as exc:
                self._marked |= marked
                logger.warning("the progress of assets could not be read (%s); trying again", type(exc).__name__)
                await asyncio.sleep(LOOK_S)

    async def _differing(self) -> list[UUID]:
        """Those whose rows are no longer as they were read."""
        known = {pk: story for pk, story in self.stories.items() if not story.is_over}
        now = await in_database(_signatures, list(known)) if known else {}
        return [pk for pk, story in known.items() if self._differs(story, now.get(pk))]

    def _differs(self, story: Story, now: tuple[Any, ...] | None) -> bool:
        if now is not None and story.asset.pk in self._ends_only:
            return now[0] not in OPEN
        return now != _signature(story)

    async def _read(self, ids: Iterable[UUID]) -> None:
        wanted = list(ids)
        if not wanted:
            return
        ends_only = {pk for pk in wanted if self._is_for_the_end(pk)}
        known = [self.stories[pk].asset for pk in ends_only if pk in self.stories]
        libraries = {asset.library_id: asset.library for asset in known}
        stories = await in_database(_read_stories, wanted, ends_only, libraries)
        told: set[Watch] = set()
        for pk in wanted:
            watches = self._watches.get(pk)
            if not watches:
                continue  # nobody is interested any more
            story = stories.get(pk)
            if story is None:
                self._forget(pk)
            else:
                self.stories[pk] = story
                (self._ends_only.add if pk in ends_only else self._ends_only.discard)(pk)
            told |= watches
        self._share(stories.values())
        for watch in told:
            watch.unread.difference_update(wanted if watch.for_the_end else set(wanted) - ends_only)
            watch.tell()

    def _share(self, newest: Iterable[Story]) -> None:
        """One library and one batch for all of their assets, as they were read last: each would have its own, for as
        long as a stream lasts."""
        libraries = {story.asset.library_id: story.asset.library for story in newest}
        batches: dict[Any, Any] = {
            story.asset.batch_id: story.asset.batch for story in newest if story.asset.batch_id is not None
        }
        for asset in (story.asset for story in self.stories.values()):
            if (library := libraries.get(asset.library_id)) is not None:
                asset.library = library
            if (batch := batches.get(asset.batch_id)) is not None:
                asset.batch = batch


class _Hubs:
    """The hubs of this process, one for each event loop in which somebody watches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hubs: dict[asyncio.AbstractEventLoop, _Hub] = {}

    @property
    def is_any(self) -> bool:
        return bool(self._hubs)

    def here(self) -> _Hub:
        with self._lock:
            loop = asyncio.get_running_loop()
            for dead in [other for other in self._hubs if other.is_closed()]:
                del self._hubs[dead]
            if loop not in self._hubs:
                self._hubs[loop] = _Hub()
            return self._hubs[loop]

    def leave(self, hub: _Hub) -> None:
        with self._lock:
            if self._hubs.get(hub.loop) is hub:
                del self._hubs[hub.loop]

    def mark(self, ids: set[UUID], is_end: bool) -> None:
        with self._lock:
            for loop, hub in self._hubs.items():
                with suppress(RuntimeError):  # a loop that was closed
                    loop.call_soon_threadsafe(hub.mark, ids, is_end, context=contextvars.Context())


_hubs = _Hubs()


def _signature(story: Story) -> tuple[Any, ...]:
    asset = story.asset
    return (
        asset.generation_state,
        asset.lease_token,
        asset.cancel_requested_at,
        frozenset((attempt.pk, attempt.state) for attempt in story.attempts),
    )


def _signatures(ids: list[UUID]) -> dict[UUID, tuple[Any, ...]]:
    found: dict[UUID, tuple[Any, ...]] = {}
    for chunk in _chunks(ids):
        attempts: dict[UUID, list[tuple[UUID, str]]] = {}
        for asset_id, pk, state in GenerationAttempt.objects.filter(asset__in=chunk).values_list(
            "asset_id", "pk", "state"
        ):
            attempts.setdefault(asset_id, []).append((pk, state))
        rows = MediaAsset.objects.kept().filter(pk__in=chunk)
        for pk, *values in rows.values_list("pk", "generation_state", "lease_token", "cancel_requested_at"):
            found[pk] = (*values, frozenset(attempts.get(pk, ())))
    return found


def _read_stories(ids: list[UUID], ends_only: set[UUID], libraries: Mapping[UUID, Any]) -> dict[UUID, Story]:
    """The stories of these assets; of those in `ends_only` without attempts. `libraries` are known already, by id."""
    found: dict[UUID, Story] = {}
    for chunk in _chunks(ids):
        told = [pk for pk in chunk if pk not in ends_only]
        # The assets first: what ends one ends its attempts in the same transaction, and they are then as new at least.
        assets = MediaAsset.objects.kept().filter(pk__in=chunk).order_by()
        # Whoever waits for the end has brought the library: to join it would cost more than the rest of the statement.
        assets = assets.select_related("library", "batch") if told else assets
        kept = list(assets.prefetch_related("tags"))
        attempts: dict[Any, list[GenerationAttempt]] = {}
        rows = GenerationAttempt.objects.filter(asset__in=told).defer("provider_job", "accounts")
        for attempt in rows.order_by("started_at", "position", "id") if told else ():
            attempts.setdefault(attempt.asset_id, []).append(attempt)
        for asset in kept:
            if not told and asset.library_id in libraries:
                asset.library = libraries[asset.library_id]
            found[asset.pk] = Story(asset, tuple(attempts.get(asset.pk, ())))
        if not told:
            prefetch_related_objects([asset for asset in kept if asset.library_id not in libraries], "library")
            prefetch_related_objects([asset for asset in kept if asset.batch_id is not None], "batch")
    return found


def _chunks(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))
