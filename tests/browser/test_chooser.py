"""The chooser in the admin of a site: pictures found, uploaded, generated; by keyboard, on a phone, without scripts."""

from __future__ import annotations

import sys

import pytest

from mediagen.models import MediaAsset
from tests import pictures
from tests.browser.conftest import PHONE
from tests.browser.test_studio import provider  # noqa: F401 - a fixture
from tests.engine.work.serving_thread import in_server  # noqa: F401 - a fixture
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.host import admin_of, articles


@pytest.fixture
def article(site, settings, request):
    with articles(**getattr(request, "param", {})) as model, admin_of(model, settings, knows_user=True):
        yield model


@pytest.fixture
def assets(article):
    library = MediaLibraryFactory(name="Harbour")
    made = [
        MediaAssetFactory(
            ready=True,
            library=library,
            name=f"Pier {n}",
            alt_text=f"A pier, number {n}" if n % 2 else "",
            content=pictures.picture("png", 300, 200, seed=n),
            width=300,
            height=200,
        )
        for n in range(1, 8)
    ]
    MediaAssetFactory(ready=True, name="Nobody's", library=MediaLibraryFactory(owner=UserFactory()))
    return made


@pytest.fixture
def editor(sign_in):
    return sign_in(is_superuser=True)


def add(page):
    page.goto("/admin/auth/article/add/")
    page.get_by_label("Title").fill("The harbour")


def cover(page):
    return page.locator("[data-mediagen-chooser]").first


def opened(page, chooser):
    chooser.locator("[data-choose]").click()
    page.locator(".mediagen-chooser-dialog [data-grid]").wait_for(state="attached")
    return page.locator(".mediagen-chooser-dialog")


def saved(page, model):
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/auth/article/")
    return model.objects.get()


@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_found_and_chosen(page, editor, article, assets, size, scheme, serious, shoot, is_too_wide):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    name = f"chooser-{scheme}-{size['width']}"
    add(page)
    shoot(f"{name}-0-empty")
    assert page.get_by_role("group", name="Cover").count() == 1
    dialog = opened(page, cover(page))
    shoot(f"{name}-1-dialog")
    assert serious(".mediagen-chooser-dialog") == []
    dialog.get_by_label("Search").fill('"Pier 3"')
    dialog.get_by_role("button", name="Search").click()
    dialog.locator(".mediagen-choice").nth(1).wait_for(state="detached")
    dialog.get_by_role("button", name="Pier 3").click()
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.dataset.choose !== undefined")
    shoot(f"{name}-2-chosen")
    assert not is_too_wide()
    assert serious("[data-mediagen-chooser]") == []
    one = saved(page, article)
    assert one.cover.name == "Pier 3"
    page.goto(f"/admin/auth/article/{one.pk}/change/")
    page.locator(".mediagen-chosen img").first.wait_for()
    cover(page).locator("[data-remove]").click()
    assert saved(page, article).cover is None


def test_several_are_chosen_and_ordered_by_keyboard_alone(page, editor, article, assets):
    add(page)
    gallery = page.locator("[data-mediagen-chooser]").nth(1)
    gallery.locator("[data-choose]").focus()
    page.keyboard.press("Enter")
    dialog = page.locator(".mediagen-chooser-dialog")
    dialog.locator("[data-pick]").first.wait_for()
    for number in (0, 1, 2):
        dialog.locator("[data-pick]").nth(number).focus()
        page.keyboard.press("Space")
    dialog.locator("[data-pick]").nth(1).focus()
    page.keyboard.press("Enter")
    assert dialog.locator("[aria-pressed=true]").count() == 2
    page.keyboard.press("Escape")
    items = gallery.locator(".mediagen-chosen-item")
    before = items.locator("[data-name]").all_inner_texts()
    items.nth(1).locator("[data-move='-1']").focus()
    page.keyboard.press("Enter")
    assert items.locator("[data-name]").all_inner_texts() == before[::-1]
    one = saved(page, article)
    assert [asset.name for asset in one.gallery.all()] == before[::-1]


@pytest.mark.parametrize("article", [{"min_width": 200}], indirect=True)
def test_one_is_uploaded_there(page, editor, article, assets, shoot, complaints):
    add(page)
    dialog = opened(page, cover(page))
    dialog.get_by_text("Upload one").click()

    def upload(name, content):
        file = {"name": name, "mimeType": "image/png", "buffer": content}
        dialog.locator("input[type=file]").set_input_files([file])
        dialog.get_by_role("button", name="Upload", exact=True).click()

    upload("page.png", b"<html>")
    dialog.get_by_role("alert").filter(has_text="page.png").wait_for()
    shoot("chooser-failing")
    complaints[:] = [each for each in complaints if "400" not in each]
    upload("small.png", pictures.png(64, 48))
    dialog.locator(".mediagen-choice-why", has_text="too small").wait_for()
    upload("large.png", pictures.png(400, 300))
    dialog.get_by_role("button", name="large").click()
    assert saved(page, article).cover.name == "large"


def test_one_is_generated_there(page, editor, article, provider, shoot):  # noqa: F811
    add(page)
    dialog = opened(page, cover(page))
    dialog.get_by_text("No pictures yet").wait_for()
    dialog.get_by_text("Generate one here").click()
    dialog.get_by_label("What should the picture show?").fill("A lighthouse in the fog")
    dialog.locator("[data-price]:not(:empty)").wait_for()
    dialog.get_by_role("button", name="Generate", exact=True).click()
    dialog.locator("[data-unsettled]").wait_for()
    assert dialog.locator("[data-pick]").count() == 0
    shoot("chooser-generating")
    provider.go.set()
    dialog.locator("[data-pick]").click()
    assert saved(page, article).cover.prompt == "A lighthouse in the fog"


