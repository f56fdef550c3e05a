"""Stability AI: the requests to the byte, and what every answer is taken for."""

from __future__ import annotations

import base64
import traceback
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync
from hypothesis import given
from hypothesis import strategies as st

from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsRefused,
    Misconfigured,
    NextStep,
    Outcome,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http.client import httpx
from mediagen.providers import SDXLAdapter
from mediagen.providers.sdxl import RATIOS, SD3_MODELS, V1_ENGINE, V1_SIZES, V2_MODELS
from tests import pictures
from tests.providers.wire import Wire, answer, form_of, json_of
from tests.servers import SERVERS

KEY = "sk-planted/secret+0123456789"
PICTURE = pictures.png(64, 48)
V2_PICTURE = answer(content=PICTURE, headers={"content-type": "image/png", "seed": "77", "finish-reason": "SUCCESS"})
ARTIFACT = {"base64": base64.b64encode(PICTURE).decode(), "seed": 77, "finishReason": "SUCCESS"}
V1_PICTURE = answer(json={"artifacts": [ARTIFACT]})
PICTURES = {"core": V2_PICTURE, V1_ENGINE: V1_PICTURE}
sides = st.integers(1, 16_384)


def adapter(model: str = "core", **options) -> SDXLAdapter:
    return SDXLAdapter(api_key=KEY, model=model, dry_run=False, **options)


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize("model", V2_MODELS)
async def test_the_v2beta_request(model):
    with Wire(V2_PICTURE) as wire:
        await adapter(model).generate_image("a red fox", 1920, 1080)
    sent = wire.only
    endpoint = "sd3" if model in SD3_MODELS else model
    assert (sent.method, str(sent.url)) == (
        "POST",
        f"https://api.stability.ai/v2beta/stable-image/generate/{endpoint}",
    )
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["accept"] == "image/*"
    assert sent.headers["stability-client-id"] == "mediagen"
    expected = {"prompt": "a red fox", "aspect_ratio": "16:9", "output_format": "png"}
    if endpoint == "sd3":
        expected["model"] = model
    assert form_of(sent) == expected


async def test_every_v2beta_field():
    with Wire(V2_PICTURE) as wire:
        made = await adapter("sd3.5-large", style_preset="anime").generate_image(
            "ein Fuchs, 狐\r\nin two lines",
            100,
            234,
            negative_prompt="blurry",
            seed=5,
            cfg_scale="4.5",
            output_format="webp",
        )
    assert form_of(wire.only) == {
        "prompt": "ein Fuchs, 狐\r\nin two lines",
        "negative_prompt": "blurry",
        "aspect_ratio": "9:21",
        "seed": "5",
        "cfg_scale": "4.5",
        "output_format": "webp",
        "style_preset": "anime",
        "model": "sd3.5-large",
    }
    assert not {"seed", "negative_prompt"} & set(made.fit_report)


async def test_the_v1_request():
    sdxl = adapter(V1_ENGINE, organization="org-1", steps=40)
    with Wire(V1_PICTURE) as wire:
        await sdxl.generate_image(
            "a red fox",
            1920,
            1080,
            negative_prompt="blurry",
            seed=5,
            cfg_scale=9,
            sampler="K_HEUN",
            clip_guidance_preset="NONE",
            style_preset="anime",
        )
    sent = wire.only
    assert (sent.method, str(sent.url)) == (
        "POST",
        f"https://api.stability.ai/v1/generation/{V1_ENGINE}/text-to-image",
    )
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["accept"] == "application/json"
    assert sent.headers["organization"] == "org-1"
    assert json_of(sent) == {
        "text_prompts": [{"text": "a red fox", "weight": 1}, {"text": "blurry", "weight": -1}],
        "width": 1344,
        "height": 768,
        "samples": 1,
        "seed": 5,
        "cfg_scale": 9,
        "steps": 40,
        "sampler": "K_HEUN",
        "clip_guidance_preset": "NONE",
        "style_preset": "anime",
    }


async def test_v1_sends_nothing_that_nobody_asked_for():
    with Wire(V1_PICTURE) as wire:
        await adapter(V1_ENGINE).generate_image("a red fox")
    assert "organization" not in wire.only.headers
    assert json_of(wire.only) == {
        "text_prompts": [{"text": "a red fox", "weight": 1}],
        "width": 1024,
        "height": 1024,
        "samples": 1,
    }


