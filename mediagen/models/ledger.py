"""Money: what may be spent, what is held for requests under way, what is spent.

An account belongs to a batch, a library or a provider, and to a period. Holding is one conditional UPDATE, so that
no number of workers together can hold more than the limit leaves.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import F, Q, Sum, Value
from django.db.models.functions import Greatest, Round
from django.utils.translation import gettext_lazy as _

from mediagen.models.writer import WriterQuerySet

DIGITS = 6
LAST_DIGIT = Decimal(1).scaleb(-DIGITS)


class SumOfMoney(Sum):
    """The only Sum() of a money column: exact to its six places on every database; None of no rows.

    SQLite adds decimals in floating point. The digits are put right as the value is read, so do not wrap this into
    another function (`default=` does that too).
    """

    def get_db_converters(self, connection: Any) -> list[Any]:
        return [*super().get_db_converters(connection), _to_digits]


def _to_digits(value: Decimal | None, expression: Any, connection: Any) -> Decimal | None:
    return None if value is None else Decimal(value).quantize(LAST_DIGIT)


class SpendAccountQuerySet(WriterQuerySet["SpendAccount"]):
    def hold(self, pk: int, amount: Decimal) -> bool:
        """Reserve `amount` USD; False when the limit does not leave so much."""
        room = Q(limit__isnull=True) | Q(limit__gte=_exact(F("spent") + F("held") + amount))
        return bool(self.filter(room, pk=pk).update(held=_exact(F("held") + amount)))

    def move(self, pk: int, *, held: Decimal, spent: Decimal) -> None:
        """Add to what is held and to what is spent, USD, more or less than nothing. Asks for no limit."""
        # Never below nothing, which no row may be: a hand in the table must not keep a paid picture from its row.
        more = Greatest(_exact(F("spent") + spent), Value(Decimal(0)))
        self.filter(pk=pk).update(held=_exact(F("held") + held), spent=more)


def _exact(sum_of_money: Any) -> Round:
    """SQLite adds in floating point, where three times 0.10 is more than 0.30; to the column's digits it is right."""
    return Round(sum_of_money, precision=DIGITS)


class SpendAccount(models.Model):
    """Spending of one owner in one period, USD."""

    owner = models.CharField(max_length=120, help_text=_("batch:<id>, library:<id> or provider:<name>"))
    period = models.CharField(max_length=10, blank=True, help_text=_("2026-11-22, 2026-11, or empty for all time."))
    limit = models.DecimalField(max_digits=14, decimal_places=DIGITS, null=True, blank=True)
    held = models.DecimalField(max_digits=14, decimal_places=DIGITS, default=Decimal(0))
    spent = models.DecimalField(max_digits=14, decimal_places=DIGITS, default=Decimal(0))

    objects = SpendAccountQuerySet.as_manager()

    class Meta:
        ordering = ("owner", "period")
        constraints = (
            models.UniqueConstraint(fields=("owner", "period"), name="mediagen_account_unique"),
            models.CheckConstraint(
                name="mediagen_account_positive",
                condition=Q(spent__gte=0) & (Q(limit__isnull=True) | Q(limit__gte=0)),
            ),
        )

    def __str__(self) -> str:
        return f"{self.owner} {self.period}".strip()

    @property
    def left(self) -> Decimal | None:
        """USD that may still be held; None without a limit."""
        return None if self.limit is None else max(Decimal(0), self.limit - self.spent - self.held)
