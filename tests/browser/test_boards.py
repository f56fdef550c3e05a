"""Boards, templates and styles in the browser: by mouse and by keyboard, read aloud, on a phone and from the right."""

from __future__ import annotations

import re

import pytest

from mediagen.engine.library import Access, collections, presets
from mediagen.models import MediaAsset
from tests.browser.conftest import PHONE
from tests.factories import MediaAssetFactory, MediaLibraryFactory

ALL = ["view_mediaasset", "add_mediaasset", "change_mediaasset", "approve_mediaasset", "delete_mediaasset"]


@pytest.fixture
def user(sign_in):
    return sign_in(*ALL)


@pytest.fixture
def board(user):
    assets = [MediaAssetFactory(ready=True, name=name) for name in "abcd"]
    return collections.create(Access(user), "Cover", asset_ids=[asset.pk for asset in assets])


def names(page):
    return page.locator(".mediagen-caption").all_inner_texts()


def test_a_board_is_put_together_and_ordered_by_mouse_and_keyboard(page, user):
    for name in "dcba":
        MediaAssetFactory(ready=True, name=name)
    page.goto("/studio/")
    page.get_by_role("checkbox", name="Choose a").check()
    page.get_by_role("checkbox", name="Choose d").click(modifiers=["Shift"])
    page.locator("#mediagen-many summary", has_text="Board").click()
    page.get_by_label("Name of a new board").fill("Cover")
    page.get_by_role("button", name="Put on the board").click()
    page.get_by_role("button", name="Open").click()
    page.get_by_role("heading", name="Cover", level=1).wait_for()
    assert names(page) == ["a", "b", "c", "d"]

    with page.expect_response(re.compile("/collections/")):
        page.locator(".mediagen-tile").first.drag_to(page.locator(".mediagen-tile").nth(2))
    assert names(page) == ["b", "c", "a", "d"]
    page.locator(".mediagen-tile > a").nth(3).focus()
    with page.expect_response(re.compile("/collections/")):
        page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate("document.activeElement.textContent").strip() == "d"
    page.get_by_text("Place 3").first.wait_for(state="attached")
    page.reload()
    assert names(page) == ["b", "c", "d", "a"]
    page.get_by_role("checkbox", name="Choose a").check()
    page.get_by_role("button", name="To the front").click()
    page.get_by_text("Done.").wait_for()
    assert names(page) == ["a", "b", "c", "d"]
    page.get_by_role("checkbox", name="Choose b").check()
    page.get_by_role("button", name="Take off the board").click()
    page.get_by_text("Done with 1 picture.").wait_for()
    assert names(page) == ["a", "c", "d"]
    assert page.evaluate("document.activeElement.textContent").strip() == "c"


def test_what_stands_in_braces_is_asked_for_while_one_writes(page, user, apart):
    library = MediaLibraryFactory(name="Default")
    presets.keep(Access(user), library, "template", "Product", "A {colour} {product}")
    presets.keep(Access(user), library, "style", "Wet", "{prompt}, watercolour")
    page.goto("/studio/")
    page.get_by_label("Prompt", exact=True).focus()
    page.locator("#mediagen-composer summary", has_text="More").click()
    page.locator("#mediagen-composer summary", has_text="Templates").click()
    page.get_by_role("link", name="Product").click()
    page.get_by_label("colour").fill("red")
    page.get_by_label("product").fill("cup")
    page.locator("label", has_text="Wet").click()
    page.get_by_role("button", name="Generate").click()
    page.locator(".mediagen-tile").wait_for()

    asset = MediaAsset.objects.get()
    assert (asset.prompt, asset.parameters["style"]) == ("A red cup, watercolour", "Wet")


def test_what_was_opened_last_comes_first(page, board):
    page.goto("/studio/")
    assert not page.get_by_role("link", name="Seen last").is_visible()
    for name in "ca":
        page.locator(".mediagen-tile > a", has_text=re.compile(f"^\\s*{name}\\s*$")).click()
        page.get_by_role("dialog").get_by_role("heading", name=name, level=2).wait_for()
        page.keyboard.press("Escape")
    page.get_by_role("link", name="Seen last").click()
    page.wait_for_url(re.compile("seen="))
    assert names(page) == ["a", "c"]


@pytest.mark.parametrize(("scheme", "width"), [("light", PHONE["width"]), ("dark", 1280)])
def test_axe_finds_nothing_and_nothing_is_too_wide(page, board, user, serious, is_too_wide, shoot, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    library = MediaLibraryFactory(name="Default")
    presets.keep(Access(user), library, "style", "Wet", "watercolour", sample=MediaAsset.objects.first())
    presets.keep(Access(user), library, "template", "Product", "A {colour} {product}")
    for name, address in (
        ("board", f"/studio/?collection={board.pk}"),
        ("search", "/studio/?q=lighthouse"),
        ("prompts", "/mediagen/studio/prompts/"),
        ("composer", "/studio/?q=lighthouse&template=" + str(presets.visible(Access(user)).get(name="Product").pk)),
    ):
        page.goto(address)
        for summary in page.locator(".mediagen-asks-many:not(#mediagen-many *) > summary").all():
            summary.click()
        for turn in ("ltr", "rtl"):
            page.evaluate("turn => (document.documentElement.dir = turn)", turn)
            shoot(f"{name}-{width}-{scheme}-{turn}")
            assert serious() == []
            assert not is_too_wide()


def test_a_board_without_scripts(browser, site, board, context):
    plain = browser.new_context(base_url=site, java_script_enabled=False)
    plain.add_cookies(context.cookies())
    page = plain.new_page()
    page.goto(f"/studio/?collection={board.pk}")
    assert names(page) == ["a", "b", "c", "d"]
    page.get_by_role("checkbox", name="Choose d").check()
    with page.expect_navigation():
        page.get_by_role("button", name="To the front").click()
    assert names(page) == ["d", "a", "b", "c"]
    page.locator("summary", has_text="Name and sharing").click()
    page.locator("#collection-name").fill("Covers")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Covers", level=1).wait_for()
    plain.close()
