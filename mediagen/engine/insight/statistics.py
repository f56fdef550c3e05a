"""Numbers for those who decide: what was spent, what came of it, how long it took. Of real attempts, unless it says
placeholder.

Everything of a period comes from a handful of queries whose answers are small whatever the number of attempts: the
database counts by hour or day, provider and outcome, and puts latencies into classes of three digits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet

from mediagen.engine.insight.buckets import LatencyClass, TimeText, percentile
from mediagen.engine.library import Access, Right, sees_everything
from mediagen.engine.money import BudgetReport, budget_reports
from mediagen.engine.providers import ProviderState, states
from mediagen.errors import InvalidRequest
from mediagen.models import AttemptSum, GenerationAttempt, MediaAsset, ProviderConfig, ReviewStatus
from mediagen.models.clock import db_now
from mediagen.models.costs import NOTHING, Cost, from_row, sums
from mediagen.types import MAKES_PICTURES, AttemptState
from mediagen.wording import say as _

PERIODS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
LONGEST_DAYS = 366
DELIVERED = (AttemptState.SUCCEEDED.value, AttemptState.ADOPTED.value)

# ---------------------------------------------------------------------- the period


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` to before `until`, as the database keeps times. Longer than two days it is looked at by day,
    otherwise by hour; in UTC (with USE_TZ = False: in the site's own time)."""

    name: str
    """"24h", "7d", "30d" or "custom" """
    since: datetime
    until: datetime

    @classmethod
    def named(cls, name: str = "7d") -> Period:
        """The last 24 hours, 7 or 30 days until now. `InvalidRequest` for another name."""
        if name not in PERIODS:
            raise InvalidRequest(
                _(
                    "There is no period %(name)s. There are: %(periods)s.",
                    name=f"{name!r:.40}",
                    periods=", ".join(PERIODS),
                ),
                field="period",
            )
        now = db_now()
        # To the end of this second, so that what has just begun is in it.
        return cls(name, now - PERIODS[name], now + timedelta(seconds=1))

    @classmethod
    def between(cls, first: date | str, last: date | str) -> Period:
        """Whole days, the last one included; dates or "2026-11-22". `InvalidRequest` names `from` or `to`."""
        begin, end = _day(first, "from"), _day(last, "to")
        if end < begin:
            raise InvalidRequest(_("The period ends before it begins. Exchange the two days."), field="to")
        if (end - begin).days >= LONGEST_DAYS:
            raise InvalidRequest(
                _("The period is longer than %(most)s days. Take a part of it.", most=LONGEST_DAYS), field="to"
            )
        return cls("custom", _midnight(begin), _midnight(end + timedelta(days=1)))

    @classmethod
    def asked(cls, name: str = "", first: str = "", last: str = "") -> Period:
        """What a form or an address says: a name, or two days; nothing is the last 7 days."""
        if first or last:
            return cls.between(first or last, last or first)
        return cls.named(name or "7d")

    @property
    def step(self) -> str:
        """ "hour" or "day" """
        return "hour" if self.until - self.since <= timedelta(days=2) else "day"

    def starts(self) -> Iterator[datetime]:
        """When each hour or day of the period begins; the first may have begun before the period."""
        by_hour = self.step == "hour"
        at = self.since.replace(hour=self.since.hour if by_hour else 0, minute=0, second=0, microsecond=0)
        while at < self.until:
            yield at
            at += timedelta(hours=1) if by_hour else timedelta(days=1)


def _day(value: date | str, name: str) -> date:
    if isinstance(value, date):
        return value
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise InvalidRequest(
            _("%(value)s is no day. Write it as 2026-11-22.", value=f"{value!r:.40}"), field=name
        ) from None
    if not 1971 <= found.year <= 9000:
        raise InvalidRequest(_("%(value)s is too far away.", value=f"{value!r:.40}"), field=name)
    return found


def _midnight(day: date) -> datetime:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return at if settings.USE_TZ else at.replace(tzinfo=None)


# ---------------------------------------------------------------------- the numbers


