"""Batches in the browser: a manifest is sent, mended, priced and started; a provider's model is chosen."""

from __future__ import annotations

from mediagen.models import GenerationBatch, ProviderConfig
from tests.browser.conftest import PHONE

OPERATOR = ("view_generationbatch", "change_generationbatch", "view_mediaasset", "add_mediaasset")


def file(text):
    return {"name": "animals.csv", "mimeType": "text/csv", "buffer": text.encode()}


def test_a_manifest_is_mended_and_started(page, sign_in, serious, shoot, is_too_wide):
    sign_in(*OPERATOR)
    page.set_viewport_size(PHONE)
    page.goto("/admin/mediagen/generationbatch/")
    page.get_by_role("link", name="Upload a manifest").click()

    page.get_by_label("Manifest").set_input_files(file("key,prompt,width\nfox,A fox,640\nowl,An owl,-5\n"))
    page.get_by_role("button", name="Check").click()
    page.get_by_role("cell", name="3", exact=True).wait_for()
    shoot("manifest-400")
    assert serious("#content-main") == []
    assert not is_too_wide()
    page.get_by_label("Manifest").set_input_files(file("key,prompt\nfox,A fox\nowl,An owl\n"))
    page.get_by_role("button", name="Check").click()

    page.get_by_text("2 pictures, at no cost: placeholders").wait_for()
    assert GenerationBatch.objects.get().state == "paused"
    shoot("batch-400")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Pause").wait_for()
    assert GenerationBatch.objects.get().state == "running"


def test_the_name_of_another_model_is_asked_for_when_it_is_another(page, sign_in):
    sign_in("view_providerconfig", "change_providerconfig")
    config = ProviderConfig.objects.get(name="gemini")
    page.goto(f"/admin/mediagen/providerconfig/{config.pk}/change/")
    other = page.get_by_label("Another model, by its name")
    assert not other.is_visible()

    page.get_by_label("Model:", exact=True).select_option("other ...")
    other.fill("gemini-of-tomorrow")
    page.get_by_role("button", name="Save", exact=True).click()

    page.get_by_text("was changed successfully").wait_for()
    config.refresh_from_db()
    assert config.model == "gemini-of-tomorrow"
