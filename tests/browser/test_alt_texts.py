"""Alt texts that a model suggests, in a real browser: beside the field, in the chooser, and a list by keyboard."""

from __future__ import annotations

import pytest

from mediagen.engine.library import alt_texts
from mediagen.models import MediaAsset
from tests import pictures
from tests.browser.conftest import PHONE
from tests.factories import MediaAssetFactory

ALL = ("view_mediaasset", "add_mediaasset", "approve_mediaasset", "delete_mediaasset", "change_mediaasset")


@pytest.fixture
def assets(transactional_db):
    made = [
        MediaAssetFactory(ready=True, name=name, content=pictures.png(320, 240, seed=seed), width=320, height=240)
        for seed, name in enumerate(("Tower", "Boat", "Fox"))
    ]
    MediaAsset.objects.update(alt_text="", is_placeholder=False)
    return made


def test_it_is_suggested_beside_the_field_and_accepted_without_leaving_the_page(
    page, sign_in, assets, serious, shoot, is_too_wide
):
    sign_in(*ALL, is_superuser=True)
    page.goto(f"/studio/#asset-{assets[0].pk}")
    panel = page.get_by_role("dialog")
    panel.get_by_label("Credit").fill("Typed before")
    panel.get_by_role("button", name="Suggest an alt text").click()
    text = panel.get_by_label("Suggested alt text")
    text.wait_for()
    assert "Dry run" in text.input_value()
    shoot("suggestion")
    assert serious() == []
    text.fill("A tower.")
    panel.get_by_role("button", name="Accept").click()
    text.wait_for(state="detached")
    assert panel.get_by_label("What it shows (alt text)").input_value() == "A tower."
    assert panel.get_by_label("Credit").input_value() == "Typed before"
    assert MediaAsset.objects.get(pk=assets[0].pk).alt_text == "A tower."
    page.set_viewport_size(PHONE)
    shoot("suggestion-phone")
    assert not is_too_wide()


def test_those_that_wait_are_answered_by_keyboard(page, sign_in, assets, serious, shoot, is_too_wide):
    sign_in(*ALL, is_superuser=True)
    for asset in assets:
        alt_texts.suggest(asset.pk, f"It shows a {asset.name.lower()}.", rehearsed=False)
    page.goto("/mediagen/alt-texts/")
    shoot("alt-texts")
    assert serious() == []
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.get_by_text("It is the alt text now.").wait_for()
    page.keyboard.press("e")
    page.keyboard.press("Control+a")
    page.keyboard.type("By hand.")
    page.keyboard.press("Control+Enter")
    page.locator("[data-alt-row]").nth(1).wait_for(state="detached")
    page.keyboard.press("r")
    page.get_by_role("link", name="Show the next ones").wait_for()
    found = dict(MediaAsset.objects.values_list("name", "alt_text"))
    assert found == {"Fox": "It shows a fox.", "Boat": "By hand.", "Tower": ""}
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="dark")
    alt_texts.suggest(assets[0].pk, "It shows a tower.", rehearsed=False)
    page.goto(f"/mediagen/alt-texts/?library={assets[0].library_id}")
    shoot("alt-texts-phone-dark")
    assert not is_too_wide()


def test_it_is_suggested_in_the_admin(page, sign_in, assets, shoot):
    sign_in(is_superuser=True, is_staff=True)
    page.goto(f"/admin/mediagen/mediaasset/{assets[0].pk}/change/")
    page.get_by_role("button", name="Suggest an alt text").click()
    page.get_by_role("button", name="Accept", exact=True).wait_for()
    shoot("suggestion-admin")
    page.get_by_role("button", name="Accept", exact=True).click()
    page.get_by_text("It is the alt text now.").wait_for()
