"""Every refusal of the API in one form: problem details (RFC 9457), with a `type` that programs may rely on."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404
from django.utils.translation import gettext, gettext_noop
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from mediagen.engine.database import may_pass
from mediagen.errors import (
    BudgetTooSmall,
    ComeLater,
    ConfigurationError,
    Conflict,
    InvalidRequest,
    KeyReused,
    MediagenError,
    NotAllowed,
    NotAPicture,
    ProvidersCoolingDown,
    StorageFailed,
)
from mediagen.wording import say as _
from mediagen.wording import translated

logger = logging.getLogger("mediagen.api")

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. `code` is for programs and never changes; `title`, in English, is that of all of a kind."""

    code: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"urn:mediagen:problem:{self.code}"


INVALID = Kind("invalid", 400, gettext_noop("The request asks for something that cannot be."))
MALFORMED = Kind("malformed", 400, gettext_noop("The request cannot be read."))
BAD_CURSOR = Kind("malformed-cursor", 400, gettext_noop("The cursor is none of ours."))
NOT_SIGNED_IN = Kind("not-signed-in", 401, gettext_noop("Sign in first."))
BUDGET_USED_UP = Kind("budget-used-up", 402, gettext_noop("The budget does not leave what this may cost."))
FORBIDDEN = Kind("forbidden", 403, gettext_noop("You may not do this."))
NOT_FOUND = Kind("not-found", 404, gettext_noop("There is no such thing, or not for you."))
METHOD = Kind("method-not-allowed", 405, gettext_noop("This address does not take this method."))
CONFLICT = Kind("conflict", 409, gettext_noop("The state of things does not allow it now."))
IN_USE = Kind("asset-in-use", 409, gettext_noop("The asset is in use."))
LINK_REFUSED = Kind("link-refused", 403, gettext_noop("This address gives no file."))
KEY_REUSED = Kind("idempotency-key-reused", 409, gettext_noop("The Idempotency-Key came with another request before."))
OUTDATED = Kind("outdated", 412, gettext_noop("It was changed since you read it."))
TOO_LARGE = Kind("too-large", 413, gettext_noop("The request is too large."))
MEDIA_TYPE = Kind("unsupported-media-type", 415, gettext_noop("The body's type is not understood here."))
NOT_A_PICTURE = Kind("not-a-picture", 415, gettext_noop("The file is no picture that is taken."))
NOT_DELIVERED = Kind("not-delivered", 502, gettext_noop("The other service has not delivered."))
THROTTLED = Kind("throttled", 429, gettext_noop("Too many requests."))
COOLING_DOWN = Kind("providers-cooling-down", 503, gettext_noop("Every provider is cooling down."))
UNAVAILABLE = Kind("unavailable", 503, gettext_noop("The site cannot do this at the moment."))
MISCONFIGURED = Kind("misconfigured", 503, gettext_noop("The site's settings keep this from working."))

KINDS: tuple[Kind, ...] = tuple(value for value in globals().values() if isinstance(value, Kind))
"""all there are; docs/api.md lists them"""
TYPES: tuple[str, ...] = tuple(kind.type for kind in KINDS)


@dataclass(eq=False)
class Problem(Exception):
    """Raise it in a view to answer with it. `detail` says what is wrong and what to do."""

    kind: Kind
    detail: str
    field: str | None = None
    errors: Sequence[Mapping[str, str]] = ()
    """several at once: [{"field": ..., "detail": ...}]"""
    headers: Mapping[str, str] = member(default_factory=dict)
    extra: Mapping[str, Any] = member(default_factory=dict)
    """further members of the answer"""

    def __str__(self) -> str:
        return self.detail

    def response(self) -> Response:
        body: dict[str, Any] = {
            "type": self.kind.type,
            "title": gettext(self.kind.title),
            "status": self.kind.status,
            "detail": translated(self.detail),
        }
        if self.field:
            body["field"] = self.field
        if self.errors:
            body["errors"] = [dict(error) for error in self.errors]
        return Response(
            {**body, **self.extra}, status=self.kind.status, headers=dict(self.headers), content_type=CONTENT_TYPE
        )


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says in whole seconds when to come again."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def handle(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """The answer to an exception of a view; None for one that nobody foresaw, which is Django's to report."""
    problem = problem_of(exc)
    if problem is None:
        return None
    set_rollback()
    return problem.response()


