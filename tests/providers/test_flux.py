"""Black Forest Labs: requests to the field, what a submission is answered with, costs, health."""

from __future__ import annotations

import traceback
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsMissing,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http.client import httpx
from mediagen.providers import FluxAdapter
from mediagen.providers.flux_sizes import MAX_AREA_FLUX_2, size_fields
from mediagen.types import GenerationRequest
from tests.providers.bfl_wire import (
    ACCEPTED,
    DOWNLOAD,
    KEY,
    NULL,
    PENDING,
    PICTURE,
    POLLING_URL,
    READY,
    SUBMITTED,
    adapter,
    task,
)
from tests.providers.wire import Wire, answer, json_of

MODELS_BY_PIXELS = ("flux-2-pro", "flux-2-klein-4b", "flux-pro-1.1", "flux-dev")
MODELS_BY_RATIO = ("flux-pro-1.1-ultra", "flux-kontext-pro", "flux-kontext-max")
sides = st.integers(1, 16_384)


pytestmark = pytest.mark.usefixtures("quick_polls")


async def payload(model: str | None = None, size: tuple[int, int] = (1024, 1024), wire_model=None, **options):
    with Wire(answer(400, json={"detail": "enough"})) as wire, pytest.raises(UnsupportedRequest):
        await adapter(model, **(wire_model or {})).generate_image("a red fox", *size, **options)
    return json_of(wire.only)


# ---------------------------------------------------------------- what is sent


async def test_a_whole_generation():
    with Wire(ACCEPTED, PENDING, READY, DOWNLOAD) as wire:
        made = await adapter().generate_image("a red fox", seed=5, safety_tolerance=1)
    submit, first_poll, second_poll, download = wire.requests
    assert (submit.method, str(submit.url)) == ("POST", "https://api.bfl.ai/v1/flux-2-pro")
    assert submit.headers["x-key"] == KEY
    assert "authorization" not in submit.headers
    assert json_of(submit) == {
        "prompt": "a red fox",
        "width": 1024,
        "height": 1024,
        "seed": 5,
        "safety_tolerance": 1,
        "output_format": "png",
    }
    for poll in (first_poll, second_poll):
        assert (poll.method, poll.headers["host"], poll.headers["x-key"]) == ("GET", "api.eu1.bfl.ai", KEY)
        assert poll.url.raw_path == b"/v1/get_result?id=a-b&region=eu%2F1"
    assert download.headers["host"] == "delivery-eu1.bfl.ai"
    assert download.url.raw_path == b"/results/a/sample.png?se=2026-11-22T12%3A00&sig=x%2By"
    assert KEY not in str(download.headers)
    assert (made.content, made.format, made.width, made.height) == (PICTURE, "png", 1024, 1024)
    assert (made.provider_name, made.model_name, made.provider_job_id) == ("flux", "flux-2-pro", "a-b")
    assert (made.seed, made.cost) == (77, Decimal("0.045"))
    assert {"input_mp": 0.0, "output_mp": 1.05}.items() <= made.metadata.items()
    assert made.fit_report == {}
    assert not made.is_placeholder


@pytest.mark.parametrize("model", FluxAdapter.models)
async def test_every_model_has_its_path_and_its_size(model):
    with Wire(answer(400, json={"detail": "enough"})) as wire, pytest.raises(UnsupportedRequest):
        await adapter(model).generate_image("a red fox", 1920, 1080)
    assert wire.only.url.path == f"/v1/{model}"
    size = {"aspect_ratio": "16:9"}
    if model in ("flux-pro-1.1", "flux-dev"):
        size = {"width": 1440, "height": 800}
    elif model.startswith("flux-2"):
        size = {"width": 1920, "height": 1072}
    rest = {"output_format": "png"}
    if model.startswith("flux-3"):
        rest = {"resolution": "1.5k", "grounding": False}
    assert json_of(wire.only) == {"prompt": "a red fox", **size, **rest}


