"""What all provider servers share: a thread, a record of requests and purchases, and faults put on steps."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from tests.servers import pictures
from tests.servers.books import FaultPlan, Job, Purchase
from tests.servers.faults import ANYWHERE, OF_THE_PICTURE, Fault, FaultKind
from tests.servers.serving import HOST, WIRE, HTTPServer, Receive, Scope, Send, Wire
from tests.servers.web import Answer, Answered, MalformedBody, Request

ID_NAMESPACE = uuid.UUID("7d7b4d0c-6b0f-5e0e-9c51-1f6d3f0a8a11")
WEB_PAGE = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Welcome</h1></body></html>"


class ProviderServer:
    """One vendor's service on a real socket, and an ASGI program by itself. See README.md for its use."""

    name: ClassVar[str]
    env_key: ClassVar[str]
    base_path: ClassVar[str] = ""
    steps: ClassVar[tuple[str, ...]]
    generate_steps: ClassVar[tuple[str, ...]] = ("submit",)
    picture_step: ClassVar[str | None] = "submit"
    moderation_step: ClassVar[str | None] = "submit"
    delivery_takes_key: ClassVar[bool] = False
    """whether the vendor's own delivery host may be sent the key"""
    delivers_elsewhere: ClassVar[bool] = True
    """whether the vendor hands results out on another host than that of its API"""
    special_faults: ClassVar[Mapping[str, Sequence[Fault]]] = {}
    """faults of this vendor beside those of every step, by step"""

    def __init__(self, port: int = 0, *, key: str = "") -> None:
        self.key = key or f"test-key-{self.name}-0123456789"
        self._http = HTTPServer(self, port)
        self._delivery: HTTPServer | None = None
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._numbers = itertools.count(1)
        self._hanging: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._forget()

    def _forget(self) -> None:
        """Everything as freshly started."""
        self.requests: list[Request] = []
        self.purchases: list[Purchase] = []
        self.cancelled: list[str] = []
        self.leaks: list[Request] = []
        self.jobs: dict[str, Job] = {}
        self.polls_until_ready = 2
        self.latency_s = 0.0
        self.cost: float | None = None
        self.credits = 100.0
        self.strict = True
        self._faults = FaultPlan()
        self._doors: dict[str, Fault] = {}

    # what a vendor's class supplies
    def step_of(self, request: Request) -> str:
        """The step that a request belongs to, by its method and path; "other" for unknown paths."""
        raise NotImplementedError

    def handle(self, request: Request) -> Answer:
        """The vendor's answer. Calls `admit` once the request is known to be right."""
        raise NotImplementedError

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        """An error in the vendor's shape; without `code`, the vendor's usual one for this status."""
        raise NotImplementedError

    def refused(self, request: Request, fault: Fault) -> Answer | None:
        """The vendor's moderation, if it refuses at once and not through a job."""
        return None

    def common_headers(self) -> dict[str, str]:
        """Headers on every answer of the API."""
        return {}

    # its life
    def start(self) -> Self:
        """Listen on 127.0.0.1. OSError when the port is taken."""
        self._http.start()
        return self

    def stop(self) -> None:
        """Close every connection and the port."""
        if self._delivery is not None:
            self._delivery.stop()
            self._delivery = None
        self._http.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self._http.port}"

    @property
    def base_url(self) -> str:
        return self.origin + self.base_path

    @property
    def delivery_origin(self) -> str:
        """Where result URLs point: our own origin, unless `deliver_elsewhere` was called."""
        return f"http://{HOST}:{self._delivery.port}" if self._delivery is not None else self.origin

    def deliver_elsewhere(self) -> str:
        """Serve results on a second port, as vendors do on a second host, until `reset`. Answers its origin."""
        if self._delivery is None:
            self._delivery = HTTPServer(self)
            self._delivery.start()
        return self.delivery_origin

    def refuse_connections(self) -> None:
        """Stop listening and close idle connections: the next connection is refused by the kernel."""
        self._http.refuse()

    def accept_connections(self) -> None:
        """Listen again on the same port."""
        self._http.accept()

    def reset(self) -> None:
        """As freshly started: exchanges under way are cut, lists empty, faults gone, knobs at defaults."""
        self._http.drop_busy()
        if self._delivery is not None:
            self._delivery.stop()
            self._delivery = None
        with self._lock:
            self._hanging.clear()
            self._forget()
        self._http.accept()

    # faults
    @classmethod
    def faults_for(cls, step: str) -> list[Fault]:
        """Every fault that makes sense at `step`."""
        of_the_picture = OF_THE_PICTURE if step == cls.picture_step else ()
        return [*ANYWHERE, *of_the_picture, *cls.special_faults.get(step, ())]

    def fault(self, step: str, fault: Fault, times: int | None = 1, after: int = 0) -> None:
        """Misbehave at `step`, `times` times (None = always), after letting `after` requests pass.

        Several faults on one step take their turns. ValueError for what cannot happen there.
        """
        if step not in self.steps:
            raise ValueError(f"{self.name} has no step {step!r}. Its steps: {', '.join(self.steps)}.")
        possible = {known.kind for known in self.faults_for(step)}
        if fault.kind not in possible:
            raise ValueError(f"{fault.kind} cannot happen at {self.name} {step!r}. Possible: {', '.join(possible)}.")
        if fault.kind is not FaultKind.CONNECT_REFUSED:
            self._faults.put(step, fault, times, after)
        elif step in self.generate_steps[1:]:
            self._doors[step] = fault
        else:
            self._http.refuse(fault.delay_s)

    def clear_faults(self) -> None:
        """Forget all faults that have not happened yet."""
        self._faults.clear()
        self._doors.clear()

    def release(self) -> None:
        """Let every hanging request go on to its true answer."""
        with self._lock:
            hanging, self._hanging = self._hanging, {}
        for event, loop in hanging.items():
            loop.call_soon_threadsafe(event.set)

    # the record
    def requests_for(self, step: str) -> list[Request]:
        """The requests of one step, in order."""
        return [request for request in list(self.requests) if request.step == step]

    def wait_for_requests(self, step: str, count: int = 1, timeout_s: float = 5.0) -> list[Request]:
        """Block until `count` requests of `step` have arrived and been dealt with, answered or not yet.

        TimeoutError when they do not come.
        """
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests_for(step)) >= count, timeout_s):
                raise TimeoutError(f"{self.name}: {len(self.requests_for(step))} of {count} {step!r} in {timeout_s} s.")
        return self.requests_for(step)

    def _record(self, request: Request) -> None:
        with self._news:
            self.requests.append(request)
            self._news.notify_all()

    # for the vendors' handlers
    def admit(self, request: Request) -> None:
        """Note that the request is right; raises `Answered` when the server is told to say no all the same."""
        request.accepted = True
        fault = request.fault
        if fault is None:
            return
        if fault.replaces_answer:
            raise Answered(self._fault_answer(fault, request))
        if fault.kind is FaultKind.MODERATION and (answer := self.refused(request, fault)) is not None:
            raise Answered(answer)

    def buy(self, request: Request, *, price: float = 0.0, **what: Any) -> Purchase:
        """Book an accepted request; `price` in credits unless `cost` overrides it."""
        purchase = Purchase(request, cost=price if self.cost is None else self.cost, **what)
        self.purchases.append(purchase)
        return purchase

    def refuse(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answered:
        """An `Answered` to raise, for a request that is wrong."""
        return Answered(self.error(status, request, code=code, message=message))

    def happens(self, request: Request, kind: FaultKind) -> Fault | None:
        """The fault of this request if it is of this kind."""
        return request.fault if request.fault is not None and request.fault.kind is kind else None

    def make_picture(
        self, request: Request, width: int, height: int, format: str, *, seed: int = 0, **how: Any
    ) -> bytes:
        """A picture, or what a fault of the picture makes of it. Different seeds have different bytes."""
        if self.happens(request, FaultKind.BOMB):
            return pictures.bomb()
        if self.happens(request, FaultKind.NOT_A_PICTURE):
            return json.dumps({"message": "ok"}).encode()
        content = pictures.picture(width, height, format, mark=f"seed {seed}", **how)
        return pictures.cut(content) if self.happens(request, FaultKind.TRUNCATED_PICTURE) else content

    def picture_file(self, request: Request, width: int, height: int, format: str, *, seed: int = 0) -> Answer:
        """A picture as a file to download."""
        request_type = pictures.MEDIA_TYPES[format]
        if self.happens(request, FaultKind.NOT_A_PICTURE):
            request_type = "application/json"
        return Answer(200, self.make_picture(request, width, height, format, seed=seed), request_type)

    def file_error(self, status: int) -> Answer:
        """What storage behind a result URL answers: XML, nothing of the vendor's API."""
        code = {403: "AccessDenied", 404: "NoSuchKey"}.get(status, "InternalError")
        body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code></Error>'
        return Answer(status, body.encode(), "application/xml")

    def new_id(self) -> str:
        """A UUID that no other answer of this server has."""
        return str(uuid.uuid5(ID_NAMESPACE, f"{self.name}-{next(self._numbers)}"))

    def chosen_seed(self, asked: int | None) -> int:
        """The seed asked for; with None the service chooses one."""
        return 1_000_000 + next(self._numbers) if asked is None else asked

    # the ASGI program
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        request = Request(
            method=scope["method"],
            path=scope["path"],
            raw_query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            received_at=time.monotonic(),
        )
        request.step = self.step_of(request)
        request.fault = self._faults.take(request.step)
        if self.happens(request, FaultKind.RESET_BEFORE_BODY_READ):
            self._record(request)
            _wire(scope).reset()
            return
        complete = await _read_body(request, receive)
        if not complete:
            self._record(request)
            return
        self._mind_the_key(request)
        try:
            answer = self._answer(request)
            hanging = self._hangs(request)
        finally:
            # Only now, so that whoever waited for the request finds its purchase, and may release it.
            self._record(request)
        if request.step == "submit" and self.latency_s:
            await asyncio.sleep(self.latency_s)
        await self._mind_the_door(request)
        try:
            await self._deliver(request, answer, hanging, scope, receive, send)
        except ConnectionError:
            request.status = None

    def _answer(self, request: Request) -> Answer:
        try:
            answer = self.handle(request)
        except Answered as done:
            answer = done.answer
        except MalformedBody as exc:
            answer = self.error(400, request, message=str(exc))
        else:
            if not request.accepted:
                raise RuntimeError(f"{self.name}: the handler of {request.path} did not call admit().")
        if request.step != "download":
            answer.headers = {**self.common_headers(), **answer.headers}
        return answer

    def _fault_answer(self, fault: Fault, request: Request) -> Answer:
        if fault.kind is FaultKind.REDIRECT:
            answer = Answer(fault.status, b"", "", {"location": fault.url})
        elif request.step == "download":
            answer = self.file_error(fault.status)
        else:
            answer = self.error(fault.status, request, code=fault.code)
        if (wait := fault.retry_after_header()) is not None:
            answer.headers["retry-after"] = wait
        return answer

    def _mind_the_key(self, request: Request) -> None:
        may_have_it = self.delivery_takes_key and self._delivery is None
        if request.step == "download" and not may_have_it and any(self.key in v for v in request.headers.values()):
            self.leaks.append(request)

    async def _mind_the_door(self, request: Request) -> None:
        fault = self._doors.pop(request.leads_to, None) if request.accepted else None
        if fault is not None:
            door = self._delivery if self._delivery is not None and request.leads_to == "download" else self._http
            await door.close_door(fault.delay_s)

    async def _deliver(
        self,
        request: Request,
        answer: Answer,
        hanging: asyncio.Event,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        fault = request.fault if request.accepted and request.fault and request.fault.spoils_answer else None
        kind = fault.kind if fault else None
        if fault is None or kind is None:
            pass
        elif kind is FaultKind.RESET_AFTER_BODY_READ:
            _wire(scope).reset()
            return
        elif kind is FaultKind.HANG:
            if not await self._silence(hanging, receive):
                return
        elif kind is FaultKind.HTML_200:
            answer = Answer(200, WEB_PAGE, "text/html; charset=utf-8")
        elif kind is FaultKind.EMPTY_200:
            answer = Answer(200, b"", answer.content_type)
        elif kind is FaultKind.WRONG_CONTENT_TYPE:
            answer.content_type = fault.text
        elif fault.bought:
            answer = self._fault_answer(fault, request)
        request.status = answer.status
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.header_list()})
        if fault is not None and kind is FaultKind.TRICKLE:
            for start in range(0, len(answer.body), fault.chunk_bytes):
                piece = answer.body[start : start + fault.chunk_bytes]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(fault.delay_s)
            await send({"type": "http.response.body", "body": b""})
        elif kind is FaultKind.TRUNCATED_BODY:
            await send({"type": "http.response.body", "body": pictures.cut(answer.body), "more_body": True})
            _wire(scope).close()
        else:
            await send({"type": "http.response.body", "body": answer.body})

    def _hangs(self, request: Request) -> asyncio.Event:
        """What `release` sets; known to it from now on if the request is to hang."""
        event = asyncio.Event()
        if request.accepted and self.happens(request, FaultKind.HANG):
            with self._lock:
                self._hanging[event] = asyncio.get_running_loop()
        return event

    async def _silence(self, hanging: asyncio.Event, receive: Receive) -> bool:
        """Wait until released (True) or until the client is gone (False)."""
        released = asyncio.ensure_future(hanging.wait())
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({released, gone}, return_when=asyncio.FIRST_COMPLETED)
            return released.done()
        finally:
            released.cancel()
            gone.cancel()
            with self._lock:
                self._hanging.pop(hanging, None)


async def _read_body(request: Request, receive: Receive) -> bool:
    """Read the whole body into the request; False when the client went before its end."""
    pieces = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            request.body = bytes(pieces)
            return False
        pieces += message.get("body", b"")
        if not message.get("more_body", False):
            request.body = bytes(pieces)
            return True


def _wire(scope: Scope) -> Wire:
    wire = scope.get("extensions", {}).get(WIRE)
    if not isinstance(wire, Wire):
        raise RuntimeError(
            "This fault breaks the connection itself: run the server with start(), not another ASGI server."
        )
    return wire


async def _lifespan(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
