"""What an earlier run has bought, or may have, where the next one cannot ask for it as the first one could."""

from __future__ import annotations

import pytest

from mediagen.engine import get_media_engine
from mediagen.errors import GenerationFailed
from mediagen.models import GenerationAttempt, MediaAsset, ProviderConfig
from mediagen.providers.fal import FalAdapter
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()


def give_up_on(server, *steps):
    """An asset whose picture was bought at this server, and did not come."""
    for step in steps:
        server.fault(step, Fault.http(503), times=None)
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("x", 512, 512)
    assert (len(server.purchases), GenerationAttempt.objects.get().state) == (1, "unknown")
    return MediaAsset.objects.get()


@pytest.fixture
def replicate(live):
    (server,) = live("replicate_sdxl", timeout_s=0.4, after_unknown="stop")
    return server


def patient(server):
    server.clear_faults()
    ProviderConfig.objects.update(timeout_s=30)


def test_a_dry_run_does_not_end_a_job_that_was_bought(replicate):
    asset = give_up_on(replicate, "poll", "cancel")
    before = GenerationAttempt.objects.get()
    engine.regenerate_asset_sync(asset.pk, dry_run=True)
    after = GenerationAttempt.objects.get(pk=before.pk)
    assert (after.state, after.cost, after.provider_job_id) == ("unknown", before.cost, before.provider_job_id)


def test_a_job_that_becomes_known_late_is_fetched_by_the_next_run(live, monkeypatch):
    monkeypatch.setattr(FalAdapter, "find_for_s", 0.05)
    (server,) = live("fal", timeout_s=0.4)
    server.keeps_payloads = True
    server.fault("submit", Fault.reset_after_body_read())
    asset = give_up_on(server, "requests")
    assert GenerationAttempt.objects.get().provider_job_id == ""

    server.clear_faults()
    for step in ("poll", "cancel"):
        server.fault(step, Fault.http(503), times=None)
    with pytest.raises(GenerationFailed):
        engine.regenerate_asset_sync(asset.pk)
    attempt = GenerationAttempt.objects.get()
    assert (attempt.state, attempt.provider_job_id != "") == ("unknown", True), attempt.message

    patient(server)
    asset = engine.regenerate_asset_sync(asset.pk)
    assert (asset.is_ready, len(server.purchases), GenerationAttempt.objects.get().state) == (True, 1, "adopted")


@pytest.mark.parametrize("change", [{"credentials": ""}, {"enabled": False}])
def test_stop_binds_also_where_the_job_cannot_be_asked_for(live, monkeypatch, change):
    replicate, openai = live("replicate_sdxl", "openai_images", timeout_s=0.4, after_unknown="stop")
    asset = give_up_on(replicate, "poll", "cancel")
    ProviderConfig.objects.filter(name="replicate_sdxl").update(**change)
    with pytest.raises(GenerationFailed, match="after_unknown is stop"):
        engine.regenerate_asset_sync(asset.pk)
    assert openai.purchases == []
    if change == {"enabled": False}:
        ProviderConfig.objects.update(enabled=True)
        patient(replicate)
        assert engine.regenerate_asset_sync(asset.pk).provider_name == "replicate_sdxl"
        assert (len(replicate.purchases), openai.purchases) == (1, [])
