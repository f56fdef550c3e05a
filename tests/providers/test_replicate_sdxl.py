"""Replicate: requests to the field, what a creation is answered with, costs, health."""

from __future__ import annotations

import traceback
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http.client import httpx
from mediagen.providers import ReplicateSDXLAdapter
from mediagen.providers.replicate_sdxl import SDXL_VERSION, sdxl_size
from tests.providers.replicate_wire import (
    CREATED,
    DOWNLOAD,
    FILE,
    JOB_ID,
    KEY,
    METRICS,
    PICTURE,
    PREDICTION,
    RUNNING,
    SUCCEEDED,
    adapter,
    prediction,
    problem,
)
from tests.providers.wire import Wire, answer, json_of

pytestmark = pytest.mark.usefixtures("quick_polls")
sides = st.integers(1, 16_384)


async def created(model: str | None = None, configured=None, **options):
    """The one creation request of a generation that ends there."""
    with Wire(problem(422, "Input validation failed")) as wire, pytest.raises(UnsupportedRequest):
        await adapter(model, **(configured or {})).generate_image("a red fox", **options)
    return wire.only


# ---------------------------------------------------------------- what is sent


async def test_a_whole_generation():
    with Wire(CREATED, RUNNING, SUCCEEDED, DOWNLOAD) as wire:
        made = await adapter(timeout_s=60).generate_image("a red fox", negative_prompt="dogs", seed=5)
    create, first_poll, second_poll, download = wire.requests
    assert (create.method, str(create.url)) == ("POST", "https://api.replicate.com/v1/predictions")
    assert create.headers["authorization"] == f"Bearer {KEY}"
    assert create.headers["cancel-after"] == "90s"
    assert "prefer" not in create.headers
    assert json_of(create) == {
        "version": SDXL_VERSION,
        "input": {
            "prompt": "a red fox",
            "negative_prompt": "dogs",
            "width": 1024,
            "height": 1024,
            "seed": 5,
            "apply_watermark": False,
        },
    }
    for poll in (first_poll, second_poll):
        assert (poll.method, str(poll.url)) == ("GET", f"https://api.replicate.com/v1/predictions/{JOB_ID}")
        assert poll.headers["authorization"] == f"Bearer {KEY}"
    assert (download.headers["host"], download.url.path) == ("replicate.delivery", "/yhqm/out-0.png")
    assert download.headers["authorization"] == f"Bearer {KEY}"
    assert (made.content, made.format, made.width, made.height) == (PICTURE, "png", 1024, 1024)
    assert (made.provider_name, made.provider_job_id) == ("replicate_sdxl", JOB_ID)
    assert (made.model_name, made.seed, made.cost) == (f"stability-ai/sdxl:{SDXL_VERSION}", 5, None)
    assert {"seconds": 4.0}.items() <= made.metadata.items()
    assert made.fit_report == {}


@pytest.mark.parametrize(
    ("model", "path", "version"),
    [
        (None, "/v1/predictions", SDXL_VERSION),
        ("stability-ai/sdxl:" + "a" * 64, "/v1/predictions", "a" * 64),
        ("b" * 64, "/v1/predictions", "b" * 64),
        ("black-forest-labs/flux-1.1-pro", "/v1/models/black-forest-labs/flux-1.1-pro/predictions", None),
    ],
)
async def test_versions_and_official_models(model, path, version):
    request = await created(model)
    assert request.url.path == path
    body = json_of(request)
    assert body.get("version") == version
    assert ("apply_watermark" in body["input"]) is (version is not None)


@pytest.mark.parametrize(
    "model",
    [
        "stability-ai/sdxl",  # a community model: needs a version
        "sdxl",
        "a/b/c",
        "a/b:" + "a" * 63,
        "a/b:" + "A" * 64,
        "a" * 63,
        "../account",
        "a/..",
        "a/b?x=1",
        "ä/b",
        "a/b:" + "a" * 64 + "\n",
    ],
)
def test_models_that_cannot_be(model):
    with pytest.raises(ConfigurationError, match=r"owner/name:version|needs a version"):
        adapter(model)


