"""Budgets as people want to see them: what is spent of each limit, what is held for requests under way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import CharField, DecimalField, F, Value
from django.db.models.functions import Cast

import mediagen.engine.money.ledger as ledger
from mediagen.engine.library import Access, Right
from mediagen.engine.money.ledger import Budget
from mediagen.models import (
    BudgetPeriod,
    GenerationAttempt,
    GenerationBatch,
    MediaLibrary,
    ProviderConfig,
    SpendAccount,
    costs,
)
from mediagen.models.clock import db_now

MOST = 100
"""budgets of one kind that are reported"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetReport:
    """One limit in its present period, USD."""

    kind: str
    """"library", "provider" or "batch" """
    key: str
    """id of the library or batch, name of the provider"""
    name: str
    period: str
    """"day", "month" or "total" """
    limit: Decimal
    spent: Decimal
    held: Decimal
    """for requests under way"""
    warning: Decimal | None

    @property
    def left(self) -> Decimal:
        return max(Decimal(0), self.limit - self.spent - self.held)

    @property
    def share(self) -> float:
        """What is spent and held of the limit; 1 is all of it, more is possible."""
        return float((self.spent + self.held) / self.limit) if self.limit else 1.0

    @property
    def is_used_up(self) -> bool:
        return self.left <= 0

    @property
    def warns(self) -> bool:
        """Whether the amount that its owner named is reached."""
        return self.warning is not None and self.spent + self.held >= self.warning


def budget_reports(access: Access | None, configs: Iterable[ProviderConfig] = ()) -> list[BudgetReport]:
    """Limits of the libraries and unfinished batches that may be seen, and of these providers; the one that is used
    up most first. Two queries, and one more for each kind and period of those that have no account open yet."""
    now = db_now()
    owners = [*_libraries_and_batches(access), *map(_of_provider, configs)]
    accounts = _accounts(owners, now)
    owners = [owner for owner in owners if owner.is_limited]
    # A batch of which nothing was asked yet has no account, and no report.
    anew = [owner.budget for owner in owners if owner.account(now) not in accounts and owner.kind != "batch"]
    spent = ledger.spent_so_far_by_owner(anew, now)
    reports = [_report(owner, accounts.get(owner.account(now)), spent) for owner in owners]
    found = [report for report in reports if report is not None]
    return sorted(found, key=lambda report: (-report.share, report.kind, report.name))


class _Owner(NamedTuple):
    kind: str
    key: str
    name: str
    limit: Decimal | None
    period: str
    warning: Decimal | None

    @property
    def budget(self) -> Budget:
        return Budget(f"{self.kind}:{self.key}", self.limit or Decimal(0), self.period)

    @property
    def is_limited(self) -> bool:
        return self.limit is not None or self.kind == "batch"

    def account(self, now: datetime) -> tuple[str, str]:
        """(owner, period) of its account."""
        return self.budget.owner, self.budget.period_key(now)


def _of_provider(config: ProviderConfig) -> _Owner:
    period = config.budget_period
    return _Owner("provider", config.name, config.name, config.budget_limit, period, config.budget_warning)


def _libraries_and_batches(access: Access | None) -> list[_Owner]:
    """Of both in one query. What a batch may spend stands in its account."""
    libraries: Any = MediaLibrary.objects if access is None else access.libraries(Right.READ)
    batches: Any = GenerationBatch.objects if access is None else GenerationBatch.objects.visible_to(access.user)
    columns = ("kind", "id", "name", "maximum", "period", "warning")
    nothing = Cast(Value(None), DecimalField(max_digits=12, decimal_places=4))
    of_libraries = libraries.filter(budget_limit__isnull=False).order_by()
    of_libraries = of_libraries.annotate(
        kind=_text("library"), maximum=F("budget_limit"), period=F("budget_period"), warning=F("budget_warning")
    )
    of_batches = batches.unfinished().filter(options__has_key="max_cost").order_by()
    of_batches = of_batches.annotate(
        kind=_text("batch"), maximum=nothing, period=_text(BudgetPeriod.TOTAL.value), warning=nothing
    )
    rows = of_libraries.values_list(*columns).union(of_batches.values_list(*columns), all=True)[:MOST]
    return [_Owner(kind, str(key), *rest) for kind, key, *rest in rows]


def _text(value: str) -> Value:
    return Value(value, output_field=CharField())


def _accounts(owners: Iterable[_Owner], now: datetime) -> dict[tuple[str, str], SpendAccount]:
    wanted = {owner.account(now) for owner in owners if owner.is_limited}
    if not wanted:
        return {}
    rows = SpendAccount.objects.filter(
        owner__in={owner for owner, _ in wanted}, period__in={period for _, period in wanted}
    )
    return {(row.owner, row.period): row for row in rows}


def _report(owner: _Owner, account: SpendAccount | None, so_far: Mapping[str, Decimal]) -> BudgetReport | None:
    limit = owner.limit
    if owner.kind == "batch":
        limit = account.limit if account else None
    if limit is None:
        return None  # a batch of which nothing was asked yet
    spent = account.spent if account else so_far[owner.budget.owner]
    return BudgetReport(
        kind=owner.kind,
        key=owner.key,
        name=owner.name,
        period=owner.period,
        limit=limit,
        spent=max(Decimal(0), spent),
        held=max(Decimal(0), account.held) if account else Decimal(0),
        warning=owner.warning,
    )


def spent_this_month(libraries: Iterable[MediaLibrary]) -> dict[UUID, Decimal]:
    """{library id: USD} of the attempts since the first of this month (the site's), those under way and of unknown
    outcome with what they may cost; as the ledger counts. One query for any number of libraries."""
    ids = [library.pk for library in libraries]
    since = Budget("", costs.ZERO, BudgetPeriod.MONTH).since(db_now())
    found = costs.costs_by("library", GenerationAttempt.objects.filter(library__in=ids, started_at__gte=since))
    return {pk: found[pk].counts if pk in found else costs.ZERO for pk in ids}
