"""Galleries that are open hear what changes: server-sent events, which name assets and show none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from mediagen.engine.database import hold_no_thread, in_database
from mediagen.engine.events import Change, following
from mediagen.engine.library import Access, Right
from mediagen.models.routing import outside_transactions

STREAM_S = 300.0
"""then the browser comes back, and its rights are asked for anew"""
QUIET_S = 15.0
"""a line for proxies that end what is silent"""
MOST = 200
"""assets that one event names; a script then asks for what it shows of them"""


@outside_transactions
async def gallery_events(request: HttpRequest) -> HttpResponseBase:
    """{"changed": [ids], "gone": [ids], "new": number} whenever something happens in a library that this person may
    look into. 204, on which a browser does not come back, for who may not, and under WSGI, where a stream holds a
    worker: there the page asks from time to time."""
    if not isinstance(request, ASGIRequest) or request.method != "GET":
        return HttpResponse(status=204)
    user = await request.auser()
    if not await in_database(_may_look, user):
        return HttpResponse(status=204)
    response = StreamingHttpResponse(_stream(user), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _may_look(user: Any) -> bool:
    return bool(user.is_authenticated) and Access(user).has(Right.READ)


def _readable(user: Any, libraries: set[UUID]) -> set[UUID]:
    """Those of the libraries that the user may look into."""
    return set(Access(user).libraries(Right.READ).filter(pk__in=libraries).values_list("pk", flat=True))


async def _stream(user: Any) -> AsyncIterator[bytes]:
    known: set[UUID] = set()
    mine: set[UUID] = set()
    yield b"retry: 3000\n\n"
    await hold_no_thread()
    loop = asyncio.get_running_loop()
    until = loop.time() + STREAM_S
    async with following() as news:
        while loop.time() < until:
            try:
                changes = await asyncio.wait_for(news.get(), QUIET_S)
            except TimeoutError:
                yield b": quiet\n\n"
                continue
            if unknown := {change.library_id for change in changes} - known:
                mine |= await in_database(_readable, user, unknown)
                known |= unknown
            if told := _told([change for change in changes if change.library_id in mine]):
                yield f"data: {json.dumps(told)}\n\n".encode()


def _told(changes: list[Change]) -> dict[str, Any]:
    if not changes:
        return {}
    return {
        "changed": [str(one.asset_id) for one in changes if not one.is_gone][-MOST:],
        "gone": [str(one.asset_id) for one in changes if one.is_gone][-MOST:],
        "new": sum(one.is_new and not one.is_gone for one in changes),
    }
