"""Asking for pictures, watching them come, cancelling and trying again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from django.urls import path
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.authentication import TicketAuthentication
from mediagen.api.base import APIBase, AsyncAPIView, demand, holds_a_worker
from mediagen.api.generation.asked import AskedSerializer, PicturesSerializer
from mediagen.api.pagination import paged
from mediagen.api.problems import INVALID, Problem, not_found
from mediagen.api.schema import EVENT, KEY, PAGING, Parameter, describe, page_of
from mediagen.api.shown import (
    GENERATION_STATES,
    AttemptSerializer,
    EstimateSerializer,
    GenerationSerializer,
    shown_asset,
    shown_assets,
    shown_estimate,
    state_of,
)
from mediagen.api.throttles import GenerateThrottle, RoleThrottle
from mediagen.engine.database import close_own_connections, few_at_once, hold_no_thread, in_database, patiently
from mediagen.engine.events import News, Story, Watch, news, watching
from mediagen.engine.generation import Placed, idempotency, requests
from mediagen.engine.library import Right, tickets
from mediagen.engine.work import in_server
from mediagen.errors import NotAllowed
from mediagen.models import GenerationState, MediaAsset
from mediagen.models.costs import cost_of_assets
from mediagen.origins import allow_origin
from mediagen.types import uuid7
from mediagen.wording import say as _

WATCH = (Right.READ, Right.GENERATE)
"""either will do: who has pictures made may see what comes of it"""
LONGEST_WAIT_S = 120.0
HEARTBEAT_S = 15.0
STREAM_S = 300.0
"""A stream ends after so long, so that what its reader may see is asked anew; a browser comes back by itself."""
WSGI_WAIT_S = 5.0
"""The longest wait and the longest stream under WSGI, where each holds one of the server's workers."""
EVENT_STREAM = "text/event-stream"


PREFER = Parameter(
    "Prefer",
    "wait=N: answer when the pictures are ready, after N seconds (120 at most, 5 under WSGI) at the latest.",
    where="header",
)
STATES = {"type": "array", "items": {"type": "string", "enum": list(GENERATION_STATES)}}
LAST_EVENT = Parameter("Last-Event-ID", "Go on after this event. Browsers send it by themselves.", where="header")

TICKET = Parameter("ticket", "Stands in `stream_url`, for browsers: they send no header with an EventSource.")


ANSWERS: dict[Any, Any] = {
    (202, "application/json"): GenerationSerializer,
    (202, EVENT_STREAM): EVENT,
    201: GenerationSerializer,
}
HOW_IT_ANSWERS = (
    "202 with the pending assets; with `Prefer: wait=N` 201 when all are ready in time, else 202 with what has "
    "become of them; with `Accept: text/event-stream` 202 and a stream until the last one is over. Refused "
    "before anything is made: 402 when a budget does not leave what it costs at least, 503 with Retry-After "
    "when every provider is cooling down."
)


class Placing(AsyncAPIView):
    """What all addresses have in common that ask for pictures: `asks` is the body, `post` is to give `answered`."""

    honours_key = True
    rights: ClassVar[Mapping[str, Right | tuple[Right, ...] | None]] = {"POST": Right.GENERATE}
    throttle_classes: Any = (RoleThrottle, GenerateThrottle)
    asks: ClassVar[type[AskedSerializer]] = PicturesSerializer
    name: ClassVar[str] = "generations"

    def get_throttles(self) -> list[Any]:
        return [RoleThrottle()] if self.request.method in ("GET", "HEAD") else super().get_throttles()

    async def answered(self, request: Request) -> Any:
        placed, assets, addresses = self.begun
        wait_s = _wait_of(request)
        ids = [asset.pk for asset in assets]
        headers = {"Location": addresses.to("generation", placed.generation_id)}
        if not placed.is_new:
            headers["Idempotency-Replayed"] = "true"
        new = assets if placed.is_new else []
        if _wants_stream(request):
            await in_server.work_now(ids, new=new)
            return await _stream_response(request, ids, "", addresses, headers, status=202)
        if wait_s:
            headers["Preference-Applied"] = f"wait={wait_s:.0f}"
            assets = await _after(assets, wait_s, is_new=placed.is_new) or assets
        else:
            await in_server.work_now(ids, new=new)
        is_done = bool(wait_s) and state_of(assets) == "ready"
        answer = shown_generation(placed.generation_id, assets, addresses)
        answer["estimate"] = shown_estimate(placed.estimate) if placed.estimate else None
        response = Response(answer, status=201 if is_done else 202, headers=headers)
        patch_vary_headers(response, ["Accept", "Prefer"])
        return response

    def begin_post(self, request: Request) -> tuple[Placed, list[MediaAsset], Addresses]:
        body = self.read(self.asks)
        placed, assets = patiently(partial(self._place, body, uuid7()))
        addresses = Addresses.of(request)
        addresses.known.learn(assets, addresses.access)
        if _wants_stream(request) or _wait_of(request):
            close_own_connections()  # here, where it needs no hop of its own
        return placed, assets, addresses

    def _place(self, body: dict[str, Any], generation_id: UUID) -> tuple[Placed, list[MediaAsset]]:
        key = self.request.headers.get("Idempotency-Key", "")
        digest = idempotency.digest(f"POST {self.name}", body) if key else ""
        asked = self.asks.request_of(body)
        placed = requests.place(self.access, asked, key=key, digest=digest, generation_id=generation_id)
        if placed.is_new:
            return placed, list(placed.assets)
        assets = list(_with_relations(requests.assets_of(idempotency.still_theirs(self.access), placed.generation_id)))
        return placed, assets


