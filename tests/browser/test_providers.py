"""Providers in the browser: put in order by hand and by key, given a key that nobody sees again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from mediagen.models import ProviderConfig, ProviderHealth
from tests.browser.conftest import PHONE
from tests.factories import GenerationAttemptFactory

LIST = "/admin/mediagen/providerconfig/"
OPERATOR = ("view_providerconfig", "change_providerconfig", "add_providerconfig", "delete_providerconfig")


def chain():
    return list(ProviderConfig.objects.in_chain_order().values_list("name", flat=True))


def shown(page):
    return page.locator("#result_list .field-name, #result_list th a").all_inner_texts()


def drag(page, name, onto):
    grip = page.locator("tr", has=page.get_by_role("link", name=name, exact=True)).locator(".mediagen-grip")
    target = page.locator("tr", has=page.get_by_role("link", name=onto, exact=True))
    begin, end = grip.bounding_box(), target.bounding_box()
    page.mouse.move(begin["x"] + 5, begin["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 20, end["y"] + end["height"] / 2, steps=5)
    page.mouse.move(end["x"] + 20, end["y"] + 4, steps=3)
    page.mouse.up()


@pytest.fixture
def busy(site):
    """A day at which something happened."""
    now = timezone.now()
    for number in range(12):
        GenerationAttemptFactory(latency_s=3.0 + number, started_at=now - timedelta(hours=number * 5))
    GenerationAttemptFactory(unavailable=True)
    GenerationAttemptFactory(unknown=True)
    GenerationAttemptFactory(provider_name="openai_images", cost=Decimal("0.21"), latency_s=31.0)
    ProviderHealth.objects.create(
        provider_name="sdxl",
        model_name="core",
        operation="generate_image",
        state="open",
        failures=5,
        open_until=now + timedelta(minutes=4),
        reason="sdxl: answered 503.",
    )
    ProviderConfig.objects.filter(name="openai_images").update(model="gpt-image-1-mini")


def test_a_provider_is_dragged_to_another_place(page, sign_in, busy):
    sign_in(*OPERATOR)
    page.goto(LIST)

    drag(page, "flux", onto="sdxl")

    page.get_by_text("“flux” is number 1 of the chain now.").wait_for()
    assert chain()[:3] == ["flux", "sdxl", "openai_images"]
    numbers = [str(number) for number, _ in enumerate(chain(), start=1)]
    assert page.locator("#result_list .mediagen-number").all_inner_texts() == numbers
    page.reload()
    assert page.locator("#result_list tbody tr").first.get_by_role("link", name="flux").is_visible()


def test_the_keyboard_moves_a_provider_and_stays_with_it(page, sign_in):
    from playwright.sync_api import expect

    sign_in(*OPERATOR)
    page.goto(LIST)
    page.get_by_role("button", name="Move flux up").focus()

    page.keyboard.press("Enter")
    page.get_by_text("“flux” is number 2 of the chain now.").wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("“flux” is number 1 of the chain now.").wait_for()

    assert chain()[:3] == ["flux", "sdxl", "openai_images"]
    expect(page.get_by_role("button", name="Move flux down")).to_be_focused()
    page.keyboard.press("Space")
    page.get_by_text("“flux” is number 2 of the chain now.").wait_for()
    assert chain()[:2] == ["sdxl", "flux"]


def test_without_scripts_the_buttons_do_the_same(browser, site, sign_in, context):
    sign_in(*OPERATOR)
    plain = browser.new_context(base_url=site, java_script_enabled=False, storage_state=context.storage_state())
    page = plain.new_page()
    page.goto(LIST)

    assert not page.locator(".mediagen-grip").first.is_visible()
    page.get_by_role("button", name="Move flux up").click()

    assert chain()[:3] == ["sdxl", "flux", "openai_images"]
    assert page.get_by_text("“flux” is number 2 of the chain now.").is_visible()
    plain.close()


def test_an_order_that_cannot_be_saved_goes_back(page, sign_in, complaints):
    sign_in(*OPERATOR)
    page.goto(LIST)
    ProviderConfig.objects.filter(name="flux").delete()

    drag(page, "flux", onto="sdxl")

    page.get_by_text("The new order could not be saved").wait_for()
    assert page.locator("#result_list tbody tr").first.get_by_role("link", name="sdxl").is_visible()
    assert all("404" in text for text in complaints)
    complaints.clear()


def test_who_may_only_look_has_nothing_to_drag(page, sign_in):
    sign_in("view_providerconfig")
    page.goto(LIST)

    assert page.locator(".mediagen-grip, .mediagen-place button").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desk"])
def test_the_list_is_readable(page, sign_in, busy, serious, shoot, is_too_wide, scheme, size):
    sign_in(*OPERATOR)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.goto(LIST)

    shoot(f"providers-{scheme}-{size['width']}")
    assert serious("#result_list") == []
    assert serious(".mediagen-note") == []
    assert not is_too_wide()
    for words in ("down", "answered 503", "86 %", "p50", "p95", "the vendor calls it deprecated"):
        assert page.get_by_text(words).first.is_visible(), words


SECRET = "planted-key-0b7e-ends-in-4711"


def test_a_key_goes_in_and_is_nowhere_afterwards(page, sign_in, serious, shoot):
    sign_in(*OPERATOR)
    config = ProviderConfig.objects.get(name="flux")
    page.goto(f"{LIST}{config.pk}/change/")

    page.get_by_label("New credential").fill(SECRET)
    page.locator("[name=option_steps]").fill("20")
    page.get_by_role("button", name="Save and continue editing").click()

    page.get_by_text("set, ends in 4711").wait_for()
    shoot("provider-form")
    assert serious("#providerconfig_form") == []
    for address in (page.url, LIST, f"{LIST}{config.pk}/history/", "/admin/"):
        page.goto(address)
        assert SECRET not in page.content()
        assert SECRET not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    config.refresh_from_db()
    assert config.credentials.reveal().reveal() == SECRET
    assert config.options == {"steps": 20}


def test_a_test_picture_says_its_price_and_waits_for_a_second_yes(page, sign_in, serious, shoot):
    from mediagen.models import MediaAsset
    from tests.factories import MediaLibraryFactory

    MediaLibraryFactory(name="Fog")
    sign_in(*OPERATOR, "add_mediaasset", "view_mediaasset")
    page.goto(LIST)
    page.locator("tr", has=page.get_by_role("link", name="flux", exact=True)).get_by_role("checkbox").first.check()
    page.get_by_label("Action:").select_option("generate_test")
    page.get_by_role("button", name="Go").click()

    assert page.get_by_text("nothing: it runs dry").is_visible()
    shoot("test-picture")
    assert serious("#content-main") == []
    assert MediaAsset.objects.count() == 0
    page.get_by_role("button", name="Generate").click()

    page.get_by_text("A test picture of flux is on its way").wait_for()
    assert MediaAsset.objects.get().parameters["providers"] == ["flux"]
