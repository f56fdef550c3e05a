"""That the fixtures see what they are there to see."""

from __future__ import annotations

from tests.browser.conftest import PHONE


def test_a_person_signs_in_and_sees_the_admin(page, sign_in, serious):
    sign_in("view_providerconfig")

    page.goto("/admin/mediagen/providerconfig/")

    assert page.get_by_role("heading", name="Select provider to view").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('#header')).display") == "flex"


def test_what_the_policy_refuses_is_a_complaint(page, sign_in, complaints):
    sign_in("view_providerconfig")
    page.goto("/admin/mediagen/providerconfig/")

    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">red</p>')")
    page.evaluate("fetch('http://elsewhere.invalid/').catch(() => 0)")

    assert any("style" in text for text in complaints)
    assert any("elsewhere.invalid" in text for text in complaints)
    complaints.clear()


def test_axe_and_the_width_find_what_is_wrong(page, sign_in, serious, is_too_wide):
    sign_in("view_providerconfig")
    page.set_viewport_size(PHONE)
    page.goto("/admin/mediagen/providerconfig/")

    page.evaluate(
        "document.querySelector('#content').insertAdjacentHTML('beforeend', '<p id=wide>wide</p><img src=data:,>')"
    )
    assert any("image-alt" in line for line in serious("#content"))
    assert not is_too_wide()
    page.evaluate("document.querySelector('#wide').style.width = '900px'")
    assert is_too_wide()


def test_the_database_is_there_in_another_thread(apart, site):
    from mediagen.models import ProviderConfig

    assert "noop_media" in apart(lambda: set(ProviderConfig.objects.values_list("name", flat=True)))
