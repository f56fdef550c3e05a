"""What did this cost? The one answer, for commands, batches, admin, API, studio, statistics and budgets.

Attempts are what is billed, not pictures: what a provider wants for a picture that did not come is in it. What may
have been billed and is not known stands beside it, and is never nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext as _

from mediagen.models.attempt import (
    IS_OPEN,
    MAY_BE_BILLED_OUTCOMES,
    MAY_BE_BILLED_STATES,
    UNDER_WAY,
    UNSETTLED,
    GenerationAttempt,
)
from mediagen.models.ledger import SumOfMoney
from mediagen.types import ARE_BOUGHT

if TYPE_CHECKING:
    from mediagen.models.asset import MediaAsset

ZERO = Decimal(0)


def usd(amount: Decimal | None) -> str:
    return f"${(amount or ZERO).normalize():f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What some attempts cost, USD."""

    billed: Decimal = ZERO
    """as the providers or their price tables said, or a person who settled it"""
    unsettled: int = 0
    """attempts that may have been billed, and nobody knows what"""
    possible: Decimal = ZERO
    """what those may have cost, as far as a price is known"""
    without_price: int = 0
    """those of them whose price is not known: in neither sum"""
    held: Decimal = ZERO
    """for attempts under way"""

    @classmethod
    def of(cls, row: GenerationAttempt) -> Cost:
        """What one attempt cost, in memory; as `sums` has it in SQL."""
        if not row.billable:
            return cls()
        if row.cost is not None:
            return cls(billed=row.cost)
        if row.state in UNDER_WAY:
            return cls(held=row.cost_held or ZERO)
        is_billed = row.state in MAY_BE_BILLED_STATES or row.outcome in MAY_BE_BILLED_OUTCOMES
        if not is_billed or row.operation not in ARE_BOUGHT:
            return cls()
        return cls(unsettled=1, possible=row.cost_held or ZERO, without_price=int(row.cost_held is None))

    def __add__(self, other: Cost) -> Cost:
        return Cost(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    def __sub__(self, other: Cost) -> Cost:
        return Cost(**{one.name: getattr(self, one.name) - getattr(other, one.name) for one in fields(self)})

    def __str__(self) -> str:
        return self.in_words()

    @property
    def known(self) -> Decimal | None:
        """What was billed; None when nobody knows of anything, which is not nothing."""
        return self.billed if self.billed or not self.unsettled else None

    @property
    def most_possible(self) -> Decimal | None:
        """What the unsettled attempts may have cost; None when that is not known of each."""
        return None if self.without_price else self.possible

    @property
    def counts(self) -> Decimal:
        """What a budget counts: billed, perhaps billed, or held."""
        return self.billed + self.possible + self.held

    def in_words(self, usd: Callable[[Decimal], str] = usd) -> str:
        """ "$0.60", "$0.60 and up to $0.04 more", "$0.60 and 2 of unknown cost", "2 of unknown cost"."""
        if self.known is not None:
            return _(" and ").join([usd(self.billed), *self._beside(_("up to %(amount)s more"), usd)])
        return _(" and ").join(self._beside(_("up to %(amount)s"), usd))

    def beside(self, usd: Callable[[Decimal], str] = usd) -> str:
        """ "and up to $0.04 more and 2 of unknown cost": what to say behind what was billed; "" when all is known."""
        parts = self._beside(_("up to %(amount)s more"), usd)
        return " ".join(_("and %(more)s") % {"more": more} for more in parts)

    def _beside(self, text: str, usd: Callable[[Decimal], str]) -> list[str]:
        priced = self.unsettled - self.without_price
        parts = [text % {"amount": usd(self.possible)}] if priced else []
        if self.without_price:
            parts.append(_("%(number)s of unknown cost") % {"number": f"{self.without_price:,}"})
        return parts

    def facts(self) -> dict[str, Any]:
        """For machines: USD as text with six places; null where it is not known, which is not nothing."""
        return {
            "cost": text_of(self.known),
            "unsettled": self.unsettled,
            "possible_cost": text_of(self.most_possible),
            "of_unknown_cost": self.without_price,
        }


NOTHING = Cost()
EVERY = Q()


def text_of(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.6f}"


def sums(within: Q = EVERY, prefix: str = "") -> dict[str, Any]:
    """The parts of a `Cost` as aggregates over attempts, for queries that ask for more: see `Cost`, `from_row`."""
    unsettled = within & UNSETTLED
    is_open = within & IS_OPEN & Q(billable=True, cost__isnull=True)
    return {
        f"{prefix}billed": SumOfMoney("cost", filter=within & Q(billable=True)),
        f"{prefix}unsettled": Count("pk", filter=unsettled),
        f"{prefix}possible": SumOfMoney("cost_held", filter=unsettled),
        f"{prefix}without_price": Count("pk", filter=unsettled & Q(cost_held__isnull=True)),
        f"{prefix}held": SumOfMoney("cost_held", filter=is_open),
    }


def from_row(row: Mapping[str, Any], prefix: str = "") -> Cost:
    """What `sums` found."""
    found: dict[str, Any] = {one.name: row[f"{prefix}{one.name}"] or one.default for one in fields(Cost)}
    return Cost(**found)


def cost_of(attempts: QuerySet[Any]) -> Cost:
    """What these attempts cost. One query."""
    return from_row(attempts.order_by().aggregate(**sums()))


def cost_of_assets(assets: Collection[MediaAsset]) -> Cost:
    """What these cost. One query. Where all their attempts are pruned, the prices of the pictures are left, without
    what tries in vain may have cost: that is in the sums alone."""
    found = cost_of(GenerationAttempt.objects.filter(asset__in=assets))
    return found if found != NOTHING else Cost(billed=sum((asset.cost or ZERO for asset in assets), ZERO))


def costs_by(key: str, attempts: QuerySet[Any]) -> dict[Any, Cost]:
    """The same for each value of a column ("batch", "asset", "library"), those without attempts left out. One query."""
    return {row[key]: from_row(row) for row in attempts.order_by().values(key).annotate(**sums())}
