"""The dashboard in the browser: readable on a phone in the dark, and without eyes."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from mediagen.models import MediaLibrary, SpendAccount
from tests.browser.conftest import DESK, PHONE
from tests.factories import GenerationAttemptFactory, MediaLibraryFactory

MAY = ("view_generationattempt", "view_mediaasset", "view_providerconfig")
ADDRESS = "/admin/mediagen/dashboard/"


@pytest.fixture
def busy(site):
    chance, now = random.Random(7), timezone.now()
    library = MediaLibraryFactory(name="Spring campaign")
    MediaLibrary.objects.filter(pk=library.pk).update(budget_limit=20, budget_warning=10)
    SpendAccount.objects.create(owner=f"library:{library.pk}", period=f"{now:%Y-%m}", limit=20, spent=12, held=1)
    for _ in range(90):
        at = now - timedelta(hours=chance.uniform(0, 7 * 24))
        trait = chance.choices(["", "unavailable", "rate_limited", "refused", "unknown"], [80, 8, 5, 4, 3])[0]
        name = chance.choice(["sdxl", "openai_images", "flux"])
        extra = {trait: True} if trait else {"cost": Decimal(chance.choice(["0.03", "0.04", "0.21"]))}
        GenerationAttemptFactory(
            asset=None,
            library=library,
            provider_name=name,
            started_at=at,
            latency_s=chance.uniform(3, 30),
            **extra,
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_is_readable(page, sign_in, busy, serious, shoot, is_too_wide, scheme, size):
    sign_in(*MAY)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)

    page.goto(ADDRESS)

    shoot(f"dashboard-{scheme}-{size['width']}")
    assert page.get_by_role("img", name="Spend by provider").is_visible()
    assert serious("#content-main") == []
    assert not is_too_wide()


def test_periods_tables_and_files_are_reached(page, sign_in, busy):
    sign_in(*MAY)
    page.goto(ADDRESS)

    page.get_by_role("link", name="24 hours").click()
    assert page.get_by_role("link", name="24 hours").get_attribute("aria-current") == "page"
    page.get_by_text("As a table").first.click()
    assert page.get_by_role("region", name="Spend by provider").is_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="providers", exact=True).click()
    assert download.value.suggested_filename == "mediagen-providers-24h.csv"


def test_the_apps_page_leads_there(page, sign_in, busy, serious, shoot):
    sign_in(*MAY)
    page.goto("/admin/mediagen/")

    shoot("app-index")
    assert serious("#content") == []
    page.get_by_role("link", name="The last 7 days").click()

    assert page.url.endswith(ADDRESS)
