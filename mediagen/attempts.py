"""One provider asked once: what is known of it. The words that both errors and types need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


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
    SETTLED = "settled"
    """it was unknown, and a person has said what it cost"""


@dataclass(frozen=True, slots=True)
class ProviderJob:
    """A job that a provider runs for us: bought, and to be fetched by this, also by another process."""

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    """what the adapter needs to find it again, JSON-able (BFL's regional polling_url); never a credential"""
    cost: Decimal | None = None
    """USD, when the provider names its price at submission"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider has answered with a 2xx, as it came."""

    content: bytes | bytearray
    content_type: str = ""


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
    purchase_key: str = ""
    """a UUID, made before the request leaves and stored with the attempt; "" for what costs nothing. A service that
    knows idempotency keys is sent it, and asked again with the same one when its answer is lost"""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    latency_s: float | None = None
    interrupted: bool = False
    """its caller went away while the provider was being asked: the end says nothing about the provider"""
    answer: Answer | None = None
    """what came and could not be used, although it may be paid for; for the recorder, and gone when that has it"""
    row: Any = None
    """whatever the recorder wants to remember it by"""

    @property
    def provider_job_id(self) -> str:
        return self.job.id if self.job else ""
