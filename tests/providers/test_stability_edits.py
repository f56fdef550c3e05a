"""Stability AI's work on pictures, at a server as strict as the vendor's: which address, which fields, which price."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO

import pytest
from PIL import Image

from mediagen.errors import OutcomeUnknown, Refused, UnsupportedRequest
from mediagen.providers import SDXLAdapter
from mediagen.providers.stability_edits import StabilityEdits
from mediagen.types import MAKES_PICTURES, Call, GeneratedImage, ProviderJob, reset_current_call, set_current_call
from tests import pictures
from tests.providers.test_sdxl import V2_PICTURE
from tests.providers.wire import Wire
from tests.servers import Fault

KEY = "sk-planted/secret+0123456789"


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(StabilityEdits, "poll_interval_s", 0.005)
    monkeypatch.setattr(StabilityEdits, "poll_settle_s", 0.05)


def source(width=128, height=96, format="png"):
    return GeneratedImage(content=pictures.png(width, height), format=format, width=width, height=height)


def at(server, **options):
    return SDXLAdapter(api_key=server.key, base_url=server.base_url, dry_run=False, **options)


@pytest.mark.parametrize(
    ("operation", "model", "asked", "path"),
    [
        ("edit_image", "core", {"prompt": "a hat", "mask": source(), "grow_mask": 9, "seed": 7}, "edit/inpaint"),
        ("edit_image", "core", {"prompt": "a hat", "search_prompt": "the cap"}, "edit/search-and-replace"),
        ("edit_image", "core", {"prompt": "red", "select_prompt": "the cap"}, "edit/search-and-recolor"),
        ("edit_image", "core", {"prompt": "x", "mask": source(), "erase": True}, "edit/erase"),
        ("edit_image", "ultra", {"prompt": "at night", "strength": 0.4}, "generate/ultra"),
        ("vary_image", "sd3.5-medium", {"cfg_scale": 5}, "generate/sd3"),
        ("upscale_image", "core", {}, "upscale/fast"),
        ("upscale_image", "core", {"upscaler": "conservative", "creativity": 0.3}, "upscale/conservative"),
        ("upscale_image", "core", {"upscaler": "creative", "negative_prompt": "blur"}, "upscale/creative"),
        ("remove_background", "core", {"output_format": "webp"}, "edit/remove-background"),
        ("outpaint_image", "core", {"left": 40, "down": 8, "creativity": 0.8}, "edit/outpaint"),
    ],
)
async def test_the_strict_server_takes_it_at_the_price_that_was_said(provider_servers, operation, model, asked, path):
    server = provider_servers["sdxl"]
    adapter = at(server, model=model)
    sized = {"width": 128, "height": 96} if operation == "edit_image" else {}
    said = getattr(adapter, MAKES_PICTURES[operation])(images=[source()], **{**asked, **sized})
    made = await getattr(adapter, operation)(images=[source()], **{**asked, **sized})

    [bought] = server.purchases
    assert server.requests[0].path == f"/v2beta/stable-image/{path}"
    assert made.cost == said == Decimal(str(bought.cost)) / 100
    width = {"upscale_image": 256, "outpaint_image": 168}.get(operation, 128)
    assert (made.width, made.provider_name) == (width, "sdxl")
    # The server's picture has a comment, which no picture that is cut or scaled has any more.
    assert not [entry for name, entry in made.fit_report.items() if name != "size" and "its texts" not in entry["why"]]


async def test_what_an_address_has_no_word_for_is_reported(provider_servers):
    server = provider_servers["sdxl"]
    made = await at(server).remove_background(
        images=[source()], seed=7, negative_prompt="x", output_format="jpeg", style_preset="anime"
    )

    assert {"seed", "negative_prompt", "options.output_format", "options.style_preset"} <= made.fit_report.keys()
    assert made.format == "png"


async def test_options_of_edits_are_not_sent_with_a_prompt_alone(provider_servers):
    server = provider_servers["sdxl"]
    made = await at(server, upscaler="fast").generate_image("a fox", 512, 512, search_prompt="x")

    assert "options.search_prompt" in made.fit_report
    assert "options.upscaler" not in made.fit_report


async def test_the_mask_is_white_where_the_picture_may_change():
    with Wire(V2_PICTURE) as wire:
        await SDXLAdapter(api_key=KEY, dry_run=False).edit_image("x", [source(64, 48)], 64, 48, mask=source(32, 24))
    body = wire.only.content
    assert b'name="mask"; filename="mask.png"' in body
    assert b'name="prompt"\r\n\r\nx\r\n' in body
    start = body.index(b"\x89PNG", body.index(b'name="mask"'))
    assert Image.open(BytesIO(body[start:])).size == (64, 48)


@pytest.mark.parametrize(
    ("model", "asked", "match"),
    [
        ("core", {}, "with a mask"),
        ("core", {"erase": True}, "needs a mask"),
        ("core", {"images": [source(), source()]}, "1 to 1 pictures"),
    ],
)
async def test_what_it_cannot_do_is_said_before_anything_is_sent(model, asked, match):
    with Wire() as wire, pytest.raises(UnsupportedRequest, match=match):
        await SDXLAdapter(api_key=KEY, dry_run=False, model=model).edit_image("x", **{"images": [source()], **asked})
    assert not wire.requests


def test_a_model_without_a_picture_varies_none():
    assert "core takes no picture" in SDXLAdapter().cannot("vary_image")
    assert not SDXLAdapter(model="ultra").cannot("vary_image")


class TestTheJob:
    async def test_it_is_fetched_by_its_id_and_not_bought_again(self, provider_servers, monkeypatch):
        server = provider_servers["sdxl"]
        server.fault("poll", Fault.job_never_ends(), times=None)
        adapter = at(server, upscaler="creative", timeout_s=1)
        monkeypatch.setattr(SDXLAdapter, "poll_timeout_s", 0.1)
        with pytest.raises(OutcomeUnknown) as caught:
            await adapter.upscale_image([source()])
        job = caught.value.job
        assert job is not None
        server.clear_faults()
        monkeypatch.delattr(SDXLAdapter, "poll_timeout_s")
        token = set_current_call(Call(resume=ProviderJob(job.id, job.data)))
        try:
            # Also when the operator has chosen another upscaler meanwhile.
            made = await at(server, upscaler="fast").upscale_image([source()])
        finally:
            reset_current_call(token)

        assert (made.width, made.provider_job_id, len(server.purchases)) == (256, job.id, 1)

    @pytest.mark.parametrize(
        ("fault", "error"), [(Fault.task_not_found(), OutcomeUnknown), (Fault.content_filtered(), Refused)]
    )
    async def test_how_it_ends_otherwise(self, provider_servers, fault, error):
        server = provider_servers["sdxl"]
        server.fault("poll", fault, times=None)
        with pytest.raises(error) as caught:
            await at(server, upscaler="creative").upscale_image([source()])

        assert len(server.purchases) == 1
        assert caught.value.job is not None
