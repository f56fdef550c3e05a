"""Pictures by an address that a person wrote."""

from __future__ import annotations

import pytest

from mediagen.engine.files.fetched_uploads import _fetch
from mediagen.http import AddressRefused
from tests.fake_dns import PUBLIC, dns
from tests.pictures import png
from tests.providers.wire import Wire, answer

__all__ = ["dns"]

SECRET = "http://comfyui.internal:8188/view?filename=1.png"


@pytest.mark.parametrize("first", [[], [answer(302, headers={"location": SECRET})]])
async def test_hosts_that_the_operator_trusts_show_a_person_nothing(first, settings, dns):
    dns.table["pictures.example.com"] = [PUBLIC]
    settings.MEDIAGEN = {"TRUSTED_HOSTS": ["comfyui.internal:8188"]}
    with Wire(*first, answer(200, content=png())) as wire, pytest.raises(AddressRefused):
        await _fetch("https://pictures.example.com/x.png" if first else SECRET)
    assert len(wire.requests) == len(first)