@given(width=sides, height=sides)
def test_every_size_becomes_one_that_the_model_takes(width, height):
    with Wire(answer(503)) as wire:
        for model in ("core", V1_ENGINE):
            with pytest.raises(Unavailable):
                async_to_sync(adapter(model).generate_image)("a fox", width, height)
    v2, v1 = wire.requests
    assert form_of(v2)["aspect_ratio"] in {f"{w}:{h}" for w, h in RATIOS}
    assert (json_of(v1)["width"], json_of(v1)["height"]) in V1_SIZES


@pytest.mark.parametrize("model", ["core", V1_ENGINE])
async def test_seed_0_means_random_there_and_is_not_sent(model):
    with Wire(PICTURES[model]) as wire:
        made = await adapter(model).generate_image("a fox", seed=0)
    body = form_of(wire.only) if model == "core" else json_of(wire.only)
    assert "seed" not in body
    assert made.fit_report["seed"]["asked"] == 0
    assert made.fit_report["seed"]["honoured"] is False
    assert made.seed == 77  # the one that was used


@pytest.mark.parametrize(("model", "largest"), [("core", 4_294_967_294), (V1_ENGINE, 4_294_967_295)])
async def test_the_largest_seed_is_sent_and_the_next_is_reported(model, largest):
    with Wire(PICTURES[model]) as wire:
        assert "seed" not in (await adapter(model).generate_image("a fox", seed=largest)).fit_report
        too_large = await adapter(model).generate_image("a fox", seed=largest + 1)
    first, second = (form_of(r) if model == "core" else json_of(r) for r in wire.requests)
    assert int(first["seed"]) == largest
    assert "seed" not in second
    assert str(largest) in too_large.fit_report["seed"]["why"]


@pytest.mark.parametrize("model", ["sd3.5-large-turbo", "sd3.5-flash"])
async def test_distilled_models_take_no_negative_prompt(model):
    with Wire(V2_PICTURE) as wire:
        made = await adapter(model).generate_image("a fox", negative_prompt="blurry")
    assert "negative_prompt" not in form_of(wire.only)
    assert made.fit_report["negative_prompt"]["asked"] == "blurry"


async def test_an_option_of_another_model_is_reported_and_not_sent():
    with Wire(V2_PICTURE) as wire:
        made = await adapter("core", sampler="DDIM").generate_image(
            "a fox", cfg_scale=7, steps=30, organization="org-2"
        )
    assert set(form_of(wire.only)) == {"prompt", "aspect_ratio", "output_format"}
    for option in ("cfg_scale", "steps", "sampler", "organization"):
        assert made.fit_report[f"options.{option}"]["honoured"] is False


@pytest.mark.parametrize(("model", "limit"), [("core", 10_000), ("sd3.5-medium", 10_000), (V1_ENGINE, 2_000)])
@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
async def test_a_prompt_over_the_limit_is_unsupported_and_not_sent(model, limit, field):
    with Wire(PICTURES.get(model, V2_PICTURE)) as wire:
        await adapter(model).generate_image(**{"prompt": "a fox", field: "x" * limit})
        with pytest.raises(UnsupportedRequest, match=f"{limit + 1:,} characters"):
            await adapter(model).generate_image(**{"prompt": "a fox", field: "x" * (limit + 1)})
    assert len(wire.requests) == 1


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize("model", ["core", V1_ENGINE])
async def test_the_picture(model):
    with Wire(PICTURES[model]):
        made = await adapter(model).generate_image("a fox", 64, 48)
    assert made.content == PICTURE
    assert (made.format, made.width, made.height) == ("png", 64, 48)
    assert (made.provider_name, made.model_name, made.seed) == ("sdxl", model, 77)
    assert made.provider_job_id == ""
    assert made.fit_report == {}


async def test_another_size_than_asked_is_brought_to_it_and_reported():
    with Wire(V2_PICTURE):
        made = await adapter().generate_image("a fox", 32, 32)
    assert (made.width, made.height) == (32, 32)
    assert made.fit_report["size"]["made"] == [64, 48]
    assert made.metadata["aspect_ratio"] == "1:1"


@pytest.mark.parametrize("seed", ["", "many", "-1", "4294967296", "9" * 5000, "٣", "1.5"])
async def test_a_senseless_seed_header_is_no_seed(seed):
    with Wire(lambda request: httpx.Response(200, content=PICTURE, headers=[(b"seed", seed.encode())])):
        assert (await adapter().generate_image("a fox")).seed is None


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("core", "0.03"),
        ("ultra", "0.08"),
        ("sd3.5-large", "0.065"),
        ("sd3.5-large-turbo", "0.04"),
        ("sd3.5-medium", "0.035"),
        ("sd3.5-flash", "0.025"),
    ],
)
async def test_cost(model, cost):
    with Wire(V2_PICTURE):
        assert (await adapter(model).generate_image("a fox")).cost == Decimal(cost)


