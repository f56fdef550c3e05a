"""Exports that wait to be sent: told to whoever works for this site. The truth is the rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

from asgiref.sync import async_to_sync

import mediagen.engine.exports.canva as canva
from mediagen import conf
from mediagen.engine.database import in_database
from mediagen.engine.dispatch import periodic, task_engine
from mediagen.engine.work import in_server
from mediagen.models.routing import on_commit

logger = logging.getLogger("mediagen.engine")

PER_MESSAGE = 20
LOOK_EVERY_S = 5.0


def send_soon(export_ids: Iterable[Any]) -> None:
    """Have these exports sent once the present transaction is committed: by the site's task engine, or in this process.

    With RUN_IN_SERVER False and no engine they wait for a worker, or for `manage.py mediagen_export_assets --waiting`.
    """
    ids = [str(pk) for pk in export_ids]
    if not ids:
        return
    if conf.get("TASK_BACKEND") is None:
        in_server.run_soon(_send_these_and_others, ids)
        return
    for start in range(0, len(ids), PER_MESSAGE):
        on_commit(partial(_tell, ids[start : start + PER_MESSAGE]))


async def keep_sending(stop: asyncio.Event) -> None:
    """Send what waits, until it is told to stop: beside a worker. What goes wrong is logged and tried again."""

    async def send_some() -> None:
        for pk in await in_database(canva.waiting, PER_MESSAGE):
            if stop.is_set():
                break
            await canva.send_one(pk)

    await periodic.until_stopped(stop, send_some, every_s=LOOK_EVERY_S, what="exports could not be sent")


async def _send_these_and_others(ids: list[str]) -> None:
    """Those, and what a server process that died has left: in a site without workers nobody else looks for it."""
    await canva.work_off([*ids, *await in_database(canva.waiting)])


def work_off(export_ids: Iterable[Any]) -> int:
    """Send those of these exports that wait; how many. What an engine's task runs."""
    return async_to_sync(canva.work_off)(list(export_ids))


def send_waiting() -> int:
    """Tell whoever works of all exports that could be sent now; how many. For maintenance: messages get lost."""
    ids = canva.waiting()
    if ids and conf.get("TASK_BACKEND") is not None:
        send_soon(ids)
        return len(ids)
    return 0


def _tell(ids: list[str]) -> None:
    try:
        task_engine.send("send_exports", ids)
    except Exception as exc:
        logger.error(
            "the task engine could not be told of waiting exports (%s). They wait for manage.py mediagen_maintain to "
            "tell it again.",
            task_engine.reason(exc),
        )
