"""Money in the engine: held before a request leaves, settled when its end is known, in the attempt's transaction.

What may have been bought counts as bought: an unknown outcome keeps what was held for it.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from weakref import WeakSet

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone

from mediagen.errors import AttemptVetoed, Outcome
from mediagen.models import BudgetPeriod, GenerationAttempt, SpendAccount
from mediagen.models.clock import db_now
from mediagen.models.ledger import SumOfMoney
from mediagen.models.routing import atomic
from mediagen.types import AttemptState

ZERO = Decimal(0)
# Rows of this process for which something is or was held; the others need no look into the table.
_HOLDING: WeakSet[GenerationAttempt] = WeakSet()


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit that an attempt must keep within. `owner` is batch:<id>, library:<id> or provider:<name>."""

    owner: str
    limit: Decimal
    period: str = BudgetPeriod.TOTAL
    what_to_do: str = ""
    follows_account: bool = False
    """whoever changes the limit writes it to the account too, so `limit` may be older than what stands there"""

    def period_key(self, now: datetime) -> str:
        """ "2026-11-22", "2026-11" or "", in the site's time zone."""
        day = _at_the_site(now)
        return {BudgetPeriod.DAY.value: f"{day:%Y-%m-%d}", BudgetPeriod.MONTH.value: f"{day:%Y-%m}"}.get(
            self.period, ""
        )

    def since(self, now: datetime) -> datetime | None:
        """When its present period began, as the database keeps times; None for all time."""
        first = _at_the_site(now).date()
        if self.period == BudgetPeriod.MONTH:
            first = first.replace(day=1)
        return None if self.period == BudgetPeriod.TOTAL else _midnight(first)

    def next_begins(self, now: datetime) -> datetime | None:
        """When its next period begins, as `since`."""
        first = _at_the_site(now).date()
        if self.period == BudgetPeriod.MONTH:
            first = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        return None if self.period == BudgetPeriod.TOTAL else _midnight(first + timedelta(days=1))

    def renewal(self, now: datetime) -> str:
        """For people: " The next day begins at 2026-11-29 00:00 (Asia/Tokyo)."; "" for all time."""
        at = self.next_begins(now)
        if at is None:
            return ""
        return f" The next {self.period} begins at {_at_the_site(at):%Y-%m-%d %H:%M} ({settings.TIME_ZONE})."


def _at_the_site(at: datetime) -> datetime:
    """In TIME_ZONE, whatever zone is active for the person who looks. A naive time is the site's already."""
    return at if timezone.is_naive(at) else at.astimezone(timezone.get_default_timezone())


def _midnight(day: date) -> datetime:
    at = datetime(day.year, day.month, day.day)
    return at.replace(tzinfo=timezone.get_default_timezone()) if settings.USE_TZ else at


