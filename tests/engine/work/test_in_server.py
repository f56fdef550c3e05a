from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from mediagen.engine import get_media_engine
from mediagen.engine.batches import lifecycle
from mediagen.engine.work import in_server as server_work
from mediagen.errors import Unavailable
from mediagen.models import GenerationBatch, GenerationState, MediaAsset
from tests.engine.work.serving_thread import in_server, wait_until  # noqa: F401 - the fixture
from tests.engine.work.working import batch_of, use_local

engine = get_media_engine()


def states(*assets: MediaAsset) -> list[str]:
    found = MediaAsset.objects.in_bulk([asset.pk for asset in assets])
    return [found[asset.pk].generation_state for asset in assets]


@pytest.mark.usefixtures("in_server")
class TestAssets:
    def test_are_filled_by_this_process(self, settings):
        use_local(settings)
        assets = [engine.enqueue_sync(f"lighthouse {number}", 16, 16) for number in range(20)]

        server_work.work_soon(asset.pk for asset in assets)

        wait_until(lambda: set(states(*assets)) == {"ready"})

    def test_nobody_waits_for_the_ones_before(self, settings):
        """One that hangs leaves the others alone, and what comes later is begun at once."""
        release = threading.Event()

        async def answer(prompt):
            while prompt == "slow" and not release.is_set():
                await asyncio.sleep(0.01)

        local = use_local(settings, answer)
        slow = engine.enqueue_sync("slow", 16, 16)
        server_work.work_soon([slow.pk])
        wait_until(lambda: "slow" in local.asked)
        quick = engine.enqueue_sync("quick", 16, 16)
        server_work.work_soon([quick.pk])

        wait_until(lambda: states(quick) == ["ready"])
        assert states(slow) == ["running"]
        release.set()
        wait_until(lambda: states(slow) == ["ready"])

    def test_hundreds_are_open_at_a_time(self, settings):
        all_asked = threading.Event()

        async def answer(prompt):
            while not all_asked.is_set():
                await asyncio.sleep(0.02)

        local = use_local(settings, answer)
        assets = [engine.enqueue_sync(f"lighthouse {number}", 16, 16) for number in range(100)]
        server_work.work_soon(asset.pk for asset in assets)

        wait_until(lambda: len(local.asked) == 100)
        all_asked.set()
        wait_until(lambda: set(states(*assets)) == {"ready"})

    def test_not_before_the_transaction_is_committed(self, settings):
        local = use_local(settings)
        with transaction.atomic():
            asset = engine.enqueue_sync("lighthouse", 16, 16)
            server_work.work_soon([asset.pk])
            assert not server_work._work.assets
        wait_until(lambda: states(asset) == ["ready"])

        with transaction.atomic():
            server_work.work_soon([engine.enqueue_sync("never", 16, 16).pk])
            transaction.set_rollback(True)
        assert local.asked == ["lighthouse"]

    def test_what_was_put_off_is_taken_when_its_time_has_come(self, settings):
        tries = []

        async def answer(prompt):
            tries.append(prompt)
            if len(tries) < 2:
                raise Unavailable("local: answered 503.")

        use_local(settings, answer, RETRIES=0)
        asset = engine.enqueue_sync("lighthouse", 16, 16)
        server_work.work_soon([asset.pk])

        wait_until(lambda: states(asset) == ["ready"])
        assert len(tries) == 2

    def test_what_others_hold_is_left_to_them(self, settings):
        local = use_local(settings)
        held = engine.enqueue_sync("held", 16, 16)
        later = timezone.now() + timedelta(hours=1)
        MediaAsset.objects.filter(pk=held.pk).update(
            generation_state=GenerationState.RUNNING, lease_token=1, lease_worker="elsewhere::1:1", lease_until=later
        )
        free = engine.enqueue_sync("free", 16, 16)
        server_work.work_soon([held.pk, free.pk])

        wait_until(lambda: states(free) == ["ready"])
        assert local.asked == ["free"]
        wait_until(lambda: not server_work._work._tasks)  # it does not stay for what it cannot have

    def test_a_failure_is_said_in_the_row(self, settings):
        async def answer(prompt):
            raise ValueError("a bug")

        use_local(settings, answer)
        asset = engine.enqueue_sync("lighthouse", 16, 16)
        server_work.work_soon([asset.pk])

        wait_until(lambda: states(asset) == ["failed"])


@pytest.mark.usefixtures("in_server")
class TestBatches:
    def test_are_worked_off_and_finished(self, settings, tmp_path):
        use_local(settings)
        batch = batch_of(tmp_path, 40)

        server_work.work_on_batch_soon(batch.pk)

        wait_until(lambda: GenerationBatch.objects.get(pk=batch.pk).state == "finished")
        assert batch.assets.filter(generation_state="ready").count() == 40

    def test_leave_room_for_people_who_wait(self, settings, tmp_path):
        release = threading.Event()

        async def answer(prompt):
            while prompt != "mine" and not release.is_set():
                await asyncio.sleep(0.02)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, server_work.OF_BATCHES_AT_ONCE + 10)
        server_work.work_on_batch_soon(batch.pk)
        wait_until(lambda: len(local.asked) == server_work.OF_BATCHES_AT_ONCE)
        mine = engine.enqueue_sync("mine", 16, 16)
        server_work.work_soon([mine.pk])

        wait_until(lambda: states(mine) == ["ready"])
        assert len(local.asked) == server_work.OF_BATCHES_AT_ONCE + 1
        release.set()
        wait_until(lambda: GenerationBatch.objects.get(pk=batch.pk).state == "finished")

    def test_a_paused_one_is_left_alone(self, settings, tmp_path):
        local = use_local(settings)
        batch = batch_of(tmp_path, 3)
        lifecycle.pause(batch)
        server_work.work_on_batch_soon(batch.pk)

        wait_until(lambda: not server_work._work._tasks)
        assert local.asked == []


@pytest.mark.parametrize("mediagen", [{"RUN_IN_SERVER": False}, {"TASK_BACKEND": "default"}])
def test_sites_with_workers_do_nothing_here(settings, mediagen):
    settings.MEDIAGEN = mediagen

    server_work.work_soon(["x"])
    server_work.work_on_batch_soon("x")
    server_work.run_soon(asyncio.sleep, 0)

    assert not server_work._work.assets
    assert not server_work._work.batches


@pytest.mark.usefixtures("in_server")
def test_other_work_runs_in_the_same_loop_and_its_errors_are_logged(caplog):
    done = threading.Event()

    async def work(word):
        if word == "wrong":
            raise ValueError("a bug")
        done.set()

    server_work.run_soon(work, "wrong")
    server_work.run_soon(work, "right")

    assert done.wait(20)
    wait_until(lambda: "ValueError" in caplog.text)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # what servers do all the same
def test_a_forked_child_begins_its_own_loop():
    read, write = os.pipe()
    server_work._thread.call(lambda: None)
    before = server_work._thread._loop
    if (child := os.fork()) == 0:
        done = threading.Event()
        server_work._thread.call(done.set)
        os.write(write, b"1" if done.wait(10) and server_work._thread._loop is not before else b"0")
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(read, 1) == b"1"
    os.close(read)
    os.close(write)
