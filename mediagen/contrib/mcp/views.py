"""The endpoint of the Model Context Protocol, as a view of the site: streamable HTTP without sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from rest_framework.request import Request

from mediagen.api.base import AsyncAPIView
from mediagen.contrib.mcp.server import server_for
from mediagen.engine.library import Right

# Hosts are Django's to check (ALLOWED_HOSTS), and whoever asks brings a token or a session with its CSRF token.
CHECKED_BY_DJANGO = TransportSecuritySettings(enable_dns_rebinding_protection=False)


class EndpointView(AsyncAPIView):
    """Any process answers any request: nothing is kept between two, so there is no stream to listen to (GET: 405)."""

    rights: ClassVar[Mapping[str, Right | None]] = {"POST": None}
    throttle_classes = ()  # each tool's own request is counted
    schema: Any = None

    async def post(self, request: Request) -> HttpResponse:
        outer = request._request
        receive = _body(outer)  # here, where a body that is too large is refused as everywhere
        manager = StreamableHTTPSessionManager(
            server_for(outer), json_response=True, stateless=True, security_settings=CHECKED_BY_DJANGO
        )
        answer = _Collected()
        async with manager.run():
            await manager.handle_request(_scope(outer), receive, answer.send)
        response = HttpResponse(bytes(answer.content), status=answer.status)
        for name, value in answer.headers:
            if name.lower() != "content-length":
                response[name] = value
        return response


class _Collected:
    """What an ASGI application sends."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[str, str]] = []
        self.content = bytearray()

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message.get("headers", [])]
        elif message["type"] == "http.response.body":
            self.content += message.get("body", b"")


def _scope(request: HttpRequest) -> dict[str, Any]:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "server": (request.get_host(), 0),
        "client": None,
    }


def _body(request: HttpRequest) -> Any:
    messages = [{"type": "http.request", "body": request.body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            # The client is there until it has its answer: when it goes away, Django ends the view.
            await asyncio.Event().wait()
        return messages.pop()

    return receive
