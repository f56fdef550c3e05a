"""An attempt as a span and as numbers, by the gen_ai conventions where they fit. Never a key; a prompt only where
MEDIAGEN["OTEL_PROMPTS"] says so."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from mediagen import __version__, conf
from mediagen.contrib.otel import spans
from mediagen.models.clock import from_db

WELL = ("succeeded", "skipped")


def tell(attempt: Any, asset: Any, **_: Any) -> None:
    """Receiver of `attempt_ended`. What was passed over is counted, and has no span."""
    names = {"gen_ai.provider.name": attempt.provider_name, "gen_ai.operation.name": attempt.operation}
    outcome = attempt.outcome or attempt.state
    attempts, cost, duration = _instruments()
    attempts.add(1, {**names, "mediagen.outcome": outcome})
    if attempt.outcome == "skipped":
        return
    if attempt.cost is not None:
        cost.add(float(attempt.cost), names)
    if attempt.latency_s is not None:
        duration.record(attempt.latency_s, {**names, "gen_ai.request.model": attempt.model_name})
    _span(attempt, asset, names, outcome)


@cache
def _instruments() -> tuple[Any, Any, Any]:
    meter = metrics.get_meter("mediagen", __version__)
    return (
        meter.create_counter("mediagen.attempts", unit="{attempt}"),
        meter.create_counter("mediagen.cost", unit="{USD}"),
        meter.create_histogram("gen_ai.client.operation.duration", unit="s"),
    )


def _span(attempt: Any, asset: Any, names: dict[str, str], outcome: str) -> None:
    """Completes the span of the attempt under way; of one that was found later, as after a kill, makes it."""
    title = f"{attempt.operation} {attempt.model_name}".strip()
    under_way = spans.current_attempt.get()
    if under_way is not None:
        under_way.update_name(title)
        _complete(under_way, attempt, asset, names, outcome)
        return
    tracer = trace.get_tracer("mediagen", __version__)
    span = tracer.start_span(title, kind=SpanKind.CLIENT, start_time=_nanoseconds(attempt.started_at))
    _complete(span, attempt, asset, names, outcome)
    span.end(_nanoseconds(attempt.finished_at))


def _complete(span: trace.Span, attempt: Any, asset: Any, names: dict[str, str], outcome: str) -> None:
    span.set_attributes({**names, **_attributes(attempt, asset, outcome)})
    if outcome not in WELL:
        span.set_attribute("error.type", outcome)
        span.set_status(Status(StatusCode.ERROR, attempt.message))


def _attributes(attempt: Any, asset: Any, outcome: str) -> dict[str, Any]:
    found = {
        "gen_ai.request.model": attempt.model_name,
        "gen_ai.output.type": "image",
        "gen_ai.response.id": attempt.provider_job_id,
        "http.response.status_code": attempt.http_status,
        "mediagen.attempt.id": str(attempt.pk),
        "mediagen.asset.id": str(asset.pk),
        "mediagen.batch.id": str(asset.batch_id) if asset.batch_id else None,
        "mediagen.position": attempt.position,
        "mediagen.outcome": outcome,
        "mediagen.dry_run": attempt.dry_run,
        "mediagen.cost_usd": None if attempt.cost is None else float(attempt.cost),
        "mediagen.prompt": asset.prompt if conf.get("OTEL_PROMPTS") else None,
    }
    return {name: value for name, value in found.items() if value not in (None, "")}


def _nanoseconds(at: datetime | None) -> int | None:
    aware = from_db(at)
    return None if aware is None else int(aware.timestamp() * 1_000_000_000)