async def test_options_of_a_model_and_of_the_configuration():
    sent = await payload(
        "flux-dev",
        wire_model={"output_format": "webp", "steps": 20, "raw": True},
        steps="30",
        guidance="2.5",
        prompt_upsampling="yes",
    )
    assert sent == {
        "prompt": "a red fox",
        "width": 1024,
        "height": 1024,
        "output_format": "webp",
        "steps": 30,
        "guidance": 2.5,
        "prompt_upsampling": True,
    }


async def test_what_a_model_does_not_know_is_reported_and_not_sent():
    with Wire(ACCEPTED, READY, DOWNLOAD) as wire:
        made = await adapter("flux-2-pro").generate_image(
            "a red fox", negative_prompt="dogs", steps=30, raw=True, quality="high"
        )
    assert set(json_of(wire.requests[0])) == {"prompt", "width", "height", "output_format"}
    assert set(made.fit_report) == {"negative_prompt", "options.steps", "options.raw", "options.quality"}
    assert all(entry["honoured"] is False for entry in made.fit_report.values())


@pytest.mark.parametrize(
    ("model", "option", "value", "limit"),
    [
        ("flux-2-pro", "safety_tolerance", 6, "at most 5"),
        ("flux-pro-1.1", "safety_tolerance", 7, "from 0 to 6"),
        ("flux-dev", "guidance", 5.5, "at most 5"),
        ("flux-2-flex", "guidance", 10.5, "from 1.5 to 10"),
        ("flux-2-flex", "steps", 51, "from 1 to 50"),
        ("flux-2-pro", "output_format", "gif", "one of png, jpeg, webp"),
    ],
)
async def test_limits_of_the_options(model, option, value, limit):
    with pytest.raises(UnsupportedRequest, match=limit):
        await adapter(model).generate_image("a red fox", **{option: value})
    with pytest.raises(ConfigurationError, match=limit):
        adapter(model, **{option: value})


async def test_what_other_models_allow():
    assert (await payload("flux-pro-1.1", safety_tolerance=6))["safety_tolerance"] == 6
    assert (await payload("flux-2-flex", guidance=10))["guidance"] == 10


@given(sides, sides, st.sampled_from(MODELS_BY_PIXELS))
def test_every_size_in_pixels_is_one_that_the_model_takes(width, height, model):
    made = size_fields(model, width, height)
    grid, low, high = (16, 64, 16_384) if model.startswith("flux-2") else (32, 256, 1440)
    for side in (made["width"], made["height"]):
        assert side % grid == 0
        assert low <= side <= high
    if model.startswith("flux-2"):
        assert made["width"] * made["height"] <= MAX_AREA_FLUX_2


@given(sides, sides, st.sampled_from(MODELS_BY_RATIO))
def test_every_ratio_is_one_that_the_model_takes(width, height, model):
    made = size_fields(model, width, height)
    across, down = (int(term) for term in made["aspect_ratio"].split(":"))
    assert 9 * down <= 21 * across
    assert 9 * across <= 21 * down
    if 9 * height <= 21 * width and 9 * width <= 21 * height:
        assert abs(across / down - width / height) < 0.05 * width / height


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("flux-2-pro", (1024, 1024), {"width": 1024, "height": 1024}),
        ("flux-2-pro", (4096, 4096), {"width": 2048, "height": 2048}),
        ("flux-2-pro", (10, 10), {"width": 64, "height": 64}),
        ("flux-4-new", (1000, 500), {"width": 992, "height": 496}),  # a model to come: as flux-2
        ("flux-pro-1.1", (4096, 4096), {"width": 1440, "height": 1440}),
        ("flux-pro-1.1", (100, 100), {"width": 256, "height": 256}),
        ("flux-pro-1.1-ultra", (5000, 100), {"aspect_ratio": "7:3"}),
        ("flux-kontext-pro", (100, 5000), {"aspect_ratio": "3:7"}),
        ("flux-kontext-max", (1080, 1920), {"aspect_ratio": "9:16"}),
    ],
)
def test_sizes(model, asked, sent):
    assert size_fields(model, *asked) == sent