@pytest.mark.parametrize("size", [PHONE, {"width": 1440, "height": 900}], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_crop_of_this_use_is_set_by_mouse_and_keyboard(
    page, editor, article, assets, size, scheme, serious, shoot, is_too_wide
):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    add(page)
    button = page.get_by_role("button", name="Set the crop")
    button.click()
    dialog = page.locator(".mediagen-crop-dialog")
    dialog.get_by_role("alert").filter(has_text="Choose a picture first").wait_for()
    dialog.get_by_role("button", name="Cancel").click()
    opened(page, cover(page)).get_by_role("button", name="Pier 3").click()

    button.click()
    frame = dialog.get_by_role("group", name="What is shown")
    dialog.locator("[data-at]:not(:empty)").wait_for()
    assert frame.evaluate("frame => frame === document.activeElement")
    dialog.get_by_label("1:1").check()
    for key in ("ArrowLeft", "Shift+ArrowLeft", "ArrowRight"):
        frame.press(key)
    assert "40 % from the left" in dialog.locator("[data-at]").inner_text()
    shoot(f"crop-{scheme}-{size['width']}")
    assert serious(".mediagen-crop-dialog") == []
    box = frame.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 1000, box["y"], steps=4)
    page.mouse.up()
    dialog.get_by_role("button", name="Done").click()
    page.get_by_text("1:1, middle: 67 % from the left").wait_for()
    assert button.evaluate("button => button === document.activeElement")
    assert not is_too_wide()
    one = saved(page, article)
    assert one.cover_crop == "1:1@0.67,0.5"

    page.goto(f"/admin/auth/article/{one.pk}/change/")
    page.get_by_text("1:1, middle: 67 %").wait_for()
    opened(page, cover(page)).get_by_role("button", name="Pier 5").click()
    page.get_by_text("as the picture says").wait_for()
    assert saved(page, article).cover_crop == ""


def test_a_site_that_does_not_answer_is_said(page, editor, article, assets, complaints):
    add(page)
    page.route("**/chooser/**", lambda route: route.abort())
    cover(page).locator("[data-choose]").click()
    page.locator(".mediagen-chooser-dialog").get_by_role("alert").wait_for()
    page.keyboard.press("Escape")
    complaints.clear()


def test_without_scripts_it_is_a_list_and_a_page_with_a_search(browser, site, context, sign_in, article, assets):
    sign_in(is_superuser=True)
    plain = browser.new_context(base_url=site, java_script_enabled=False)
    plain.add_cookies(context.cookies())
    page = plain.new_page()
    add(page)
    page.locator("select[name=cover]").select_option(label="Pier 2")
    page.goto(page.locator(".mediagen-chooser-plain a").first.get_attribute("href"))
    page.get_by_label("Search").fill('"Pier 5"')
    page.get_by_role("button", name="Search").click()
    code = page.locator(".mediagen-choice-code input").input_value()
    add(page)
    page.locator("select[name=cover]").select_option(label="Pier 2")
    page.locator("input[name=gallery-pick]").fill(code)
    one = saved(page, article)
    assert (one.cover.name, [asset.name for asset in one.gallery.all()]) == ("Pier 2", ["Pier 5"])
    assert MediaAsset.objects.count() == len(assets) + 1
    plain.close()


def test_an_editor_of_rich_text_opens_it_by_an_event(page, editor, article, assets, settings):
    from django.http import HttpResponse
    from django.template import Context, Template
    from django.urls import path

    from tests.host import URLS

    markup = "{% load mediagen %}<!doctype html><html lang=en><title>Text</title>{% picture_chooser %}<p id=text></p>"
    module = sys.modules[URLS]
    module.urlpatterns.insert(0, path("text/", lambda request: HttpResponse(Template(markup).render(Context()))))
    page.goto("/text/")
    page.locator("html.mediagen-choosing").wait_for(state="attached")
    page.evaluate(
        "document.dispatchEvent(new CustomEvent('mediagen:choose', { detail: { chosen: (picture) => {"
        " const image = new Image(); image.src = picture.url; image.alt = picture.alt;"
        " document.getElementById('text').append(image); } } }))"
    )
    page.locator(".mediagen-chooser-dialog").get_by_role("button", name="Pier 3").click()
    assert page.locator("#text img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 300
    assert page.locator("#text img").get_attribute("alt") == "A pier, number 3"
    assert (
        page.request.get(page.locator("#text img").get_attribute("src")).headers["cache-control"].startswith("public")
    )


def test_an_alt_text_is_suggested_for_what_is_chosen(page, editor, assets, shoot):
    add(page)
    dialog = opened(page, cover(page))
    dialog.get_by_role("button", name="Pier 2").click()
    chosen = cover(page).locator(".mediagen-chosen-item")
    chosen.get_by_role("button", name="Suggest an alt text").click()
    chosen.get_by_text("Suggested:").wait_for()
    shoot("chooser-suggestion")
    assert MediaAsset.objects.get(name="Pier 2").alt_text == ""
    chosen.get_by_role("button", name="Accept").click()
    chosen.get_by_text("Suggested:").wait_for(state="hidden")
    found = MediaAsset.objects.get(name="Pier 2")
    assert (found.alt_text.startswith("Dry run"), found.alt_text_state) == (True, "accepted")
    assert found.alt_text in chosen.locator("[data-alt]").inner_text()