@dataclass(slots=True)
class Figures:
    """What some attempts came to. USD; seconds."""

    asked: int = 0
    """attempts that ended, without those that were skipped"""
    delivered: int = 0
    images: int = 0
    """pictures; exports are delivered too, and are none"""
    placeholders: int = 0
    """pictures of dry runs and stand-ins, in no other number here"""
    under_way: int = 0
    skipped: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """number by outcome class, of those asked"""
    cost: Cost = NOTHING
    unknown: int = 0
    """sent, and no answer came: the picture may be made and billed"""
    of_unknown: Cost = NOTHING
    """the part of `cost` that belongs to them"""
    latencies: Counter[int] = field(default_factory=Counter, repr=False)
    last_delivered_at: datetime | None = None

    @property
    def spent(self) -> Decimal:
        """As the providers or their price tables said."""
        return self.cost.billed

    @property
    def possible(self) -> Decimal:
        """What attempts may have cost that may have been billed, and of which nobody knows it."""
        return self.cost.possible

    @property
    def of_unknown_cost(self) -> int:
        """Those of them whose price is not known: in neither sum."""
        return self.cost.without_price

    @property
    def unknown_cost(self) -> Decimal | None:
        """What the `unknown` ones may have cost; None when a price is not known."""
        return None if self.of_unknown.without_price else self.of_unknown.billed + self.of_unknown.possible

    @property
    def success_rate(self) -> float | None:
        """Delivered of those asked, 0 to 1; None when nobody was asked."""
        return self.delivered / self.asked if self.asked else None

    @property
    def p50_s(self) -> float | None:
        """Half of those that delivered took no longer; to three digits. None when none delivered."""
        return percentile(self.latencies, 0.50)

    @property
    def p95_s(self) -> float | None:
        return percentile(self.latencies, 0.95)

    def add(self, row: Mapping[str, Any], number: int, cost: Cost) -> None:
        """Count a group of attempts that are alike."""
        state, outcome = row["state"], row["outcome"]
        if state == AttemptState.SKIPPED:
            self.skipped += number
            return
        is_picture = state in DELIVERED and row["operation"] in MAKES_PICTURES
        if not row["billable"]:
            self.placeholders += number if is_picture else 0
            return
        self.cost += cost
        if not outcome:
            self.under_way += number
            return
        self.asked += number
        self.outcomes[outcome] += number
        self.delivered += number if state in DELIVERED else 0
        self.images += number if is_picture else 0
        if state == AttemptState.UNKNOWN:
            self.unknown += number
            self.of_unknown += cost


@dataclass(frozen=True, slots=True)
class Slot:
    """One hour or day of a period."""

    starts_at: datetime
    figures: Figures
    providers: Mapping[str, Figures]
    """those that had attempts, by name"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A period at a glance. Only what the person may see is in it."""

    period: Period
    total: Figures
    providers: Mapping[str, Figures]
    """by name, the one with most attempts first"""
    slots: tuple[Slot, ...]
    approved: int
    """pictures asked for in the period that are approved or published now, placeholders left out"""
    cost_per_approved: Decimal | None
    """what was spent in the period, divided by `approved`; None without any"""
    breakers: tuple[ProviderState, ...]
    """providers with a breaker that is not simply closed; empty for those who may not see providers"""
    budgets: tuple[BudgetReport, ...]
    """of libraries, providers and unfinished batches, the one that is used up most first"""


def overview(access: Access | None, period: Period) -> Overview:
    """The period as `access` may see it: None for all. At most 7 queries, whatever the number of attempts;
    one more of times whose rows may have been pruned."""
    attempts = _attempts(access).filter(started_at__gte=period.since, started_at__lt=period.until)
    total, providers, slots = _counted(attempts, period, _sums(access, period))
    approved = _approved(access, period)
    sees_providers = access is None or access.user.has_perm("mediagen.view_providerconfig")
    configs = list(ProviderConfig.objects.in_chain_order()) if sees_providers else []
    return Overview(
        period=period,
        total=total,
        providers=providers,
        slots=slots,
        approved=approved,
        cost_per_approved=total.spent / approved if approved else None,
        breakers=_not_closed(configs) if configs else (),
        budgets=tuple(budget_reports(access, configs)),
    )


def by_provider(windows: Iterable[str] = ("24h", "30d")) -> dict[str, dict[str, Figures]]:
    """{provider name: {window: Figures}} of everything the site did in the last 24 hours, 7 or 30 days. 2 queries."""
    periods = {name: Period.named(name) for name in windows}
    longest = min(period.since for period in periods.values())
    attempts = GenerationAttempt.objects.filter(started_at__gte=longest)
    found: dict[str, dict[str, Figures]] = {}
    within = {name: Q(started_at__gte=period.since) for name, period in periods.items()}
    for row in _grouped(attempts, "provider_name", within=within):
        mine = found.setdefault(row["provider_name"], {name: Figures() for name in within})
        for name, figures in mine.items():
            _add(figures, row, name)
    for row in _latencies(attempts, within):
        for name, figures in found[row["provider_name"]].items():
            figures.latencies[row["latency"]] += row[f"number_{name}"]
    return found


# ---------------------------------------------------------------------- counting


def _attempts(access: Access | None) -> QuerySet[GenerationAttempt]:
    """Attempts of the libraries that may be looked into: where the money was spent, wherever the asset is now."""
    attempts: QuerySet[GenerationAttempt] = _visible(access, GenerationAttempt.objects.all())
    return attempts


