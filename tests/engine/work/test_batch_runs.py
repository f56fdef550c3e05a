"""Whole batches through the worker, against provider servers: money, waiting, stopping, two at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile

from mediagen.engine import get_media_engine
from mediagen.engine.batches import lifecycle
from mediagen.engine.batches.manifests import ManifestRow, open_manifest
from mediagen.engine.maintenance import sweep
from mediagen.engine.work.worker import Until, Worker
from mediagen.errors import InvalidRequest
from mediagen.models import (
    GenerationAttempt,
    GenerationBatch,
    MediaAsset,
    MediaLibrary,
    ProviderConfig,
    SpendAccount,
    asset_storage,
)
from mediagen.models.costs import Cost, cost_of
from mediagen.providers.sdxl import SDXLAdapter
from mediagen.types import utcnow
from tests.servers import Fault

pytestmark = pytest.mark.django_db


@pytest.fixture
def load(tmp_path):
    def make(rows=6, *, max_cost=None, text=None, **defaults):
        path = tmp_path / "prompts.txt"
        path.write_text(text or "".join(f"a lighthouse {n}\n" for n in range(rows)))
        defaults = {"width": 1024, "height": 1024, **defaults}
        with open_manifest(str(path)) as manifest:
            batch, _ = lifecycle.open_batch(manifest, defaults, max_cost=max_cost)
            rows = [row for row in manifest.rows(defaults) if isinstance(row, ManifestRow)]
            lifecycle.load(batch, rows)
        return batch

    return make


def work(batch, until=Until.DONE, **options):
    worker = Worker(batch_id=batch.pk, **options)
    async_to_sync(worker.run)(until)
    batch.refresh_from_db()
    return worker


def states(batch):
    return sorted(batch.assets.values_list("generation_state", flat=True))


class TestLoading:
    def test_the_same_file_is_the_same_batch_and_loading_twice_adds_nothing(self, load):
        first, second = load(), load()
        assert first.pk == second.pk
        assert MediaAsset.objects.count() == 6
        assert list(first.assets.order_by("id").values_list("prompt", flat=True)) == [
            f"a lighthouse {n}" for n in range(6)
        ]

    def test_other_defaults_are_another_batch(self, load):
        assert load(seed=1).pk != load(seed=2).pk

    def test_live_and_dry_are_two_batches(self, load, monkeypatch):
        dry = load()
        monkeypatch.setenv("DRY_RUN_MODE", "false")
        assert load().pk != dry.pk

    def test_default_tags_of_the_library_and_own_tags(self, load):
        library = MediaLibrary.objects.create(name="Autumn")
        library.default_tags.create(name="season")
        batch = load(2, library="Autumn", tags=["sea"])
        work(batch)
        assert batch.assets.first().tag_names == ["generated", "generated-sdxl", "sea", "season"]


class TestRunning:
    def test_a_dry_batch(self, load):
        batch = load()
        work(batch, concurrency=3)
        assert (batch.state, states(batch)) == ("finished", ["ready"] * 6)
        assert GenerationAttempt.objects.count() == 6

    def test_each_row_is_bought_once(self, live, load):
        (server,) = live("openai_images")
        batch = load(8)
        work(batch)
        assert (len(server.purchases), states(batch)) == (8, ["ready"] * 8)
        assert not batch.assets.filter(cost=None).exists()

    def test_two_workers_at_once_share_the_rows(self, live, load):
        (server,) = live("openai_images")
        server.latency_s = 0.02
        batch = load(20)

        async def both():
            workers = [Worker(batch_id=batch.pk, concurrency=4) for _ in range(2)]
            await asyncio.gather(*(worker.run(Until.DONE) for worker in workers))
            return [worker.begun for worker in workers]

        begun = async_to_sync(both)()
        assert sum(begun) == 20
        assert min(begun) > 0
        assert len(server.purchases) == 20

    def test_a_limit_and_then_the_rest(self, load):
        batch = load(5)
        work(batch, limit=2)
        assert (batch.state, states(batch)) == ("running", ["pending"] * 3 + ["ready"] * 2)
        work(batch)
        assert (batch.state, states(batch)) == ("finished", ["ready"] * 5)

    def test_a_refused_row_fails_alone(self, live, load):
        (server,) = live("openai_images")
        server.fault("submit", Fault.moderation(), times=1)
        batch = load(4)
        work(batch, concurrency=1)
        assert states(batch) == ["failed", "ready", "ready", "ready"]
        assert "refused" in batch.assets.get(generation_state="failed").failure
        assert lifecycle.retry_failed(batch) == 1
        work(batch)
        assert states(batch) == ["ready"] * 4

    def test_a_rate_limit_is_waited_out_and_no_placeholder_stands_in(self, live, load):
        (server,) = live("openai_images")
        ProviderConfig.objects.filter(name="noop_media").update(enabled=True, position=9)
        server.fault("submit", Fault.rate_limited(retry_after=1), times=2)
        batch = load(4)
        work(batch, concurrency=2)
        assert states(batch) == ["ready"] * 4
        assert not batch.assets.filter(is_placeholder=True).exists()
        assert len(server.purchases) == 4

    def test_an_outage_is_waited_out(self, live, load, settings):
        settings.MEDIAGEN = {"RETRIES": 0, "BREAKER_FAILURES": 2, "BREAKER_COOLDOWN_S": 0.3, "BACKOFF_S": 0.01}
        (server,) = live("openai_images")
        server.fault("submit", Fault.http(503), times=4)
        batch = load(4)
        work(batch, concurrency=4)
        assert (states(batch), len(server.purchases)) == (["ready"] * 4, 4)

    def test_pausing_and_going_on(self, load):
        batch = load(4)
        assert lifecycle.pause(batch, "lunch")
        work(batch)
        assert (batch.state, states(batch)) == ("paused", ["pending"] * 4)
        lifecycle.start(batch)
        work(batch)
        assert states(batch) == ["ready"] * 4

    def test_a_cancelled_batch_is_not_begun_and_can_be_retried(self, load):
        batch = load(3)
        assert lifecycle.cancel(batch) == 3
        work(batch)
        assert states(batch) == ["cancelled"] * 3
        with pytest.raises(InvalidRequest, match="cancelled"):
            lifecycle.start(batch)
        assert lifecycle.retry_failed(batch) == 3
        work(batch)
        assert states(batch) == ["ready"] * 3

    def test_a_wrong_setting_pauses_the_batch_instead_of_failing_every_row(self, load):
        ProviderConfig.objects.filter(name="flux").update(options={"nonsense": 1})
        batch = load(3)
        work(batch)
        assert (batch.state, states(batch)) == ("paused", ["pending"] * 3)
        assert "nonsense" in batch.state_reason


class TestMoney:
    @pytest.fixture(autouse=True)
    def priced(self, live):
        (self.server,) = live("sdxl", prices={"core": "0.10"})

    def test_never_more_than_the_limit(self, load):
        batch = load(10, max_cost=Decimal("0.35"))
        work(batch, concurrency=8)
        assert len(self.server.purchases) == 3
        assert (batch.state, states(batch)) == ("paused", ["pending"] * 7 + ["ready"] * 3)
        account = SpendAccount.objects.get()
        assert (account.spent, account.held) == (Decimal("0.30"), 0)
        assert "max-cost" in batch.state_reason

    def test_a_higher_limit_goes_on(self, load):
        batch = load(4, max_cost=Decimal("0.10"))
        work(batch)
        lifecycle.set_max_cost(batch, Decimal("1"))
        lifecycle.start(batch)
        work(batch)
        assert (len(self.server.purchases), states(batch)) == (4, ["ready"] * 4)

    def test_what_may_have_been_bought_counts(self, load):
        self.server.fault("submit", Fault.reset_after_body_read(), times=None)
        batch = load(5, max_cost=Decimal("0.25"))
        work(batch, concurrency=1)
        assert len(self.server.purchases) == 2
        assert batch.cost() == Cost(unsettled=2, possible=Decimal("0.2"))

    def test_what_was_refused_does_not_count(self, load):
        self.server.fault("submit", Fault.moderation(), times=3)
        batch = load(4, max_cost=Decimal("0.10"))
        work(batch, concurrency=1)
        assert states(batch) == ["failed"] * 3 + ["ready"]

    def test_an_unknown_price_is_refused_under_a_limit(self, load, monkeypatch):
        ProviderConfig.objects.filter(name="sdxl").update(model="stable-diffusion-xl-1024-v1-0", prices={})
        monkeypatch.setattr(SDXLAdapter, "upper_prices", {})
        batch = load(2, max_cost=Decimal("5"))
        work(batch)
        assert (self.server.purchases, batch.state) == ([], "paused")
        assert "price" in batch.state_reason

    @pytest.mark.parametrize("owner", ["library", "provider"])
    def test_budgets_of_libraries_and_providers(self, load, owner):
        get_media_engine().generate_asset_sync("before the budget", 1024, 1024)
        model = {"library": MediaLibrary, "provider": ProviderConfig}[owner]
        model.objects.update(budget_limit=Decimal("0.25"), budget_period="month")
        batch = load(4)
        work(batch)
        assert len(self.server.purchases) == 2  # one before, one in the batch: a third would pass the limit
        assert batch.state == "paused"

    def test_a_budget_of_yesterday_does_not_bind_today(self, load):
        get_media_engine().generate_asset_sync("yesterday", 1024, 1024)
        GenerationAttempt.objects.update(started_at=utcnow() - timedelta(days=1, hours=1))
        MediaLibrary.objects.update(budget_limit=Decimal("0.15"), budget_period="day")
        batch = load(1)
        work(batch)
        assert states(batch) == ["ready"]

    def test_without_limits_nothing_is_kept_in_accounts(self, load):
        work(load(2))
        assert not SpendAccount.objects.exists()

    def test_spending_in_sql_and_in_python_agree(self, load):
        self.server.fault("submit", Fault.reset_after_body_read(), times=1)
        self.server.fault("submit", Fault.moderation(), times=1, after=1)
        work(load(4), concurrency=1)
        rows = list(GenerationAttempt.objects.all())
        assert len(rows) == 4
        assert cost_of(GenerationAttempt.objects.all()).counts == sum(Cost.of(row).counts for row in rows)


class TestMaintenance:
    def test_nothing_to_do(self, load):
        work(load())
        report = sweep.maintain()
        assert not any(getattr(report, name) for name in report.__slots__)

    def test_stale_rows_wait_again_and_unknown_files_go(self, load):
        batch = load(2)
        work(batch)
        keep, lose = batch.assets.order_by("id")
        orphan = asset_storage().save(f"mediagen/2026/11/{keep.pk}-99.png", ContentFile(b"x"))
        foreign = asset_storage().save("mediagen/readme.txt", ContentFile(b"x"))
        MediaAsset.objects.filter(pk=lose.pk).update(
            generation_state="running", lease_until=utcnow() - timedelta(seconds=5)
        )
        report = sweep.maintain()
        assert (report.requeued, report.files_removed) == (1, 1)
        assert not asset_storage().exists(orphan)
        assert asset_storage().exists(foreign)  # not one of ours
        assert asset_storage().exists(keep.file.name)

    def test_a_stored_picture_of_a_dead_worker_gets_its_row(self, live, load):
        (server,) = live("openai_images")
        batch = load(1)
        work(batch)
        asset = batch.assets.get()
        # As a kill between the file and the row leaves it.
        GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None, cost_held="0.05", cost=None)
        MediaAsset.objects.update(
            generation_state="running", file="", content_hash="", generated_at=None,
            lease_until=utcnow() - timedelta(seconds=5),
        )  # fmt: skip
        assert sweep.maintain().pictures_kept == 1
        row = MediaAsset.objects.get()
        assert (row.generation_state, row.content_hash, row.cost) == ("ready", asset.content_hash, Decimal("0.05"))
        assert GenerationAttempt.objects.get().state == "adopted"
        assert len(server.purchases) == 1
        names = asset_storage().listdir(row.file.name.rpartition("/")[0])[1]
        assert names == [row.file.name.rpartition("/")[2]]

    def test_an_attempt_nobody_will_end_is_unknown(self, load):
        work(load(1))
        GenerationAttempt.objects.update(state="submitted", outcome="", billable=True)
        assert sweep.maintain().attempts_closed == 1
        assert GenerationAttempt.objects.get().outcome == "unknown"

    def test_money_that_nobody_holds_is_let_go(self, load):
        SpendAccount.objects.create(owner="batch:x", limit=1, held=Decimal("0.5"))
        assert sweep.maintain().accounts_corrected == 1
        assert SpendAccount.objects.get().held == 0


def test_a_batch_that_nobody_names(load):
    assert lifecycle.get_batch(str(load().pk)).total == 6
    assert lifecycle.get_batch("prompts.txt").total == 6
    with pytest.raises(InvalidRequest, match="no batch"):
        lifecycle.get_batch("another")
    assert GenerationBatch.objects.with_counts().get().pending == 6