class BudgetUsedUp(AttemptVetoed):
    """A budget does not leave what the attempt may cost. Nothing was sent.

    `may_pass` is True when it is held for requests under way, which may turn out to cost less.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


def hold(row: GenerationAttempt, budgets: list[Budget], price: Decimal | None) -> None:
    """Reserve what the attempt may cost in every account, all or nothing, and note it on the row.

    `BudgetUsedUp` when one does not leave so much, or when a limit is set and the price is not known: a limit that
    rests on a guess would be none. Inside the caller's transaction, in which the row is written.
    """
    row.cost_held = price
    if not budgets:
        return
    if price is None:
        raise BudgetUsedUp(
            f"the price of {row.provider_name} {row.model_name} is not known, and {budgets[0].owner} has a limit. "
            f"Set it in the prices of ProviderConfig '{row.provider_name}'."
        )
    accounts = []
    for budget in sorted(budgets, key=lambda budget: budget.owner):  # always in one order: no two wait for each other
        account = open_account(budget)
        if not SpendAccount.objects.hold(account.pk, price):
            account.refresh_from_db()
            limit = account.limit if account.limit is not None else budget.limit
            raise BudgetUsedUp(
                f"{budget.owner} has {usd(account.left)} left of {usd(limit)}, and {row.provider_name} may cost "
                f"{usd(price)}.{budget.renewal(db_now())}{budget.what_to_do}",
                may_pass=account.spent + price <= limit,
            )
        accounts.append(account.pk)
    row.accounts = accounts
    _HOLDING.add(row)


def hold_more(row: GenerationAttempt, cost: Decimal) -> Decimal:
    """Raise what is held for an attempt to the price that the provider has named; what is held now. It is bought
    already: there is no asking whether the limit leaves so much."""
    held = GenerationAttempt.objects.filter(pk=row.pk).values_list("cost_held", flat=True).first() or ZERO
    if cost > held:
        for account in row.accounts:
            SpendAccount.objects.settle(account, held=held - cost, spent=ZERO)
    row.cost_held = max(held, cost)
    return row.cost_held


def usd(amount: Decimal | None) -> str:
    return f"${(amount or ZERO).normalize():f}"


def settle(row: GenerationAttempt) -> None:
    """Book what the attempt did cost, and write on the row that nothing is held for it any more.

    Inside the transaction that writes the row. The table is asked what is held, not the object: after a roll-back
    the same call does the same again.
    """
    if not row.accounts and row not in _HOLDING:
        return
    _HOLDING.add(row)
    held_in = GenerationAttempt.objects.filter(pk=row.pk).values_list("accounts", flat=True).first() or []
    row.accounts = []
    held, spent = row.cost_held or ZERO, spent_by(row)
    for account in sorted(held_in):
        SpendAccount.objects.settle(account, held=held, spent=spent)


def spent_by(row: GenerationAttempt) -> Decimal:
    """USD an ended attempt counts for in a budget."""
    if row.cost is not None:
        return row.cost
    billed = (AttemptState.SUCCEEDED, AttemptState.ADOPTED, AttemptState.UNKNOWN)
    answered_badly = row.outcome in (Outcome.BAD_RESPONSE, Outcome.ERROR)
    return row.cost_held or ZERO if row.state in billed or answered_badly else ZERO


def left_of(budget: Budget) -> Decimal:
    """USD that the budget leaves in its present period. Writes nothing: for people who want to know beforehand."""
    now = db_now()
    account = SpendAccount.objects.filter(owner=budget.owner, period=budget.period_key(now)).first()
    taken = spent_so_far(budget, now) if account is None else account.spent + account.held
    return max(ZERO, budget.limit - taken)


def open_account(budget: Budget) -> SpendAccount:
    """The account of this budget's present period, with its present limit. New ones begin with what the attempts of
    the period have cost so far."""
    now = db_now()
    key = budget.period_key(now)
    account = SpendAccount.objects.filter(owner=budget.owner, period=key).first()
    if account is None:
        spent = spent_so_far(budget, now)
        try:
            with atomic():
                account = SpendAccount.objects.create(owner=budget.owner, period=key, limit=budget.limit, spent=spent)
        except IntegrityError:
            account = SpendAccount.objects.get(owner=budget.owner, period=key)
    if account.limit != budget.limit and not budget.follows_account:
        SpendAccount.objects.filter(pk=account.pk).update(limit=budget.limit)
    return account


def spent_so_far(budget: Budget, now: datetime) -> Decimal:
    """USD of the attempts of the period; those under way and the unknown ones with what they may cost."""
    kind, _, owner = budget.owner.partition(":")
    whose: dict[str, dict[str, Any]] = {
        "library": {"library": owner},
        "provider": {"provider_name": owner},
        "batch": {"asset__batch": owner},
    }
    since = budget.since(now)
    attempts = GenerationAttempt.objects.filter(**whose[kind], billable=True)
    if since is not None:
        attempts = attempts.filter(started_at__gte=since)
    return spending(attempts)


BILLED = Q(state__in=(AttemptState.SUCCEEDED, AttemptState.ADOPTED, AttemptState.UNKNOWN)) | Q(
    outcome__in=(Outcome.BAD_RESPONSE, Outcome.ERROR)
)


def spending(attempts: Any) -> Decimal:
    """USD of a QuerySet of attempts: what each did cost, else what it may (have) cost. As `spent_by`, in SQL."""
    may_be_billed = BILLED | Q(state__in=(AttemptState.PLANNED, AttemptState.SUBMITTED))
    sums = attempts.aggregate(
        known=SumOfMoney("cost"), held=SumOfMoney("cost_held", filter=may_be_billed & Q(cost__isnull=True))
    )
    return (sums["known"] or ZERO) + (sums["held"] or ZERO)
