"""A small service on a real socket: it gives the answers that it was given, counts what was bought, and misbehaves."""

from __future__ import annotations

import json as jsonlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

HOST = "127.0.0.1"
PAGE = b"<!doctype html><html><body><h1>Welcome</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return jsonlib.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: `json`, or else `content`. "{origin}" inside `json` becomes the server's own address."""

    status: int = 200
    json: Any = None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Answers = Answer | Sequence[Answer] | Callable[[Request], Answer]
FAULTS = ("reset", "hang", "html", "empty", "cut")
"""Beside statuses ("503"): a reset and a silence, each after the purchase; a web page; no body; half of one."""


class CannedServer:
    """`answers` by "METHOD /path" (`*` stands for anything); a list is given in order, its last one again and again.

    The route `purchase` (the first one, if not named) buys: `purchases` has its requests that were taken. With
    `idempotency_header` a request whose header has been seen gets the first one's answer and buys nothing; with
    another body than the first one it is a conflict (409).
    """

    def __init__(
        self,
        answers: Mapping[str, Answers],
        *,
        key: str = "made-up-key-0123456789",
        purchase: str = "",
        health: str = "",
        idempotency_header: str = "",
    ) -> None:
        self.answers = dict(answers)
        self.key = key
        self.purchase = purchase or next(iter(answers), "")
        self.health = health
        self.idempotency_header = idempotency_header.lower()
        self._news = threading.Condition()
        self.requests: list[tuple[str, Request]] = []
        """(route, request) of each that came"""
        self.purchases: list[Request] = []
        self._known: dict[str, tuple[bytes, Answer]] = {}
        self._given: Counter[str] = Counter()
        self._faults: dict[str, tuple[str, int]] = {}
        self._released = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without it, an answer waits for the client's delayed acknowledgement of its head.
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, TimeoutError):
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None: ...

            def _any(self) -> None:
                outer._serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def base_url(self) -> str:
        if self._server is None:
            raise RuntimeError("It does not run: use it as `with CannedServer(...) as server:`.")
        return f"http://{HOST}:{self._server.server_port}"

    def fault(self, route: str, kind: str, times: int = 1) -> None:
        """Misbehave at a route: one of `FAULTS`, or a status ("503"). `times` 0: from now on."""
        if kind not in FAULTS and not kind.isdecimal():
            raise ValueError(f"There is no fault {kind!r}. There are {', '.join(FAULTS)}, and statuses.")
        self._faults[route] = (kind, times)

    def wait_for_purchases(self, count: int, timeout_s: float = 10.0) -> None:
        """Until so many were made; TimeoutError when they are not."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.purchases) >= count, timeout_s):
                raise TimeoutError(f"{len(self.purchases)} of {count} purchases in {timeout_s:g} s")

    def clear_faults(self) -> None:
        """Behave from now on."""
        self._faults.clear()

    def release(self) -> None:
        """Let those that hang go."""
        self._released.set()

    def requests_for(self, route: str) -> list[Request]:
        return [request for found, request in list(self.requests) if found == route]

    # ------------------------------------------------------------------ inside

    def _route(self, method: str, path: str) -> str:
        return next((route for route in self.answers if fnmatchcase(f"{method} {path}", route)), "")

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        parts = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(handler.command, parts.path, parts.query, headers, body)
        route = self._route(request.method, request.path)
        with self._news:
            kind = self._fault_of(route)
            answer = self._answered(route, request, kind)
            self.requests.append((route, request))
            self._news.notify_all()
        if kind == "reset":
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.close_connection = True
            handler.connection.close()
            return
        if kind == "hang":
            self._released.wait(30)
            handler.close_connection = True
            return
        self._send(handler, answer, is_cut=kind == "cut")

    def _fault_of(self, route: str) -> str:
        kind, times = self._faults.get(route, ("", 0))
        if kind and times == 1:
            del self._faults[route]
        elif times:
            self._faults[route] = (kind, times - 1)
        return kind

    def _answered(self, route: str, request: Request, kind: str) -> Answer:
        if not route:
            return Answer(404, json={"message": f"there is no {request.method} {request.path}"})
        if route in (self.purchase, self.health) and self.key and not self._has_key(request):
            return Answer(401, json={"message": "no such key"})
        if kind.isdecimal():
            return Answer(int(kind), json={"message": "made up"})
        answer = self._bought(request) if route == self.purchase else self._next(route, request)
        if kind == "html":
            return Answer(content=PAGE, headers={"content-type": "text/html"})
        return Answer(headers=answer.headers) if kind == "empty" else answer

    def _has_key(self, request: Request) -> bool:
        return any(self.key in value for value in request.headers.values())

    def _bought(self, request: Request) -> Answer:
        name = request.headers.get(self.idempotency_header, "") if self.idempotency_header else ""
        if name and name in self._known:
            body, answer = self._known[name]
            return answer if body == request.body else Answer(409, json={"message": "this key had another body"})
        self._given.clear()  # what follows a purchase begins anew
        answer = self._next(self.purchase, request)
        if 200 <= answer.status < 300:
            self.purchases.append(request)
            if name:
                self._known[name] = (request.body, answer)
        return answer

    def _next(self, route: str, request: Request) -> Answer:
        answers = self.answers[route]
        if isinstance(answers, Answer):
            return answers
        if callable(answers):
            return answers(request)
        number = min(self._given[route], len(answers) - 1)
        self._given[route] += 1
        return answers[number]

    def _send(self, handler: BaseHTTPRequestHandler, answer: Answer, *, is_cut: bool) -> None:
        headers = dict(answer.headers)
        content = answer.content
        if answer.json is not None:
            content = jsonlib.dumps(answer.json).replace("{origin}", self.base_url).encode()
            headers.setdefault("content-type", "application/json")
        handler.send_response(answer.status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: len(content) // 2] if is_cut else content)
        if is_cut:
            handler.close_connection = True
