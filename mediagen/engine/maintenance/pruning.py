"""Taking old rows away, so that tables stop growing: attempts, whose money stays in sums, and what is over long ago.

By chunks, each a transaction of its own that adds the sums and takes the rows: it may be stopped anywhere and goes on
with the next run, and budgets, batches, libraries and statistics say the same before, between and after.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from mediagen.engine.money import ledger, prices
from mediagen.errors import InvalidRequest
from mediagen.models import (
    Alert,
    AttemptSum,
    BackgroundJob,
    BatchState,
    GenerationAttempt,
    GenerationState,
    SpendAccount,
    WebhookMessage,
)
from mediagen.models.attempt import IS_OPEN, TO_SETTLE
from mediagen.models.clock import db_now
from mediagen.models.costs import ZERO
from mediagen.models.job import JobState
from mediagen.models.outgoing import MessageState
from mediagen.models.routing import atomic
from mediagen.wording import say as _

FEWEST_DAYS = 62
"""younger attempts are counted one by one: by budgets of a month, by the dashboard, by prices of late"""
CHUNK = 1_000
UNFINISHED = (GenerationState.PENDING, GenerationState.RUNNING, GenerationState.INTERRUPTED)
KEYS = (
    *("library_id", "batch_id", "provider_name", "model_name", "operation", "state", "outcome", "billable"),
    *("started_at", "listed_price", "cost"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """Rows of one table that may go."""

    name: str
    """for people and for --json"""
    rows: Callable[[datetime], QuerySet[Any]]
    """those before a time"""


def old_attempts(before: datetime) -> QuerySet[Any]:
    """Attempts that nobody needs any more: ended, with a cost that is known, of pictures and batches that are done."""
    done = Q(asset__isnull=True) | ~Q(asset__generation_state__in=UNFINISHED)
    over = Q(batch__isnull=True) | Q(batch__state__in=(BatchState.FINISHED, BatchState.CANCELLED))
    ended = GenerationAttempt.objects.filter(started_at__lt=before).exclude(IS_OPEN).exclude(TO_SETTLE)
    return ended.filter(done, over, kept_answer__isnull=True)


def old_messages(before: datetime) -> QuerySet[Any]:
    return WebhookMessage.objects.exclude(state=MessageState.PENDING).filter(created_at__lt=before)


def old_jobs(before: datetime) -> QuerySet[Any]:
    over = BackgroundJob.objects.exclude(state__in=(JobState.PENDING, JobState.RUNNING))
    return over.filter(finished_at__lt=before, file="")  # a file goes first, by `mediagen_maintain`


def old_alerts(before: datetime) -> QuerySet[Any]:
    return Alert.objects.filter(over_at__lt=before)


KINDS = (
    Kind("attempts", old_attempts),
    Kind("messages", old_messages),
    Kind("jobs", old_jobs),
    Kind("alerts", old_alerts),
)


def before(older_than: timedelta) -> datetime:
    """The time that divides. `InvalidRequest` for fewer than 62 days."""
    if older_than < timedelta(days=FEWEST_DAYS):
        raise InvalidRequest(
            _(
                "Rows of the last %(fewest_days)s days stay: budgets and the dashboard count them.",
                fewest_days=FEWEST_DAYS,
            ),
            field="older_than",
        )
    at: datetime = db_now() - older_than
    return at


def counts(at: datetime) -> dict[str, int]:
    """How many rows of each kind could go. Nothing is taken away."""
    return {kind.name: kind.rows(at).count() for kind in KINDS}


def prune_chunk(kind: Kind, at: datetime, after: Any = None, size: int = CHUNK) -> tuple[int, Any]:
    """Take the next rows away; (how many, the key of the last one looked at, None: there is no other).

    `after` is that key of the call before. Safe beside workers and beside another run.
    """
    rows = kind.rows(at).order_by("pk")
    keys = list((rows.filter(pk__gt=after) if after is not None else rows).values_list("pk", flat=True)[:size])
    if not keys:
        return 0, None
    with atomic():
        if kind.name == "attempts":
            return _prune_attempts(keys, at), keys[-1]
        removed = kind.rows(at).filter(pk__in=keys).delete()[1]
        return removed.get(kind.rows(at).model._meta.label, 0), keys[-1]


def _prune_attempts(keys: list[Any], at: datetime) -> int:
    # In the ledger's order: attempts, then accounts. Who adds an account up while its rows become sums waits.
    locked = GenerationAttempt.objects.filter(pk__in=keys).order_by("pk").select_for_update()
    rows = list(locked.values("pk", "library", "batch", "provider_name"))
    still = [row["pk"] for row in rows]
    accounts = SpendAccount.objects.filter(owner__in=_owners(rows)).order_by("pk").select_for_update()
    list(accounts.values_list("pk"))
    # Asked again under the locks: one may have been opened again, or its asset taken up.
    found = list(old_attempts(at).filter(pk__in=still).values("pk", *KEYS))
    going = [row for row in found if not _tells_a_price(row)]
    sums: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, ZERO])
    for row in going:
        day = ledger.day_of(row["started_at"])
        alike = sums[(day, *(row[name] for name in KEYS[:8]))]
        alike[0] += 1
        alike[1] += (row["cost"] or ZERO) if row["billable"] else ZERO
    AttemptSum.objects.bulk_create(
        AttemptSum(
            **dict(zip(("day", *KEYS[:8]), alike, strict=True)),
            number=number,
            billed=billed,
        )
        for alike, (number, billed) in sums.items()
    )
    GenerationAttempt.objects.filter(pk__in=[row["pk"] for row in going]).delete()
    return len(going)


def _owners(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    owners: set[str] = set()
    for row in rows:
        owners.add(f"provider:{row['provider_name']}")
        owners |= {f"{kind}:{row[kind]}" for kind in ("library", "batch") if row[kind]}
    return owners


def _tells_a_price(row: dict[str, Any]) -> bool:
    """Whether budgets hold by it what the next picture of its kind may cost: dearer than listed, and of the latest."""
    listed, cost = row["listed_price"], row["cost"]
    if listed is None or cost is None or cost <= listed:
        return False
    kind = prices.Kind(row["provider_name"], row["operation"], listed)
    newer = kind.attempts.filter(started_at__gt=row["started_at"], state__in=prices.PRICED, cost__isnull=False)
    return bool(newer.count() < prices.LATEST)