async def test_every_option():
    configured = {
        "num_inference_steps": 40,
        "scheduler": "DDIM",
        "disable_safety_checker": True,
        "price_per_second": "0.001",
        "apply_watermark": True,
    }
    request = await created(
        configured=configured,
        num_inference_steps="30",
        guidance_scale="6.5",
        refine="expert_ensemble_refiner",
        high_noise_frac=0.7,
        refine_steps=10,
        lora_scale=0.5,
    )
    assert json_of(request)["input"] == {
        "prompt": "a red fox",
        "width": 1024,
        "height": 1024,
        "num_inference_steps": 30,
        "guidance_scale": 6.5,
        "scheduler": "DDIM",
        "refine": "expert_ensemble_refiner",
        "high_noise_frac": 0.7,
        "refine_steps": 10,
        "apply_watermark": True,
        "lora_scale": 0.5,
        "disable_safety_checker": True,
    }


async def test_what_only_the_operator_may_say():
    with Wire(CREATED, SUCCEEDED, DOWNLOAD) as wire:
        made = await adapter().generate_image("a red fox", disable_safety_checker=True, price_per_second=0, style="x")
    assert set(json_of(wire.requests[0])["input"]) == {"prompt", "width", "height", "apply_watermark"}
    assert set(made.fit_report) == {"options.disable_safety_checker", "options.price_per_second", "options.style"}
    assert made.cost is None


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("num_inference_steps", 501),
        ("guidance_scale", 0.5),
        ("scheduler", "EULER"),
        ("refine", "yes"),
        ("high_noise_frac", 1.1),
        ("price_per_second", -1),
    ],
)
async def test_limits_of_the_options(option, value):
    with pytest.raises(ConfigurationError, match=option):
        adapter(**{option: value})
    if option != "price_per_second":
        with pytest.raises(UnsupportedRequest, match=option):
            await adapter().generate_image("a red fox", **{option: value})


@given(sides, sides)
def test_every_size_is_one_that_sdxl_makes_well(width, height):
    made = sdxl_size(width, height)
    for side in made:
        assert side % 8 == 0
        assert 384 <= side <= 2048
    assert 1024 * 768 <= made[0] * made[1] <= 1024 * 1152
    if 1 / 4 <= width / height <= 4:
        assert abs(made[0] / made[1] - width / height) < 0.05 * width / height


@pytest.mark.parametrize("size", [(1024, 1024), (1152, 896), (832, 1216), (1344, 768), (640, 1536), (1024, 768)])
def test_the_sizes_it_was_trained_for_stay_as_they_are(size):
    assert sdxl_size(*size) == size


@pytest.mark.parametrize(("asked", "made"), [((1920, 1080), (1448, 808)), ((16384, 16), (1776, 448))])
def test_sizes(asked, made):
    assert sdxl_size(*asked) == made


# ---------------------------------------------------------------- the creation


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        (problem(400, "Bad Request", "no"), UnsupportedRequest, "400: Bad Request: no"),
        (problem(401, "Unauthenticated", "no token"), CredentialsRefused, "REPLICATE_API_KEY"),
        (problem(402, "Insufficient credit", "Go to billing."), Misconfigured, "402: Insufficient credit: Go to"),
        (problem(403, "Forbidden"), CredentialsRefused, "403"),
        (problem(404, "Not found", "no such model"), Misconfigured, "no such model"),
        (problem(422, "Invalid version or not permitted", "gone"), Misconfigured, "Invalid version"),
        (problem(422, "Input validation failed", "- input.width: too big"), UnsupportedRequest, "input.width: too big"),
        (answer(422, json={"detail": [{"loc": ["x"]}], "title": None}), UnsupportedRequest, "422"),
        (problem(500, "Internal"), OutcomeUnknown, "may be running"),
        (problem(502), OutcomeUnknown, "may be running"),
        (answer(503, headers={"retry-after": "3"}), Unavailable, "503"),
        (problem(408), Unavailable, "408"),
        (answer(302, headers={"location": "https://evil.example/"}), BadResponse, "302"),
        (answer(201, content=b"<html></html>"), BadResponse, "an HTML page"),
        (answer(201), BadResponse, "an empty body"),
        (answer(201, content=b"null"), BadResponse, "JSON NoneType"),
        (answer(201, json=[PREDICTION]), BadResponse, "JSON list"),
        (answer(201, json={}), BadResponse, "no id"),
        (answer(201, json={**PREDICTION, "id": 5}), BadResponse, "no id"),
        (answer(201, json={**PREDICTION, "id": "../account"}), BadResponse, "no id"),
        (answer(201, json={**PREDICTION, "id": ".."}), BadResponse, "no id"),
        (httpx.ConnectError, Unavailable, "nothing was sent"),
        (httpx.ReadTimeout, OutcomeUnknown, "did not answer"),
        (httpx.ReadError, OutcomeUnknown, "broke the connection"),
    ],
)
async def test_what_a_creation_is_answered_with(said, kind, says):
    with Wire(said) as wire, pytest.raises(kind, match=says) as raised:
        await adapter().generate_image("a red fox")
    assert type(raised.value) is kind
    assert str(raised.value).startswith("replicate_sdxl: ")
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("text", "headers", "seconds"),
    [
        ("Request was throttled. Your rate limit resets in ~30s.", {}, 30.0),
        ("Request was throttled. Your rate limit resets in ~30s.", {"retry-after": "7"}, 7.0),
        ("Request was throttled. Your rate limit resets in 1.5 seconds.", {}, 1.5),
        ("Request was throttled.", {"retry-after": "0"}, 0.0),
        ("Request was throttled.", {}, 10.0),
        ("resets in ~99999999999999999999s", {}, 10.0),
    ],
)
async def test_how_long_a_429_asks_to_wait(text, headers, seconds):
    with Wire(answer(429, json={"detail": text}, headers=headers)), pytest.raises(RateLimited) as raised:
        await adapter().generate_image("a red fox")
    assert raised.value.retry_after_s == seconds


