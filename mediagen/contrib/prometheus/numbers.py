"""What this process does, counted: attempts by outcome, their seconds, their cost.

In the default registry of prometheus_client, so that its way for several processes (PROMETHEUS_MULTIPROC_DIR) holds.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Histogram

SECONDS = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900)
LABELS = ("provider", "operation")

attempts = Counter("mediagen_attempts", "Attempts that ended, those that were passed over too.", [*LABELS, "outcome"])
seconds = Histogram("mediagen_attempt_seconds", "How long providers took.", LABELS, buckets=SECONDS)
cost = Counter("mediagen_cost_usd", "USD that providers said they bill.", LABELS)
unpriced = Counter("mediagen_attempts_of_unknown_cost", "Billable attempts that may cost what nobody knows.", LABELS)
dry = Counter("mediagen_attempts_dry", "Attempts that were answered locally, in dry run.", LABELS)


def count(attempt: Any, **_: Any) -> None:
    """Receiver of `attempt_ended`."""
    names = (attempt.provider_name, attempt.operation)
    attempts.labels(*names, attempt.outcome or attempt.state).inc()
    if attempt.dry_run:
        dry.labels(*names).inc()
        return
    if attempt.latency_s is not None:
        seconds.labels(*names).observe(attempt.latency_s)
    if attempt.cost is not None:
        cost.labels(*names).inc(float(attempt.cost))
    elif attempt.billable and attempt.outcome in ("succeeded", "unknown", "bad_response", "error"):
        unpriced.labels(*names).inc()
