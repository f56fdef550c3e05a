"""“Connect Canva” as a person does it: to Canva's page of consent and back, under a strict policy."""

from __future__ import annotations

import pytest

from mediagen.models import CanvaConnection, ProviderConfig
from tests.browser.conftest import DESK, PHONE
from tests.servers import CanvaServer


@pytest.fixture
def canva(provider_servers, site) -> CanvaServer:
    server = provider_servers["canva_api"]
    assert isinstance(server, CanvaServer)
    ProviderConfig.objects.filter(name="canva_api").update(
        base_url=server.base_url,
        dry_run=False,
        options={"authorize_url": f"{server.origin}/api/oauth/authorize"},
    )
    return server


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_connects_an_account_and_ends_it(
    page, sign_in, canva, complaints, serious, shoot, is_too_wide, site, scheme
):
    sign_in(is_superuser=True, is_staff=True)
    page.emulate_media(color_scheme=scheme)
    config = ProviderConfig.objects.get(name="canva_api")
    page.goto(f"/admin/mediagen/providerconfig/{config.pk}/change/")
    page.get_by_role("link", name="Connect Canva").click()
    assert f"{site}/admin/mediagen/providerconfig/canva/callback/" in page.content()
    assert serious("#content") == []
    for name, size in (("desk", DESK), ("phone", PHONE)):
        page.set_viewport_size(size)
        shoot(f"canva-{scheme}-{name}-new")
        assert not is_too_wide()
    page.get_by_label("Client ID").fill(canva.client_id)
    page.get_by_label("Client secret").fill(canva.client_secret)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Connect Canva").click()
    page.get_by_role("link", name="Allow").click()
    page.wait_for_url(f"**/providerconfig/{config.pk}/canva/")
    page.get_by_text("Connected: user auTest of team oiTest.").wait_for()
    assert canva.client_secret not in page.content()
    assert CanvaConnection.objects.get().is_connected
    assert serious("#content") == []
    assert not is_too_wide()
    shoot(f"canva-{scheme}-phone-connected")
    page.set_viewport_size(DESK)
    shoot(f"canva-{scheme}-desk-connected")
    page.get_by_role("button", name="Disconnect").click()
    page.get_by_text("The account is disconnected.").wait_for()
    assert canva.refresh_token == ""
    # The way leads to Canva and back: that host is meant.
    complaints[:] = [text for text in complaints if not text.startswith(f"other host: {canva.origin}/api/oauth")]
