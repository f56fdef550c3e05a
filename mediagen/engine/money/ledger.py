"""Money in the engine: held before a request leaves, booked when its end is known, in the attempt's transaction.

What may have been bought counts as bought: an unknown outcome keeps what was held for it. An attempt remembers in which
accounts it counts and for how much, so that they follow when more is known of it, however late.
"""

from __future__ import annotations

import calendar
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q, QuerySet
from django.utils import timezone

import mediagen.engine.money.prices as prices
from mediagen.errors import AttemptVetoed
from mediagen.models import AttemptSum, BudgetPeriod, GenerationAttempt, GenerationBatch, SpendAccount
from mediagen.models.attempt import IS_OPEN, UNDER_WAY
from mediagen.models.clock import db_now
from mediagen.models.costs import ZERO, Cost, from_row, sums, usd
from mediagen.models.ledger import LAST_DIGIT, SumOfMoney
from mediagen.models.routing import atomic

logger = logging.getLogger("mediagen.engine")


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit that an attempt must keep within. `owner` is batch:<id>, library:<id> or provider:<name>."""

    owner: str
    limit: Decimal
    period: str = BudgetPeriod.TOTAL
    what_to_do: str = ""
    label: str = ""
    """what people call its owner: "library 'Spring'" """
    follows_account: bool = False
    """whoever changes the limit writes it to the account too, so `limit` may be older than what stands there"""

    @property
    def whose(self) -> str:
        return self.label or self.owner

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


def day_of(at: datetime) -> date:
    """The day to which budgets count what began then."""
    return _at_the_site(at).date()


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


class PriceUnknown(BudgetUsedUp):
    """There is a limit, and what the attempt may cost is not known. That a budget is used up is said before this."""

    weight = 0


def hold(row: GenerationAttempt, budgets: list[Budget], price: Decimal | None) -> None:
    """Reserve what the attempt may cost in every account, all or nothing, and note it on the row: the price, or more
    when the latest pictures of this kind cost more.

    `BudgetUsedUp` when one does not leave so much; `PriceUnknown` when they leave something and the price is not known:
    a limit that rests on a guess would be none. Inside the caller's transaction, in which the row is written.
    """
    row.listed_price = row.cost_held = None if price is None else price.quantize(LAST_DIGIT, rounding=ROUND_UP)
    if not budgets:
        return
    if price is None:
        for budget in budgets:
            if left_of(budget) == 0:
                raise BudgetUsedUp(f"{budget.whose} has $0 left.{budget.renewal(db_now())}{budget.what_to_do}")
        raise PriceUnknown(
            f"the price of {row.provider_name} {row.model_name} is not known, and {budgets[0].whose} has a limit. "
            f"Set it in the prices of ProviderConfig '{row.provider_name}', or its price_when_unknown."
        )
    row.cost_held = price = prices.of_late(prices.Kind.of(row)) or price
    opened = [(open_account(budget, row.started_at), budget) for budget in budgets]
    for account, budget in sorted(opened, key=lambda pair: pair[0].pk):  # in one order: no two wait for each other
        if not SpendAccount.objects.hold(account.pk, price):
            account.refresh_from_db()
            limit = account.limit if account.limit is not None else budget.limit
            raise BudgetUsedUp(
                f"{budget.whose} has {usd(account.left)} left of {usd(limit)}, and {row.provider_name} may cost "
                f"{usd(price)}.{budget.renewal(db_now())}{budget.what_to_do}",
                may_pass=account.spent + price <= limit,
            )
    row.accounts = sorted(account.pk for account, _ in opened)


def book(rows: Iterable[GenerationAttempt]) -> None:
    """Move every account by the difference between what these attempts count for now and what they counted for when
    they were last written, and note the new amount on the rows (`booked`, `cost_held`).

    Inside the transaction that writes the rows. The table is asked, not the objects: after a roll-back the same call
    does the same again, and what others have written meanwhile is not counted twice.
    """
    found = {row.pk: row for row in rows if row.billable}
    dearer: dict[prices.Kind, Decimal] = {}
    known = GenerationAttempt.objects.filter(pk__in=found).order_by("pk").select_for_update()
    moves: dict[int, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])
    for pk, accounts, was_held, was_booked in known.values_list("pk", "accounts", "cost_held", "booked"):
        row = found[pk]
        if was_held is not None:  # it may have been raised by others
            row.cost_held = max(was_held, row.cost_held or ZERO)
        kind = prices.Kind.of(row)
        if kind is not None and row.cost is not None and row.cost > max(was_held or ZERO, kind.listed_price):
            dearer[kind] = max(row.cost, dearer.get(kind, ZERO))
        is_open = row.state in UNDER_WAY
        row.booked = None if is_open else Cost.of(row).counts
        held = (row.cost_held or ZERO if is_open else ZERO) - (was_held or ZERO if was_booked is None else ZERO)
        for account in accounts:
            moves[account][0] += held
            moves[account][1] += (row.booked or ZERO) - (was_booked or ZERO)
    for kind, cost in dearer.items():
        prices.warn(kind, cost)
        _raise_held(kind, cost, but=found, moves=moves)
    for account in sorted(moves):
        held, spent = moves[account]
        if held or spent:
            SpendAccount.objects.move(account, held=held, spent=spent)


def _raise_held(kind: prices.Kind, cost: Decimal, *, but: Collection[Any], moves: dict[int, list[Decimal]]) -> None:
    """What is under way will cost what the first of its kind did: hold as much, so that nothing more is bought until
    it is known."""
    # Locked by others: those are being ended, and what they cost is known.
    others = kind.attempts.open().filter(cost_held__lt=cost).exclude(pk__in=but).locked(skip=True)
    for pk, accounts, held in list(others.values_list("pk", "accounts", "cost_held")):
        GenerationAttempt.objects.filter(pk=pk).update(cost_held=cost)
        for account in accounts:
            moves[account][0] += cost - held


def left_of(budget: Budget) -> Decimal:
    """USD that the budget leaves in its present period. Writes nothing: for people who want to know beforehand."""
    now = db_now()
    account = SpendAccount.objects.filter(owner=budget.owner, period=budget.period_key(now)).first()
    if account is not None and budget.follows_account:
        return ZERO if account.left is None else account.left
    taken = spent_so_far(budget, now) if account is None else account.spent + account.held
    return max(ZERO, budget.limit - taken)


def open_account(budget: Budget, at: datetime | None = None) -> SpendAccount:
    """The account of this budget's period at that time (now), with its present limit. New ones begin with what the
    attempts of the period have cost so far, and follow them."""
    key = budget.period_key(db_now() if at is None else at)
    account = SpendAccount.objects.filter(owner=budget.owner, period=key).first()
    if account is None:
        try:
            with atomic():
                account = _new_account(budget, key)
        except IntegrityError:
            account = SpendAccount.objects.get(owner=budget.owner, period=key)
    if account.limit != budget.limit and not budget.follows_account:
        SpendAccount.objects.filter(pk=account.pk).update(limit=budget.limit)
        account.limit = budget.limit
    return account


def _new_account(budget: Budget, key: str) -> SpendAccount:
    attempts = _attempts_of(budget.owner, key)
    held, spent = _add_up(budget.owner, key)
    account = SpendAccount.objects.create(owner=budget.owner, period=key, limit=budget.limit, held=held, spent=spent)
    may_change = (attempts.open() | attempts.to_settle()).order_by("pk").select_for_update()
    for row in list(may_change.defer("provider_job", "message")):
        row.accounts = [*row.accounts, account.pk]
        row.booked = None if row.state in UNDER_WAY else Cost.of(row).counts
        row.save(update_fields=["accounts", "booked"])
    return account


def _attempts_of(owner: str, period: str) -> Any:
    """Those that may cost something, of an account's owner and period."""
    kind, _, name = owner.partition(":")
    try:
        whose = {"provider_name": name} if kind == "provider" else {kind: UUID(name)}
    except ValueError:
        return GenerationAttempt.objects.none()
    return _of_period(GenerationAttempt.objects.filter(**whose, billable=True), period)