async def test_the_picture_is_brought_to_the_asked_size():
    with Wire(ACCEPTED, READY, DOWNLOAD):
        made = await adapter("flux-pro-1.1").generate_image("a red fox", 500, 250)
    assert (made.width, made.height) == (500, 250)
    assert made.fit_report["size"]["made"] == [1024, 1024]


@pytest.mark.parametrize(
    "model", ["flux-pro-1.0-fill", "flux-pro-1.0-expand", "flux-pro-1.1-ultra-finetuned", "../x", "a/b", "FLUX", "a b"]
)
def test_models_that_cannot_generate_are_refused(model):
    with pytest.raises(ConfigurationError, match="flux-2-pro"):
        adapter(model)


# ---------------------------------------------------------------- the submission


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        (answer(400, json={"detail": "bad"}), UnsupportedRequest, "400: bad"),
        (
            answer(422, json={"detail": [{"loc": ["body", "width"], "msg": "must be a multiple of 16", "type": "x"}]}),
            UnsupportedRequest,
            "422: width: must be a multiple of 16",
        ),
        (answer(422, json={"detail": [3, {"loc": 3}, {"loc": []}]}), UnsupportedRequest, "422"),
        (answer(401, json={"detail": "Not authenticated"}), CredentialsRefused, "BFL_API_KEY"),
        (answer(403, json={"detail": "Not authenticated"}), CredentialsRefused, "BFL_API_KEY"),
        (answer(402, json={"detail": "Insufficient credits"}), Misconfigured, "402: Insufficient credits"),
        (answer(404, json={"detail": "Not Found"}), Misconfigured, "404"),
        (answer(429, json={"detail": "Too many active tasks"}), RateLimited, "429"),
        (answer(500), Unavailable, "500"),
        (answer(503), Unavailable, "503"),
        (answer(502), OutcomeUnknown, "may be running"),
        (answer(504), OutcomeUnknown, "may be running"),
        (answer(524), OutcomeUnknown, "may be running"),
        (answer(302, headers={"location": "https://evil.example/"}), BadResponse, "302"),
        (answer(200, content=b"<html></html>"), BadResponse, "an HTML page"),
        (answer(200), BadResponse, "an empty body"),
        (NULL, BadResponse, "JSON NoneType"),
        (answer(200, json=["a-b"]), BadResponse, "JSON list"),
        (answer(200, json={}), BadResponse, "no id"),
        (answer(200, json={**SUBMITTED, "id": 7}), BadResponse, "no id"),
        (answer(200, json={**SUBMITTED, "id": "../x"}), BadResponse, "no id"),
        (answer(200, json={**SUBMITTED, "id": "a" * 201}), BadResponse, "no id"),
        (answer(200, json={**SUBMITTED, "polling_url": None}), BadResponse, "no polling_url"),
        (answer(200, json={**SUBMITTED, "polling_url": 7}), BadResponse, "no polling_url"),
        (answer(200, json={"id": "a-b", "status": "Pending", "webhook_url": "x"}), BadResponse, "no polling_url"),
        (httpx.ConnectError, Unavailable, "nothing was sent"),
        (httpx.ConnectTimeout, Unavailable, "nothing was sent"),
        (httpx.ReadTimeout, OutcomeUnknown, "did not answer"),
        (httpx.ReadError, OutcomeUnknown, "broke the connection"),
        (httpx.RemoteProtocolError, OutcomeUnknown, "broke the connection"),
        (httpx.WriteError, OutcomeUnknown, "broke the connection"),
    ],
)
async def test_what_a_submission_is_answered_with(said, kind, says):
    with Wire(said) as wire, pytest.raises(kind, match=says) as raised:
        await adapter().generate_image("a red fox")
    assert type(raised.value) is kind
    assert str(raised.value).startswith("flux: ")
    assert len(wire.requests) == 1


async def test_a_purchase_that_cannot_be_polled_is_still_named():
    with Wire(answer(json={**SUBMITTED, "polling_url": ""})), pytest.raises(BadResponse) as raised:
        await adapter().generate_image("a red fox")
    assert (raised.value.job.id, raised.value.cost) == ("a-b", Decimal("0.045"))