async def test_sdxl_costs_an_unknown_sum_until_the_operator_names_one():
    with Wire(V1_PICTURE):
        assert (await adapter(V1_ENGINE).generate_image("a fox")).cost is None
        priced = adapter(V1_ENGINE, prices={V1_ENGINE: "0.002"})
        assert (await priced.generate_image("a fox")).cost == Decimal("0.002")


@pytest.mark.parametrize(
    ("model", "filtered", "cost"),
    [
        ("core", answer(content=PICTURE, headers={"finish-reason": "CONTENT_FILTERED"}), Decimal("0.03")),
        (V1_ENGINE, answer(json={"artifacts": [{**ARTIFACT, "finishReason": "CONTENT_FILTERED"}]}), None),
    ],
)
async def test_a_blurred_picture_is_refused_and_its_cost_kept(model, filtered, cost):
    with Wire(filtered), pytest.raises(Refused) as caught:
        await adapter(model).generate_image("a fox")
    assert caught.value.cost == cost
    assert caught.value.http_status == 200


HTML = answer(content=pictures.html(), headers={"content-type": "text/html"})
GARBAGE = {
    "html": HTML,
    "empty": answer(),
    "no content": answer(204),
    "truncated": answer(content=pictures.truncated(PICTURE)),
    "bomb": answer(content=pictures.bomb_png()),
    "json": answer(json={"image": "x"}),
    "finish reason ERROR": answer(content=PICTURE, headers={"finish-reason": "ERROR"}),
    "redirect": answer(302, headers={"location": "http://127.0.0.1/"}),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_from_v2beta_is_a_bad_response(garbage):
    with Wire(garbage), pytest.raises(BadResponse, match=r"^sdxl: "):
        await adapter().generate_image("a fox")


V1_GARBAGE = {
    "html": HTML,
    "empty": answer(),
    "null": answer(json=None),
    "list": answer(json=[ARTIFACT]),
    "number": answer(json=7),
    "no artifacts": answer(json={}),
    "null artifacts": answer(json={"artifacts": None}),
    "empty artifacts": answer(json={"artifacts": []}),
    "object for artifacts": answer(json={"artifacts": {"0": ARTIFACT}}),
    "text artifact": answer(json={"artifacts": ["picture"]}),
    "null artifact": answer(json={"artifacts": [None]}),
    "no base64": answer(json={"artifacts": [{"seed": 1, "finishReason": "SUCCESS"}]}),
    "number for base64": answer(json={"artifacts": [{**ARTIFACT, "base64": 5}]}),
    "list for base64": answer(json={"artifacts": [{**ARTIFACT, "base64": [1]}]}),
    "empty base64": answer(json={"artifacts": [{**ARTIFACT, "base64": ""}]}),
    "cut base64": answer(json={"artifacts": [{**ARTIFACT, "base64": ARTIFACT["base64"][:-3]}]}),
    "half the base64": answer(json={"artifacts": [{**ARTIFACT, "base64": ARTIFACT["base64"][:400]}]}),
    "no base64 letters": answer(json={"artifacts": [{**ARTIFACT, "base64": "no, thänks"}]}),
    "finish reason ERROR": answer(json={"artifacts": [{**ARTIFACT, "finishReason": "ERROR"}]}),
    "number for finish reason": answer(json={"artifacts": [{**ARTIFACT, "finishReason": 3}]}),
    "list for finish reason": answer(json={"artifacts": [{**ARTIFACT, "finishReason": []}]}),
    "cut json": answer(content=b'{"artifacts": [{"base64": "iVBOR'),
    "deep json": answer(content=b"[" * 100_000),
}


@pytest.mark.parametrize("garbage", V1_GARBAGE.values(), ids=V1_GARBAGE)
async def test_garbage_from_v1_is_a_bad_response(garbage):
    with Wire(garbage), pytest.raises(BadResponse, match=r"^sdxl: "):
        await adapter(V1_ENGINE).generate_image("a fox")


@pytest.mark.parametrize("seed", [None, "77", 7.5, True, [], -1, 2**32])
async def test_a_senseless_seed_in_v1_is_no_reason_to_lose_the_picture(seed):
    with Wire(answer(json={"artifacts": [{**ARTIFACT, "seed": seed}]})):
        made = await adapter(V1_ENGINE).generate_image("a fox")
    assert made.seed in (None, 77)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "name", "error"),
    [
        (400, "bad_request", UnsupportedRequest),
        (400, "invalid_sdxl_v1_dimensions", UnsupportedRequest),
        (413, "payload_too_large", UnsupportedRequest),
        (422, "invalid_language", UnsupportedRequest),
        (401, "unauthorized", CredentialsRefused),
        (402, "payment_required", Misconfigured),
        (429, "insufficient_balance", Misconfigured),
        (403, "content_moderation", Refused),
        (422, "public_figure", Refused),
        (400, "invalid_prompts", Refused),
        (403, "something_new", CredentialsRefused),
        (404, "not_found", Misconfigured),
        (429, "rate_limit_exceeded", RateLimited),
        (429, "something_new", RateLimited),
        (500, "internal_error", Unavailable),
        (503, "something_new", Unavailable),
        (418, "something_new", UnsupportedRequest),
    ],
)
@pytest.mark.parametrize("model", ["core", V1_ENGINE])
async def test_errors_by_name_before_status(model, status, name, error):
    said = {"message": "because"} if model == V1_ENGINE else {"errors": ["because", "of that"]}
    with Wire(answer(status, json={"id": "1", "name": name, **said})), pytest.raises(error) as caught:
        await adapter(model).generate_image("a fox")
    assert type(caught.value) is error
    assert caught.value.http_status == status
    assert "because" in str(caught.value)
    assert str(caught.value).startswith("sdxl: ")


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"retry-after": "7"}, 7.0), ({}, None), ({"retry-after": "soon"}, None)]
)
async def test_retry_after_and_without_it_the_cooldown_of_a_minute(headers, seconds):
    limited = answer(429, json={"id": "1", "name": "rate_limit_exceeded", "errors": ["slow down"]}, headers=headers)
    with Wire(limited), pytest.raises(RateLimited) as caught:
        await adapter().generate_image("a fox")
    assert caught.value.retry_after_s == seconds
    assert SDXLAdapter.default_cooldown_s == 60.0


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"name": []}', b'{"name": {}, "errors": 3}', b"\xff", b"<html>"]
)
@pytest.mark.parametrize(
    ("status", "error"), [(401, CredentialsRefused), (429, RateLimited), (500, Unavailable), (400, UnsupportedRequest)]
)
async def test_an_error_without_sense_in_its_body_goes_by_its_status(body, status, error):
    with Wire(answer(status, content=body)), pytest.raises(error):
        await adapter().generate_image("a fox")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (httpx.ReadTimeout, OutcomeUnknown),
        (httpx.RemoteProtocolError, OutcomeUnknown),
        (httpx.WriteError, OutcomeUnknown),
        (httpx.ConnectError, Unavailable),
        (httpx.ConnectTimeout, Unavailable),
    ],
)
@pytest.mark.parametrize("model", ["core", V1_ENGINE])
async def test_a_lost_answer_is_unknown_and_a_lost_connection_is_not(model, raised, error):
    with Wire(raised), pytest.raises(error):
        await adapter(model).generate_image("a fox")


