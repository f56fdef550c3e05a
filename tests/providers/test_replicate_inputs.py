"""Models at Replicate, each in its own words: at a server that knows what they take, and out of their schemas."""

from __future__ import annotations

import pytest

from mediagen.errors import Misconfigured, Unavailable, UnsupportedRequest
from mediagen.providers import ReplicateSDXLAdapter
from mediagen.providers import replicate_sdxl as module
from mediagen.providers.base import JobProvider
from mediagen.providers.replicate_inputs import Input, known_inputs, read_schema, worded
from mediagen.types import GenerationRequest
from tests.servers import Fault
from tests.servers.replicate import OFFICIAL_MODELS, SDXL_INPUT, schema_of

PAINTER = "acme/painter"


@pytest.fixture
def live(provider_servers, settings, monkeypatch):
    settings.MEDIAGEN = {"FIT": "keep"}
    monkeypatch.setattr(JobProvider, "poll_interval_s", 0.005)
    monkeypatch.setattr(module, "_schemas", {})
    server = provider_servers["replicate_sdxl"]

    def make(model, **options):
        arguments = {"api_key": server.key, "base_url": server.base_url, "dry_run": False, "timeout_s": 10.0}
        return server, ReplicateSDXLAdapter(model=model, **arguments, **options)

    return make


@pytest.mark.parametrize("size", [(1024, 1024), (1200, 800), (1920, 1080), (400, 2000)])
@pytest.mark.parametrize("model", [name for name, takes in OFFICIAL_MODELS.items() if "prompt" in takes])
async def test_the_service_takes_what_is_sent_and_the_rest_is_reported(model, size, live):
    server, adapter = live(model)
    options = {"output_format": "jpeg", "guidance_scale": 7, "scheduler": "DDIM"}
    made = await adapter.generate_image("a fox", *size, seed=7, negative_prompt="a dog", **options)
    (bought,) = server.purchases
    sent = bought.request.json()["input"]
    takes = OFFICIAL_MODELS[model]
    assert [request for request in server.requests if not request.accepted] == []
    for name, value in (("seed", 7), ("negative_prompt", "a dog")):
        assert (sent.get(name) == value) is (name in takes) is (name not in made.fit_report)
    assert "options.scheduler" in made.fit_report
    assert ("options.output_format" in made.fit_report) is ("output_format" not in takes)
    assert sent.get("output_format", "jpg") == "jpg"
    assert made.seed == (7 if "seed" in takes else None)


@pytest.mark.parametrize(
    ("model", "size", "sent"),
    [
        ("google/nano-banana-pro", (1920, 1080), {"aspect_ratio": "16:9", "resolution": "2K"}),
        ("google/nano-banana", (1200, 800), {"aspect_ratio": "3:2"}),
        ("bytedance/seedream-4.5", (1024, 1024), {"aspect_ratio": "1:1", "size": "2K", "max_images": 1}),
        ("recraft-ai/recraft-v4", (1400, 1000), {"aspect_ratio": "14:10"}),
        ("black-forest-labs/flux-schnell", (1920, 1080), {"aspect_ratio": "16:9", "num_outputs": 1}),
        ("black-forest-labs/flux-1.1-pro", (1920, 1080), {"aspect_ratio": "custom", "width": 1440, "height": 800}),
    ],
)
def test_the_words_of_the_official_models(model, size, sent):
    request = GenerationRequest(prompt="a fox", width=size[0], height=size[1])
    assert worded(known_inputs(model), request, model) == ({"prompt": "a fox", **sent}, {})


async def test_what_is_not_known_is_read_once_and_before_anything_is_bought(live):
    server, adapter = live(PAINTER)
    for _ in range(2):
        await adapter.generate_image("a fox", 1200, 800)
    paths = [request.path for request in server.requests]
    assert paths.count(f"/v1/models/{PAINTER}") == 1
    assert server.purchases[0].request.json()["input"] == {
        "prompt": "a fox",
        "image_size": "1536x1024",
        "num_images": 1,
    }


