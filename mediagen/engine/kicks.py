"""Telling the site's task engine that work waits, where it has one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import Q

from mediagen import conf
from mediagen.models import MediaAsset
from mediagen.types import utcnow

logger = logging.getLogger("mediagen.engine")

PER_KICK = 20


def kick(pks: Iterable[Any]) -> int:
    """Tell the engine of these assets once the present transaction is committed; how many. 0 without an engine."""
    if conf.get("TASK_BACKEND") is None:
        return 0
    count = 0
    waiting = iter(pks)
    while group := list(islice(waiting, PER_KICK)):
        MediaAsset.objects.filter(pk__in=group).update(kicked_at=utcnow())
        transaction.on_commit(partial(_enqueue, [str(pk) for pk in group]))
        count += len(group)
    return count


def kick_waiting(batch_id: Any = None) -> int:
    """Tell the engine of everything that can be taken and was not told of lately; how many."""
    if conf.get("TASK_BACKEND") is None:
        return 0
    long_ago = utcnow() - timedelta(seconds=conf.get("KICK_AGAIN_S"))
    waiting = MediaAsset.objects.claimable().filter(Q(kicked_at__isnull=True) | Q(kicked_at__lt=long_ago))
    if batch_id is not None:
        waiting = waiting.filter(batch=batch_id)
    return kick(list(waiting.order_by("id").values_list("pk", flat=True)))


def _enqueue(pks: list[str]) -> None:
    try:
        # Not imported at start: the engine is an extra, and its import checks the site's TASKS.
        task = import_module("mediagen.tasks").generate
        task.using(backend=conf.get("TASK_BACKEND"), queue_name=conf.get("TASK_QUEUE") or "default").enqueue(pks)
    except Exception as exc:
        # The rows wait all the same; a worker or the next sweep finds them.
        logger.error("the task engine could not be told of %d assets (%s)", len(pks), type(exc).__name__)
