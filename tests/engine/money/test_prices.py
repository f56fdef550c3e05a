"""A price table that is too low is believed until the first true price, and no longer."""

from __future__ import annotations

import logging
from decimal import Decimal

import pytest
from django.core.management import call_command

from mediagen.engine import get_media_engine
from mediagen.engine.generation import recorder
from mediagen.engine.generation.estimates import estimate
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.money import prices
from mediagen.engine.money.ledger import Budget, BudgetUsedUp
from mediagen.engine.money.prices import Kind
from mediagen.errors import GenerationFailed
from mediagen.models import GenerationAttempt, GenerationBatch, MediaLibrary, SpendAccount
from mediagen.types import utcnow
from tests.engine.work.working import batch_of, work
from tests.factories import GenerationAttemptFactory

pytestmark = pytest.mark.django_db

CENT = Decimal("0.01")
TRUE = Decimal("2.5")
"""a prediction of the local Replicate runs 2.5 s, at $1 a second"""


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(prices, "_TOLD", {})


@pytest.fixture
def too_low(live):
    (server,) = live("replicate_sdxl", prices={"stability-ai/sdxl": str(CENT)}, options={"price_per_second": 1})
    return server


def test_no_more_is_sold_than_the_limit_and_what_was_under_way(too_low, tmp_path, caplog):
    """Two at once, believed to cost a cent each; the limit leaves room for two of the true price, and not for three."""
    batch = batch_of(tmp_path, 8, max_cost=Decimal("5.5"))
    with caplog.at_level(logging.WARNING, "mediagen.engine"):
        work(batch, concurrency=2)
    account = SpendAccount.objects.get()
    assert len(too_low.purchases) == 2
    assert (account.spent, account.held) == (2 * TRUE, 0)
    assert batch.state == "paused"
    told = [record.getMessage() for record in caplog.records if "price table" in record.getMessage()]
    assert told == [
        "replicate_sdxl charged $2.5 for a picture that its price table has at $0.01. Budgets and estimates count with "
        "$2.5 for such pictures from now on; set it in the prices of ProviderConfig 'replicate_sdxl'."
    ]


def test_a_limit_that_is_raised_later_is_kept_to_the_cent(too_low):
    library = MediaLibrary.objects.create(name="Small", budget_limit="0.02")
    engine = get_media_engine()
    engine.generate_asset_sync("x", 512, 512, library.pk)
    for limit, sold in (("0.02", 1), ("4.99", 1), ("5", 2), ("7.49", 2)):
        MediaLibrary.objects.update(budget_limit=limit)
        try:
            engine.generate_asset_sync("x", 512, 512, library.pk)
        except GenerationFailed as exc:
            said = str(exc)
        assert len(too_low.purchases) == sold
    assert "may cost $2.5" in said


def test_the_estimate_uses_it_and_says_so(too_low, tmp_path, capsys):
    get_media_engine().generate_asset_sync("x", 512, 512)
    found = estimate([AssetOrder.of("y", 512, 512)])
    assert (found.cheapest, found.prices, found.too_low) == (
        TRUE,
        {"replicate_sdxl": TRUE},
        {"replicate_sdxl": CENT},
    )
    path = tmp_path / "prompts.txt"
    path.write_text("a lighthouse\n")
    call_command("generate_assets", f"--from={path}", "--size=512x512", "--check")
    said = capsys.readouterr().out
    assert "$2.50 to $2.50; replicate_sdxl charged $2.5 of late, its price table says $0.01" in said
    assert GenerationBatch.objects.count() == 0


class TestWhatIsHeld:
    BUDGETS = (Budget("provider:sdxl", Decimal("1.2")),)

    def begun(self, price=CENT) -> GenerationAttempt:
        row = GenerationAttemptFactory.build(asset=None, library=None, in_flight=True)
        [refused] = recorder._begin([(row, list(self.BUDGETS), price)])
        if refused:
            raise refused
        return row

    def account(self):
        found = SpendAccount.objects.get()
        return found.held, found.spent

    def test_rises_for_what_is_under_way_at_the_first_true_price(self):
        first, others = self.begun(), [self.begun() for _ in range(3)]
        assert self.account() == (4 * CENT, 0)
        first.state, first.outcome, first.cost = "succeeded", "succeeded", Decimal("0.30")
        recorder._end([first])
        assert self.account() == (Decimal("0.90"), Decimal("0.30"))
        with pytest.raises(BudgetUsedUp) as refused:
            self.begun()
        assert refused.value.may_pass, "it waits for what is under way"
        for other in others:
            other.state, other.outcome, other.cost = "succeeded", "succeeded", Decimal("0.02")
            recorder._end([other])
        assert self.account() == (0, Decimal("0.36"))

    def test_rises_when_a_job_names_its_price(self):
        first, other = self.begun(), self.begun()
        first.provider_job_id, first.cost = "job", Decimal("0.30")
        recorder._note_job([first])
        assert self.account() == (Decimal("0.60"), 0)
        other.provider_job_id = "another"
        recorder._note_job([other])
        assert self.account() == (Decimal("0.60"), 0), "what others have raised is not forgotten"

    def test_falls_again_when_the_latest_pictures_cost_less(self):
        for n, cost in enumerate(["0.30", *["0.02"] * prices.LATEST]):
            GenerationAttemptFactory(listed_price=CENT, cost=Decimal(cost), started_at=utcnow())
            expected = "0.30" if n < prices.LATEST else "0.02"
            assert prices.of_late(Kind("sdxl", "generate_image", CENT)) == Decimal(expected)

    def test_is_never_less_than_the_table_says_and_is_of_one_kind(self):
        GenerationAttemptFactory(listed_price=CENT, cost=Decimal("0.001"))
        dime = Decimal("0.1")
        GenerationAttemptFactory(listed_price=CENT * 2, cost=dime)
        GenerationAttemptFactory(listed_price=CENT, cost=dime, provider_name="flux")
        GenerationAttemptFactory(listed_price=CENT, cost=dime, operation="edit_image")
        GenerationAttemptFactory(listed_price=CENT, cost=dime, refused=True)
        assert self.begun().cost_held == CENT
