"""Telling the site's task engine that work waits, where it has one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any

from django.db.models.functions import Now

from mediagen import conf
from mediagen.engine.dispatch.waiting import task_wanted
from mediagen.models import MediaAsset
from mediagen.models.routing import on_commit

logger = logging.getLogger("mediagen.engine")

PER_KICK = 20
"""assets in one message; they are made at the same time"""
AGAIN_AT_ONCE = 1000
"""A sweep repeats so many kicks at most: in a long queue most of them are not lost, only not yet due."""
PAGE = 1000


def queue_name() -> str:
    """The engine's queue for our kicks."""
    return str(conf.get("TASK_QUEUE") or "default")


def reason(exc: Exception) -> str:
    """What an engine's error says; not the text of one about a value, which may be a broker's address with its
    password."""
    name = type(exc).__name__
    return name if isinstance(exc, ValueError) or not str(exc) else f"{name}: {exc}"


def send(task_name: str, *args: Any) -> None:
    """Give the task of this name in `mediagen.tasks` to the engine. Whatever the engine raises goes through."""
    task_wanted.send(None, name=task_name, args=args)


def kick(pks: Iterable[Any]) -> int:
    """Tell the engine of these assets once the present transaction is committed; how many. 0 without an engine.

    When the engine cannot be reached the rest is not tried: the rows wait all the same, for a worker or the next sweep.
    """
    if conf.get("TASK_BACKEND") is None:
        return 0
    round_ = _Round()
    count = 0
    waiting = iter(pks)
    while not round_.failed and (group := list(islice(waiting, PER_KICK))):
        MediaAsset.objects.filter(pk__in=group).update(kicked_at=Now())
        on_commit(partial(round_.tell, group))
        count += len(group)
    return count - round_.untold


def kick_waiting(batch_id: Any = None) -> int:
    """Tell the engine of everything that can be taken and was not told of, or long ago; how many."""
    if conf.get("TASK_BACKEND") is None:
        return 0
    waiting = MediaAsset.objects.claimable()
    if batch_id is not None:
        waiting = waiting.filter(batch=batch_id)
    told = kick(_pages(waiting.filter(kicked_at__isnull=True)))
    long_ago = Now() - timedelta(seconds=conf.get("KICK_AGAIN_S"))
    again = waiting.filter(kicked_at__lt=long_ago).order_by("kicked_at", "id").values_list("pk", flat=True)
    return told + kick(list(again[:AGAIN_AT_ONCE]))


def _pages(assets: Any) -> Iterator[Any]:
    """Their keys in order, a page at a time: a batch may have a million, and they change while this is read."""
    page: list[Any] = []
    while True:
        rest = assets.filter(pk__gt=page[-1]) if page else assets
        page = list(rest.order_by("id").values_list("pk", flat=True)[:PAGE])
        yield from page
        if len(page) < PAGE:
            return


@dataclass(slots=True)
class _Round:
    """Kicks that are sent together: the first that cannot be sent stops the others."""

    failed: bool = False
    untold: int = 0

    def tell(self, pks: list[Any]) -> None:
        if not self.failed:
            try:
                send("generate", [str(pk) for pk in pks])
                return
            except Exception as exc:
                self.failed = True
                logger.error(
                    "the task engine could not be told of waiting assets (%s). They wait for a worker, or for "
                    "manage.py mediagen_maintain to tell it again.",
                    reason(exc),
                )
        self.untold += len(pks)
        MediaAsset.objects.filter(pk__in=pks).update(kicked_at=None)