async def test_a_429_without_a_time_is_a_short_cooldown():
    with Wire(answer(429)), pytest.raises(RateLimited) as raised:
        await adapter().generate_image("a red fox")
    assert raised.value.retry_after_s is None
    assert FluxAdapter.default_cooldown_s == 5.0


async def test_a_key_that_is_not_set_is_not_asked_with():
    with Wire(ACCEPTED) as wire, pytest.raises(CredentialsMissing, match="BFL_API_KEY"):
        await FluxAdapter(dry_run=False).generate_image("a red fox")
    assert wire.requests == []


# ---------------------------------------------------------------- FLUX 3


async def test_flux_3_is_sent_what_its_strict_schema_knows():
    with Wire(ACCEPTED, READY, DOWNLOAD) as wire:
        made = await adapter("flux-3-image").generate_image(
            "a red fox", 1920, 1080, seed=7, output_format="png", prompt_upsampling=True, steps=20, safety_tolerance=1
        )
    sent = wire.requests[0]
    assert str(sent.url) == "https://api.bfl.ai/v1/flux-3-image"
    assert json_of(sent) == {
        "prompt": "a red fox",
        "aspect_ratio": "16:9",
        "resolution": "1.5k",
        "grounding": False,
        "safety_tolerance": 1,
    }
    assert {"seed", "options.output_format", "options.prompt_upsampling", "options.steps"} <= made.fit_report.keys()


async def test_grounding_is_on_only_when_somebody_says_so_and_only_in_flux_3():
    with Wire(ACCEPTED, READY, DOWNLOAD, ACCEPTED, READY, DOWNLOAD) as wire:
        await adapter("flux-3-image", grounding=True).generate_image("a red fox")
        await adapter("flux-2-pro", grounding=True).generate_image("a red fox")
    sent = [json_of(request) for request in wire.requests if request.method == "POST"]
    assert sent[0]["grounding"] is True
    assert "grounding" not in sent[-1]


async def test_flux_3_takes_at_most_4_of_tolerance_and_is_polled_where_webhooks_are_set():
    with pytest.raises(ConfigurationError, match="at most 4 for flux-3-image"):
        adapter("flux-3-image", safety_tolerance=5)
    flux = adapter("flux-3-image")
    flux.webhook_url, flux.webhook_secret = "https://site.example/hook", "s3cret"
    with Wire(ACCEPTED, READY, DOWNLOAD) as wire:
        await flux.generate_image("a red fox")
    assert "webhook_url" not in json_of(wire.requests[0])


@pytest.mark.parametrize(
    ("size", "fields"),
    [
        ((1024, 1024), ("1:1", "1k")),
        ((640, 640), ("1:1", "768sq")),
        ((1200, 800), ("3:2", "1k")),
        ((1920, 1080), ("16:9", "1.5k")),
        ((2048, 2048), ("1:1", "2k")),
        ((500, 4000), ("9:21", "4k")),
        ((8000, 8000), ("1:1", "4k")),
    ],
)
def test_ratio_and_tier_of_flux_3(size, fields):
    assert size_fields("flux-3-image", *size) == {"aspect_ratio": fields[0], "resolution": fields[1]}


@pytest.mark.parametrize("size", [(1024, 1024), (1200, 800), (1920, 1080), (2048, 2048)])
@pytest.mark.parametrize("model", FluxAdapter.models)
def test_every_model_has_a_price_or_the_most_with_a_reason(model, size):
    flux = adapter(model)
    asked = {"prompt": "a red fox", "width": size[0], "height": size[1]}
    assert flux.estimate(**asked) > 0
    is_exact = flux.price(flux.prepared(GenerationRequest.checked(**asked))[0]) is not None
    assert bool(flux.estimate_reason(**asked)) is not is_exact


