"""An editor at Wagtail's admin: a picture is generated in the chooser, put into a block, and the page published."""

from __future__ import annotations

import shutil

import pytest
from wagtail.models import Collection, Page, Site

from mediagen.models import MediaAsset
from tests.browser.conftest import browser
from tests.browser.test_studio import provider
from tests.engine.work.serving_thread import in_server
from tests.factories import UserFactory
from tests.outside.wagtail_host.models import HarbourPage, Photo
from tests.serving import serving

__all__ = ["browser", "in_server", "provider"]

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="There is no Chromium here.")


@pytest.fixture
def site(django_db_serialized_rollback, transactional_db):
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
    from django.core.asgi import get_asgi_application

    with serving(ASGIStaticFilesHandler(get_asgi_application())) as address:
        yield address


@pytest.fixture
def page(browser, site):
    from django.conf import settings
    from django.test import Client

    context = browser.new_context(base_url=site, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(15_000)
    client = Client()
    client.force_login(UserFactory(is_superuser=True))
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": site}])
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if "Error connecting controller" in said.text else None)
    yield page
    context.close()
    assert not problems


def test_a_picture_is_generated_chosen_and_published(page, site, provider):
    Collection.get_first_root_node().add_child(name="Harbour")
    home = Page.get_first_root_node().add_child(instance=HarbourPage(title="Harbour", slug="harbour"))
    Site.objects.update_or_create(is_default_site=True, defaults={"hostname": "localhost", "root_page": home})
    page.goto(f"/cms/pages/{home.pk}/edit/")

    page.get_by_role("button", name="Choose an image").click()
    page.get_by_role("tab", name="Generate").click()
    panel = page.locator("[data-mediagen-panel]")
    panel.get_by_label("What should the picture show?").fill("A lighthouse in the fog")
    panel.get_by_role("button", name="Generate", exact=True).dblclick()
    panel.locator("[data-unsettled]").wait_for()
    provider.go.set()
    panel.locator("[data-pick]").dblclick(no_wait_after=True)
    page.locator("[data-chooser-title], .chooser__title").first.filter(has_text="A lighthouse in the fog").wait_for()
    assert (MediaAsset.objects.count(), Photo.objects.count(), provider.asked) == (1, 1, 1)

    page.get_by_role("button", name="Insert a block").first.click()
    page.get_by_role("option", name="Picture").click()
    block = page.locator("#panel-child-content-body-content .mediagen-chooser").first
    block.locator("[data-choose]").focus()
    page.keyboard.press("Enter")
    dialog = page.locator(".mediagen-chooser-dialog")
    dialog.locator("[data-pick]").first.focus()
    page.keyboard.press("Enter")
    block.locator("[data-name]", has_text="A lighthouse in the fog").wait_for()
    page.get_by_role("button", name="Duplicate").first.click()
    page.locator("#panel-child-content-body-content .mediagen-chosen-item").nth(1).wait_for()

    page.locator("footer").get_by_role("button", name="More actions").or_(
        page.locator("footer [data-w-dropdown-target=toggle]")
    ).first.click()
    page.get_by_role("button", name="Publish").click()
    page.get_by_text("has been published").wait_for()
    home = HarbourPage.objects.get()
    asset, image = MediaAsset.objects.get(), Photo.objects.get()
    assert (home.hero, [each.value for each in home.body]) == (image, [asset, asset])
    page.goto("/")
    shown = page.locator("section picture img, img.hero")
    assert shown.count() == 3
    for number in range(3):
        shown.nth(number).scroll_into_view_if_needed()
        assert shown.nth(number).evaluate("image => image.decode().then(() => image.naturalWidth)") > 0

    page.goto(f"/cms/pages/{home.pk}/edit/")
    again = page.locator("#panel-child-content-body-content .mediagen-chosen-item")
    again.nth(1).wait_for()
    assert again.count() == 2