def _of_period(attempts: QuerySet[Any], period: str) -> QuerySet[Any]:
    if not period:
        return attempts
    first, end = _days(period)
    return attempts.filter(started_at__gte=_midnight(first), started_at__lt=_midnight(end))


def _days(period: str) -> tuple[date, date]:
    """(its first day, the day after its last) of "2026-11-22" or "2026-11"."""
    first = date.fromisoformat(period if len(period) > 7 else f"{period}-01")
    days = calendar.monthrange(first.year, first.month)[1] if len(period) == 7 else 1
    return first, first + timedelta(days=days)


def _add_up(owner: str, period: str) -> tuple[Decimal, Decimal]:
    """(held, spent) as an account has them, USD. Rows before sums: what is pruned between them counts twice, until it
    is corrected, and never not at all."""
    found = _attempts_of(owner, period).order_by().aggregate(**HELD_AND_SPENT)
    kind, _, name = owner.partition(":")
    pruned = _pruned(kind, [name], period).get(name, ZERO)
    return found["under_way"] or ZERO, from_row(found).counts + pruned


def _pruned(kind: str, names: Collection[str], period: str) -> dict[str, Decimal]:
    """USD by name, of attempts whose rows `mediagen_prune` has taken away: none is of a present day or month."""
    try:
        keys = names if kind == "provider" else [UUID(name) for name in names]
    except ValueError:
        return {}
    sums = AttemptSum.objects.of_owners(kind, keys)
    if period:
        first, end = _days(period)
        if first > day_of(db_now()) - timedelta(days=31):
            return {}
        sums = sums.filter(day__gte=first, day__lt=end)
    column = "provider_name" if kind == "provider" else kind
    return {str(key): billed for key, billed in sums.billed_by(column).items()}


