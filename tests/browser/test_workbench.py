"""A picture edited in a real browser: painted on, cropped by mouse and by keyboard, compared with what it was."""

from __future__ import annotations

import pytest

from mediagen.models import MediaAsset
from tests import pictures
from tests.browser.conftest import PHONE
from tests.engine.work.serving_thread import in_server  # noqa: F401 - a fixture
from tests.factories import MediaAssetFactory

ALL = ("view_mediaasset", "add_mediaasset", "approve_mediaasset", "delete_mediaasset", "change_mediaasset")


@pytest.fixture
def asset(transactional_db):
    return MediaAssetFactory(ready=True, name="Tower", content=pictures.png(320, 240), width=320, height=240)


def test_what_is_painted_goes_along_as_a_mask_and_the_new_version_can_be_compared(
    page,
    sign_in,
    settings,
    in_server,  # noqa: F811
    asset,
    serious,
    shoot,
    is_too_wide,
):
    settings.MEDIAGEN = {"RUN_IN_SERVER": True}
    sign_in(*ALL)
    page.goto(f"/studio/#asset-{asset.pk}")
    page.get_by_role("dialog").get_by_role("link", name="Edit", exact=True).click()
    canvas = page.locator("[data-easel] canvas")
    box = canvas.bounding_box()

    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 60, steps=4)
    page.mouse.up()
    painted = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((value) => value)"
    assert canvas.evaluate(painted)
    page.get_by_role("button", name="Undo").click()
    assert not canvas.evaluate(painted)
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    shoot("edit")
    assert serious() == []
    page.get_by_label("What is to be changed").fill("Make it night")
    page.get_by_role("button", name="Change it").click()
    page.wait_for_url("**?said=work")
    child = MediaAsset.objects.get(parent=asset)
    assert MediaAsset.objects.get(pk=child.parameters["mask"]).width == 320
    page.get_by_role("link", name="Compare").click()
    page.get_by_label("How much of the first is seen").wait_for()
    page.set_viewport_size(PHONE)
    page.goto(f"/mediagen/studio/assets/{asset.pk}/edit/")
    shoot("edit-phone")
    assert not is_too_wide()


def test_it_is_cropped_by_mouse_and_by_keyboard(page, sign_in, asset, serious):
    sign_in(*ALL)
    page.goto(f"/mediagen/studio/assets/{asset.pk}/edit/")
    page.get_by_text("Crop and turn").click()
    page.get_by_label("Shape").select_option(label="1:1")
    box = page.locator("[data-easel] canvas").bounding_box()

    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    width = page.get_by_label("Width", exact=True)
    assert (width.input_value(), page.get_by_label("Height", exact=True).input_value()) == ("80", "80")
    width.fill("100")
    assert serious() == []
    page.get_by_role("button", name="Crop").click()
    page.wait_for_url("**?said=work")

    child = MediaAsset.objects.get(parent=asset)
    assert (child.width, child.height) == (100, 80)


def test_it_is_shared(page, sign_in, asset, serious, shoot, is_too_wide):
    sign_in(*ALL)
    page.goto(f"/studio/#asset-{asset.pk}")
    page.get_by_role("dialog").get_by_role("link", name="Share").click()

    page.get_by_role("button", name="7 days").click()
    page.get_by_label("Good until").wait_for()
    shoot("share")
    assert serious() == []
    page.set_viewport_size(PHONE)
    assert not is_too_wide()
