"""Work that is left to others: rows that wait, the engine that is told of them, and what it runs."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import mediagen
from mediagen.engine import get_media_engine
from mediagen.engine.batches import lifecycle
from mediagen.engine.dispatch import task_engine
from mediagen.engine.generation import claims, leases
from mediagen.engine.maintenance import sweep
from mediagen.engine.work import task_runs
from mediagen.engine.work.task_runs import work_off
from mediagen.engine.work.worker import Until, Worker
from mediagen.errors import InvalidRequest
from mediagen.models import BatchState, GenerationBatch, GenerationState, MediaAsset, MediaTag
from mediagen.types import utcnow, uuid7
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()


class TaskEngine:
    """A site's task engine that keeps what it is told."""

    def __init__(self) -> None:
        self.kicks: list[list[str]] = []
        self.asked = 0
        self.broken: Exception | None = None
        self.how: dict[str, str] = {}

    def using(self, **how: str) -> TaskEngine:
        self.how = how
        return self

    def enqueue(self, asset_ids: list[str]) -> None:
        self.asked += 1
        if self.broken:
            raise self.broken
        self.kicks.append(asset_ids)

    @property
    def told(self) -> list[str]:
        return [asset_id for kick in self.kicks for asset_id in kick]


@pytest.fixture
def site_engine(settings, monkeypatch) -> TaskEngine:
    settings.MEDIAGEN = {"TASK_BACKEND": "pictures"}
    found = TaskEngine()
    module = ModuleType("mediagen.tasks")
    module.generate = found
    monkeypatch.setattr(mediagen, "tasks", module, raising=False)
    return found


