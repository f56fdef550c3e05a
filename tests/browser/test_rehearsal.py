"""The rehearsal in the browser: readable, and by the keyboard alone."""

from __future__ import annotations

import pytest

from tests.browser.conftest import DESK, PHONE


def test_an_order_is_tried_before_it_is_trusted(page, sign_in):
    sign_in("view_providerconfig")
    page.goto("/admin/mediagen/providerconfig/")

    page.get_by_role("link", name="Rehearse what happens when one fails").click()
    page.get_by_label("What goes wrong").select_option("first_refuses")
    page.get_by_label("Pictures", exact=True).fill("2")
    page.get_by_role("button", name="Rehearse").press("Enter")

    page.get_by_text("sdxl: refused").first.wait_for()
    assert page.get_by_text("no picture", exact=True).count() == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_is_readable(page, sign_in, serious, shoot, is_too_wide, scheme, size):
    sign_in("view_providerconfig")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)

    page.goto("/admin/mediagen/providerconfig/rehearse/")

    shoot(f"rehearse-{scheme}-{size['width']}")
    assert serious("#content-main") == []
    assert not is_too_wide()
