"""Old rows go, and every sum of money says the same before, between and after."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Q

from mediagen.engine.insight import statistics
from mediagen.engine.maintenance import pruning
from mediagen.engine.money import ledger
from mediagen.models import AttemptSum, GenerationAttempt, GenerationBatch, GenerationState, KeptAnswer, SpendAccount
from mediagen.models.clock import db_now
from mediagen.models.costs import cost_of_assets
from tests.factories import (
    GenerationAttemptFactory,
    GenerationBatchFactory,
    MediaAssetFactory,
    MediaLibraryFactory,
)

pytestmark = pytest.mark.django_db
OLD = timedelta(days=200)


def old(**words):
    return GenerationAttemptFactory(started_at=db_now() - OLD, **words)


def prune(*words, age="180d", **options):
    out = io.StringIO()
    call_command("mediagen_prune", "--older-than", age, "--json", *words, stdout=out, **options)
    return json.loads(out.getvalue())


@pytest.fixture
def site():
    """A library with a budget for all time, a batch that is over, and three hundred days of attempts."""
    library = MediaLibraryFactory(budget_limit=Decimal(100), budget_period="total")
    batch = GenerationBatchFactory(state="finished")
    asset = MediaAssetFactory(ready=True, library=library, batch=batch, cost=Decimal("0.033333"))
    for cost in ("0.033333", "0.1", "0.000001"):
        old(asset=asset, cost=Decimal(cost))
    old(asset=asset, unavailable=True)
    old(asset=asset, refused=True, provider_name="flux")
    old(asset=None, library=library, cost=Decimal("0.2"))
    old(asset=asset, billable=False, dry_run=True, cost=Decimal(0))
    GenerationAttemptFactory(asset=asset, cost=Decimal("0.05"))
    return library, batch, asset


def money(library, batch):
    budgets = [
        ledger.Budget(f"library:{library.pk}", Decimal(100)),
        ledger.Budget(f"batch:{batch.pk}", Decimal(100)),
        ledger.Budget("provider:sdxl", Decimal(100)),
    ]
    now = db_now()
    day = (now - OLD).date()
    figures = statistics.overview(None, statistics.Period.between(day - timedelta(days=1), day + timedelta(days=1)))
    return {
        "one by one": [ledger.spent_so_far(budget, now) for budget in budgets],
        "together": ledger.spent_so_far_by_owner(budgets, now),
        "left": [ledger.left_of(budget) for budget in budgets],
        "batch": batch.cost(),
        "statistics": {
            name: (each.asked, each.delivered, each.images, each.placeholders, each.spent, each.outcomes)
            for name, each in [("", figures.total), *figures.providers.items()]
        },
        "days": [(slot.starts_at, slot.figures.spent, sorted(slot.providers)) for slot in figures.slots],
    }


def test_money_is_right_to_the_last_digit_before_between_and_after(site):
    library, batch, asset = site
    before = money(library, batch)
    assert before["one by one"] == [Decimal("0.383334"), Decimal("0.183334"), Decimal("0.383334")]
    at, last, chunks = pruning.before(timedelta(days=180)), None, 0

    while True:
        number, last = pruning.prune_chunk(pruning.KINDS[0], at, last, size=2)
        if last is None:
            break
        chunks += 1
        assert number == 2 or chunks == 4
        assert money(library, batch) == before

    assert chunks == 4
    assert GenerationAttempt.objects.count() == 1
    assert AttemptSum.objects.filter(billable=True).billed_by("provider_name") == {"sdxl": Decimal("0.333334")}
    assert cost_of_assets([asset]).billed == Decimal("0.05")


def test_accounts_stay_what_they_are_and_new_ones_begin_with_what_was_pruned(site):
    library, batch, _ = site
    there = ledger.open_account(ledger.Budget(f"library:{library.pk}", Decimal(100)))
    assert there.spent == Decimal("0.383334")
    prune("--yes")

    assert ledger.correct_accounts() == []
    there.refresh_from_db()
    assert there.spent == Decimal("0.383334")
    made = ledger.open_account(ledger.Budget(f"batch:{batch.pk}", Decimal(100)))
    assert made.spent == Decimal("0.183334")
    SpendAccount.objects.filter(pk=there.pk).update(spent=9)
    assert len(ledger.correct_accounts()) == 1
    there.refresh_from_db()
    assert there.spent == Decimal("0.383334")


def test_what_somebody_needs_stays():
    ready = MediaAssetFactory(ready=True)
    kept = [
        old(asset=ready, in_flight=True),
        old(asset=ready, unknown=True),
        old(asset=ready, cost=None),  # delivered, and the price is not known
        old(asset=MediaAssetFactory(generation_state=GenerationState.PENDING)),
        old(asset=MediaAssetFactory(generation_state=GenerationState.INTERRUPTED)),
        old(asset=MediaAssetFactory(ready=True, batch=GenerationBatchFactory(state="running"))),
        GenerationAttemptFactory(asset=ready),
    ]
    answered = old(asset=ready, unavailable=True)
    KeptAnswer.objects.create(attempt=answered, file="answers/1", size_bytes=1)
    tells_a_price = old(asset=ready, cost=Decimal("0.09"), listed_price=Decimal("0.03"), provider_name="flux")
    gone = old(asset=ready, unavailable=True)

    assert prune("--yes")["attempts"] == 1
    assert set(GenerationAttempt.objects.values_list("pk", flat=True)) == {
        row.pk for row in [*kept, answered, tells_a_price]
    }
    assert not GenerationAttempt.objects.filter(pk=gone.pk).exists()


def test_it_only_says_what_could_go_and_asks_before_it_goes(site, monkeypatch):
    said = prune("--dry-run")
    assert (said["event"], said["attempts"]) == ("could_go", 7)

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # no terminal
    with pytest.raises(CommandError, match="--yes") as error:
        prune()
    assert error.value.returncode == 3
    assert GenerationAttempt.objects.count() == 8

    terminal = io.StringIO("n\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(CommandError, match="Nothing was taken away"):
        prune()
    assert GenerationAttempt.objects.count() == 8


@pytest.mark.parametrize("age", ["61d", "0d", "180", "99999y", "half"])
def test_a_wrong_age_takes_nothing(site, age):
    with pytest.raises(CommandError) as error:
        prune("--yes", age=age)
    assert error.value.returncode == 2
    assert GenerationAttempt.objects.count() == 8


def test_a_run_that_is_stopped_goes_on(site, monkeypatch):
    once, done = pruning.prune_chunk, []

    def stopped(*arguments):
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return once(*arguments)

    monkeypatch.setattr(pruning, "prune_chunk", stopped)
    with pytest.raises(CommandError, match="goes on"):
        prune("--yes", "--chunk", "3")
    assert GenerationAttempt.objects.count() == 5
    monkeypatch.undo()

    assert prune("--yes")["attempts"] == 4
    assert GenerationBatch.objects.get().cost().billed == Decimal("0.183334")


def test_every_column_of_alike_attempts_is_kept_apart(site):
    total = GenerationAttempt.objects.filter(~Q(started_at__gte=db_now() - timedelta(days=180))).count()
    prune("--yes")

    assert sum(AttemptSum.objects.values_list("number", flat=True)) == total
    assert AttemptSum.objects.filter(outcome="refused", provider_name="flux", number=1).exists()