HELD_AND_SPENT: dict[str, Any] = {
    **sums(~IS_OPEN),
    "under_way": SumOfMoney("cost_held", filter=IS_OPEN & Q(billable=True)),
}


def spent_so_far(budget: Budget, now: datetime) -> Decimal:
    """USD of the attempts of the period; those under way and the unknown ones with what they may cost."""
    return sum(_add_up(budget.owner, budget.period_key(now)), ZERO)


def spent_so_far_by_owner(budgets: Iterable[Budget], now: datetime) -> dict[str, Decimal]:
    """The same of many budgets of libraries, providers and batches, by owner: a query for each kind and period."""
    found: dict[str, Decimal] = {}
    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for budget in budgets:
        kind, _, name = budget.owner.partition(":")
        found[budget.owner] = ZERO
        alike[kind, budget.period_key(now)].append(name)
    for (kind, period), names in alike.items():
        column = "provider_name" if kind == "provider" else kind
        attempts = _of_period(GenerationAttempt.objects.filter(**{f"{column}__in": names}, billable=True), period)
        for row in attempts.order_by().values(column).annotate(**HELD_AND_SPENT):
            found[f"{kind}:{row[column]}"] = (row["under_way"] or ZERO) + from_row(row).counts
        for name, billed in _pruned(kind, names, period).items():
            found[f"{kind}:{name}"] += billed
    return found


def correct_accounts() -> list[str]:
    """Make every account of a present period what its attempts add up to; in words, what was corrected.

    A difference is a bug or a hand in the table, or attempts that ended while the owner had no limit.
    """
    now = db_now()
    present = {Budget("", ZERO, period).period_key(now) for period in BudgetPeriod.values}
    unfinished = [f"batch:{pk}" for pk in GenerationBatch.objects.unfinished().values_list("pk", flat=True)]
    is_over = Q(owner__startswith="batch:") & ~Q(owner__in=unfinished)
    accounts = SpendAccount.objects.filter((Q(period__in=present) & ~is_over) | ~Q(held=0))
    return [said for pk in accounts.values_list("pk", flat=True) if (said := _correct(pk))]


@atomic()
def _correct(pk: int) -> str:
    # Locked before anything is added up: who moves it has written, or waits and has not.
    account = SpendAccount.objects.select_for_update().get(pk=pk)
    held, spent = _add_up(account.owner, account.period)
    if (account.held, account.spent) == (held, spent):
        return ""
    said = (
        f"{account}: spent {usd(account.spent)} should be {usd(spent)}, held {usd(account.held)} should be {usd(held)}"
    )
    logger.warning("account %s", said)
    SpendAccount.objects.filter(pk=pk).update(held=held, spent=spent)
    return said
