"""Who holds a row: the newest token and a living process, not the wall clock."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db.models import F

from mediagen.engine.generation import beginning, claims, leases, queue, recorder, recovery
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.maintenance import sweep
from mediagen.engine.work import worker as work
from mediagen.errors import AssetCancelled, InvalidRequest, LeaseLost, Outcome
from mediagen.models import GenerationAttempt, MediaAsset, SpendAccount
from mediagen.types import Attempt, AttemptState, GenerationRequest, ProviderJob, utcnow
from tests.engine.work.working import PRICE, batch_of, use_local
from tests.engine.work.working import work as work_off
from tests.factories import MediaAssetFactory, MediaLibraryFactory

LONG_AGO = timedelta(hours=1)


@pytest.fixture
def neighbour():
    """The worker's name of another process that lives on this machine."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    host, machine, *_ = leases.worker_name().split(":")
    yield f"{host}:{machine}:{process.pid}:{leases._started(process.pid)}:abc123"
    process.kill()
    process.communicate()


def running(holder, **more):
    values = {"generation_state": "running", "lease_worker": holder, "lease_token": 7}
    return MediaAssetFactory(**{**values, "lease_until": utcnow() - LONG_AGO, **more})


@pytest.fixture
def in_hand():
    """Notes an asset as worked on by this process."""
    yield lambda asset: leases.take_in_hand(asset.pk, asset.lease_token, "me")
    leases.let_go_of_all("me")


@pytest.mark.django_db
class TestWhoseLeaseIsOver:
    def test_a_living_process_of_this_machine_keeps_its_row(self, neighbour):
        row, other = running(neighbour), running("elsewhere")
        assert [asset.pk for asset in work.claim(MediaAsset.objects.all(), "w", 10)] == [other.pk]
        assert sweep._requeue() == 0
        for again in (lambda: claims.begin_again(row.pk, {}), lambda: queue.enqueue_again(row.pk)):
            with pytest.raises(InvalidRequest, match="somebody works on it"):
                again()
        row.refresh_from_db()
        assert (row.generation_state, row.lease_worker, row.lease_token) == ("running", neighbour, 7)

    def test_it_does_not_keep_others_from_what_stands_behind_it(self, neighbour):
        rows = [running(neighbour) for _ in range(3)]
        behind = MediaAssetFactory()
        assert [asset.pk for asset in work.claim(MediaAsset.objects.all(), "w", 2)] == [behind.pk]
        assert all(leases.is_in_hand(row) for row in rows)

    def test_what_this_process_has_in_hand_is_not_taken_by_it(self, in_hand):
        row, left = running(leases.worker_name()), running(leases.worker_name())
        waiting = MediaAssetFactory(lease_token=3)
        in_hand(row)
        in_hand(waiting)  # a sweep elsewhere let it wait
        assert [asset.pk for asset in work.claim(MediaAsset.objects.all(), "w", 10)] == [left.pk]
        assert sweep._requeue() == 0
        with pytest.raises(InvalidRequest):
            claims.begin_again(row.pk, {})

    def test_a_child_has_nothing_in_hand(self, in_hand):
        in_hand(running("x"))
        read, write = os.pipe()
        if (pid := os.fork()) == 0:
            os.write(write, b"%d" % len(leases._IN_HAND))
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(read, 9) == b"0"


@pytest.mark.django_db(transaction=True)
class TestWhileItWorks:
    def test_all_leases_over_at_once_sell_nothing_twice(self, tmp_path, settings):
        async def answer(prompt):
            await MediaAsset.objects.filter(generation_state="running").aupdate(lease_until=utcnow() - LONG_AGO)

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 12)
        work_off(batch, concurrency=4)
        assert sorted(local.asked) == sorted(batch.assets.values_list("prompt", flat=True))
        assert set(batch.assets.values_list("generation_state", "lease_token")) == {("ready", 1)}
        assert not leases._IN_HAND

    @pytest.mark.parametrize("state", ["pending", "cancelled", "failed"])
    def test_a_picture_in_the_hand_of_the_newest_token_is_kept(self, tmp_path, settings, state):
        async def answer(prompt):
            await MediaAsset.objects.filter(prompt=prompt, generation_state="running").aupdate(
                generation_state=state, lease_worker="", lease_until=None
            )

        local = use_local(settings, answer)
        batch = batch_of(tmp_path, 4)
        work_off(batch, concurrency=2)
        assert len(local.asked) == 4
        assert set(batch.assets.values_list("generation_state", "lease_token")) == {("ready", 1)}
        assert set(GenerationAttempt.objects.values_list("state", "cost")) == {("succeeded", PRICE)}

    def test_after_a_sleep_the_heartbeat_comes_before_a_claim(self, tmp_path, settings, monkeypatch):
        use_local(settings)
        seen = []
        renew_all, claim = leases.renew_all, work.claim
        monkeypatch.setattr(leases, "renew_all", lambda name: (seen.append("beat"), renew_all(name)))
        monkeypatch.setattr(work, "claim", lambda *args: (seen.append("claim"), claim(*args))[1])
        monkeypatch.setattr(work.Worker, "_has_slept", lambda self: True)
        work_off(batch_of(tmp_path, 3))
        assert seen[:2] == ["beat", "claim"]

    def test_a_set_clock_and_a_stop_count_as_sleep(self, monkeypatch):
        worker = work.Worker()
        worker._note_beat()
        assert not worker._has_slept()
        worker._clocks_apart -= 5
        assert worker._has_slept()
        worker._note_beat()
        worker._last_beat -= 1000
        worker._clocks_apart = work.time.time() - work.time.monotonic()
        assert worker._has_slept()

    def test_a_heartbeat_takes_back_what_a_sweep_let_wait_and_nobody_took(self, in_hand):
        mine, taken = MediaAssetFactory(lease_token=2), MediaAssetFactory(lease_token=2)
        in_hand(mine)
        in_hand(taken)
        MediaAsset.objects.filter(pk=taken.pk).update(lease_token=F("lease_token") + 1)
        leases.renew_all("me")
        assert list(
            MediaAsset.objects.filter(pk__in=[mine.pk, taken.pk]).order_by("id").values_list("generation_state")
        ) == [("running",), ("pending",)]


