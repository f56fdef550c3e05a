"""Sums of money are exact to the column's six places, on every database, wherever they are made."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

import mediagen
from mediagen.engine.insight.statistics import Period, overview
from mediagen.models import GenerationAttempt, GenerationBatch
from mediagen.models.costs import cost_of
from mediagen.models.ledger import SumOfMoney
from tests.factories import GenerationAttemptFactory


def test_no_money_is_summed_by_another_class():
    sums = re.compile(r"""(?<!\w)Sum\(\s*["'][\w]*(cost|held|spent)""")
    sources = {path: path.read_text() for path in Path(mediagen.__file__).parent.rglob("*.py")}
    assert sums.search('x=Sum("assets__cost")')
    assert sources
    assert [str(path) for path, text in sources.items() if sums.search(text)] == []


@pytest.mark.django_db
@pytest.mark.parametrize(("cost", "number"), [("0.06", 16), ("0.1", 3), ("0.000001", 7), ("0.2", 3)])
def test_sums_have_six_places_and_no_more(cost, number):
    GenerationAttemptFactory.create_batch(number, asset=None, library=None, cost=Decimal(cost))
    exact = Decimal(cost) * number

    total = GenerationAttempt.objects.aggregate(total=SumOfMoney("cost"))["total"]
    assert str(total) == f"{exact:.6f}"
    assert cost_of(GenerationAttempt.objects.all()).counts == exact
    assert str(overview(None, Period.named("7d")).total.spent) == f"{exact:.6f}"


@pytest.mark.django_db
def test_nothing_is_summed_to_none():
    assert GenerationAttempt.objects.aggregate(total=SumOfMoney("cost"))["total"] is None
    assert list(GenerationBatch.objects.with_counts()) == []