@pytest.mark.parametrize("model", ["core", V1_ENGINE])
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_a_key_in_an_error_body_does_not_come_out(model, status):
    encoded = base64.b64encode(KEY.encode()).decode()
    text = f"Incorrect API key provided: {KEY} sk-planted%2Fsecret%2B0123456789 {encoded} " + "x" * 260 + KEY
    body = {"id": "1", "name": "unauthorized" if status == 401 else "new", "message": text, "errors": [text, KEY]}
    with Wire(answer(status, json=body)), pytest.raises(Exception, match="sdxl") as caught:
        await adapter(model).generate_image("a fox")
    shown = f"{caught.value} {caught.value!r} {''.join(traceback.format_exception(caught.value))}"
    for secret in (KEY, "planted", encoded):
        assert secret not in shown
    assert KEY not in repr(adapter(model))


# ---------------------------------------------------------------- health, settings, dry run


@pytest.mark.parametrize(
    ("credits", "ok", "detail"),
    [
        (12.5, True, "12.5 credits left"),
        (100, True, "100 credits left"),
        (3, True, "3 credits left"),
        (2.999, False, "one picture of core takes 3"),
        (0, False, "0 credits left"),
        (-1.5, False, "-1.5 credits left"),
    ],
)
async def test_health_tells_the_balance(credits, ok, detail):
    with Wire(answer(json={"credits": credits})) as wire:
        report = await adapter().probe()
    assert (wire.only.method, wire.only.url.path) == ("GET", "/v1/user/balance")
    assert report.ok is ok
    assert detail in report.detail


