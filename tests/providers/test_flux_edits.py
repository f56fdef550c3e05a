"""Black Forest Labs' work on pictures: which model does it, at a server as strict as the vendor's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mediagen.errors import UnsupportedRequest
from mediagen.providers import FluxAdapter
from mediagen.types import MAKES_PICTURES, GeneratedImage
from tests import pictures
from tests.providers.wire import Wire

pytestmark = pytest.mark.usefixtures("quick_polls")


def source(width=256, height=192):
    return GeneratedImage(content=pictures.png(width, height), format="png", width=width, height=height)


def at(server, **options):
    return FluxAdapter(api_key=server.key, base_url=server.base_url, dry_run=False, **options)


@pytest.mark.parametrize(
    ("operation", "model", "asked", "by"),
    [
        ("edit_image", "flux-2-pro", {"prompt": "a hat", "seed": 7}, "flux-2-pro"),
        ("edit_image", "flux-3-image", {"prompt": "a hat"}, "flux-3-image"),
        ("edit_image", "flux-kontext-max", {"prompt": "a hat"}, "flux-kontext-max"),
        ("edit_image", "flux-2-flex", {"prompt": "a hat", "mask": source(32, 32)}, "flux-pro-1.0-fill"),
        ("vary_image", "flux-2-klein-4b", {}, "flux-2-klein-4b"),
        ("vary_image", "flux-pro-1.1", {"prompt": "a fox"}, "flux-pro-1.1"),
        ("outpaint_image", "flux-2-pro", {"left": 64, "down": 32, "safety_tolerance": 5}, "flux-pro-1.0-expand"),
    ],
)
async def test_the_strict_server_takes_it_and_no_more_is_charged_than_was_said(
    provider_servers, operation, model, asked, by
):
    server = provider_servers["flux"]
    adapter = at(server, model=model)
    sized = {"width": 256, "height": 192} if operation == "edit_image" else {}
    most = getattr(adapter, MAKES_PICTURES[operation])(images=[source()], **asked, **sized)
    made = await getattr(adapter, operation)(images=[source()], **asked, **sized)

    [bought] = server.purchases
    assert server.requests[0].path == f"/v1/{by}"
    assert made.model_name == by
    assert made.cost == Decimal(str(bought.cost)) / 100 <= most
    assert (made.width, made.height) == ((320, 224) if operation == "outpaint_image" else (256, 192))
    assert "seed" not in made.fit_report


async def test_several_pictures_are_numbered(provider_servers):
    server = provider_servers["flux"]
    await at(server).edit_image("join them", [source(), source(64, 64), source()], 256, 192)

    sent = server.requests[0].json()
    assert {name for name in sent if name.startswith("input_image")} == {
        "input_image",
        "input_image_2",
        "input_image_3",
    }


async def test_what_is_handed_over_may_be_charged():
    flux = FluxAdapter()
    one, two = (flux.estimate_edit(prompt="x", images=[source()] * count) for count in (1, 2))

    assert flux.estimate(prompt="x") < one < two
    assert "not published" in flux.estimate_work_reason("edit_image", prompt="x", images=[source()])


@pytest.mark.parametrize(
    ("model", "asked", "match"),
    [
        ("flux-pro-1.1", {}, "with a mask only"),
        ("flux-2-klein-4b", {"images": [source()] * 5}, "1 to 4 pictures"),
        ("flux-2-pro", {"images": [source()] * 2, "mask": source()}, "works on one picture"),
    ],
)
async def test_what_it_cannot_do_is_said_before_anything_is_sent(model, asked, match):
    with Wire() as wire, pytest.raises(UnsupportedRequest, match=match):
        await FluxAdapter(api_key="k", dry_run=False, model=model).edit_image("x", **{"images": [source()], **asked})
    assert not wire.requests


async def test_options_of_the_configured_model_do_not_reach_another(provider_servers):
    server = provider_servers["flux"]
    flex = at(server, model="flux-2-flex", steps=10)
    made = await flex.edit_image("x", [source()], 256, 192, mask=source(), guidance=4)

    sent = server.requests[0].json()
    assert not {"steps", "guidance", "width"} & sent.keys()
    assert "options.guidance" in made.fit_report
    assert "options.steps" not in made.fit_report