@pytest.fixture
def commit(django_capture_on_commit_callbacks):
    """`with commit():` is a transaction that is committed, although the test is inside one."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture
def batch() -> GenerationBatch:
    return GenerationBatch.objects.create(name="hares", fingerprint="f" * 64, state=BatchState.RUNNING, total=3)


def waiting(count=1, **values) -> list[MediaAsset]:
    library = claims.get_library(None)
    return [
        MediaAsset.objects.create(
            library=library, prompt=f"Picture {n}", parameters={"width": 32, "height": 32}, row_key=str(n), **values
        )
        for n in range(count)
    ]  # fmt: skip


def ids(assets) -> list[str]:
    return [asset.asset_id for asset in assets]


class TestEnqueue:
    def test_without_an_engine_the_row_waits_for_a_worker(self):
        asset = engine.enqueue_sync("A lighthouse", 32, 32, name="Light", tags=["coast"], deadline_s=5)

        asset.refresh_from_db()
        assert (asset.generation_state, asset.name, asset.kicked_at, asset.lease_until) == (
            "pending",
            "Light",
            None,
            None,
        )
        assert claims.order_of(asset).deadline_s == 5
        async_to_sync(Worker().run)(Until.DONE)
        asset.refresh_from_db()
        assert (asset.generation_state, asset.width, asset.is_placeholder) == ("ready", 32, True)
        assert asset.tag_names == ["coast", "generated", "generated-sdxl"]

    def test_the_engine_is_told_on_commit(self, site_engine, commit):
        with commit(), transaction.atomic():
            asset = engine.enqueue_sync("A lighthouse")
            assert site_engine.kicks == []

        assert site_engine.kicks == [[asset.asset_id]]
        assert site_engine.how == {"backend": "pictures", "queue_name": "default"}
        asset.refresh_from_db()
        assert asset.kicked_at is not None

    def test_of_what_is_rolled_back_nobody_is_told(self, site_engine, commit):
        with commit(), transaction.atomic():
            engine.enqueue_sync("A lighthouse")
            transaction.set_rollback(True)

        assert (site_engine.asked, MediaAsset.objects.count()) == (0, 0)

    def test_the_coroutine(self, site_engine, commit):
        with commit():
            asset = async_to_sync(engine.enqueue)("A lighthouse", width=64, seed=7)

        assert site_engine.told == [asset.asset_id]
        assert (asset.parameters["width"], asset.seed) == (64, 7)

    def test_the_queue_of_the_settings(self, site_engine, commit, settings):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "TASK_QUEUE": "slow"}
        with commit():
            engine.enqueue_sync("A lighthouse")

        assert site_engine.how["queue_name"] == "slow"

    def test_pictures_that_are_asked_for_together_know_each_other(self):
        together = uuid7()

        first, second = (engine.enqueue_sync("A lighthouse", 32, 32, generation_id=str(together)) for _ in range(2))

        assert set(MediaAsset.objects.filter(generation_id=together)) == {first, second}
        with pytest.raises(InvalidRequest, match="generation_id must be a UUID") as caught:
            engine.enqueue_sync("A lighthouse", generation_id="these two")
        assert caught.value.field == "generation_id"

    def test_the_same_idempotency_key_is_the_same_asset_and_told_once(self, site_engine, commit):
        with commit():
            first = engine.enqueue_sync("A lighthouse", idempotency_key="k")
            second = engine.enqueue_sync("A lighthouse", idempotency_key="k")

        assert first.pk == second.pk
        assert site_engine.told == [first.asset_id]

    @pytest.mark.parametrize(
        "arguments",
        [
            {"width": -1},
            {"provider": "nobody"},
            {"library_id": "01a20404-8da1-7f3b-a702-9254e98a762d"},
            {"tags": ["x" * 500]},
        ],
    )
    def test_what_cannot_work_is_refused_before_there_is_a_row(self, site_engine, commit, arguments):
        with commit(), pytest.raises(InvalidRequest):
            engine.enqueue_sync("A lighthouse", **arguments)

        assert (MediaAsset.objects.count(), MediaTag.objects.filter(name__startswith="x").count()) == (0, 0)
        assert site_engine.asked == 0


class TestEnqueueAgain:
    def test_a_failed_one(self, site_engine, commit):
        [asset] = waiting(generation_state=GenerationState.FAILED, failure="no", tries=4)
        with commit():
            again = engine.enqueue_again_sync(asset.asset_id)

        assert (again.pk, again.generation_state, again.failure, again.tries) == (asset.pk, "pending", "", 0)
        assert site_engine.told == [asset.asset_id]

    def test_a_placeholder_becomes_real_under_its_id(self, live):
        asset = engine.generate_asset_sync("A lighthouse", 64, 64)
        [server] = live("sdxl")
        engine.enqueue_again_sync(asset, dry_run=False)

        assert work_off([asset.asset_id]) == 1
        asset.refresh_from_db()
        assert (asset.generation_state, asset.is_placeholder, asset.dry_run) == ("ready", False, False)
        assert len(server.purchases) == 1

    def test_one_whose_worker_died(self):
        past = utcnow() - timedelta(seconds=1)
        [asset] = waiting(
            generation_state=GenerationState.RUNNING, lease_until=past, lease_worker="gone", lease_token=3
        )

        again = engine.enqueue_again_sync(asset.asset_id)

        assert (again.generation_state, again.lease_worker, again.lease_token) == ("pending", "", 3)

    def test_a_real_picture_and_one_under_way_are_left(self, live, site_engine, commit):
        live("sdxl")
        real = engine.generate_asset_sync("A lighthouse", 64, 64)
        soon = utcnow() + timedelta(seconds=60)
        [held] = waiting(generation_state=GenerationState.RUNNING, lease_until=soon, lease_worker="else:where:1:2")
        for asset in (real, held):
            with commit(), pytest.raises(InvalidRequest, match="no placeholder, or somebody works on it"):
                engine.enqueue_again_sync(asset.asset_id)

        assert site_engine.asked == 0

    def test_one_that_does_not_exist(self):
        with pytest.raises(InvalidRequest, match="There is no asset"):
            engine.enqueue_again_sync("01a20404-8da1-7f3b-a702-9254e98a762d")

    def test_a_row_of_a_finished_batch_opens_the_batch_until_it_is_done(self, batch):
        [asset] = waiting(batch=batch, generation_state=GenerationState.FAILED)
        GenerationBatch.objects.update(state=BatchState.FINISHED)
        engine.enqueue_again_sync(asset.asset_id)
        batch.refresh_from_db()
        assert batch.state == "running"

        assert work_off([asset.asset_id]) == 1
        batch.refresh_from_db()
        assert batch.state == "finished"

    def test_a_row_of_a_cancelled_batch_is_refused(self, batch):
        [asset] = waiting(batch=batch, generation_state=GenerationState.CANCELLED)
        lifecycle.cancel(batch)
        with pytest.raises(InvalidRequest, match=f"batches retry {batch.pk}"):
            engine.enqueue_again_sync(asset.asset_id)


class TestKicks:
    def test_twenty_in_a_message(self, site_engine, commit):
        assets = waiting(45)
        with commit():
            assert task_engine.kick_waiting() == 45

        assert [len(kick) for kick in site_engine.kicks] == [20, 20, 5]
        assert sorted(site_engine.told) == sorted(ids(assets))

    def test_without_an_engine_nobody_is_told(self, commit):
        waiting(3)
        with commit():
            assert task_engine.kick_waiting() == 0

        assert MediaAsset.objects.filter(kicked_at__isnull=False).count() == 0

    def test_a_page_at_a_time(self, site_engine, commit, monkeypatch, django_assert_max_num_queries):
        monkeypatch.setattr(task_engine, "PAGE", 2)
        assets = waiting(5)
        with commit(), django_assert_max_num_queries(10):
            assert task_engine.kick_waiting() == 5

        assert sorted(site_engine.told) == sorted(ids(assets))

    def test_what_was_told_lately_is_not_told_again(self, site_engine, commit, settings):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "KICK_AGAIN_S": 60.0}
        old, new = waiting(2)
        MediaAsset.objects.filter(pk=old.pk).update(kicked_at=utcnow() - timedelta(seconds=61))
        MediaAsset.objects.filter(pk=new.pk).update(kicked_at=utcnow() - timedelta(seconds=30))
        with commit():
            assert task_engine.kick_waiting() == 1

        assert site_engine.told == [old.asset_id]

    def test_a_sweep_repeats_the_oldest_kicks_and_only_so_many(self, site_engine, commit, monkeypatch):
        monkeypatch.setattr(task_engine, "AGAIN_AT_ONCE", 2)
        assets = waiting(4)
        for age, asset in zip((1000, 3000, 2000, 4000), assets, strict=True):
            MediaAsset.objects.filter(pk=asset.pk).update(kicked_at=utcnow() - timedelta(seconds=age))
        with commit():
            assert task_engine.kick_waiting() == 2

        assert site_engine.told == [assets[3].asset_id, assets[1].asset_id]

    def test_an_engine_that_is_away_is_asked_once_and_told_by_the_next_sweep(self, site_engine, commit, caplog):
        assets = waiting(45)
        site_engine.broken = ConnectionError("refused")
        with commit():
            task_engine.kick_waiting()
        assert (site_engine.asked, site_engine.kicks) == (1, [])
        assert MediaAsset.objects.filter(kicked_at__isnull=False).count() == 0
        assert "could not be told of waiting assets (ConnectionError: refused)" in caplog.text

        site_engine.broken = None
        with commit():
            report = sweep.maintain()
        assert report.kicked == 45
        assert sorted(site_engine.told) == sorted(ids(assets))

    def test_a_brokers_address_is_not_logged(self, site_engine, commit, caplog):
        waiting()
        site_engine.broken = ValueError("invalid port: 'planted-password'")
        with commit():
            task_engine.kick_waiting()

        assert "(ValueError)" in caplog.text
        assert "planted" not in caplog.text

    def test_only_what_can_be_taken(self, site_engine, commit, batch):
        soon = utcnow() + timedelta(seconds=60)
        waiting(lease_until=soon)
        waiting(generation_state=GenerationState.RUNNING, lease_until=soon)
        waiting(batch=batch)
        lifecycle.pause(batch)
        with commit():
            assert task_engine.kick_waiting() == 0

    def test_after_a_pause_all_are_told_anew(self, site_engine, commit, batch):
        assets = waiting(3, batch=batch)
        with commit():
            task_engine.kick_waiting(batch.pk)
        lifecycle.pause(batch)
        assert work_off(ids(assets)) == 0, "the kicks come while it is paused"
        lifecycle.start(batch)
        with commit():
            assert task_engine.kick_waiting(batch.pk) == 3

    def test_rows_that_are_retried_are_told_anew(self, site_engine, commit, batch):
        waiting(2, batch=batch, kicked_at=utcnow(), generation_state=GenerationState.CANCELLED)
        lifecycle.cancel(batch)
        assert lifecycle.retry_failed(batch) == 2
        with commit():
            assert task_engine.kick_waiting(batch.pk) == 2

    def test_who_takes_a_row_uses_its_kick_up(self, site_engine, commit):
        [asset] = waiting(kicked_at=utcnow())
        MediaAsset.objects.claim([asset.pk], worker="w", lease_s=60)
        # Its worker dies; whoever lets it wait again need not know of kicks.
        MediaAsset.objects.update(lease_until=utcnow() - timedelta(seconds=1))
        with commit():
            assert sweep.maintain().kicked == 1


class TestWorkOff:
    def test_rows_are_filled_and_their_batch_is_finished(self, batch):
        assets = waiting(3, batch=batch)

        assert work_off(ids(assets)) == 3
        assert {asset.generation_state for asset in MediaAsset.objects.all()} == {"ready"}
        batch.refresh_from_db()
        assert batch.state == "finished"

    def test_a_batch_with_rows_left_is_not_finished(self, batch):
        assets = waiting(3, batch=batch)

        assert work_off(ids(assets[:2])) == 2
        batch.refresh_from_db()
        assert batch.state == "running"

    def test_twice_is_once(self, live):
        [server] = live("sdxl")
        assets = waiting(3)

        assert [work_off(ids(assets)), work_off(ids(assets))] == [3, 0]
        assert len(server.purchases) == 3

    def test_what_others_hold_or_nobody_knows_is_left(self):
        soon = utcnow() + timedelta(seconds=60)
        [held] = waiting(generation_state=GenerationState.RUNNING, lease_until=soon, lease_worker="else:where:1:2")

        assert work_off([held.asset_id, "01a20404-8da1-7f3b-a702-9254e98a762d"]) == 0
        assert work_off([]) == 0
        held.refresh_from_db()
        assert held.lease_worker == "else:where:1:2"

    def test_a_short_wait_that_the_provider_asks_for_is_waited_here(self, live, site_engine):
        [server] = live("sdxl")
        server.fault("submit", Fault.rate_limited(1))
        [asset] = waiting()

        assert work_off([asset.asset_id]) == 1
        asset.refresh_from_db()
        assert asset.generation_state == "ready"
        assert (len(server.requests_for("submit")), len(server.purchases)) == (2, 1)

    def test_a_long_wait_is_left_to_the_sweep(self, live, site_engine, commit, monkeypatch):
        monkeypatch.setattr(task_runs, "BEGIN_FOR_S", 2.0)
        [server] = live("sdxl")
        server.fault("submit", Fault.rate_limited(30))
        [asset] = waiting(kicked_at=utcnow())
        began = time.monotonic()

        assert work_off([asset.asset_id]) == 0
        assert time.monotonic() - began < 2.0
        asset.refresh_from_db()
        left_s = (asset.lease_until - utcnow()).total_seconds()
        assert (asset.generation_state, asset.kicked_at) == ("pending", None)
        assert 25 < left_s <= 30
        assert work_off([asset.asset_id]) == 0, "it is not taken before its time"
        with commit():
            assert sweep.maintain().kicked == 0
        MediaAsset.objects.update(lease_until=utcnow() - timedelta(seconds=1))
        with commit():
            assert sweep.maintain().kicked == 1, "its time has come, and it was told of long ago or lately"

    def test_nothing_is_begun_for_ever(self, live, monkeypatch):
        monkeypatch.setattr(task_runs, "BEGIN_FOR_S", 1.5)
        [server] = live("sdxl")
        server.fault("submit", Fault.rate_limited(0), times=None)
        assets = waiting(2)

        work_off(ids(assets))

        assert len(server.requests_for("submit")) >= 2
        assert {asset.generation_state for asset in MediaAsset.objects.all()} == {"pending"}

    def test_what_is_due_and_not_taken_is_not_looked_at_for_ever(self, monkeypatch):
        monkeypatch.setattr(task_runs, "BEGIN_FOR_S", 0.3)
        monkeypatch.setattr(task_runs, "_due_in_s", lambda asset_ids: -5.0)

        assert work_off(ids(waiting(1))) == 1

    def test_an_idle_look_at_the_rows_is_cheap(self):
        """Doubled kicks cost little."""
        assets = waiting(20)
        work_off(ids(assets))
        with CaptureQueriesContext(connection) as queries:
            assert work_off(ids(assets)) == 0
        assert len([query for query in queries if "SAVEPOINT" not in query["sql"]]) <= 6


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
def test_a_worker_that_is_dead_and_not_yet_buried_is_dead():
    script = (
        "import django; django.setup(); from mediagen.engine.generation.leases import worker_name; print(worker_name())"
    )
    child = subprocess.Popen([sys.executable, "-c", script + "; import sys; sys.stdout.flush(); sys.stdin.read()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    name = child.stdout.readline().strip()
    assert not leases.is_dead(name)
    child.kill()
    give_up_at = time.monotonic() + 10
    while not leases.is_dead(name) and time.monotonic() < give_up_at:
        time.sleep(0.01)  # killed, and not asked for yet: a zombie

    assert leases.is_dead(name)
    child.communicate()