@pytest.mark.django_db(transaction=True)
class TestFencedAttempts:
    """One worker, whose lease another one takes while a request is under way."""

    def begun(self):
        library = MediaLibraryFactory(budget_limit=Decimal(1))
        order = AssetOrder(
            request=GenerationRequest.checked(prompt="a lighthouse"), library_id=library.pk, dry_run=True
        )
        [job] = beginning.begin_all([beginning.Beginning(order)])
        rows = recorder.RowRecorder(job.asset, budgets=job.budgets, lease_token=job.lease.token)
        attempt = Attempt(
            provider_name="local", operation="generate_image", position=1, price=PRICE, started_at=utcnow()
        )
        return job, rows, attempt

    def take_over(self, asset):
        MediaAsset.objects.filter(pk=asset.pk).update(lease_token=2)
        return recovery.left_behind(asset, 2)

    def account(self):
        account = SpendAccount.objects.get()
        return account.held, account.spent

    def test_nothing_is_bought_without_the_lease(self, settings):
        use_local(settings)
        job, rows, attempt = self.begun()
        self.take_over(job.asset)
        with pytest.raises(LeaseLost):
            async_to_sync(rows.started)(attempt)
        assert not GenerationAttempt.objects.exists()

    def test_nor_after_it_was_cancelled_while_it_waited(self, settings):
        use_local(settings)
        job, rows, attempt = self.begun()
        MediaAsset.objects.filter(pk=job.asset.pk).update(generation_state="cancelled")
        with pytest.raises(AssetCancelled):
            async_to_sync(rows.started)(attempt)

    @pytest.mark.parametrize("end", ["succeeded", "failed"])
    def test_what_others_have_booked_is_neither_opened_nor_booked_again(self, settings, end):
        use_local(settings)
        job, rows, attempt = self.begun()

        async def outlive():
            await rows.started(attempt)
            left = await sync_to_async(self.take_over)(job.asset)
            assert left.may_be_paid == {"local"}
            attempt.job, attempt.cost = ProviderJob("job-1", {"polling_url": "x"}), PRICE * 3
            await rows.job_submitted(attempt)
            row = await GenerationAttempt.objects.aget()
            assert (row.state, row.booked, row.provider_job_id) == ("unknown", PRICE * 3, "job-1")
            attempt.state = AttemptState(end)
            await rows.finished(attempt)
            await sync_to_async(rows.flush)()

        async_to_sync(outlive)()
        assert GenerationAttempt.objects.get().state == "unknown"
        assert self.account() == (0, PRICE * 3), "as the provider has said"

    def test_the_sweep_closes_only_what_is_still_open(self, settings, monkeypatch):
        use_local(settings)
        job, rows, attempt = self.begun()
        async_to_sync(rows.started)(attempt)
        MediaAsset.objects.filter(pk=job.asset.pk).update(generation_state="failed")

        def ends_meanwhile(left):
            found = list(left)
            attempt.state, attempt.outcome, attempt.cost = AttemptState.FAILED, Outcome.UNAVAILABLE, Decimal(0)
            recorder._copy(attempt, attempt.row)
            recorder._end([attempt.row])
            return found

        monkeypatch.setattr(sweep, "not_in_hand", ends_meanwhile)
        assert sweep._close_attempts() == 0
        assert (GenerationAttempt.objects.get().state, self.account()) == ("failed", (0, 0))

    def test_the_sweep_books_what_nobody_will_end(self, settings):
        use_local(settings)
        job, rows, attempt = self.begun()
        async_to_sync(rows.started)(attempt)
        MediaAsset.objects.filter(pk=job.asset.pk).update(generation_state="failed")
        assert (sweep._close_attempts(), sweep._close_attempts()) == (1, 0)
        assert (GenerationAttempt.objects.get().state, self.account()) == ("unknown", (0, PRICE))
