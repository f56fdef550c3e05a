"""An editor at work in the admin: generate and watch it come, approve, zip, upload, delete and have back."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from mediagen.models import MediaAsset
from tests import pictures
from tests.browser.conftest import PHONE
from tests.factories import AssetUsageFactory, MediaAssetFactory, MediaLibraryFactory

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIST = "/admin/mediagen/mediaasset/"


@pytest.fixture(autouse=True)
def works_in_the_server(settings: Any) -> None:
    """As a small site does: neither a worker nor a task engine."""
    settings.MEDIAGEN = {"RUN_IN_SERVER": True}


@pytest.fixture
def editor(sign_in: Callable[..., Any]) -> Any:
    return sign_in(is_superuser=True)


def choose(page: Page, action: str, *assets: MediaAsset) -> None:
    """Mark these in the list and press Go."""
    for asset in assets:
        page.check(f'input[name="_selected_action"][value="{asset.pk}"]')
    page.select_option('select[name="action"]', action)
    page.click('button[name="index"]')


def test_pictures_are_asked_for_and_fill_in(page, editor, serious, shoot, is_too_wide):
    MediaLibraryFactory(name="Default")
    page.goto(LIST)
    page.click("text=Generate")
    page.fill("[name=prompt]", "A lighthouse in the fog")
    page.fill("[name=count]", "3")
    page.locator("[data-mediagen-estimate-text]", has_text="3 pictures").wait_for()
    assert not page.locator(".mediagen-field-width").is_visible()
    page.select_option("[name=size]", "custom")
    page.fill("[name=width]", "320")
    page.fill("[name=height]", "200")
    page.select_option("[name=provider]", "flux")
    page.wait_for_selector("text=Options of flux")
    assert page.input_value("[name=prompt]") == "A lighthouse in the fog"
    assert serious("#content") == []
    shoot("generate")

    page.click("button[name=_go]")
    page.wait_for_selector("[data-mediagen-over]")

    assert page.locator(".mediagen-tiles img").count() == 3
    assert MediaAsset.objects.filter(generation_state="ready", width=320, height=200).count() == 3
    assert serious("#content") == []
    page.reload()
    assert page.locator(".mediagen-tiles img").count() == 3
    shoot("generation")
    page.set_viewport_size(PHONE)
    assert not is_too_wide()


def test_an_asset_is_approved_in_the_list_and_looked_at(page, editor, serious, shoot, is_too_wide):
    asset, other = MediaAssetFactory(ready=True), MediaAssetFactory(failed=True)
    AssetUsageFactory(asset=asset)
    page.goto(LIST)
    assert page.locator(".mediagen-assets-grid").is_visible()
    assert serious("#changelist-form") == []
    choose(page, "approve", asset, other)
    page.wait_for_selector("text=1 asset approved.")
    page.click(".mediagen-views >> text=List")
    page.locator(".mediagen-assets-list").wait_for()
    shoot("assets-list")

    page.goto(reverse("admin:mediagen_mediaasset_change", args=[asset.pk]))
    page.wait_for_selector(".mediagen-preview img")
    assert page.evaluate("document.querySelector('.mediagen-preview img').naturalWidth") == 64
    page.click("[data-mediagen-copy]")
    page.wait_for_selector("text=Copied")
    assert serious("#content-main") == []
    shoot("asset")
    page.set_viewport_size(PHONE)
    assert not is_too_wide()
    page.emulate_media(color_scheme="dark")
    shoot("asset-phone-dark")
    assert serious(".mediagen-story") == []


def test_a_zip_is_made_and_fetched(page, editor, serious, tmp_path):
    assets = [MediaAssetFactory(ready=True, name=name) for name in ("pier", "fog")]
    page.goto(LIST)
    choose(page, "download", *assets)
    page.wait_for_selector("[data-mediagen-over]")
    assert serious("#content-main") == []
    with page.expect_download() as fetched:
        page.click("text=Download")
    file = tmp_path / "assets.zip"
    fetched.value.save_as(file)

    names = zipfile.ZipFile(file).namelist()
    assert len(names) == 3
    assert "manifest.csv" in names


def test_files_are_uploaded_and_a_wrong_one_is_named(page, editor, serious, shoot):
    MediaLibraryFactory(name="Default")
    page.goto(f"{LIST}upload/")
    page.set_input_files(
        "[name=pictures]",
        [
            {"name": "pier.png", "mimeType": "image/png", "buffer": pictures.png()},
            {"name": "logo.svg", "mimeType": "image/svg+xml", "buffer": b"<svg xmlns='http://www.w3.org/2000/svg'/>"},
        ],
    )
    page.select_option("[name=library]", label="Default")
    assert serious("#content") == []
    shoot("upload")
    page.click(".submit-row button")

    page.wait_for_selector("text=1 picture uploaded.")
    assert "logo.svg" in page.inner_text(".messagelist").lower()
    assert MediaAsset.objects.get().source == "uploaded"


def test_what_is_in_use_is_deleted_after_a_second_yes_and_had_back(page, editor, serious, shoot):
    asset = MediaAssetFactory(ready=True, status="approved")
    AssetUsageFactory(asset=asset, campaign="Spring")
    page.goto(LIST)
    choose(page, "trash", asset)
    assert "Spring" in page.inner_text(".mediagen-warning")
    assert serious("#content") == []
    page.click("button[name=_go]")
    assert page.locator(".mediagen-warning").is_visible()
    shoot("delete")
    page.check("[name=even_if_used]")
    page.click("button[name=_go]")
    page.wait_for_selector("text=1 asset deleted.")
    assert page.locator("#result_list").count() == 0

    page.goto(f"{LIST}?status__exact=deleted")
    choose(page, "undelete", asset)
    page.wait_for_selector("text=1 asset is back.")
    asset.refresh_from_db()
    assert asset.status == "approved"


def test_everything_goes_without_a_script(browser, site, context, editor):
    """The estimate has a button, the tiles a link, the list its two views."""
    MediaLibraryFactory(name="Default")
    plain = browser.new_context(base_url=site, java_script_enabled=False)
    plain.add_cookies(context.cookies())
    page = plain.new_page()
    page.goto(f"{LIST}generate/")
    page.fill("[name=prompt]", "A pier")
    page.click("button[name=_estimate]")
    assert "1 picture" in page.inner_text(".mediagen-estimate")
    page.click("button[name=_go]")
    for _ in range(50):
        if page.locator(".mediagen-tiles img").count():
            break
        page.wait_for_timeout(200)
        page.click("text=Refresh")
    assert re.search(r"1 of 1", page.inner_text("#content-main"))
    plain.close()
