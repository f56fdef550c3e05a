"""Cancelling a generation: at once where nothing was bought, and never at the price of a picture that was."""

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from mediagen.engine import get_media_engine
from mediagen.engine.library.cancelling import cancel
from mediagen.engine.work.worker import Until, Worker
from mediagen.errors import GenerationFailed, Unavailable
from mediagen.models import GenerationAttempt, MediaAsset
from mediagen.types import uuid7
from tests.engine.work.working import Local, attempt_states, use_local, work
from tests.factories import GenerationAttemptFactory, MediaAssetFactory


@pytest.mark.django_db
def test_what_waits_is_cancelled_at_once_and_what_is_over_stays():
    waiting, ready, failed = MediaAssetFactory(), MediaAssetFactory(ready=True), MediaAssetFactory(failed=True)
    running = MediaAssetFactory(generation_state="running", lease_token=1)

    done = cancel([waiting.pk, ready.pk, failed.pk, running.pk, uuid7()])

    assert (done.cancelled, done.ending, done.over) == ((waiting.pk,), (running.pk,), 2)
    states = dict(MediaAsset.objects.values_list("pk", "generation_state"))
    assert states == {waiting.pk: "cancelled", ready.pk: "ready", failed.pk: "failed", running.pk: "running"}
    running.refresh_from_db()
    assert running.cancel_requested_at is not None
    assert cancel([waiting.pk]).over == 1


@pytest.mark.django_db
def test_one_that_a_dead_worker_may_have_bought_is_left_to_whoever_looks_for_its_picture():
    asset = MediaAssetFactory(lease_token=1)
    GenerationAttemptFactory(asset=asset, in_flight=True)

    assert cancel([asset.pk]).ending == (asset.pk,)
    asset.refresh_from_db()
    assert asset.generation_state == "pending"


@pytest.mark.django_db(transaction=True)
def test_a_picture_under_way_is_kept_although_it_was_cancelled(settings):
    async def answer(prompt):
        await sync_to_async(cancel)([(await MediaAsset.objects.aget(prompt=prompt)).pk])

    use_local(settings, answer)

    asset = get_media_engine().generate_asset_sync("a pier", width=16, height=16)

    asset.refresh_from_db()
    assert (asset.generation_state, asset.cancel_requested_at) == ("ready", None)
    assert attempt_states(asset) == [("succeeded", "succeeded")]


@pytest.mark.django_db(transaction=True)
def test_no_further_try_is_bought_once_it_is_cancelled(settings):
    async def answer(prompt):
        await sync_to_async(cancel)([(await MediaAsset.objects.aget(prompt=prompt)).pk])
        raise Unavailable("local: away")

    use_local(settings, answer)

    with pytest.raises(GenerationFailed, match="cancelled"):
        get_media_engine().generate_asset_sync("a pier", width=16, height=16)

    asset = MediaAsset.objects.get()
    assert (asset.generation_state, asset.failure) == ("cancelled", "It was cancelled.")
    assert len(Local.asked) == 1
    assert not GenerationAttempt.objects.open().exists()


@pytest.mark.django_db(transaction=True)
def test_one_cancelled_between_claim_and_purchase_costs_nothing(settings):
    use_local(settings)
    assets = [get_media_engine().enqueue_sync(f"pier {n}", width=16, height=16) for n in range(3)]

    async def run():
        worker = Worker(concurrency=3)
        worker.watch = lambda event: event.kind == "started" and marked(event.asset)
        await worker.run(Until.IDLE)

    def marked(asset):
        # As another process would do it, between the claim and the request.
        if asset.pk == assets[1].pk:
            asyncio.get_running_loop().run_in_executor(None, cancel, [asset.pk]).add_done_callback(lambda _: None)

    async_to_sync(run)()

    states = [MediaAsset.objects.get(pk=asset.pk).generation_state for asset in assets]
    assert states[0] == states[2] == "ready"
    assert states[1] in ("ready", "cancelled")  # whoever was quicker
    assert len(Local.asked) == 2 + (states[1] == "ready")


@pytest.mark.django_db(transaction=True)
def test_the_purchases_of_others_in_the_same_group_go_on(settings):
    use_local(settings)
    first, second = (get_media_engine().enqueue_sync(f"pier {n}", width=16, height=16) for n in range(2))
    MediaAsset.objects.filter(pk=first.pk).update(cancel_requested_at="2026-01-01T00:00Z", lease_token=1)

    work(until=Until.IDLE)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.generation_state, second.generation_state) == ("cancelled", "ready")
    assert Local.asked == ["pier 1"]


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_one_can_be_generated_after_all(settings):
    use_local(settings)
    asset = get_media_engine().enqueue_sync("a pier", width=16, height=16)
    cancel([asset.pk])

    again = get_media_engine().regenerate_asset_sync(asset.pk)

    assert (again.pk, again.generation_state) == (asset.pk, "ready")


@pytest.mark.django_db(transaction=True)
def test_one_that_waits_for_better_times_does_not_wait_on_once_cancelled(settings):
    async def answer(prompt):
        await sync_to_async(MediaAsset.objects.filter(prompt=prompt).update)(cancel_requested_at="2026-01-01T00:00Z")
        raise Unavailable("local: away")

    use_local(settings, answer, RETRIES=0)
    asset = get_media_engine().enqueue_sync("a pier", width=16, height=16)

    work(until=Until.IDLE)

    asset.refresh_from_db()
    assert asset.generation_state == "cancelled"
