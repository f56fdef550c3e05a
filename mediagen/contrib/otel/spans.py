"""The steps of a picture as spans and seconds. What goes wrong here is logged once; pictures are made all the same."""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar, Token
from functools import cache
from types import TracebackType
from typing import Any

from opentelemetry import context, metrics, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from mediagen import __version__
from mediagen.steps import Step

logger = logging.getLogger("mediagen.otel")

NAMES = {
    "picture": "mediagen.picture",
    "chain": "mediagen.chain",
    "storage": "mediagen.storage",
    "database": "mediagen.database",
}
"""of spans; an attempt's is its operation and model, an HTTP request's its method"""
ATTRIBUTES = {
    "method": "http.request.method",
    "host": "server.address",
    "status": "http.response.status_code",
    "provider": "gen_ai.provider.name",
    "operation": "gen_ai.operation.name",
}
"""by fact; the others are mediagen.<fact>"""

current_attempt: ContextVar[Span | None] = ContextVar("mediagen_otel_attempt", default=None)
"""the span of the attempt under way: `telling` completes it"""


class SpanOfStep(Step):
    """A span that is current inside."""

    def __init__(self, name: str, facts: dict[str, Any]) -> None:
        self._name = name
        self._facts = facts
        self._span: Span | None = None
        self._outer: Any = None
        self._attempt: Token[Span | None] | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Step:
        try:
            self._began = time.monotonic()
            kind = SpanKind.CLIENT if self._name in ("attempt", "http") else SpanKind.INTERNAL
            span = trace.get_tracer("mediagen", __version__).start_span(self._title(), kind=kind)
            self._span, self._outer = span, context.attach(trace.set_span_in_context(span))
            if self._name == "attempt":
                self._attempt = current_attempt.set(span)
            self.set(**self._facts)
        except Exception:
            _log_once()
        return self

    def set(self, **facts: Any) -> None:
        try:
            for name, value in facts.items():
                if self._span is not None and value not in (None, ""):
                    self._span.set_attribute(ATTRIBUTES.get(name, f"mediagen.{name}"), value)
        except Exception:
            _log_once()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._attempt is not None:
                current_attempt.reset(self._attempt)
            if self._outer is not None:
                context.detach(self._outer)
            if self._span is not None:
                if kind is not None:  # the class alone: texts may quote what is nobody's business
                    self._span.set_attribute("error.type", kind.__name__)
                    self._span.set_status(Status(StatusCode.ERROR))
                self._span.end()
            _seconds().record(time.monotonic() - self._began, {"mediagen.step": self._name})
        except Exception:
            _log_once()

    def _title(self) -> str:
        if self._name == "attempt":
            return str(self._facts.get("operation", "attempt"))
        return str(self._facts.get("method", "HTTP")) if self._name == "http" else NAMES.get(self._name, self._name)


@cache
def _seconds() -> Any:
    return metrics.get_meter("mediagen", __version__).create_histogram("mediagen.step.duration", unit="s")


@cache
def _log_once() -> None:
    logger.exception("a span could not be made; further ones are not told of")
