"""Tokens and webhook endpoints in the browser: made by keyboard, shown once, on a phone too."""

from __future__ import annotations

import pytest

from mediagen.engine.events import messages
from mediagen.engine.library import tokens
from mediagen.models import ApiToken, WebhookEndpoint, WebhookMessage
from tests.browser.conftest import PHONE

ALL = [f"{what}_{model}" for what in ("view", "add", "change") for model in ("apitoken", "webhookendpoint")]
ALL += ["view_webhookmessage", "change_webhookmessage", "view_all_libraries"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_token_is_made_and_its_text_is_gone_afterwards(page, sign_in, serious, shoot, is_too_wide, apart, scheme):
    sign_in(*ALL)
    page.emulate_media(color_scheme=scheme)
    page.goto("/admin/mediagen/apitoken/add/")
    assert not serious("#content")
    shoot(f"token-add-{scheme}")
    page.get_by_label("Name").fill("the shop")
    page.get_by_label("generate: make and upload").check()
    page.get_by_role("button", name="Save", exact=True).press("Enter")

    text = page.get_by_label("The token").input_value()
    assert apart(tokens.authenticate, text).name == "the shop"
    assert not serious("#content")
    shoot(f"token-once-{scheme}")
    page.set_viewport_size(PHONE)
    assert not is_too_wide()
    shoot(f"token-once-phone-{scheme}")
    page.get_by_role("link", name="I have kept it").click()
    assert text not in page.content()
    shoot(f"token-phone-{scheme}")
    assert not is_too_wide()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_text("1 token was revoked.").wait_for()
    assert ApiToken.objects.get().revoked_at is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_endpoint_is_made_tested_and_its_message_replayed(
    page, sign_in, serious, shoot, is_too_wide, settings, scheme
):
    settings.MEDIAGEN = {"RUN_IN_SERVER": False}
    sign_in(*ALL)
    page.emulate_media(color_scheme=scheme)
    page.goto("/admin/mediagen/webhookendpoint/add/")
    page.get_by_label("Name").fill("the shop")
    page.get_by_label("Address").fill("https://shop.example.com/hooks")
    page.get_by_label("asset.ready").check()
    assert not serious("#content")
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.get_by_label("The secret").input_value().startswith("whsec_")
    page.get_by_role("link", name="I have kept it").click()
    assert "whsec_" not in page.content()
    shoot(f"endpoint-{scheme}")
    page.set_viewport_size(PHONE)
    assert not is_too_wide()
    shoot(f"endpoint-phone-{scheme}")
    page.get_by_role("button", name="Send a test").click()
    page.get_by_text("A test is on its way").wait_for()
    assert not serious("#content")
    shoot(f"message-phone-{scheme}")

    messages.send_test(WebhookEndpoint.objects.get())
    WebhookMessage.objects.update(state="failed", tries=10, http_status=500, message="It answered 500: no.")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/admin/mediagen/webhookmessage/")
    assert not serious("#content")
    shoot(f"messages-{scheme}")
