"""What was booked follows its attempt: a job that was given up and is found, or proves to have failed, moves money."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mediagen.engine import get_media_engine
from mediagen.engine.files import refusals
from mediagen.engine.generation import recorder
from mediagen.engine.maintenance import sweep
from mediagen.engine.money import ledger
from mediagen.engine.money.ledger import Budget
from mediagen.errors import GenerationFailed, StorageFailed
from mediagen.models import (
    GenerationAttempt,
    GenerationBatch,
    MediaAsset,
    MediaLibrary,
    ProviderConfig,
    SpendAccount,
    asset_storage,
)
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()

TABLE = Decimal("0.01")


def patient(server) -> None:
    """The service answers again, and is waited for."""
    server.clear_faults()
    ProviderConfig.objects.update(timeout_s=30)


@pytest.fixture
def given_up(live):
    """A library with a budget, and a job of Replicate's that was bought for it and not seen to its end."""
    (server,) = live(
        "replicate_sdxl", prices={"stability-ai/sdxl": str(TABLE)}, options={"price_per_second": 1}, timeout_s=0.4
    )
    for step in ("poll", "cancel"):
        server.fault(step, Fault.http(503), times=None)
    library = MediaLibrary.objects.create(name="Small", budget_limit="9")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("x", 512, 512, library.pk)
    patient(server)
    assert money() == (0, TABLE), "what it may cost, as the table says"
    return server


def money() -> tuple[Decimal, Decimal]:
    account = SpendAccount.objects.get()
    return account.held, account.spent


def test_a_job_whose_picture_the_storage_refuses_is_held_for_again(given_up, monkeypatch, settings, tmp_path):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RESCUE_DIR": str(tmp_path / "rescued"), "STORAGE_PATIENCE_S": 0.2}

    def full(self, name, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(asset_storage().__class__, "_save", full)
        with pytest.raises(StorageFailed):
            engine.regenerate_asset_sync(MediaAsset.objects.get().pk)
    refusals.taken()
    assert GenerationAttempt.objects.get().state == "submitted"
    assert ledger.correct_accounts() == []
    asset = engine.regenerate_asset_sync(MediaAsset.objects.get().pk)
    assert (len(given_up.purchases), money()) == (1, (0, asset.cost))


def test_a_job_that_is_found_after_all_is_booked_at_its_price(given_up):
    asset = engine.regenerate_asset_sync(MediaAsset.objects.get().pk)
    assert len(given_up.purchases) == 1
    assert GenerationAttempt.objects.get().state == "adopted"
    assert asset.cost > TABLE
    assert money() == (0, asset.cost)
    assert sweep.maintain().corrections == []


def test_a_job_that_proves_to_have_failed_gives_its_money_back(given_up):
    given_up.fault("poll", Fault.job_failed(), times=None)
    row = GenerationAttempt.objects.get()
    with pytest.raises(GenerationFailed):
        engine.regenerate_asset_sync(MediaAsset.objects.get().pk)
    row.refresh_from_db()
    assert row.state == "failed"
    assert len(given_up.purchases) == 1
    assert money() == (0, row.cost or 0)


class TestABudgetThatIsSetLater:
    BUDGET = Budget("provider:sdxl", Decimal(1))

    def test_follows_what_is_under_way(self):
        row = GenerationAttemptFactory(in_flight=True, cost_held=Decimal("0.04"))
        ledger.open_account(self.BUDGET)
        assert money() == (Decimal("0.04"), 0)
        row.state, row.outcome, row.cost = "succeeded", "succeeded", Decimal("0.03")
        recorder._end([row])
        assert money() == (0, Decimal("0.03"))

    def test_and_what_may_have_been_bought(self):
        row = GenerationAttemptFactory(unknown=True, cost_held=Decimal("0.04"))
        ledger.open_account(self.BUDGET)
        row.state, row.outcome, row.cost = "failed", "unavailable", None
        recorder._end([row])
        assert money() == (0, 0)


class TestMaintenance:
    def test_spent_and_held_become_what_the_attempts_add_up_to_and_it_is_said(self):
        library = MediaLibraryFactory()
        asset = MediaAssetFactory(library=library, generation_state="running", lease_worker="x")
        GenerationAttemptFactory(asset=asset, cost="0.25")
        GenerationAttemptFactory(asset=asset, in_flight=True, cost_held="0.04")
        account = ledger.open_account(Budget(f"library:{library.pk}", Decimal(9), "month"))
        SpendAccount.objects.update(spent=7, held=3)
        report = sweep.maintain()
        assert (report.accounts_corrected, money()) == (1, (Decimal("0.04"), Decimal("0.25")))
        assert report.corrections == [f"{account}: spent $7 should be $0.25, held $3 should be $0.04"]
        assert sweep.maintain().corrections == []

    def test_a_month_that_is_over_and_a_batch_that_is_done_are_left_alone(self):
        SpendAccount.objects.create(owner="provider:sdxl", period="2020-01", spent=1)
        batch = GenerationBatch.objects.create(name="b", state="finished")
        SpendAccount.objects.create(owner=f"batch:{batch.pk}", spent=1)
        assert sweep.maintain().corrections == []

    def test_what_a_batch_bought_stays_in_it_when_its_pictures_are_gone(self):
        batch = GenerationBatch.objects.create(name="b", state="running")
        asset = MediaAssetFactory(batch=batch, row_key="1", ready=True)
        MediaAssetFactory(batch=batch, row_key="2")
        GenerationAttemptFactory(asset=asset, cost="0.25")
        ledger.open_account(Budget(f"batch:{batch.pk}", Decimal(9)))
        asset.delete()
        assert sweep.maintain().corrections == []
        assert batch.cost().billed == Decimal("0.25")
