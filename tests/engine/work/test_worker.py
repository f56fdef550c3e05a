"""Workers: each row once, however many there are, whatever they meet, and whenever they are told to stop."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection

from mediagen import circuits
from mediagen.engine.batches import lifecycle
from mediagen.engine.database import hops, patience
from mediagen.engine.files import storage
from mediagen.engine.generation import claims
from mediagen.engine.generation import running as generation
from mediagen.engine.work.worker import Until, Worker
from mediagen.errors import Unavailable, UnsupportedRequest
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary, ProviderConfig, asset_storage
from mediagen.types import utcnow
from tests.covering import all_but
from tests.engine.work.working import (
    PRICE,
    Local,
    account_of,
    attempt_states,
    batch_of,
    commits_fail,
    kinds,
    states,
    use_local,
    work,
)
from tests.factories import MediaAssetFactory


def stored():
    """Names of the files in the storage."""
    found, todo = [], ["mediagen"]
    while todo:
        folder = todo.pop()
        try:
            folders, names = asset_storage().listdir(folder)
        except FileNotFoundError:
            continue
        todo += [f"{folder}/{name}" for name in folders]
        found += [f"{folder}/{name}" for name in names]
    return sorted(found)


def is_clean(batch):
    """Every file belongs to a row, and every row that is ready has one."""
    return stored() == sorted(batch.assets.exclude(file="").values_list("file", flat=True))


@pytest.mark.django_db
class TestClaiming:
    def test_every_row_once_and_the_batch_is_finished(self, tmp_path, settings):
        local = use_local(settings)
        batch = batch_of(tmp_path, 20)
        events = work(batch, concurrency=4)
        assert kinds(events) == {"ready": 20}
        assert sorted(local.asked) == sorted(batch.assets.values_list("prompt", flat=True))
        assert (states(batch), batch.state) == ({"ready": 20}, "finished")
        assert set(batch.assets.values_list("lease_worker", "lease_until", "lease_token")) == {("", None, 1)}
        assert is_clean(batch)

    def test_only_so_many_at_once(self, tmp_path, settings):
        at_once = [0, 0]

        async def answer(prompt):
            at_once[0] += 1
            at_once[1] = max(at_once)
            await asyncio.sleep(0.01)
            at_once[0] -= 1

        use_local(settings, answer)
        work(batch_of(tmp_path, 20), concurrency=3)
        assert at_once == [0, 3]

    def test_only_its_batch_and_only_what_is_named(self, tmp_path, settings):
        local = use_local(settings)
        mine, other = batch_of(tmp_path, ["a", "b"]), batch_of(tmp_path, ["c"], name="other.txt")
        work(mine)
        assert sorted(local.asked) == ["a", "b"]
        single = MediaAssetFactory(prompt="d")
        MediaAssetFactory(prompt="e")
        work(until=Until.IDLE, asset_ids=[single.pk])
        assert local.asked[2:] == ["d"]
        work(until=Until.DONE)
        assert sorted(local.asked[3:]) == ["c", "e"]
        other.refresh_from_db()
        assert other.state == "finished", "a worker for everything finishes batches too"

    def test_a_limit_and_then_the_next(self, tmp_path, settings):
        local = use_local(settings)
        batch = batch_of(tmp_path, 10)
        for done in (4, 8, 10):
            work(batch, limit=4, concurrency=3)
            assert (len(local.asked), states(batch)["ready"]) == (done, done)
            assert states(batch).get("pending", 0) == 10 - done
        assert batch.state == "finished"

    def test_rows_whose_time_has_not_come_are_left_alone(self, settings):
        local = use_local(settings)
        row = MediaAssetFactory(lease_until=utcnow() + timedelta(seconds=60))
        work(until=Until.IDLE)
        assert local.asked == []
        MediaAsset.objects.filter(pk=row.pk).update(lease_until=utcnow() - timedelta(seconds=1))
        work(until=Until.IDLE)
        assert len(local.asked) == 1

    def test_a_living_workers_row_is_not_taken_and_a_dead_ones_is(self, settings):
        local = use_local(settings)
        soon = utcnow() + timedelta(seconds=60)
        row = MediaAssetFactory(generation_state="running", lease_worker="elsewhere", lease_token=7, lease_until=soon)
        work(until=Until.IDLE)
        assert local.asked == []
        MediaAsset.objects.filter(pk=row.pk).update(lease_until=utcnow() - timedelta(seconds=1))
        work(until=Until.IDLE)
        row.refresh_from_db()
        assert (row.generation_state, row.lease_token) == ("ready", 8)

    def test_leases_of_all_its_rows_are_renewed(self, tmp_path, settings):
        """Also of those that are claimed and wait for a place."""
        prolonged = []

        async def answer(prompt):
            mine = MediaAsset.objects.filter(generation_state="running")
            before = [end async for end in mine.order_by("id").values_list("lease_until", flat=True)]
            await asyncio.sleep(0.4)
            after = [end async for end in mine.order_by("id").values_list("lease_until", flat=True)]
            prolonged.append(all(b > a for a, b in zip(before, after, strict=True)))

        use_local(settings, answer, LEASE_S=0.3)
        batch = batch_of(tmp_path, 2)
        worker = Worker(batch_id=batch.pk, concurrency=1)
        worker._buffer.extend(worker._claim(2))
        async_to_sync(worker.run)(Until.DONE)
        assert prolonged == [True, True]
        assert set(batch.assets.values_list("lease_token", "generation_state")) == {(1, "ready")}


@pytest.mark.django_db(transaction=True)
class TestManyWorkers:
    def test_share_the_work_and_do_nothing_twice(self, tmp_path, settings):
        async def answer(prompt):
            await asyncio.sleep(0.005)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 80)
        begun = at_once(4, lambda: Worker(batch_id=batch.pk, concurrency=4), Until.DONE)
        assert sum(begun) == 80
        assert sorted(local.asked) == sorted(batch.assets.values_list("prompt", flat=True))
        batch.refresh_from_db()
        assert (states(batch), batch.state) == ({"ready": 80}, "finished")
        assert set(batch.assets.values_list("lease_token", flat=True)) == {1}
        assert is_clean(batch)

    def test_spend_together_no_more_than_the_limit(self, tmp_path, settings):
        async def answer(prompt):
            await asyncio.sleep(0.002)
            if prompt.endswith("7"):
                raise ValueError("whatever: it counts, for nobody knows what happened")

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 60, max_cost=Decimal("1.30"))
        at_once(4, lambda: Worker(batch_id=batch.pk, concurrency=5), Until.DONE)
        batch.refresh_from_db()
        account = account_of(batch)
        assert (len(local.asked), account.spent, account.held) == (13, Decimal("1.30"), 0)
        assert (batch.state, "Go on with a higher --max-cost" in batch.state_reason) == ("paused", True)
        assert states(batch)["pending"] == 60 - 13
        lifecycle.set_max_cost(batch, Decimal("1.50"))
        lifecycle.start(batch)
        at_once(4, lambda: Worker(batch_id=batch.pk, concurrency=5), Until.DONE)
        account.refresh_from_db()
        assert (len(local.asked), account.spent, account.held) == (15, Decimal("1.50"), 0)


def at_once(count, make, until):
    """Run so many workers in threads of their own; how many assets each began."""
    workers = [make() for _ in range(count)]

    def run(worker):
        async_to_sync(worker.run)(until)
        connection.close()

    threads = [threading.Thread(target=run, args=[worker]) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [worker.begun for worker in workers]


@pytest.mark.django_db
class TestMoney:
    def test_what_is_held_for_others_is_waited_for(self, tmp_path, settings):
        """The first requests end for nothing, so that what was held for them is free again."""
        refusals = iter([True] * 3)

        async def answer(prompt):
            await asyncio.sleep(0.05)
            if next(refusals, False):
                raise UnsupportedRequest("not this one")

        use_local(settings, answer)
        batch = batch_of(tmp_path, 6, max_cost=Decimal("0.30"))
        work(batch, concurrency=6)
        assert (states(batch), batch.state) == ({"failed": 3, "ready": 3}, "finished")
        assert (account_of(batch).spent, account_of(batch).held) == (Decimal("0.30"), 0)

    def test_an_unknown_price_pauses_the_batch_before_anything_is_asked(self, tmp_path, settings):
        local = use_local(settings, price=None)
        batch = batch_of(tmp_path, 3, max_cost=Decimal(5))
        work(batch)
        assert (local.asked, batch.state, states(batch)) == ([], "paused", {"pending": 3})
        assert "price of local  is not known" in batch.state_reason

    def test_without_a_limit_an_unknown_price_is_no_obstacle(self, tmp_path, settings):
        use_local(settings, price=None)
        batch = batch_of(tmp_path, 2)
        work(batch)
        assert set(batch.assets.values_list("generation_state", "cost")) == {("ready", None)}

    def test_a_librarys_budget_pauses_the_batch(self, tmp_path, settings):
        local = use_local(settings)
        MediaLibrary.objects.create(name="Default", budget_limit="0.25")
        batch = batch_of(tmp_path, 5)
        work(batch, concurrency=2)
        assert (len(local.asked), batch.state) == (2, "paused")
        assert "Raise the budget of library 'Default'" in batch.state_reason
        MediaLibrary.objects.update(budget_limit="0.50")
        lifecycle.start(batch)
        work(batch)
        assert (len(local.asked), batch.state) == (5, "finished")

    def test_a_limit_that_is_lowered_while_it_runs_holds(self, tmp_path, settings):
        batch = None

        async def answer(prompt):
            if len(Local.asked) == 3:
                await hops.in_database(lifecycle.set_max_cost, batch, Decimal("0.40"))
            await asyncio.sleep(0.01)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 30, max_cost=Decimal(3))
        work(batch, concurrency=1)
        assert (len(local.asked), account_of(batch).spent, batch.state) == (4, Decimal("0.40"), "paused")

    def test_a_limit_that_is_set_while_it_runs_counts_what_was_bought(self, tmp_path, settings, monkeypatch):
        monkeypatch.setattr("mediagen.engine.work.worker.CHAIN_AGE_S", 0.0)
        batch = None

        async def answer(prompt):
            if len(Local.asked) == 3:
                await hops.in_database(lifecycle.set_max_cost, batch, Decimal("0.50"))

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 30)
        work(batch, concurrency=1)
        assert (len(local.asked), batch.state) == (5, "paused")


@pytest.mark.django_db
class TestPauseAndCancel:
    @pytest.mark.parametrize(("order", "left"), [(lifecycle.pause, "pending"), (lifecycle.cancel, "cancelled")])
    def test_while_it_runs_nothing_more_is_begun(self, tmp_path, settings, monkeypatch, order, left):
        monkeypatch.setattr("mediagen.engine.work.worker.CHAIN_AGE_S", 0.02)
        batch = None

        async def answer(prompt):
            if len(Local.asked) == 4:
                await hops.in_database(order, batch)
            await asyncio.sleep(0.05)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 40)
        worker = Worker(batch_id=batch.pk, concurrency=1)
        worker._buffer.extend(worker._claim(10))
        async_to_sync(worker.run)(Until.DONE)
        batch.refresh_from_db()
        made = len(local.asked)
        assert made in (4, 5), "what is under way ends; what was claimed and not begun is given back"
        assert states(batch) == {"ready": made, left: 40 - made}
        assert batch.state == order.__name__ + ("d" if order is lifecycle.pause else "led")

    def test_a_batch_that_is_deleted_meanwhile_is_let_alone(self, tmp_path, settings, monkeypatch):
        monkeypatch.setattr("mediagen.engine.work.worker.CHAIN_AGE_S", 0.0)
        batch = None

        async def answer(prompt):
            if len(Local.asked) == 2:
                await hops.in_database(batch.delete)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 10)
        pk = batch.pk
        async_to_sync(Worker(batch_id=pk, concurrency=1).run)(Until.DONE)
        assert len(local.asked) == 2
        assert MediaAsset.objects.filter(generation_state="running").count() == 0


@pytest.mark.django_db
class TestStopping:
    def test_once_ends_what_is_under_way_and_gives_back_the_rest(self, tmp_path, settings):
        worker = None

        async def answer(prompt):
            if len(Local.asked) == 3:
                worker.stop()
            await asyncio.sleep(0.02)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 30)
        worker = Worker(batch_id=batch.pk, concurrency=3)
        async_to_sync(worker.run)(Until.DONE)
        assert len(local.asked) == 3
        assert states(batch) == {"ready": 3, "pending": 27}
        assert set(batch.assets.filter(generation_state="pending").values_list("lease_worker", "lease_until")) == {
            ("", None)
        }
        work(batch)
        assert states(batch) == {"ready": 30}
        assert len(set(local.asked)) == len(local.asked) == 30

    def test_now_cancels_what_is_under_way_and_it_can_be_taken_at_once(self, tmp_path, settings):
        worker = None

        async def answer(prompt):
            if len(Local.asked) == 3:
                worker.stop_now()
            if worker is not None:
                await asyncio.sleep(60)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 10)
        worker = Worker(batch_id=batch.pk, concurrency=3)
        began = time.monotonic()
        async_to_sync(worker.run)(Until.DONE)
        assert time.monotonic() - began < 10
        assert states(batch) == {"pending": 10}
        unknown = GenerationAttempt.objects.filter(state="unknown")
        assert (unknown.count(), set(unknown.values_list("cost_held", flat=True))) == (3, {PRICE})
        worker = None
        work(batch)
        assert states(batch) == {"ready": 10}
        assert len(local.asked) == 13

    def test_a_job_that_is_given_up_twice_is_still_fetched(self, tmp_path, live, settings):
        """Stopped while polling, and stopped again while polling the same job: it is bought once all the same."""
        (server,) = live("flux")
        server.polls_until_ready = 10**6
        batch = batch_of(tmp_path, 1, defaults={"width": 512, "height": 512})
        for _ in range(3):
            worker = Worker(batch_id=batch.pk)

            async def stop_while_polling(worker=worker):
                running = asyncio.create_task(worker.run(Until.DONE))
                seen = len(server.requests_for("poll"))
                while len(server.requests_for("poll")) == seen:
                    await asyncio.sleep(0.02)
                worker.stop_now()
                await running

            async_to_sync(stop_while_polling)()
            assert states(batch) == {"pending": 1}
        server.polls_until_ready = 1
        work(batch)
        assert (states(batch), len(server.purchases)) == ({"ready": 1}, 1)
        assert attempt_states(batch.assets.get()) == [("adopted", "succeeded")]

    def test_a_picture_that_has_come_is_kept(self, tmp_path, settings, monkeypatch):
        """Stopped at once at the moment in which it is being stored."""
        local = use_local(settings)
        batch = batch_of(tmp_path, 1)
        worker = Worker(batch_id=batch.pk)
        save = storage.save_file

        async def slow(*args, **kwargs):
            worker.stop_now()
            await asyncio.sleep(0.05)
            return await save(*args, **kwargs)

        monkeypatch.setattr(storage, "save_file", slow)
        async_to_sync(worker.run)(Until.DONE)
        assert (states(batch), len(local.asked)) == ({"ready": 1}, 1)
        assert attempt_states(batch.assets.get()) == [("succeeded", "succeeded")]
        assert is_clean(batch)

    def test_and_found_again_when_it_could_not_be_written(self, tmp_path, settings, monkeypatch):
        """Told a third time, while the storage still does not answer."""
        local = use_local(settings)
        batch = batch_of(tmp_path, 1)
        worker = Worker(batch_id=batch.pk)
        save = storage.save_file

        async def slow(*args, **kwargs):
            name = await save(*args, **kwargs)
            worker.stop_now()
            asyncio.get_running_loop().call_later(0.05, worker.stop_now)
            await asyncio.sleep(30)
            return name

        with monkeypatch.context() as patch:
            patch.setattr(storage, "save_file", slow)
            async_to_sync(worker.run)(Until.DONE)
        assert states(batch) == {"pending": 1}
        work(batch)
        assert (states(batch), len(local.asked)) == ({"ready": 1}, 1)
        assert attempt_states(batch.assets.get()) == [("adopted", "succeeded")]
        assert is_clean(batch)


@pytest.mark.django_db
class TestWhatCannotBe:
    def test_wrong_settings_pause_the_batch_and_say_why(self, tmp_path, live):
        (server,) = live("sdxl")
        batch = batch_of(tmp_path, 5, defaults={"width": 1024, "height": 1024})
        ProviderConfig.objects.filter(name="sdxl").update(options={"nonsense": 1})
        work(batch, concurrency=2)
        assert (batch.state, "nonsense" in batch.state_reason, states(batch)) == ("paused", True, {"pending": 5})
        ProviderConfig.objects.filter(name="sdxl").update(options={})
        lifecycle.start(batch)
        work(batch)
        assert (states(batch), len(server.purchases)) == ({"ready": 5}, 5)

    def test_a_single_asset_fails_with_them(self, live):
        live("sdxl", options={"nonsense": 1})
        row = MediaAssetFactory()
        work(until=Until.IDLE)
        row.refresh_from_db()
        assert (row.generation_state, "nonsense" in row.failure) == ("failed", True)

    def test_a_provider_that_is_gone_fails_its_rows_with_a_reason(self, tmp_path, settings):
        use_local(settings)
        batch = batch_of(tmp_path, 2, defaults={"providers": ["local"]})
        ProviderConfig.objects.filter(name="local").delete()
        settings.MEDIAGEN = {**settings.MEDIAGEN, "PROVIDERS": {}}
        events = work(batch)
        assert kinds(events) == {"failed": 2}
        assert all("There is no provider 'local'" in asset.failure for asset in batch.assets.all())

    def test_what_nobody_foresaw_fails_the_row_and_not_the_worker(self, tmp_path, settings, monkeypatch):
        use_local(settings)
        batch = batch_of(tmp_path, 3)
        order_of = claims.order_of

        def broken(asset):
            if asset.prompt.endswith("1"):
                raise ZeroDivisionError
            return order_of(asset)

        monkeypatch.setattr(claims, "order_of", broken)
        events = work(batch)
        assert kinds(events) == {"ready": 2, "failed": 1}
        assert (states(batch), batch.state) == ({"ready": 2, "failed": 1}, "finished")
        assert batch.assets.get(generation_state="failed").failure == "ZeroDivisionError"


@pytest.mark.django_db
class TestTheStorage:
    def test_one_that_fails_pauses_the_batch_and_what_was_paid_is_kept(self, tmp_path, settings, monkeypatch):
        rescued = tmp_path / "rescued"
        local = use_local(settings, RESCUE_DIR=str(rescued))
        batch = batch_of(tmp_path, 8, max_cost=Decimal(1))

        def full(name, content):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "_save", full)
            work(batch, concurrency=2)
        bought = len(local.asked)
        assert (batch.state, "No space left on device" in batch.state_reason) == ("paused", True)
        assert states(batch) == {"pending": 8}
        assert bought <= 4, "it does not go on buying"
        assert len(list(rescued.iterdir())) == bought
        assert account_of(batch).held == bought * PRICE, "it is not known to be lost"

        lifecycle.start(batch)
        work(batch, concurrency=2)
        assert (states(batch), batch.state, len(local.asked)) == ({"ready": 8}, "finished", 8)
        assert list(rescued.iterdir()) == []
        assert (account_of(batch).held, account_of(batch).spent) == (0, 8 * PRICE)
        adopted = [state for asset in batch.assets.all() for state, _ in attempt_states(asset)].count("adopted")
        assert adopted == bought
        assert is_clean(batch)

    def test_one_that_fails_for_a_moment_is_waited_for(self, tmp_path, settings, monkeypatch):
        local = use_local(settings, STORAGE_PATIENCE_S=10.0)
        batch = batch_of(tmp_path, 2)
        save, fails = storage._save, iter([True, True])

        def for_a_moment(name, content):
            if next(fails, False):
                raise ConnectionError("the bucket does not answer")
            return save(name, content)

        monkeypatch.setattr(storage, "_save", for_a_moment)
        assert kinds(work(batch)) == {"ready": 2}
        assert len(local.asked) == 2


@pytest.mark.django_db(transaction=True)
class TestTheDatabase:
    """Every commit of a run is lost once, before it was kept or after. Nothing is bought twice or held for ever."""

    @pytest.mark.whole
    @pytest.mark.parametrize("although_done", [False, True])
    def test_any_commit_may_be_lost(self, tmp_path, settings, monkeypatch, although_done):
        for number in itertools.count():
            local = use_local(settings)
            batch = batch_of(tmp_path, 3, anew=True, max_cost=Decimal(9))
            with commits_fail(monkeypatch, after=number, although_done=although_done) as failing:
                work(batch, concurrency=2)
            if failing.left:
                break
            assert (states(batch), batch.state) == ({"ready": 3}, "finished"), f"commit {number}"
            assert len(local.asked) == 3, f"commit {number}"
            assert (account_of(batch).held, account_of(batch).spent) == (0, 3 * PRICE), f"commit {number}"
            assert is_clean(batch), f"commit {number}"
            MediaAsset.objects.all().delete()
            for name in stored():
                storage.remove_file(name)
        assert number > 4, "those were all the commits of a run"

    def test_one_that_is_away_for_seconds_is_waited_for(self, tmp_path, settings, monkeypatch, caplog):
        local = use_local(settings)
        batch = batch_of(tmp_path, 5, max_cost=Decimal(9))
        with commits_fail(monkeypatch, times=4, after=2) as failing:
            assert kinds(work(batch)) == {"ready": 5}
        assert (len(local.asked), failing.left) == (5, 0)
        assert "the database is away" in caplog.text

    @pytest.mark.parametrize(
        ("after", "times"), all_but(itertools.product(range(2, 8), (1, 2)), (2, 1), (4, 2), (5, 1), (7, 2))
    )
    def test_one_that_is_away_for_longer_loses_nothing(self, tmp_path, settings, monkeypatch, after, times):
        """Our patience ends before it is back: the rows wait, and pictures that were stored are found again."""
        monkeypatch.setattr(patience, "PATIENCE_S", 0.0)
        local = use_local(settings)
        batch = batch_of(tmp_path, 3, max_cost=Decimal(9))
        with commits_fail(monkeypatch, times=times, after=after) as failing:
            while failing.left:
                with suppress(OperationalError):
                    work(batch, concurrency=1)
        work(batch)
        assert states(batch) == {"ready": 3}
        seen = [state for asset in batch.assets.all() for state, _ in attempt_states(asset)]
        unknown = seen.count("unknown")
        assert len(local.asked) <= 3 + unknown
        assert (account_of(batch).held, account_of(batch).spent) == (0, (3 + unknown) * PRICE)
        assert is_clean(batch)

    def test_a_breaker_that_cannot_be_written_costs_no_picture(self, tmp_path, settings, monkeypatch):
        fails = iter([True, True])

        async def answer(prompt):
            if next(fails, False):
                raise Unavailable("not now")

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 3)

        def away(*args, **kwargs):
            raise OperationalError("database is locked")

        monkeypatch.setattr(circuits, "_change", away)
        monkeypatch.setattr(circuits, "MAX_AGE_S", 0.0)
        monkeypatch.setattr(circuits, "_read_circuits", away)
        monkeypatch.setattr(circuits.SharedBreaker, "now", classmethod(lambda cls: cls({})))
        work(batch, concurrency=1)
        assert (states(batch), len(local.asked)) == ({"ready": 3}, 5)


@pytest.mark.django_db
def test_what_bears_its_name_and_is_not_in_its_hands_is_given_back(tmp_path, settings):
    """As after a claim whose commit was done and whose answer got lost."""
    local = use_local(settings)
    batch = batch_of(tmp_path, 2)
    worker = Worker(batch_id=batch.pk, concurrency=1)
    lost = batch.assets.first()
    MediaAsset.objects.filter(pk=lost.pk).update(
        generation_state="running", lease_worker=worker.name, lease_token=1, lease_until=utcnow() + timedelta(hours=1)
    )
    async_to_sync(worker.run)(Until.DONE)
    assert (states(batch), len(local.asked)) == ({"ready": 2}, 2)


@pytest.mark.django_db
def test_max_tries_end_an_outage(tmp_path, settings, monkeypatch):
    async def answer(prompt):
        raise Unavailable("out of order")

    monkeypatch.setattr(generation, "MAX_TRIES", 2)
    monkeypatch.setattr(generation, "SHORTEST_WAIT_S", 0.01)
    use_local(settings, answer, BREAKER_COOLDOWN_S=0.02, BREAKER_MAX_COOLDOWN_S=0.02)
    batch = batch_of(tmp_path, 2)
    events = work(batch)
    assert states(batch) == {"failed": 2}
    assert kinds(events)["failed"] == 2
    assert all("out of order" in asset.failure for asset in batch.assets.all())