async def test_for_sdxl_any_credit_will_do_and_the_organization_is_asked():
    with Wire(answer(json={"credits": 0.2})) as wire:
        assert await adapter(V1_ENGINE, organization="org-1").check_health()
    assert wire.only.headers["organization"] == "org-1"


@pytest.mark.parametrize(
    "odd",
    [
        answer(json={}),
        answer(json={"credits": "12"}),
        answer(json={"credits": True}),
        answer(json={"credits": None}),
        answer(content=b'{"credits": NaN}'),
        answer(json=[12]),
        answer(json=None),
        HTML,
        answer(),
        answer(401, json={"id": "1", "name": "unauthorized", "message": KEY}),
        answer(500),
        httpx.ConnectError,
        httpx.ReadTimeout,
    ],
)
async def test_health_is_false_and_never_raises_when_there_is_no_balance(odd):
    with Wire(odd):
        report = await adapter().probe()
    assert report.ok is False
    assert report.detail.startswith("sdxl: ")
    assert KEY not in report.detail


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "stable-diffusion-3"},
        {"model": "sd3.5-large", "cfg_scale": 11},
        {"model": V1_ENGINE, "steps": 5},
        {"model": V1_ENGINE, "organization": "two\nlines"},
        {"style_preset": "ugly"},
        {"colour": "red"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"^sdxl"):
        adapter(**wrong)


async def test_cfg_scale_has_other_limits_for_sd3_than_for_sdxl():
    adapter(V1_ENGINE, cfg_scale=20)
    with Wire(V2_PICTURE) as wire, pytest.raises(UnsupportedRequest, match=r"from 1 to 10 for sd3\.5-large, not 20"):
        await adapter("sd3.5-large").generate_image("a fox", cfg_scale=20)
    assert wire.requests == []


async def test_a_dry_run_asks_nobody_and_reports_the_same():
    dry = SDXLAdapter(model="sd3.5-flash")
    with Wire(answer(500)) as wire:
        made = await dry.generate_image("a fox", 300, 200, seed=0, negative_prompt="blurry", steps=20)
        assert (await dry.probe()).ok
    assert wire.requests == []
    assert made.is_placeholder
    assert made.dry_run
    assert made.cost == 0
    assert set(made.fit_report) == {"seed", "negative_prompt", "options.steps"}


# ---------------------------------------------------------------- over a socket


@pytest.mark.parametrize("model", [*V2_MODELS, V1_ENGINE])
async def test_a_service_that_is_as_strict_as_the_real_one_takes_every_field(provider_servers, model):
    server = provider_servers["sdxl"]
    live = SDXLAdapter(api_key=server.key, base_url=server.base_url, model=model, dry_run=False)
    options = {"style_preset": "cinematic"}
    if model in SD3_MODELS:
        options |= {"cfg_scale": 3, "output_format": "jpeg"}
    if model == V1_ENGINE:
        options |= {"cfg_scale": 20, "steps": 50, "sampler": "DDIM", "clip_guidance_preset": "SLOW"}
    made = await live.generate_image("a fox", 640, 360, seed=9, negative_prompt="blurry", **options)
    assert (made.width, made.height, made.seed) == (640, 360, 9)
    assert len(server.purchases) == 1
    assert await live.check_health()


@pytest.mark.parametrize("fault", SERVERS["sdxl"].faults_for("submit"), ids=str)
@pytest.mark.parametrize("model", ["core", V1_ENGINE])
async def test_whatever_goes_wrong_is_told_and_nothing_that_was_bought_is_bought_again(provider_servers, model, fault):
    server = provider_servers["sdxl"]
    server.fault("submit", fault, times=None)
    live = SDXLAdapter(api_key=server.key, base_url=server.base_url, model=model, dry_run=False)
    if str(fault).startswith("wrong_content_type"):  # the bytes are right, and they are what is believed
        assert (await live.generate_image("a fox", 640, 360)).width == 640
        return
    live.timeout_s = 0.5
    with pytest.raises(ProviderError) as caught:
        await live.generate_image("a fox", 640, 360)
    assert len(server.purchases) <= 1
    if server.purchases:
        assert caught.value.next_step is not NextStep.SAME_PROVIDER
        assert caught.value.outcome in (Outcome.UNKNOWN, Outcome.BAD_RESPONSE, Outcome.REFUSED)
    assert server.key not in f"{caught.value!r}"
