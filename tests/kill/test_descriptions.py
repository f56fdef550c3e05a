"""A real process that is killed while a picture is being described: nothing is asked for twice by itself."""

from __future__ import annotations

import pytest

from mediagen.models import AssetDescription, GenerationAttempt, MediaAsset, ProviderConfig
from tests.kill.site import ALIAS, Site, killed
from tests.servers import Fault

pytestmark = pytest.mark.whole


def test_who_goes_on_after_a_kill_asks_for_nothing_twice(site: Site, provider_servers):
    server = provider_servers["openai_images"]
    site.servers = {"openai_images": server}
    site.run("generate_assets", "a lighthouse", "--progress", "none")
    MediaAsset.objects.using(ALIAS).update(is_placeholder=False)
    site.live("openai_images")
    config = ProviderConfig.objects.using(ALIAS).get(name="openai_images")
    config.options = {**config.options, "describe_model": "gpt-sees"}
    config.save(using=ALIAS)
    ProviderConfig.objects.using(ALIAS).exclude(name="openai_images").update(enabled=False)
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
    assert MediaAsset.objects.using(ALIAS).get().alt_text_suggestion == "A lighthouse at dawn."
    assert len(server.purchases) == 2
