"""The schema, by drf-spectacular where it is installed (mediagen[api]); without it `describe` does nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, TypeVar

from rest_framework import serializers

from mediagen import __version__
from mediagen.api.fields import Choice, StrictSerializer
from mediagen.api.problems import CONTENT_TYPE, TYPES
from mediagen.api.schema_extras import OF_EVENTS
from mediagen.api.schema_settings import SETTINGS

T = TypeVar("T", bound=Callable[..., Any])

IS_INSTALLED = find_spec("drf_spectacular") is not None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an address's query, or a header with `where="header"`."""

    name: str
    help: str
    type: Any = str
    """str, int, bool, float, or an OpenAPI schema as a dict"""
    required: bool = False
    enum: tuple[str, ...] = ()
    where: Literal["query", "header"] = "query"


CURSOR = "^M[Q-Za-f][A-Za-z0-9_-]{20}[AEIMQUYcgkosw048]$"
"""what mediagen.api.pagination gives out"""

EVENT: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "id": {"type": "string"},
                "event": {"const": event},
                "data": {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"$ref": f"#/components/schemas/{component}"},
                },
            },
            "required": ["event", "data"],
        }
        for event, component in OF_EVENTS.items()
    ]
}
"""one server-sent event; `data` is JSON"""

PAGING = (
    Parameter("cursor", 'The last page\'s "next" has it. Opaque.', {"type": "string", "pattern": CURSOR}),
    Parameter("page_size", "Rows of a page.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
    Parameter("count", "Also how many there are, 10,000 at most.", {"type": "string", "enum": ["true", "false"]}),
)


KEY = Parameter(
    "Idempotency-Key",
    "The same key with the same body is carried out once in 24 hours.",
    {"type": "string", "minLength": 1, "maxLength": 255},
    where="header",
)
IF_MATCH = Parameter("If-Match", "The ETag of what you read: 412 when it was changed since.", where="header")


class ProblemErrorSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(allow_blank=True)
    detail = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """Problem details (RFC 9457)."""

    type = Choice(choices=TYPES, help_text="Stable: programs may rely on it. There may be more one day.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong, and what to do.")
    field = serializers.CharField(required=False, help_text="The field at fault, where there is one.")
    errors = ProblemErrorSerializer(many=True, required=False)  # type: ignore[assignment]


@cache
def page_of(row: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The serializer of a page of these rows."""
    name = row.__name__.removesuffix("Serializer")
    members = {
        "next": serializers.URLField(allow_null=True, help_text="The next page's address; null on the last one."),
        "count": serializers.IntegerField(required=False, help_text="Of all pages, with count=true; at most 10,000."),
        "results": row(many=True),
        "__doc__": "One page.",
    }
    return type(f"{name}PageSerializer", (serializers.Serializer,), members)


def describe(
    summary: str,
    *,
    responses: Mapping[Any, Any],
    request: Any = None,
    parameters: Sequence[Parameter] = (),
    problems: Iterable[int] = (),
    description: str = "",
    operation_id: str | None = None,
    tags: list[str] | None = None,
) -> Callable[[T], T]:
    """What one method of a view takes and answers.

    `responses`: {200: Serializer, 204: None, (200, "text/event-stream"): str}. `problems`: statuses that only this one
    refuses with; those that all have (400, 401, 403, 404 with an id, 413 and 415 with a body, 429, 503) are added.
    `request`: a serializer, or {"multipart/form-data": Serializer}. The address's query may hold the `parameters` and
    nothing else.
    """
    names = frozenset(one.name for one in parameters if one.where == "query")
    if not IS_INSTALLED:
        return lambda method: _with_names(method, names)
    from drf_spectacular.types import OpenApiTypes
    from drf_spectacular.utils import OpenApiParameter, extend_schema

    answers: dict[Any, Any] = {}
    for key, value in responses.items():
        answers[key] = OpenApiTypes.STR if value is str else OpenApiTypes.BINARY if value is bytes else value
    for status in problems:
        answers[status, CONTENT_TYPE] = ProblemSerializer
    extended = extend_schema(
        operation_id=operation_id,
        summary=summary,
        description=description or None,
        tags=tags,
        request=request,
        responses=answers,
        parameters=[
            OpenApiParameter(one.name, one.type, one.where, one.required, one.help, one.enum or None)
            for one in parameters
        ],
    )

    def on(method: T) -> T:
        # Said here, as it would be extended from what the site's REST_FRAMEWORK names as DEFAULT_SCHEMA_CLASS.
        method.kwargs = {"schema": inspector_class()}  # type: ignore[attr-defined]
        return _with_names(extended(method), names)

    return on


def _with_names(method: T, names: frozenset[str]) -> T:
    method.query_names = names  # type: ignore[attr-defined]
    return method


@cache
def inspector_class() -> Any:
    """What describes our views: drf-spectacular's, or REST framework's own where that is not installed."""
    if not IS_INSTALLED:
        from rest_framework.schemas.inspectors import DefaultSchema

        return DefaultSchema
    from drf_spectacular.openapi import AutoSchema

    class Inspector(AutoSchema):
        def get_auth(self) -> list[Any]:
            return []  # the same for all: see `name_the_bearer`

    return Inspector


_lock = threading.Lock()
_kept: dict[str, Any] = {}


def document() -> dict[str, Any]:
    """The OpenAPI document without `servers`. Made once a process."""
    with _lock:  # the settings of drf-spectacular are the process's: nobody else makes one meanwhile
        if not _kept:
            from drf_spectacular.generators import SchemaGenerator
            from drf_spectacular.settings import patched_settings

            with patched_settings(SETTINGS):
                generator = SchemaGenerator(urlconf="mediagen.api.urls", api_version=__version__)  # type: ignore[no-untyped-call]
                _kept.update(generator.get_schema(request=None, public=True))  # type: ignore[no-untyped-call]
    return dict(_kept)


COMMON = {
    "400": "What was asked cannot be, or cannot be read.",
    "401": "Nobody is signed in.",
    "403": "A right is missing.",
    "429": "Too many requests; Retry-After says when to come again.",
    "503": "Not now; Retry-After says when to come again, where that is known.",
}
WITH_ID = {"404": "It does not exist, or not for whoever asks."}
WITH_BODY = {"413": "The body is too large.", "415": "The body's type is not understood."}


def add_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing: the refusals that every operation may answer with."""
    content = {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in result["paths"].items():
        for operation in operations.values():
            wanted = dict(COMMON)
            if "{" in path:
                wanted |= WITH_ID
            if "requestBody" in operation:
                wanted |= WITH_BODY
            for status, text in wanted.items():
                operation["responses"].setdefault(status, {"content": content, "description": text})
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return result


def name_the_bearer(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing: how to sign in, the same for every operation."""
    result.setdefault("components", {})["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "An API token: mgt_..."},
        "session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "The site's session."},
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["security"] = [{"token": []}, {"session": []}]
    return result


def close_requests(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing: bodies whose serializer refuses unknown names say so."""
    for name in StrictSerializer.names:
        for component in (name, f"{name}Request", f"Patched{name}Request"):
            if (found := result["components"]["schemas"].get(component)) is not None:
                found["additionalProperties"] = False
    return result