def problem_of(exc: Exception) -> Problem | None:
    """The problem that an exception means; None for a bug."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, exceptions.APIException):
        return _of_rest_framework(exc)
    if isinstance(exc, Http404):
        return not_found()
    if isinstance(exc, PermissionDenied):
        return Problem(FORBIDDEN, translated(exc) or gettext(FORBIDDEN.title))
    if isinstance(exc, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        return Problem(
            TOO_LARGE, _("The body is larger, or has more fields or files, than this site takes. Send less.")
        )
    if isinstance(exc, SuspiciousOperation):  # forms that lie about themselves
        return Problem(MALFORMED, _("The request is none that is taken here."))
    if isinstance(exc, ModelValidationError):
        return Problem(INVALID, " ".join(exc.messages))
    if isinstance(exc, MediagenError):
        return _of_mediagen(exc)
    if isinstance(exc, OperationalError | InterfaceError):
        logger.error("the database is away (%s)", type(exc).__name__, exc_info=exc)
        if not may_pass(exc):  # a table is missing, say
            return Problem(MISCONFIGURED, _("The site's database cannot do this; its log says why. Tell who runs it."))
        return Problem(UNAVAILABLE, _("The database does not answer. Try again in a moment."), headers=retry_after(2))
    return None


def not_found() -> Problem:
    """What one may not see and what does not exist: no word differs."""
    return Problem(NOT_FOUND, _("Nothing with this address exists for you. Check it, and what you may see."))


def _of_mediagen(exc: MediagenError) -> Problem | None:
    if isinstance(exc, ComeLater):
        return Problem(THROTTLED, translated(exc), headers=retry_after(exc.retry_after_s))
    if isinstance(exc, InvalidRequest):
        return Problem(INVALID, translated(exc), field=exc.field)
    if isinstance(exc, NotAllowed):
        return Problem(FORBIDDEN, translated(exc))
    if isinstance(exc, KeyReused):
        return Problem(KEY_REUSED, translated(exc), field="Idempotency-Key")
    if isinstance(exc, Conflict):
        return Problem(CONFLICT, translated(exc))
    if isinstance(exc, BudgetTooSmall):
        return Problem(BUDGET_USED_UP, translated(exc))
    if isinstance(exc, ProvidersCoolingDown):
        return Problem(COOLING_DOWN, translated(exc), headers=retry_after(exc.retry_after_s))
    if isinstance(exc, NotAPicture):
        return Problem(NOT_A_PICTURE, translated(exc), field="file")
    if isinstance(exc, ConfigurationError):
        logger.error("%s", exc)
        return Problem(MISCONFIGURED, _("A setting of this site cannot work; its log says which. Tell who runs it."))
    if isinstance(exc, StorageFailed):
        return Problem(
            UNAVAILABLE, _("The site's storage does not take files. Try again later."), headers=retry_after(30)
        )
    return None


def _of_rest_framework(exc: exceptions.APIException) -> Problem:
    headers = {}
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if isinstance(exc, exceptions.ValidationError):
        return invalid(exc.detail)
    detail = str(exc.detail)
    if isinstance(exc, exceptions.Throttled):
        wait_s: float = getattr(exc, "wait", None) or 1.0
        return Problem(
            THROTTLED,
            _("More requests than this site takes from you. Come again in %(ceil)s s.", ceil=math.ceil(wait_s)),
            headers=retry_after(wait_s),
        )
    if isinstance(exc, exceptions.MethodNotAllowed):
        return Problem(METHOD, _("%(detail)s The Allow header says which ones are taken.", detail=detail))
    kinds: dict[int, Kind] = {401: NOT_SIGNED_IN, 403: FORBIDDEN, 404: NOT_FOUND, 415: MEDIA_TYPE}
    if exc.status_code == 404:
        return not_found()
    return Problem(kinds.get(exc.status_code, MALFORMED), detail, headers=headers)


def invalid(detail: Any) -> Problem:
    """All that a serializer found wrong: the first as the problem's own field, and every one in `errors`."""
    errors = [{"field": path, "detail": text} for path, text in _flat(detail, "")]
    first = errors[0] if errors else {"field": "", "detail": gettext(INVALID.title)}
    words = f"{first['field']}: {first['detail']}" if first["field"] else first["detail"]
    return Problem(INVALID, words, field=first["field"] or None, errors=errors)


def _flat(detail: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flat(inner, path if name == "non_field_errors" else f"{path}.{name}".strip("."))
    elif isinstance(detail, list | tuple):
        for number, inner in enumerate(detail):
            yield from _flat(inner, f"{path}.{number}" if isinstance(inner, Mapping | list) else path)
    else:
        yield path, str(detail)
