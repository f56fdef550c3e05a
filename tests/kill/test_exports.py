"""Real processes and one Canva account: killed while it is exported to, and refreshing the same token at once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from mediagen.models import AssetExport, CanvaConnection, GenerationAttempt, MediaAsset, ProviderConfig
from mediagen.models.clock import db_now
from mediagen.models.fields import encrypt
from tests.kill.site import ALIAS, Site, ended, killed
from tests.servers import CanvaServer, Fault

pytestmark = pytest.mark.whole

AT_ONCE = 4


@pytest.fixture
def canva(site: Site, provider_servers) -> CanvaServer:
    """Live, with a token set by hand; one asset is there."""
    server = provider_servers["canva_api"]
    assert isinstance(server, CanvaServer)
    site.servers = {"canva_api": server}
    site.run("generate_assets", "a lighthouse", "--progress", "none")
    site.live("canva_api")
    return server


def export(site: Site) -> AssetExport:
    return AssetExport.objects.using(ALIAS).get()


def uploads(server: CanvaServer) -> int:
    return len([request for request in server.requests_for("submit") if request.accepted])


@pytest.mark.parametrize("step", ["poll", "design"])
def test_who_goes_on_after_a_kill_uploads_nothing_again(site: Site, canva: CanvaServer, step):
    asset = MediaAsset.objects.using(ALIAS).get()
    canva.fault(step, Fault.hang())
    process = site.start("mediagen_export_assets", asset.pk, "--to", "canva")
    canva.wait_for_requests(step, timeout_s=30)
    killed(process)
    canva.release()
    row = export(site)
    assert (row.state, row.job_id) == ("running", next(iter(canva.jobs)))
    site.wait_until(lambda: export(site).lease_until < db_now())
    said = site.run("mediagen_export_assets", "--waiting", "--json", code=None)
    row = export(site)
    assert uploads(canva) == 1
    if step == "poll":
        assert (row.state, row.design_id in canva.designs) == ("placed", True), said
        return
    # The design was asked for, and nobody saw the answer: there is one, and no second is made.
    assert (row.state, len(canva.designs)) == ("failed", 1)
    assert "may have been made" in row.message


def test_who_was_killed_before_canva_named_a_job_is_not_repeated(site: Site, canva: CanvaServer):
    asset = MediaAsset.objects.using(ALIAS).get()
    canva.fault("submit", Fault.hang())
    process = site.start("mediagen_export_assets", asset.pk, "--to", "canva")
    canva.wait_for_requests("submit", timeout_s=30)
    killed(process)
    canva.release()
    site.wait_until(lambda: export(site).lease_until < db_now())
    site.run("mediagen_export_assets", "--waiting", code=1)
    assert (export(site).state, uploads(canva)) == ("failed", 1)
    assert "may have left" in export(site).message
    attempts = GenerationAttempt.objects.using(ALIAS).filter(operation="export_to_canva", billable=True)
    assert [attempt.state for attempt in attempts] == ["unknown"]


def test_processes_that_refresh_at_once_refresh_once(site: Site, canva: CanvaServer):
    config = ProviderConfig.objects.using(ALIAS).get(name="canva_api")
    CanvaConnection.objects.using(ALIAS).create(
        provider=config,
        client_id=canva.client_id,
        client_secret=_stored(canva.client_secret),
        base_url=canva.base_url,
        access_token=_stored("test-access-canva-0"),
        refresh_token=_stored(canva.refresh_token),
        expires_at=db_now() - timedelta(seconds=1),
    )
    processes = [site.start("check_providers", "canva_api", "--json") for _ in range(AT_ONCE)]
    reports = [json.loads(ended(process).splitlines()[0]) for process in processes]
    assert [report["healthy"] for report in reports] == [True] * AT_ONCE, reports
    assert len(canva.requests_for("token")) == 1
    assert CanvaConnection.objects.using(ALIAS).get().broken == ""


def _stored(value: str) -> str:
    """As a process of the site would store it: with its key."""
    from django.test import override_settings

    from tests.kill.settings import SECRET_KEY

    with override_settings(SECRET_KEY=SECRET_KEY):
        return encrypt(value)
