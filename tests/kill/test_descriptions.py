"""A real process that is killed while a picture is being described: nothing is asked for twice by itself."""

from __future__ import annotations

import signal

import pytest

from mediagen.models import AssetDescription, GenerationAttempt, MediaAsset, ProviderConfig
from tests.kill.site import ALIAS, Site, ended, killed
from tests.servers import Fault

pytestmark = pytest.mark.whole


@pytest.fixture
def server(site: Site, provider_servers):
    """With two pictures to be described by it."""
    server = provider_servers["openai_images"]
    site.servers = {"openai_images": server}
    site.run("generate_assets", "a lighthouse", "a pier", "--progress", "none")
    MediaAsset.objects.using(ALIAS).update(is_placeholder=False)
    site.live("openai_images")
    config = ProviderConfig.objects.using(ALIAS).get(name="openai_images")
    config.options = {**config.options, "describe_model": "gpt-sees"}
    config.save(using=ALIAS)
    return server


def test_who_goes_on_after_a_kill_asks_for_nothing_twice(site: Site, server):
    MediaAsset.objects.using(ALIAS).filter(prompt="a pier").update(alt_text="By hand.")
    server.fault("submit", Fault.hang())
    process = site.start("describe_assets", "--library", "Default", "--yes")
    server.wait_for_requests("submit", timeout_s=30)
    killed(process)
    server.release()
    assert GenerationAttempt.objects.using(ALIAS).get(billable=True).state == "submitted"
    said = site.run("describe_assets", "--library", "Default", "--yes")

    assert "0 described" in said
    assert len(server.purchases) == 1
    assert AssetDescription.objects.using(ALIAS).get().failure_code == "unknown"
    assert GenerationAttempt.objects.using(ALIAS).get(billable=True).state == "unknown"
    site.run("describe_assets", "--library", "Default", "--yes", "--again")
    described = MediaAsset.objects.using(ALIAS).get(prompt="a lighthouse")
    assert described.alt_text_suggestion == "A lighthouse at dawn."
    assert len(server.purchases) == 2


def test_at_the_first_signal_what_is_asked_for_is_kept(site: Site, server):
    server.latency_s = 1.5
    process = site.start("describe_assets", "--library", "Default", "--yes")
    server.wait_for_requests("submit", count=2, timeout_s=30)
    process.send_signal(signal.SIGTERM)
    said = ended(process, 0)
    assert "2 described, 0 not" in said
    assert len(server.purchases) == 2
