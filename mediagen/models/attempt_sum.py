"""What attempts came to whose rows are gone: money and numbers stay when `mediagen_prune` takes old rows away."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Self

from django.db import models

from mediagen.models.ledger import DIGITS, SumOfMoney
from mediagen.models.writer import WriterQuerySet
from mediagen.types import uuid7


class AttemptSumQuerySet(WriterQuerySet["AttemptSum"]):
    def billed_by(self, key: str) -> dict[Any, Decimal]:
        """USD for each value of a column. One query."""
        rows = self.filter(billable=True).order_by().values(key).annotate(found=SumOfMoney("billed"))
        return {row[key]: row["found"] for row in rows if row["found"]}

    def of_owners(self, kind: str, names: Iterable[Any]) -> Self:
        """Those of libraries, batches (ids) or providers (names): `kind` is that of a budget's owner."""
        return self.filter(**{"provider_name__in" if kind == "provider" else f"{kind}__in": list(names)})


class AttemptSum(models.Model):
    """Attempts of one day that were alike and are gone. Rows are added and never changed; their sums count."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    day = models.DateField(editable=False, help_text="In the site's time zone.")
    library = models.ForeignKey(
        "mediagen.MediaLibrary", null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    batch = models.ForeignKey(
        "mediagen.GenerationBatch", null=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )
    provider_name = models.CharField(max_length=100, editable=False)
    model_name = models.CharField(max_length=200, blank=True, editable=False)
    operation = models.CharField(max_length=64, editable=False)
    state = models.CharField(max_length=10, editable=False)
    outcome = models.CharField(max_length=16, blank=True, editable=False)
    billable = models.BooleanField(editable=False)
    number = models.PositiveIntegerField(editable=False)
    billed = models.DecimalField(max_digits=14, decimal_places=DIGITS, editable=False, help_text="USD.")

    objects = AttemptSumQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("day",), name="mediagen_sum_day"),
            models.Index(fields=("provider_name", "day"), name="mediagen_sum_provider"),
        )

    def __str__(self) -> str:
        return f"{self.day} {self.provider_name}: {self.number}"
