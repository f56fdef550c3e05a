"""The first-run page in the browser: from the strip to a written order."""

from __future__ import annotations

import pytest

from mediagen.models import ProviderConfig
from tests.browser.conftest import DESK, PHONE

OPERATOR = ("view_providerconfig", "change_providerconfig")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_new_site_is_led_to_an_order(page, sign_in, serious, shoot, is_too_wide, monkeypatch, scheme, size):
    monkeypatch.setenv("BFL_API_KEY", "made-up")
    ProviderConfig.objects.filter(name="openai_images").update(model="gpt-image-1-mini")
    sign_in(*OPERATOR)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.goto("/admin/mediagen/")
    shoot(f"first-run-{scheme}-{size['width']}")

    page.get_by_role("link", name="Set up the providers").click()

    page.get_by_role("heading", name="Set up the providers").wait_for()
    shoot(f"setup-{scheme}-{size['width']}")
    assert serious("#content-main") == []
    assert not is_too_wide()
    page.get_by_role("button", name="Yes, write this order").click()
    page.get_by_text("This is the order of the chain now.").wait_for()
    assert ProviderConfig.objects.in_chain_order().first().name == "flux"