def test_the_prices_of_flux_3():
    prices = [adapter("flux-3-image").estimate(prompt="x", width=side, height=side) for side in (768, 1024, 2048, 4096)]
    assert prices == [Decimal("0.041"), Decimal("0.048"), Decimal("0.10"), Decimal("0.607")]


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize(
    ("credits", "usd"),
    [(4.5, "0.045"), (3, "0.03"), (0, None), (None, None), ("4", None), (-1, None), (True, None), ([], None)],
)
async def test_credits_are_cents(credits, usd):
    with Wire(answer(json={**SUBMITTED, "cost": credits}), READY, DOWNLOAD):
        made = await adapter("flux-2-flex").generate_image("a red fox")
    assert made.cost == (None if usd is None else Decimal(usd))


@pytest.mark.parametrize(
    ("model", "size", "usd"),
    [
        ("flux-pro-1.1", (1024, 1024), "0.04"),
        ("flux-pro-1.1-ultra", (1024, 1024), "0.06"),
        ("flux-2-pro", (1024, 1024), "0.06"),
        ("flux-2-pro", (1920, 1080), "0.06"),
        ("flux-2-pro", (4096, 4096), "0.09"),
        ("flux-2-max", (2048, 2048), "0.22"),
        ("flux-2-flex", (1024, 1024), None),
    ],
)
async def test_the_price_list_answers_when_the_service_does_not(model, size, usd):
    with Wire(answer(json={"id": "a-b", "polling_url": POLLING_URL}), READY, DOWNLOAD):
        made = await adapter(model).generate_image("a red fox", *size)
    assert made.cost == (None if usd is None else Decimal(usd))


# ---------------------------------------------------------------- health, dry run, secrets


@pytest.mark.parametrize(
    ("said", "ok", "detail"),
    [
        (answer(json={"credits": 12.5}), True, "12.5 credits left"),
        (answer(json={"credits": 0}), False, "0 credits left. Buy some"),
        (answer(401, json={"detail": "Not authenticated"}), False, "BFL_API_KEY"),
        (answer(500), False, "500"),
        (answer(json={}), False, "without a number"),
        (answer(json={"credits": "12"}), False, "without a number"),
        (NULL, False, "JSON NoneType"),
        (answer(content=b"<html>"), False, "HTML"),
        (httpx.ConnectError, False, "could not connect"),
    ],
)
async def test_health(said, ok, detail):
    with Wire(said) as wire:
        report = await adapter().probe()
    assert report.ok is ok
    assert detail in report.detail
    assert (wire.only.method, str(wire.only.url)) == ("GET", "https://api.bfl.ai/v1/credits")


async def test_a_dry_run_asks_nobody_and_is_the_same_every_time():
    with Wire(ACCEPTED) as wire:
        first, second = [await FluxAdapter().generate_image("a red fox", 320, 200, seed=1) for _ in range(2)]
        assert await FluxAdapter().check_health() is True
    assert wire.requests == []
    assert first.content == second.content
    assert (first.is_placeholder, first.dry_run, first.cost, first.width) == (True, True, 0, 320)


@pytest.mark.parametrize(
    "answers",
    [
        [answer(401, json={"detail": f"key {KEY} is unknown"})],
        [answer(422, json={"detail": [{"loc": ["body", KEY], "msg": KEY, "type": "x"}]})],
        [answer(500, content=KEY.encode())],
        [answer(json={"id": f"{KEY}/..", "polling_url": POLLING_URL})],
        [ACCEPTED, task("Request Moderated", details={"key": KEY})],
        [ACCEPTED, task("Error", details={"error": f"key {KEY}"})],
        [ACCEPTED, answer(401, json={"detail": KEY})],
        [ACCEPTED, task("Ready", result={"sample": f"https://{KEY}@evil.example/"})],
        [httpx.ReadError],
    ],
)
async def test_the_key_is_in_no_text(answers, caplog):
    made = adapter(timeout_s=0.2)
    with Wire(*answers), pytest.raises(ProviderError) as raised:
        await made.generate_image("a red fox")
    everything = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(made) + caplog.text
    assert KEY not in everything
    assert KEY not in repr(vars(made))
