"""What pictures of a kind really cost of late: a price table that is too low is believed only until somebody is billed.

A kind is what one provider's price table has at one price, by operation.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any, NamedTuple

from mediagen.models import GenerationAttempt
from mediagen.models.costs import usd
from mediagen.models.ledger import LAST_DIGIT
from mediagen.types import AttemptState

logger = logging.getLogger("mediagen.engine")

LATEST = 5
"""pictures that are looked at: the dearest of them counts"""
PRICED = (AttemptState.SUBMITTED, AttemptState.SUCCEEDED, AttemptState.ADOPTED, AttemptState.SETTLED)


class Kind(NamedTuple):
    provider_name: str
    operation: str
    listed_price: Decimal

    @classmethod
    def of(cls, row: GenerationAttempt) -> Kind | None:
        """None when its price is not known."""
        if row.listed_price is None:
            return None
        return cls(row.provider_name, row.operation, row.listed_price.quantize(LAST_DIGIT))

    @property
    def attempts(self) -> Any:
        return GenerationAttempt.objects.filter(**self._asdict(), billable=True)


def of_late(kind: Kind | None) -> Decimal | None:
    """USD to count with: what the table says, or more when one of the latest pictures of this kind cost more. One
    query. None when the table says nothing."""
    if kind is None:
        return None
    priced = kind.attempts.filter(state__in=PRICED, cost__isnull=False).order_by("-started_at")
    latest: list[Decimal] = list(priced.values_list("cost", flat=True)[:LATEST])
    return max([kind.listed_price, *latest])


_TOLD: dict[Kind, Decimal] = {}


def warn(kind: Kind, cost: Decimal) -> None:
    """Say by name that a price table is too low; once in a process for each higher price."""
    if cost <= _TOLD.get(kind, kind.listed_price):
        return
    _TOLD[kind] = cost
    logger.warning(
        "%s charged %s for a picture that its price table has at %s. Budgets and estimates count with %s for such "
        "pictures from now on; set it in the prices of ProviderConfig '%s'.",
        kind.provider_name,
        usd(cost),
        usd(kind.listed_price),
        usd(cost),
        kind.provider_name,
    )
