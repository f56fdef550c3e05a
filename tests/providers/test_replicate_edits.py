"""Work on pictures by models at Replicate, at a server that knows what each of them takes."""

from __future__ import annotations

import random

import pytest
from PIL import Image

from mediagen.errors import ConfigurationError, Misconfigured, UnsupportedRequest
from mediagen.operations import EditRequest
from mediagen.providers import ReplicateSDXLAdapter
from mediagen.providers.replicate_edits import _factor
from mediagen.providers.replicate_inputs import Input
from mediagen.types import GeneratedImage
from tests import pictures
from tests.providers.test_replicate_inputs import live

__all__ = ["live"]

SDXL = ReplicateSDXLAdapter.default_model


def source(width=256, height=192, content=None):
    content = content or pictures.png(width, height)
    return GeneratedImage(content=content, format="png", width=width, height=height)


def noise():
    """A picture that is larger than what a data URL may be."""
    from io import BytesIO

    image = Image.frombytes("RGB", (320, 320), random.Random(7).randbytes(320 * 320 * 3))
    out = BytesIO()
    image.save(out, "PNG")
    return source(320, 320, out.getvalue())


@pytest.mark.parametrize(
    ("operation", "options", "asked", "sent"),
    [
        ("edit_image", {}, {"prompt": "a hat"}, {"prompt": "a hat"}),
        (
            "edit_image",
            {"edit_model": "google/nano-banana-pro"},
            {"prompt": "join", "images": [source(), source(64, 64)]},
            {"prompt": "join", "aspect_ratio": "match_input_image"},
        ),
        ("vary_image", {"edit_model": "google/nano-banana-pro"}, {}, {"resolution": "1K"}),
        ("upscale_image", {"upscale_model": "acme/enlarger"}, {"width": 700, "height": 525}, {"scale": 3}),
        ("remove_background", {"background_model": "acme/cutter"}, {}, {}),
    ],
)
async def test_the_service_takes_what_is_sent(live, operation, options, asked, sent):
    server, adapter = live(SDXL, **options)
    sized = {"width": 256, "height": 192} if operation == "edit_image" else {}
    made = await getattr(adapter, operation)(**{"images": [source()], **sized, **asked})

    [bought] = server.purchases
    given = bought.request.json()["input"]
    assert sent.items() <= given.items()
    assert next(iter(options.values()), SDXL) == made.model_name
    assert not [request for request in server.requests if not request.accepted]
    assert ("image" in given) or len(given["image_input"]) == len(asked.get("images", [1]))


async def test_a_large_picture_is_sent_beforehand(live):
    server, adapter = live(SDXL, background_model="acme/cutter")
    made = await adapter.remove_background([noise()])

    assert [request.path for request in server.requests if request.method == "POST"] == [
        "/v1/files",
        "/v1/models/acme/cutter/predictions",
    ]
    assert (made.width, len(server.purchases)) == (320, 1)


def test_what_the_configuration_names_no_model_for():
    adapter = ReplicateSDXLAdapter()
    assert "upscale_model" in adapter.cannot("upscale_image")
    assert not adapter.cannot("edit_image")
    with pytest.raises(ConfigurationError, match="edit_model"):
        ReplicateSDXLAdapter(edit_model="sdxl")


@pytest.mark.parametrize(
    ("model", "asked", "error"),
    [
        ("black-forest-labs/flux-schnell", {}, Misconfigured),
        (SDXL, {"images": [source()] * 2}, UnsupportedRequest),
        (SDXL, {"mask": source()}, UnsupportedRequest),
    ],
)
async def test_what_it_cannot_do_buys_nothing(live, model, asked, error):
    server, adapter = live(model)
    with pytest.raises(error):
        await adapter.edit_image("x", **{"images": [source()], **asked})
    assert not server.purchases


async def test_the_price_of_a_second_is_that_of_the_configured_model(live):
    server, adapter = live(SDXL, background_model="acme/cutter", price_per_second="0.001")

    assert (await adapter.edit_image("x", [source()], 256, 192)).cost is not None
    assert (await adapter.remove_background([source()])).cost is None
    assert len(server.purchases) == 2


@pytest.mark.parametrize(
    ("known", "factor"), [(Input(choices=("2x", "4x")), "4x"), (Input(maximum=2), 2), (Input(), 3)]
)
def test_a_factor_in_the_models_words(known, factor):
    request = EditRequest.of("upscale_image", images=[source(100, 100)], width=300, height=300)
    assert _factor({"scale_factor": known}, request) == {"scale_factor": factor}
