"""Requests to our own API in this process, in the name of whoever sent the request under way."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest
from django.urls import NoReverseMatch, get_script_prefix, resolve, reverse

from mediagen.api.slashes import answer_of

NAMESPACE = "mediagen_api"
OF_ITS_OWN = frozenset(
    {"content-type", "content-length", "accept", "prefer", "idempotency-key", "range", "last-event-id"}
    | {"if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"}
)
"""Headers that say something of the outer request's body and answer, and nothing of who sent it."""
CARRIED = ("session", "LANGUAGE_CODE")
USER = ("user", "_cached_user", "auser")
"""carried too, unless REST framework has put it there for a token, which may do less than its user"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered."""

    status: int
    content: bytes
    content_type: str

    @property
    def is_ok(self) -> bool:
        return self.status < 400

    def json(self) -> Any:
        return json.loads(self.content) if self.content else None


async def ask(
    outer: HttpRequest,
    method: str,
    name: str,
    *args: Any,
    query: Mapping[str, Any] | None = None,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """The answer of the API's route `name`. `ImproperlyConfigured` when the site has not included the API."""
    try:
        path = reverse(f"{NAMESPACE}:{name}", args=args)
    except NoReverseMatch:
        raise ImproperlyConfigured(
            'mediagen.contrib.mcp needs the API: path("api/v1/", include("mediagen.api.urls")) in your urls.'
        ) from None
    content = b"" if body is None else json.dumps(body).encode()
    given = {"accept": "application/json", **(headers or {})}
    if body is not None:
        given |= {"content-type": "application/json", "content-length": str(len(content))}
    request = _inner(outer, method, path, urlencode(dict(query or {}), doseq=True), given, content)
    response = await answer_of(resolve(request.path_info), request)
    if hasattr(response, "render") and not getattr(response, "is_rendered", True):
        rendered = response.render()
        if inspect.isawaitable(rendered):
            await rendered
    content = await _content(response)
    response.close()
    return Answer(response.status_code, content, response.get("Content-Type", ""))


def _inner(
    outer: HttpRequest, method: str, path: str, query: str, headers: Mapping[str, str], content: bytes
) -> HttpRequest:
    request: HttpRequest
    if isinstance(outer, ASGIRequest):
        kept = [(name, value) for name, value in outer.scope["headers"] if name.decode("latin-1") not in OF_ITS_OWN]
        own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        scope = {**outer.scope, "method": method, "path": path, "query_string": query.encode(), "headers": kept + own}
        scope.pop("raw_path", None)
        request = ASGIRequest(scope, BytesIO(content))
    else:
        environ = {name: value for name, value in outer.META.items() if _stays(name)}
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        path_info = "/" + path.removeprefix(get_script_prefix())
        environ |= {"REQUEST_METHOD": method, "PATH_INFO": path_info, "QUERY_STRING": query}
        request = WSGIRequest({**environ, "wsgi.input": BytesIO(content)})
    for name in (*CARRIED, *USER) if getattr(outer, "auth", None) is None else CARRIED:
        if name in outer.__dict__:
            setattr(request, name, outer.__dict__[name])
    return request


def _stays(key: str) -> bool:
    return key.removeprefix("HTTP_").lower().replace("_", "-") not in OF_ITS_OWN


async def _content(response: Any) -> bytes:
    if not response.streaming:
        return bytes(response.content)
    if response.is_async:
        return b"".join([part async for part in response.streaming_content])
    return await sync_to_async(b"".join)(response.streaming_content)