def _visible(access: Access | None, rows: Any) -> Any:
    """Rows with a library, of those that may be looked into."""
    if access is None:
        return rows
    if not access.has(Right.READ):
        return rows.none()
    is_bound = access.token is not None and access.token.library_id is not None
    if sees_everything(access.user) and not is_bound:
        return rows
    return rows.filter(access.within(Right.READ))


ALIKE = ("state", "outcome", "operation", "billable")
WHOLE = {"": Q()}


def _grouped(attempts: QuerySet[Any], *keys: str, within: Mapping[str, Q] = WHOLE) -> Any:
    """Rows of `keys` and what makes attempts alike, with number and money for each window."""
    numbers: dict[str, Any] = {}
    for name, window in within.items():
        numbers |= {
            **sums(window, f"{name}_"),
            f"number_{name}": Count("pk", filter=window),
            f"last_{name}": Max("started_at", filter=window),
        }
    return attempts.order_by().values(*keys, *ALIKE).annotate(**numbers)


def _add(figures: Figures, row: Mapping[str, Any], window: str = "") -> None:
    if not (number := row[f"number_{window}"]):
        return
    figures.add(row, number, from_row(row, f"{window}_"))
    if row["state"] in DELIVERED and row["billable"]:
        last = row[f"last_{window}"]
        figures.last_delivered_at = max(last, figures.last_delivered_at or last)


def _latencies(attempts: QuerySet[Any], within: Mapping[str, Q] = WHOLE) -> Any:
    delivered = attempts.filter(state__in=DELIVERED, billable=True, latency_s__isnull=False)
    numbers: dict[str, Any] = {f"number_{name}": Count("pk", filter=window) for name, window in within.items()}
    return delivered.order_by().values("provider_name", latency=LatencyClass("latency_s")).annotate(**numbers)


def _sums(access: Access | None, period: Period) -> Iterable[AttemptSum]:
    """What was pruned of the period, by day of the site. It has no latencies."""
    if period.step == "hour" or period.since > db_now() - timedelta(days=31):
        return ()
    days = AttemptSum.objects.filter(day__gte=period.since.date(), day__lt=period.until.date())
    seen: QuerySet[AttemptSum] = _visible(access, days)
    return seen


def _counted(
    attempts: QuerySet[Any], period: Period, sums: Iterable[AttemptSum] = ()
) -> tuple[Figures, dict[str, Figures], tuple[Slot, ...]]:
    total = Figures()
    providers: dict[str, Figures] = {}
    slots = {_text(at, period): Slot(at, Figures(), {}) for at in period.starts()}
    timed = attempts.annotate(slot=TimeText("started_at", step=period.step))
    for row in _grouped(timed, "slot", "provider_name"):
        name, slot = row["provider_name"], slots[row["slot"]]
        of_slot: dict[str, Figures] = slot.providers  # type: ignore[assignment]
        for figures in (
            total,
            providers.setdefault(name, Figures()),
            slot.figures,
            of_slot.setdefault(name, Figures()),
        ):
            _add(figures, row)
    for pruned in sums:
        name, slot = pruned.provider_name, slots[_text(pruned.day, period)]
        of_slot = slot.providers  # type: ignore[assignment]
        for figures in (
            total,
            providers.setdefault(name, Figures()),
            slot.figures,
            of_slot.setdefault(name, Figures()),
        ):
            figures.add({key: getattr(pruned, key) for key in ALIKE}, pruned.number, Cost(billed=pruned.billed))
    if total.delivered:
        for row in _latencies(attempts):
            for figures in (total, providers[row["provider_name"]]):
                figures.latencies[row["latency"]] += row["number_"]
    ordered = sorted(providers.items(), key=lambda item: (-item[1].asked, -item[1].placeholders, item[0]))
    return total, dict(ordered), tuple(slots.values())


def _text(at: date, period: Period) -> str:
    return f"{at:%Y-%m-%d %H}" if period.step == "hour" else f"{at:%Y-%m-%d}"


def _not_closed(configs: Iterable[ProviderConfig]) -> tuple[ProviderState, ...]:
    """Those with breakers that are open or being tried, and only these: one that failed of late and is closed asks."""
    found = []
    for state in states(configs):
        if circuits := tuple(circuit for circuit in state.circuits if circuit.status != "failing"):
            found.append(replace(state, circuits=circuits))
    return tuple(found)


def _approved(access: Access | None, period: Period) -> int:
    assets = MediaAsset.objects.all() if access is None else access.assets(Right.READ)
    return assets.filter(
        created_at__gte=period.since,
        created_at__lt=period.until,
        status__in=(ReviewStatus.APPROVED, ReviewStatus.PUBLISHED),
        source="generated",
        is_placeholder=False,
    ).count()
