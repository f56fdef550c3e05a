"""Pages in another language, and from right to left: the language is said, nothing hangs over, every word is one."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests import pictures
from tests.browser.conftest import DESK, PHONE
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory


@pytest.fixture
def speak(context, site, settings):
    def speak(language):
        context.add_cookies([{"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "url": site}])

    return speak


@pytest.fixture
def pages(site, sign_in):
    boss = sign_in(is_superuser=True)
    library = MediaLibraryFactory(name="ميناء", owner=boss, budget_limit=5, budget_period="day")
    names = ["منارة في الضباب", "قارب", "A lighthouse in the fog"]
    made = [
        MediaAssetFactory(
            ready=True,
            library=library,
            name=name,
            prompt=name,
            status="approved" if n else "draft",
            content=pictures.picture("png", 300, 200, seed=n),
            width=300,
            height=200,
        )
        for n, name in enumerate(names)
    ]
    failed = MediaAssetFactory(failed=True, library=library, name="فشل", failure_code="outage")
    GenerationAttemptFactory(asset=made[0], library=library)
    GenerationAttemptFactory(asset=failed, library=library, unknown=True)
    first = made[0].pk
    return {
        "studio": reverse("mediagen:studio"),
        "asset": reverse("mediagen:asset", args=[first]),
        "failed": reverse("mediagen:asset", args=[failed.pk]),
        "edit": reverse("mediagen:studio-edit", args=[first]),
        "compare": f"{reverse('mediagen:studio-compare')}?id={first}&id={made[1].pk}",
        "share": reverse("mediagen:studio-share", args=[first]),
        "chooser": reverse("mediagen:chooser"),
        "admin-assets": reverse("admin:mediagen_mediaasset_changelist"),
        "admin-asset": reverse("admin:mediagen_mediaasset_change", args=[first]),
        "admin-providers": reverse("admin:mediagen_providerconfig_changelist"),
        "admin-dashboard": reverse("admin:mediagen_dashboard_changelist"),
        "admin-rehearse": f"{reverse('admin:mediagen_providerconfig_changelist')}rehearse/?scenario=first_unavailable",
    }


def test_arabic_runs_from_right_to_left_on_desk_and_phone(page, pages, speak, is_too_wide, shoot):
    speak("ar")
    too_wide = []
    for name, address in pages.items():
        for size, form in ((DESK, "desk"), (PHONE, "phone")):
            page.set_viewport_size(size)
            page.goto(address)
            html = page.locator("html")
            assert (html.get_attribute("lang"), html.get_attribute("dir")) == ("ar", "rtl"), name
            shoot(f"ar-{name}-{form}")
            if is_too_wide():
                too_wide.append(f"{name}, {form}")
    assert too_wide == []


@pytest.mark.parametrize(
    ("language", "word"), [("de", "Studio"), ("fr", "Studio"), ("es", "Estudio"), ("ar", "الاستوديو")]
)
def test_the_studio_speaks_the_reader_s_language(page, pages, speak, serious, language, word):
    speak(language)
    page.goto(pages["studio"])
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator(".mediagen-home").inner_text().strip() == word
    assert serious() == []