async def test_a_version_of_another_model_is_asked_for_its_own_schema(live):
    version = "b" * 64
    server, adapter = live(f"me/my-sdxl:{version}")
    server.versions[version] = "me/my-sdxl"
    await adapter.generate_image("a fox", 1920, 1080)
    assert server.requests[0].path == f"/v1/models/me/my-sdxl/versions/{version}"
    sent = server.purchases[0].request.json()["input"]
    assert (sent["width"], sent["height"], sent["apply_watermark"]) == (
        *module.sdxl_size(1920, 1080),
        False,
    )  # by its inputs


async def test_a_model_that_is_not_there_says_the_near_ones_and_buys_nothing(live):
    server, adapter = live("google/nano-bananas")
    with pytest.raises(Misconfigured, match="Did you mean google/nano-banana"):
        await adapter.generate_image("a fox")
    assert server.purchases == []


async def test_a_schema_that_cannot_be_read_buys_nothing(live):
    server, adapter = live(PAINTER)
    server.fault("other", Fault.http(503))
    with pytest.raises(Unavailable):
        await adapter.generate_image("a fox")
    for fault in (Fault.html_200(), Fault.empty_200()):
        server.fault("other", fault)
        with pytest.raises(Exception, match="instead of JSON"):
            await adapter.generate_image("a fox")
    assert server.purchases == []
    await adapter.generate_image("a fox")


async def test_a_model_without_a_prompt_is_said(live, monkeypatch):
    monkeypatch.setitem(OFFICIAL_MODELS, PAINTER, {"image": OFFICIAL_MODELS[PAINTER]["image_size"]})
    server, adapter = live(PAINTER)
    with pytest.raises(Misconfigured, match="does not say what it takes"):
        await adapter.generate_image("a fox")
    assert server.purchases == []


async def test_what_the_model_refuses_all_the_same_is_unsupported(live, monkeypatch):
    monkeypatch.setitem(OFFICIAL_MODELS, "google/nano-banana-pro", {"prompt": OFFICIAL_MODELS[PAINTER]["prompt"]})
    server, adapter = live("google/nano-banana-pro")
    with pytest.raises(UnsupportedRequest, match="aspect_ratio"):
        await adapter.generate_image("a fox")
    assert server.purchases == []


@pytest.mark.parametrize(
    "odd", [None, [], {}, {"components": {}}, {"components": {"schemas": {"Input": {"properties": []}}}}]
)
def test_an_odd_schema_names_nothing(odd):
    assert read_schema(odd) == {}


def test_a_schema_is_read_with_its_choices_and_bounds():
    found = read_schema(schema_of(SDXL_INPUT))
    assert found["width"] == Input(minimum=8, maximum=4096, multiple_of=8)
    assert "K_EULER" in found["scheduler"].choices
    inline = {"components": {"schemas": {"Input": {"properties": {"n": {"enum": [1, 2]}}}}}}
    assert read_schema(inline)["n"].choices == ("1", "2")


@pytest.mark.parametrize(
    ("inputs", "size", "sent"),
    [
        ({"resolution": Input(choices=("0.5 MP", "1 MP", "4 MP"))}, (1500, 1500), {"resolution": "4 MP"}),
        (
            {"aspect_ratio": Input(choices=("auto", "1:1", "19.5:9")), "megapixels": Input(choices=("1", "0.25"))},
            (400, 400),
            {"aspect_ratio": "1:1", "megapixels": "0.25"},
        ),
        ({"aspect_ratio": Input()}, (1920, 1080), {"aspect_ratio": "16:9"}),
        ({"width": Input(maximum=512), "height": Input(maximum=512)}, (1024, 512), {"width": 512, "height": 256}),
        ({}, (1024, 512), {}),
    ],
)
def test_sizes_in_other_words(inputs, size, sent):
    request = GenerationRequest(prompt="x", width=size[0], height=size[1])
    assert worded(inputs, request, "m")[0] == {"prompt": "x", **sent}


@pytest.mark.parametrize("model", ReplicateSDXLAdapter.models)
def test_every_model_has_the_most_that_it_may_cost(model):
    adapter = ReplicateSDXLAdapter(model=model)
    for width, height in ((1024, 1024), (1200, 800), (1920, 1080)):
        assert adapter.estimate(prompt="x", width=width, height=height) > 0
        assert adapter.estimate_reason(prompt="x", width=width, height=height)
    assert ":" in model or known_inputs(model) is not None
