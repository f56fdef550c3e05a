"""Refusals as OpenAI words them: {"error": {"message", "type", "param", "code"}}, with the status that makes its SDKs
raise the right exception.

The SDKs send a refused request again, by themselves, for 408, 409, 429 and 5xx. Where that would buy a second picture,
or be in vain, the header `x-should-retry: false` tells them not to.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import SuspiciousOperation
from rest_framework.response import Response
from rest_framework.views import set_rollback

from mediagen.api import problems
from mediagen.api.problems import Problem, retry_after
from mediagen.engine.money import BudgetUsedUp
from mediagen.errors import GenerationFailed, Outcome, StorageFailed

logger = logging.getLogger("mediagen.api")

INVALID = "invalid_request_error"
SERVER = "server_error"
NO_RETRY = {"x-should-retry": "false"}


@dataclass(eq=False)
class Refusal(Exception):
    """Raise it in a view to answer with it."""

    status: int
    message: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        return Response(self.body, status=self.status, headers=dict(self.headers))


def invalid(message: str, param: str | None, code: str = "invalid_value") -> Refusal:
    return Refusal(400, message, param=param, code=code)


def handle(exc: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to any exception of a view."""
    set_rollback()
    return refusal_of(exc).response()


def refusal_of(exc: BaseException) -> Refusal:
    """What an exception means to a caller; one that nobody foresaw is logged and says nothing of itself."""
    if isinstance(exc, Refusal):
        return exc
    if isinstance(exc, GenerationFailed):
        return _of_generation(exc)
    if isinstance(exc, StorageFailed) and exc.asset is not None:  # bought: to ask again would buy another
        text = f"The picture was made, and the site's storage did not take it: see asset {exc.asset.asset_id}."
        return Refusal(502, text, SERVER, code="generation_failed", headers=NO_RETRY)
    if isinstance(exc, SuspiciousOperation):  # too many files, forms that lie about themselves
        return invalid("The body is no form that is taken here.", None, "malformed")
    problem = problems.problem_of(exc) if isinstance(exc, Exception) else None
    if problem is not None:
        return _of_problem(problem)
    logger.error("the OpenAI-shaped door met %s", type(exc).__name__, exc_info=exc)
    return Refusal(500, "The site made a mistake, and its log has it.", SERVER, code="server_error", headers=NO_RETRY)


OF_KINDS = {
    problems.NOT_SIGNED_IN: (401, INVALID, "invalid_api_key"),
    problems.FORBIDDEN: (403, INVALID, "insufficient_permissions"),
    problems.NOT_FOUND: (404, INVALID, "not_found"),
    problems.THROTTLED: (429, "rate_limit_exceeded", "rate_limit_exceeded"),
    problems.BUDGET_USED_UP: (429, "insufficient_quota", "insufficient_quota"),
    problems.COOLING_DOWN: (503, SERVER, "providers_cooling_down"),
    problems.KEY_REUSED: (409, INVALID, "idempotency_key_reused"),
}


def _of_problem(problem: Problem) -> Refusal:
    kind = problem.kind
    status, type_, code = OF_KINDS.get(kind, (kind.status, SERVER if kind.status >= 500 else INVALID, kind.code))
    headers = dict(problem.headers)
    if status in (409, 500) or kind is problems.BUDGET_USED_UP:
        headers |= NO_RETRY
    return Refusal(status, problem.detail, type_, problem.field, code, headers)


def _of_generation(exc: GenerationFailed) -> Refusal:
    """By what every provider said. Only what is sure to have bought nothing may be sent again without thinking."""
    text = str(exc)
    outcomes = {attempt.outcome for attempt in exc.attempts} - {Outcome.SKIPPED, None}
    if isinstance(exc.vetoed, BudgetUsedUp):
        return Refusal(429, str(exc.vetoed), "insufficient_quota", code="insufficient_quota", headers=NO_RETRY)
    if Outcome.REFUSED in outcomes:
        return Refusal(400, text, "image_generation_user_error", code="moderation_blocked")
    if outcomes == {Outcome.UNSUPPORTED}:
        return invalid(text, None, "unsupported_value")
    if outcomes <= {Outcome.RATE_LIMITED, Outcome.UNAVAILABLE} and exc.retry_after_s is not None:
        return Refusal(503, text, SERVER, code="providers_cooling_down", headers=retry_after(exc.retry_after_s))
    return Refusal(502, text, SERVER, code="generation_failed", headers=NO_RETRY)