async def test_a_429_that_is_a_page():
    with Wire(answer(429, content=b"<html>")), pytest.raises(RateLimited, match="429: an HTML page") as raised:
        await adapter().generate_image("a red fox")
    assert raised.value.retry_after_s == 10.0


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize(
    ("metrics", "usd", "remembered"),
    [
        (METRICS, "0.0046", {"seconds": 4.0}),
        ({"total_time": 2}, "0.0023", {"seconds": 2}),
        ({"predict_time": "4"}, None, {}),
        ({"predict_time": True, "total_time": 10}, "0.0115", {"seconds": 10}),
        ({"predict_time": -1}, None, {}),
        ({"predict_time": 1e300}, None, {}),
        ({}, None, {}),
        (None, None, {}),
        ([4.0], None, {}),
    ],
)
async def test_cost_is_time_by_the_configured_price(metrics, usd, remembered):
    with Wire(CREATED, prediction(output=[FILE], metrics=metrics), DOWNLOAD):
        made = await adapter(price_per_second=0.00115).generate_image("a red fox")
    assert made.cost == (None if usd is None else Decimal(usd))
    assert remembered.items() <= made.metadata.items()


async def test_a_price_for_the_model_stands_in_when_the_time_says_nothing():
    with Wire(CREATED, SUCCEEDED, DOWNLOAD):
        made = await adapter(prices={"stability-ai/sdxl": "0.005"}).generate_image("a red fox")
    assert made.cost == Decimal("0.005")


# ---------------------------------------------------------------- health, dry run, secrets


@pytest.mark.parametrize(
    ("said", "ok", "detail"),
    [
        (answer(json={"type": "user", "username": "acme"}), True, "account acme"),
        (problem(401, "Unauthenticated"), False, "REPLICATE_API_KEY"),
        (answer(500), False, "500"),
        (answer(json={}), False, "without an account"),
        (answer(json={"username": 3}), False, "without an account"),
        (answer(content=b"null"), False, "JSON NoneType"),
        (answer(content=b"<html>"), False, "HTML"),
        (httpx.ConnectError, False, "could not connect"),
    ],
)
async def test_health(said, ok, detail):
    with Wire(said) as wire:
        report = await adapter().probe()
    assert report.ok is ok
    assert detail in report.detail
    assert (wire.only.method, str(wire.only.url)) == ("GET", "https://api.replicate.com/v1/account")


async def test_a_dry_run_asks_nobody():
    with Wire(CREATED) as wire:
        made = await ReplicateSDXLAdapter().generate_image("a red fox", 320, 200, seed=1)
    assert wire.requests == []
    assert (made.is_placeholder, made.dry_run, made.cost, made.width) == (True, True, 0, 320)


@pytest.mark.parametrize(
    "answers",
    [
        [problem(401, "Unauthenticated", f"token {KEY} is unknown")],
        [problem(429, f"Bearer {KEY}", KEY)],
        [answer(500, content=KEY.encode())],
        [answer(201, json={**PREDICTION, "id": f"{KEY}/.."})],
        [CREATED, prediction("failed", error=f"could not use {KEY}")],
        [CREATED, prediction(output=[f"https://{KEY}@evil.example/"])],
        [CREATED, problem(403, KEY)],
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
