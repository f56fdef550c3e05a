"""Jobs that are bought and nobody waits for: fetched by the sweep, which buys nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync

from mediagen.engine.generation import earlier
from mediagen.engine.maintenance import fetching, sweep
from mediagen.engine.work.for_caller import CallersWorker
from mediagen.engine.work.worker import Until
from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig, ProviderHealth, asset_storage
from tests.engine.generation.test_earlier import orders
from tests.engine.work.working import work
from tests.factories import GenerationAttemptFactory, MediaAssetFactory
from tests.live_providers import live  # noqa: F401
from tests.servers import Fault

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(fetching, "PATIENCE_S", 0.0)


@pytest.fixture
def bought(live, provider_servers):  # noqa: F811
    """An asset whose job a dead process has bought at Flux, and which is not done yet; with the server."""

    def make(**values):
        (server,) = live("flux")
        server.polls_until_ready = 0
        worker = CallersWorker.of(earlier.anew(orders("a cat")).todo, 1)
        async_to_sync(worker.run)()
        assert len(server.purchases) == 1
        server.polls_until_ready = 10_000
        asset_storage().delete(MediaAsset.objects.get().file.name)
        GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None, cost=None)
        MediaAsset.objects.update(generation_state="pending", file="", content_hash="", generated_at=None)
        MediaAsset.objects.update(**values)
        return MediaAsset.objects.get(), server

    return make


@pytest.mark.parametrize("state", ["pending", "interrupted", "failed"])
def test_a_job_is_fetched_and_nothing_bought(bought, state):
    asset, server = bought(generation_state=state, failure="as it was")
    assert sweep.maintain().jobs_fetched == 0
    asset.refresh_from_db()
    assert (asset.generation_state, asset.failure, asset.lease_worker) == (state, "as it was", "")
    attempt = GenerationAttempt.objects.get()
    # A failed asset's attempt is closed by the sweep, with its job.
    assert (attempt.state, bool(attempt.provider_job_id)) == ("unknown" if state == "failed" else "submitted", True)
    assert not ProviderHealth.objects.filter(failures__gt=0).exists(), "a job that runs is no failure"
    server.polls_until_ready = 0
    assert sweep.maintain().jobs_fetched == 1
    asset.refresh_from_db()
    assert asset.is_ready
    assert GenerationAttempt.objects.get().state == "adopted"
    assert len(server.purchases) == 1


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_a_kill_while_a_job_is_fetched_lets_no_worker_buy(bought, state, monkeypatch):
    asset, server = bought(generation_state=state)

    async def kill(job):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(fetching.running, "run", kill)
        with pytest.raises(KeyboardInterrupt):
            fetching.fetch_jobs()
    server.fault("poll", Fault.http(404), times=None)
    MediaAsset.objects.update(lease_worker="gone", lease_until=asset.created_at)
    work(until=Until.IDLE)
    asset.refresh_from_db()
    assert (asset.generation_state, len(server.purchases)) == (state, 1)


def test_what_is_worked_on_dry_old_or_not_to_be_found_is_not_asked_for(bought):
    _, server = bought()
    server.polls_until_ready = 0
    asked = len(server.requests)
    attempts = GenerationAttempt.objects.all()
    for changed, back in (
        ({"provider_job": {"given_up": True}}, {"provider_job": attempts.get().provider_job}),
        ({"provider_job_id": ""}, {"provider_job_id": attempts.get().provider_job_id}),
        ({"started_at": attempts.get().started_at - timedelta(days=2)}, {"started_at": attempts.get().started_at}),
    ):
        attempts.update(**changed)
        assert fetching.fetch_jobs() == 0
        attempts.update(**back)
    ProviderConfig.objects.filter(name="flux").update(dry_run=True)
    assert fetching.fetch_jobs() == 0
    ProviderConfig.objects.filter(name="flux").update(dry_run=False)
    MediaAsset.objects.update(generation_state="running")
    assert fetching.fetch_jobs() == 0
    assert len(server.requests) == asked
    MediaAsset.objects.update(generation_state="pending")
    assert fetching.fetch_jobs() == 1
    assert len(server.purchases) == 1


def test_a_job_that_failed_ends_its_attempt(bought):
    asset, server = bought()
    server.fault("poll", Fault.task_not_found())
    assert fetching.fetch_jobs() == 0
    assert GenerationAttempt.objects.get().state == "submitted", "whoever wants the picture decides"
    server.fault("poll", Fault.job_failed())
    assert fetching.fetch_jobs() == 0
    asset.refresh_from_db()
    assert (asset.generation_state, GenerationAttempt.objects.get().state) == ("pending", "failed")
    assert len(server.purchases) == 1


def test_a_provider_that_does_not_say_that_it_fetches_is_not_asked(provider_servers, live):  # noqa: F811
    (server,) = live("openai_images")
    asset = MediaAssetFactory(lease_token=1)
    GenerationAttemptFactory(asset=asset, in_flight=True, provider_name="openai_images", provider_job_id="j")
    assert fetching.fetch_jobs() == 0
    assert server.requests == []
