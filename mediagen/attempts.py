"""One provider asked once: what is known of it. The words that both errors and types need."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

logger = logging.getLogger("mediagen")

COSTS_LESS_THAN = 1_000_000
"""USD a picture; what the columns hold"""


def usd(value: Any) -> Decimal | None:
    """A sum as other people's adapters give it ("0.04", 0.04, 1) as it is written, exactly; ValueError for what is
    none, or less than nothing."""
    if value is None:
        return None
    try:
        found = Decimal(-1) if isinstance(value, bool) else value if isinstance(value, Decimal) else Decimal(str(value))
    except ArithmeticError:
        found = Decimal(-1)
    if not found.is_finite() or not 0 <= found < COSTS_LESS_THAN:
        raise ValueError(f"cost must be USD, 0 or more, or None when it is not known; not {value!r:.40}.")
    return found


def usd_if_it_is(value: Any, whose: str) -> Decimal | None:
    """As `usd`, where something may be paid for already: what is no sum is told in the log, and is not known."""
    try:
        return usd(value)
    except ValueError as exc:
        logger.error("%s: %s It counts as not known.", whose, exc)
        return None


class Outcome(StrEnum):
    """How one attempt ended. Stored in `GenerationAttempt.outcome`."""

    SUCCEEDED = "succeeded"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    RATE_LIMITED = "rate_limited"
    MISCONFIGURED = "misconfigured"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"
    BAD_RESPONSE = "bad_response"
    SKIPPED = "skipped"
    ERROR = "error"


class AttemptState(StrEnum):
    """Where an attempt stands. Stored in `GenerationAttempt.state`."""

    PLANNED = "planned"
    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"
    ADOPTED = "adopted"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ProviderJob:
    """A job that a provider runs for us: bought, and to be fetched by this, also by another process."""

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    """what the adapter needs to find it again, JSON-able (BFL's regional polling_url); never a credential"""
    cost: Decimal | None = None
    """USD, when the provider names its price at submission"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cost", usd_if_it_is(self.cost, f"job {self.id}"))


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One provider asked once for one thing. The chain fills it in, a recorder keeps it."""

    provider_name: str
    model_name: str = ""
    operation: str
    position: int
    """1 for the first attempt of this execution; retries and skips count too"""
    dry_run: bool = False
    billable: bool = True
    """False when asking costs nothing and leaves nothing behind (dry run, placeholder)"""
    state: AttemptState = AttemptState.PLANNED
    outcome: Outcome | None = None
    http_status: int | None = None
    message: str = ""
    """scrubbed of secrets"""
    job: ProviderJob | None = None
    cost: Decimal | None = None
    """USD; None when unknown"""
    price: Decimal | None = None
    """USD it may cost at most, as far as the price table knows; None when it does not"""
    request_digest: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    latency_s: float | None = None
    interrupted: bool = False
    """its caller went away while the provider was being asked: the end says nothing about the provider"""
    row: Any = None
    """whatever the recorder wants to remember it by"""

    @property
    def provider_job_id(self) -> str:
        return self.job.id if self.job else ""