class GenerationsView(Placing):
    rights: ClassVar[Mapping[str, Right | tuple[Right, ...] | None]] = {"GET": WATCH, "POST": Right.GENERATE}

    @describe(
        "What I asked for",
        operation_id="generations_list",
        parameters=[
            *PAGING,
            Parameter("state", "Only those; one of several, with commas or repeated.", STATES),
        ],
        responses={200: page_of(GenerationSerializer)},
        description=(
            "The newest first, so that a page finds its work again: what you asked for here or in the studio, each "
            "with those of its assets that you may see."
        ),
    )
    async def get(self, request: Request) -> Response:
        return Response(self.begun)

    def begin_get(self, request: Request) -> dict[str, Any]:
        words = ",".join(request.query_params.getlist("state")).split(",")
        wanted = [word.strip() for word in words if word.strip()]
        if wrong := [word for word in wanted if word not in GENERATION_STATES]:
            text = f"There is no state {wrong[0]!r:.40}. There are: {', '.join(GENERATION_STATES)}."
            raise Problem(INVALID, text, field="state")
        addresses = Addresses.of(request)

        def shown(firsts: list[MediaAsset]) -> list[dict[str, Any]]:
            # All of their assets at once, and what they have in common.
            ids = [first.generation_id for first in firsts]
            found = _with_relations(self.access.watchable().filter(generation_id__in=ids).order_by("pk"))
            together: dict[Any, list[MediaAsset]] = {pk: [] for pk in ids}
            for asset in found:
                together[asset.generation_id].append(asset)
            return [shown_generation(pk, assets, addresses) for pk, assets in together.items() if assets]

        return paged(request, requests.asked_for(self.access, wanted), shown)

    @describe(
        "Ask for pictures",
        operation_id="generations_create",
        request=PicturesSerializer,
        parameters=[PREFER, KEY],
        responses=ANSWERS,
        problems=[402, 409],
        description=HOW_IT_ANSWERS,
    )
    async def post(self, request: Request) -> Any:
        return await self.answered(request)


class EstimateView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    @describe(
        "What pictures would cost",
        operation_id="generations_estimate",
        request=PicturesSerializer,
        responses={200: EstimateSerializer},
        problems=[402],
        description="The same request, checked and priced as if it were asked for; nothing is made.",
    )
    def post(self, request: Request) -> Response:
        body = self.read(PicturesSerializer)
        planned = requests.plan(self.access, PicturesSerializer.request_of(body))
        return Response(shown_estimate(planned.estimate))


class OneGeneration:
    """What the views of one generation have in common."""

    access: Any
    request: Any

    def found(self, pk: UUID) -> list[MediaAsset]:
        """Its assets that may be seen; those that wait are taken up again, should a server have died with them."""
        assets = list(_with_relations(requests.assets_of(self.access.watchable(), pk)))
        if not assets:
            raise not_found()
        in_server.work_soon(asset.pk for asset in assets if _waits(asset))
        return assets

    def shown(self, pk: UUID) -> dict[str, Any]:
        """As it is now, with what it has cost so far."""
        assets = self.found(pk)
        cost = cost_of_assets(assets)
        return {**shown_generation(pk, assets, Addresses.of(self.request)), "billing": cost.facts()}

    def changeable(self, pk: UUID) -> list[MediaAsset]:
        assets = self.found(pk)
        mine = set(self.access.assets(Right.GENERATE).filter(pk__in=[asset.pk for asset in assets]).values_list("pk"))
        if len(mine) < len(assets):
            raise NotAllowed(_("You may look into this library, and not have pictures made in it."))
        return assets


