"""The wire between an adapter and its service, in memory: answers are given in order, requests are kept."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from email import message_from_bytes
from typing import Any

from mediagen import http
from mediagen.http.client import httpx

Answer = Any
"""a function of the request that returns an httpx.Response, or a class of httpx exception to raise"""


def answer(
    status: int = 200, *, json: Any = ..., content: bytes = b"", headers: dict[str, str] | None = None
) -> Answer:
    """A fresh response every time it is used, because a response can be read only once."""
    if json is ...:
        return lambda request: httpx.Response(status, content=content, headers=headers)
    return lambda request: httpx.Response(status, json=json, headers=headers)


class Wire:
    """`with wire(answer(...)) as w:` sends everything inside through it; the last answer is repeated."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []

    async def handle(self, request: Any) -> Any:
        await request.aread()
        self.requests.append(request)
        number = min(len(self.requests), len(self.answers)) - 1
        found = self.answers[number]
        if isinstance(found, type):
            raise found("made up", request=request)
        return found(request)

    def open(self) -> AbstractContextManager[None]:
        return http.override_transport(httpx.MockTransport(self.handle))

    def __enter__(self) -> Wire:
        self._context = self.open()
        self._context.__enter__()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._context.__exit__(*exc_info)

    @property
    def only(self) -> Any:
        """The one request that was sent."""
        assert len(self.requests) == 1, [str(request.url) for request in self.requests]
        return self.requests[0]


def form_of(request: Any) -> dict[str, str]:
    """The text fields of a multipart request. A part with a file name or a type of its own is no text field."""
    head = b"content-type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    message = message_from_bytes(head + request.content)
    assert message.is_multipart()
    fields = {}
    for part in message.get_payload():
        assert part.get_filename() is None
        assert "content-type" not in part
        name = part.get_param("name", header="content-disposition")
        assert name not in fields
        fields[name] = part.get_payload(decode=True).decode()
    return fields


def json_of(request: Any) -> Any:
    assert request.headers["content-type"] == "application/json"
    return json.loads(request.content)