class GenerationView(OneGeneration, APIBase):
    rights: ClassVar[Mapping[str, Right | tuple[Right, ...] | None]] = {"GET": WATCH}

    @describe("How far it is", operation_id="generations_read", responses={200: GenerationSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(self.shown(pk))


class EventsView(OneGeneration, AsyncAPIView):
    rights: ClassVar[Mapping[str, Right | tuple[Right, ...] | None]] = {"GET": WATCH}

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        # A hundred browsers that come back at once would have a hundred threads and connections at once, of which
        # their memory stays with the process.
        async with few_at_once():
            return await super().dispatch(request, *args, **kwargs)

    def get_authenticators(self) -> list[Any]:
        return [TicketAuthentication(), *super().get_authenticators()]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if "ticket" in request.query_params:
            allow_origin(request._request, response)
            response["Referrer-Policy"] = "no-referrer"
        return response

    @describe(
        "What happens, as it happens",
        operation_id="generations_events",
        parameters=[LAST_EVENT, TICKET],
        responses={(200, EVENT_STREAM): EVENT, 204: None},
        description=(
            "Server-sent events: `attempt` when a provider is asked and when it has answered, `asset` when an asset's "
            "state changes, `done` at the end. With `Last-Event-ID` the stream goes on after that one. "
            "204 when there is nothing more to come, which stops a browser from coming back."
        ),
    )
    async def get(self, request: Request, pk: UUID) -> Any:
        addresses = Addresses.of(request)

        def read() -> list[MediaAsset]:
            assets = self.found(pk)
            addresses.known.learn(assets, addresses.access)
            return assets

        assets = await in_database(read)
        await hold_no_thread()
        position = request.headers.get("Last-Event-ID", "")
        if position and all(asset.generation_state not in OPEN for asset in assets):
            async with watching([asset.pk for asset in assets]) as watch:
                if next(news(watch.stories, position), None) is None:
                    return Response(status=204)
        return await _stream_response(request, [asset.pk for asset in assets], position, addresses, {})


class CancelView(OneGeneration, APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    @describe(
        "Cancel it",
        operation_id="generations_cancel",
        responses={200: GenerationSerializer},
        problems=[409],
        description=(
            "What waits is cancelled at once. No further provider is asked for what is being made; a picture that a "
            "provider is making already is paid for, and kept when it comes. 409 when all is over."
        ),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        requests.cancel(self.changeable(pk))
        return Response(self.shown(pk))


class RetryView(OneGeneration, APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}
    throttle_classes: Any = (RoleThrottle, GenerateThrottle)

    @describe(
        "Try again",
        operation_id="generations_retry",
        responses={202: GenerationSerializer},
        problems=[402, 409],
        description=(
            "Failed, cancelled and interrupted pictures, and placeholders, are made again under their ids. A job "
            "bought and not fetched is fetched. 409 when there is none."
        ),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        demand(self.access, Right.GENERATE)
        in_server.work_soon(requests.retry(self.changeable(pk), self.access))
        return Response(self.shown(pk), status=202)


OPEN = (GenerationState.PENDING, GenerationState.RUNNING)


def _waits(asset: MediaAsset) -> bool:
    return asset.generation_state == GenerationState.PENDING and asset.batch_id is None


def _with_relations(assets: Any) -> Any:
    return assets.select_related("library").prefetch_related("tags")


def shown_generation(pk: UUID, assets: Sequence[MediaAsset], addresses: Addresses) -> dict[str, Any]:
    return {
        "id": str(pk),
        "state": state_of(assets),
        "url": addresses.to("generation", pk),
        "events_url": addresses.to("generation-events", pk),
        "stream_url": _stream_url(pk, assets, addresses),
        "assets": shown_assets(assets, addresses),
        "estimate": None,
        "billing": None,
    }


def _stream_url(pk: UUID, assets: Sequence[MediaAsset], addresses: Addresses) -> str | None:
    if addresses.access is None or all(asset.generation_state not in OPEN for asset in assets):
        return None
    return f"{addresses.to('generation-events', pk)}?ticket={tickets.issue(addresses.access, pk)}"


def _wait_of(request: Request) -> float:
    if _wants_stream(request):
        return 0.0
    wait_s = wait_of(request.headers.get("Prefer", ""))
    return min(wait_s, WSGI_WAIT_S) if holds_a_worker(request) else wait_s


def wait_of(prefer: str) -> float:
    """Seconds of "respond-async, wait=10" (RFC 7240), at most `LONGEST_WAIT_S`; 0.0 where it says nothing we know."""
    for preference in prefer.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "wait" and value.isascii() and value.isdecimal():
            return min(float(value[:9]), LONGEST_WAIT_S)
    return 0.0


async def _after(assets: Sequence[MediaAsset], wait_s: float, *, is_new: bool) -> list[MediaAsset]:
    """Have the assets made; as they are as soon as all are over, or when the time is."""
    ids = [asset.pk for asset in assets]
    until = asyncio.get_running_loop().time() + wait_s
    await hold_no_thread(is_closed=True)
    # Watched before they are begun here, so that new ones need not be read: what is known of them is so until then.
    known = [Story(asset, ()) for asset in assets] if is_new else []
    async with watching(ids, known=known, for_the_end=True) as watch:
        await in_server.work_now(ids, new=assets if is_new else ())
        while not watch.is_over and (left := until - asyncio.get_running_loop().time()) > 0:
            await watch.change(left)
        return [story.asset for story in watch.stories]


# ---------------------------------------------------------------------- the stream


def _wants_stream(request: Request) -> bool:
    accepted = request.headers.get("Accept", "").lower().split(",")
    return any(one.partition(";")[0].strip() == EVENT_STREAM for one in accepted)


async def _stream_response(
    request: Request,
    ids: Sequence[UUID],
    position: str,
    addresses: Addresses,
    headers: Mapping[str, str],
    *,
    status: int = 200,
) -> StreamingHttpResponse:
    events: Any = _stream(ids, position, addresses)
    if holds_a_worker(request):
        # Django would send nothing before the end: what there is goes out soon, and the reader comes back for more.
        events = [event async for event in _stream(ids, position, addresses, longest_s=WSGI_WAIT_S)]
    response = StreamingHttpResponse(events, status=status, content_type=EVENT_STREAM, headers=dict(headers))
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _stream(
    ids: Sequence[UUID], position: str, addresses: Addresses, longest_s: float | None = None
) -> AsyncIterator[bytes]:
    """Everything since `position`, until the last asset is over, for `longest_s` (None: STREAM_S) at most. Who goes
    away ends the stream and nothing else; a browser comes back after `retry`."""
    yield b": open\nretry: 2000\n\n"
    await hold_no_thread()
    loop = asyncio.get_running_loop()
    until = loop.time() + (STREAM_S if longest_s is None else longest_s)
    async with watching(ids) as watch:
        while True:
            for one in news(watch.stories, position):
                position = one.position
                yield _event(*_told(one, addresses), position)
            if watch.is_over:
                yield _event("done", _end(watch), position)
                return
            if loop.time() > until:
                return
            if not await watch.change(min(HEARTBEAT_S, max(until - loop.time(), 0.0))):
                yield b": still here\n\n"


def _told(one: News, addresses: Addresses) -> tuple[str, dict[str, Any]]:
    if one.attempt is None:
        return "asset", shown_asset(one.story.asset, addresses)
    return "attempt", {"asset": str(one.story.asset.pk), **AttemptSerializer(one.attempt).data}


def _end(watch: Watch) -> dict[str, Any]:
    assets = [story.asset for story in watch.stories]
    return {"state": state_of(assets), "assets": [str(asset.pk) for asset in assets]}


def _event(kind: str, data: Mapping[str, Any], position: str) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)
    return f"id: {position}\nevent: {kind}\ndata: {text}\n\n".encode()


routes = [
    path("generations/", GenerationsView.as_view(), name="generations"),
    path("generations/estimate/", EstimateView.as_view(), name="generations-estimate"),
    path("generations/<uuid:pk>/", GenerationView.as_view(), name="generation"),
    path("generations/<uuid:pk>/events", EventsView.as_view(), name="generation-events"),
    path("generations/<uuid:pk>/cancel/", CancelView.as_view(), name="generation-cancel"),
    path("generations/<uuid:pk>/retry/", RetryView.as_view(), name="generation-retry"),
]
