"""OpenAI Images: the requests to the byte, what every answer is taken for, and what it costs."""

from __future__ import annotations

import base64
import json
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
from mediagen.providers import OpenAIImagesAdapter, openai_prices
from mediagen.providers.data import provider_data
from mediagen.providers.openai_images import THREE_SIZES
from mediagen.types import GeneratedImage, GenerationRequest
from tests import pictures
from tests.providers.wire import Wire, answer, json_of
from tests.servers import SERVERS

KEY = "sk-proj-planted/secret+0123456789"
PICTURE = pictures.png(64, 48)
B64 = base64.b64encode(PICTURE).decode()
USAGE = {
    "input_tokens": 50,
    "output_tokens": 1056,
    "total_tokens": 1106,
    "input_tokens_details": {"text_tokens": 40, "image_tokens": 10},
}
BODY = {"created": 1, "data": [{"b64_json": B64}], "size": "1024x1024", "quality": "medium", "usage": USAGE}
OK = answer(json=BODY, headers={"x-request-id": "req_1"})


def adapter(model: str = "gpt-image-2", **options) -> OpenAIImagesAdapter:
    return OpenAIImagesAdapter(api_key=KEY, model=model, dry_run=False, **options)


def saying(**changes):
    return answer(json={**BODY, **changes})


def request_for(width=1024, height=1024, **options) -> GenerationRequest:
    return GenerationRequest(prompt="a fox", width=width, height=height, options=options)


# ---------------------------------------------------------------- what is sent


async def test_the_request():
    with Wire(OK) as wire:
        await adapter().generate_image("a red fox, 狐", 1024, 1024)
    sent = wire.only
    assert (sent.method, str(sent.url)) == ("POST", "https://api.openai.com/v1/images/generations")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert not [name for name in sent.headers if name.startswith("openai-")]
    assert json_of(sent) == {"model": "gpt-image-2", "prompt": "a red fox, 狐", "n": 1, "size": "1024x1024"}


async def test_every_field():
    openai = adapter(
        "gpt-image-2.5-flare", organization="org-1", project="proj_2", quality="high", output_format="webp"
    )
    with Wire(OK) as wire:
        await openai.generate_image(
            "a fox",
            quality="max",
            background="transparent",
            output_compression="80",
            moderation="low",
            safety_identifier="h4sh",
        )
    sent = wire.only
    assert sent.headers["openai-organization"] == "org-1"
    assert sent.headers["openai-project"] == "proj_2"
    assert json_of(sent) == {
        "model": "gpt-image-2.5-flare",
        "prompt": "a fox",
        "n": 1,
        "size": "1024x1024",
        "quality": "max",
        "background": "transparent",
        "output_format": "webp",
        "output_compression": 80,
        "moderation": "low",
        "safety_identifier": "h4sh",
    }


async def test_what_does_not_exist_there_is_reported_and_never_sent():
    with Wire(OK) as wire:
        made = await adapter().generate_image(
            "a fox", seed=7, negative_prompt="blurry", style="vivid", response_format="url", organization="org-2"
        )
    assert set(json_of(wire.only)) == {"model", "prompt", "n", "size"}
    assert "openai-organization" not in wire.only.headers
    for asked in ("seed", "negative_prompt", "options.style", "options.response_format", "options.organization"):
        assert made.fit_report[asked]["honoured"] is False
    assert made.seed is None


@pytest.mark.parametrize("output_format", [None, "png"])
async def test_a_compression_level_for_png_is_reported_and_not_sent(output_format):
    with Wire(OK) as wire:
        made = await adapter(output_compression=50).generate_image("a fox", output_format=output_format)
    assert "output_compression" not in json_of(wire.only)
    assert made.fit_report["options.output_compression"]["asked"] == 50


@pytest.mark.parametrize("quality", ["xhigh", "max"])
@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-1.5", "chatgpt-image-latest"])
async def test_a_quality_that_the_model_does_not_know_becomes_its_best(model, quality):
    openai = adapter(model=model)
    with Wire(saying(quality="high")) as wire:
        made = await openai.generate_image("a fox", quality=quality)
    assert json_of(wire.only)["quality"] == "high"
    assert made.fit_report["options.quality"]["asked"] == quality
    assert openai.estimate(prompt="a fox", quality=quality) == openai.estimate(prompt="a fox", quality="high")


async def test_transparent_jpeg_is_refused_here_and_as_a_setting():
    with Wire(OK) as wire, pytest.raises(UnsupportedRequest, match="png or webp"):
        await adapter(output_format="jpeg").generate_image("a fox", background="transparent")
    assert wire.requests == []
    with pytest.raises(ConfigurationError, match="png or webp"):
        adapter(output_format="jpeg", background="transparent")


sides = st.integers(1, 16_384)
GRID_MODELS = ("gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-2.5-sunburst", "gpt-image-2.6-flare", "my-own-model")
FIXED_MODELS = ("gpt-image-1.5", "gpt-image-1.5-2025-12-16", "gpt-image-1-mini", "chatgpt-image-latest")


@given(width=sides, height=sides, model=st.sampled_from(GRID_MODELS))
def test_every_size_becomes_one_on_the_grid(width, height, model):
    with Wire(answer(503)) as wire, pytest.raises(Unavailable):
        async_to_sync(adapter(model).generate_image)("a fox", width, height)
    w, h = map(int, json_of(wire.only)["size"].split("x"))
    assert w % 16 == h % 16 == 0
    assert 655_360 <= w * h <= 8_294_400
    assert max(w, h) <= min(3840, 3 * min(w, h))
    assert (w >= h) == (width >= height) or abs(w - h) <= 16


@given(width=sides, height=sides, model=st.sampled_from(FIXED_MODELS))
def test_or_one_of_three_for_the_older_models(width, height, model):
    made = adapter(model).wire_size(width, height)
    assert made in THREE_SIZES
    if made[0] != made[1]:
        assert (made[0] > made[1]) == (width > height)


SUCCESSORS = provider_data("openai_images").successors


@pytest.mark.parametrize("model", SUCCESSORS)
def test_models_that_are_gone_are_refused_with_their_successor(model):
    with pytest.raises(ConfigurationError, match=f"{model} was shut down.*{SUCCESSORS[model]}"):
        adapter(model)


async def test_a_prompt_over_the_limit_is_unsupported_and_not_sent():
    with Wire(OK) as wire:
        await adapter().generate_image("x" * 32_000)
        with pytest.raises(UnsupportedRequest, match="32,001 characters"):
            await adapter().generate_image("x" * 32_001)
    assert len(wire.requests) == 1


# ---------------------------------------------------------------- what comes back


async def test_the_picture():
    with Wire(OK):
        made = await adapter().generate_image("a fox", 64, 48)
    assert made.content == PICTURE
    assert (made.format, made.width, made.height) == ("png", 64, 48)
    assert (made.provider_name, made.model_name, made.provider_job_id) == ("openai_images", "gpt-image-2", "")
    assert {"size": "1024x1024", "quality": "medium", "request_id": "req_1"}.items() <= made.metadata.items()
    assert made.fit_report == {}


async def test_a_data_url_is_a_picture_too():
    with Wire(saying(data=[{"b64_json": f"data:image/png;base64,{B64}"}])):
        assert (await adapter().generate_image("a fox")).content == PICTURE


async def test_what_was_made_otherwise_than_asked_is_reported():
    with Wire(saying(quality="low", background="opaque", output_format="png")):
        made = await adapter(quality="high").generate_image("a fox", background="transparent", output_format="png")
    assert made.fit_report["options.quality"]["asked"] == "high"
    assert "low" in made.fit_report["options.quality"]["why"]
    assert made.fit_report["options.background"]["asked"] == "transparent"
    assert "options.output_format" not in made.fit_report


async def test_a_large_picture_fits_into_the_json(monkeypatch):
    large = pictures.png(2000, 1500)
    assert len(base64.b64encode(large)) > 8 * 1024 * 1024  # the limit of every other JSON answer
    with Wire(saying(data=[{"b64_json": base64.b64encode(large).decode()}])):
        assert (await adapter().generate_image("a fox", 2000, 1500)).content == large


async def test_an_answer_over_the_limit_is_not_read(settings):
    settings.MEDIAGEN = {"MAX_IMAGE_BYTES": 10_000}
    with Wire(answer(json={"padding": "x" * 100_000})), pytest.raises(BadResponse, match="the limit is"):
        await adapter().generate_image("a fox")


GARBAGE = {
    "html": answer(content=pictures.html(), headers={"content-type": "text/html"}),
    "empty": answer(),
    "no content": answer(204),
    "null": answer(json=None),
    "list": answer(json=[BODY]),
    "number": answer(json=7),
    "text": answer(json="picture"),
    "cut json": answer(content=b'{"data": [{"b64_json": "iVBOR'),
    "deep json": answer(content=b"[" * 100_000),
    "no data": answer(json={"created": 1}),
    "null data": saying(data=None),
    "empty data": saying(data=[]),
    "object data": saying(data={"0": {"b64_json": B64}}),
    "text data": saying(data=B64),
    "text in data": saying(data=[B64]),
    "null in data": saying(data=[None]),
    "list in data": saying(data=[[]]),
    "nothing in data": saying(data=[{}]),
    "null picture": saying(data=[{"b64_json": None, "url": None}]),
    "empty picture": saying(data=[{"b64_json": ""}]),
    "number for picture": saying(data=[{"b64_json": 5}]),
    "list for picture": saying(data=[{"b64_json": [B64]}]),
    "number for url": saying(data=[{"url": 5}]),
    "url that is none": saying(data=[{"url": "somewhere"}]),
    "url with a bad port": saying(data=[{"url": "https://example.com:99999/x"}]),
    "file url": saying(data=[{"url": "file:///etc/passwd"}]),
    "private url": saying(data=[{"url": "https://127.0.0.1/x.png"}]),
    "plain http url": saying(data=[{"url": "http://example.com/x.png"}]),
    "cut base64": saying(data=[{"b64_json": B64[:-3]}]),
    "half the base64": saying(data=[{"b64_json": B64[:400]}]),
    "no base64": saying(data=[{"b64_json": "no, thänks"}]),
    "base64 of html": saying(data=[{"b64_json": base64.b64encode(pictures.html()).decode()}]),
    "base64 of a bomb": saying(data=[{"b64_json": base64.b64encode(pictures.bomb_png()).decode()}]),
    "error in 200": answer(json={"error": {"message": "sorry", "code": None, "type": None}}),
    "redirect": answer(302, headers={"location": "http://127.0.0.1/"}),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_garbage_is_a_bad_response(garbage):
    with Wire(garbage), pytest.raises(BadResponse, match=r"^openai_images: "):
        await adapter().generate_image("a fox")


async def test_a_spoilt_picture_keeps_what_it_cost():
    with Wire(saying(data=[{"b64_json": B64[:-3]}])), pytest.raises(BadResponse) as caught:
        await adapter().generate_image("a fox")
    assert caught.value.cost == Decimal("0.03196")


@pytest.mark.parametrize("odd", [None, "x", 5, 1.5, True, [], ["x"], "\ud800", "a\x00b\nc"], ids=ascii)
@pytest.mark.parametrize("field", ["usage", "size", "quality", "background", "output_format", "created", "error"])
async def test_odd_facts_are_no_reason_to_lose_the_picture(field, odd):
    with Wire(answer(content=json.dumps({**BODY, field: odd}).encode())):
        made = await adapter(quality="low").generate_image("a fox", background="opaque")
    assert made.content == PICTURE
    assert all(text.isprintable() for text in made.metadata.values())


# ---------------------------------------------------------------- a URL in place of base64


LOCAL = "http://localhost:8080/v1"


async def test_servers_that_answer_a_url_are_understood():
    with Wire(saying(data=[{"url": "http://localhost:8080/generated/1.png"}]), answer(content=PICTURE)) as wire:
        made = await adapter("my-model", base_url=LOCAL).generate_image("a fox")
    assert made.content == PICTURE
    assert str(wire.requests[1].url) == "http://localhost:8080/generated/1.png"
    assert wire.requests[1].headers["authorization"] == f"Bearer {KEY}"


async def test_the_key_goes_to_no_other_host(settings):
    settings.MEDIAGEN = {"TRUSTED_HOSTS": ["127.0.0.1:9"]}
    with Wire(saying(data=[{"url": "http://127.0.0.1:9/1.png"}]), answer(content=PICTURE)) as wire:
        await adapter("my-model", base_url=LOCAL).generate_image("a fox")
    assert "authorization" not in wire.requests[1].headers
    assert KEY not in str(wire.requests[1].headers)


async def test_a_cut_off_download_is_fetched_again_and_nothing_is_bought_again():
    url = saying(data=[{"url": "http://localhost:8080/generated/1.png"}])
    with Wire(url, answer(content=pictures.truncated(PICTURE)), answer(content=PICTURE)) as wire:
        assert (await adapter(base_url=LOCAL).generate_image("a fox")).content == PICTURE
    assert [request.method for request in wire.requests] == ["POST", "GET", "GET"]


@pytest.mark.parametrize("download", [answer(404), answer(403), answer(content=pictures.html())])
async def test_a_url_that_gives_no_picture_is_a_bad_response(download):
    url = saying(data=[{"url": "http://localhost:8080/generated/1.png"}])
    with Wire(url, download), pytest.raises(BadResponse) as caught:
        await adapter(base_url=LOCAL).generate_image("a fox")
    assert caught.value.cost == Decimal("0.03196")


# ---------------------------------------------------------------- cost


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("gpt-image-2", "0.03196"),  # 40 x $5 + 10 x $8 + 1056 x $30 for a million
        ("gpt-image-2-2026-04-21", "0.03196"),
        ("gpt-image-2.5-sunburst-2026-09-08", "0.03196"),
        ("gpt-image-2.6-flare", "0.03196"),
        ("gpt-image-1.5", "0.034072"),
        ("gpt-image-1-mini", "0.008553"),
        ("gpt-image-9", None),
        ("gpt-image-2-nano", None),
        ("chatgpt-image-latest", None),
    ],
)
async def test_cost_by_tokens(model, cost):
    with Wire(OK):
        made = await adapter(model).generate_image("a fox")
    assert made.cost == (cost and Decimal(cost))


async def test_the_operator_may_correct_the_price_of_tokens():
    with Wire(OK):
        made = await adapter(prices={"gpt-image-2/1M-image-out": 60}).generate_image("a fox")
    assert made.cost == Decimal("0.06364")


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        {},
        {**USAGE, "output_tokens": None},
        {**USAGE, "output_tokens": -1},
        {**USAGE, "output_tokens": True},
        {**USAGE, "output_tokens": "1056"},
        {**USAGE, "output_tokens": 1056.5},
        {**USAGE, "output_tokens": 10**30},
        {**USAGE, "input_tokens_details": {"text_tokens": "40"}},
    ],
)
async def test_without_sensible_tokens_the_size_and_quality_that_were_made_are_priced(usage):
    with Wire(saying(usage=usage, size="1536x1024", quality="low")):
        made = await adapter(quality="high").generate_image("a fox")
    assert made.cost == Decimal("0.005")


async def test_usage_without_details_counts_its_input_as_text():
    with Wire(saying(usage={"input_tokens": 40, "output_tokens": 1056})):
        assert (await adapter().generate_image("a fox")).cost == Decimal("0.03188")


@pytest.mark.parametrize(
    ("model", "request_", "price"),
    [
        ("gpt-image-2", request_for(quality="low"), "0.006"),
        ("gpt-image-2", request_for(quality="medium"), "0.053"),
        ("gpt-image-2", request_for(), "0.211"),  # nobody knows what "auto" takes: the dearest
        ("gpt-image-2", request_for(1024, 1536, quality="high"), "0.165"),
        ("gpt-image-2", request_for(1920, 1080, quality="high"), "0.1578"),
        ("gpt-image-2-2026-04-21", request_for(quality="low"), "0.006"),
        ("gpt-image-1.5", request_for(1920, 1080, quality="high"), "0.2"),
        ("gpt-image-1-mini", request_for(quality="medium"), "0.011"),
        ("gpt-image-2.5-flare", request_for(quality="low"), None),
        ("my-model", request_for(quality="low"), None),
    ],
)
def test_the_estimate_before_a_call(model, request_, price):
    assert adapter(model).price(request_) == (price and Decimal(price))


PUBLISHED = {
    (1024, 1024): {"low": "0.006", "medium": "0.053", "high": "0.211"},
    (1536, 1024): {"low": "0.005", "medium": "0.041", "high": "0.165"},
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_the_tokens_that_follow_from_size_and_quality_give_the_published_prices(size):
    for quality, price in PUBLISHED[size].items():
        usd = openai_prices.picture_tokens(*size, quality) * Decimal(30) / 1_000_000
        assert round(usd, 3) == Decimal(price)
    assert openai_prices.picture_tokens(1024, 1024, "high") == 7024


@pytest.mark.parametrize("size", [(1024, 1024), (1200, 800), (1920, 1080), (3840, 2160)])
@pytest.mark.parametrize("model", OpenAIImagesAdapter.models)
def test_every_model_has_a_price_or_the_most_with_a_reason_at_every_size(model, size):
    openai = adapter(model)
    for quality in ("auto", "low", "medium", "high", "xhigh", "max"):
        asked = {"prompt": "a fox", "width": size[0], "height": size[1], "quality": quality}
        assert openai.estimate(**asked) > 0
        is_exact = openai.price(openai.prepared(GenerationRequest.checked(**asked))[0]) is not None
        assert bool(openai.estimate_reason(**asked)) is not is_exact
        assert openai.estimate_edit(**asked, images=[source()]) is None or is_exact or "2." in model


async def test_the_most_that_is_held_is_never_booked():
    with Wire(saying(usage=None)):
        made = await adapter("gpt-image-2.5-flare").generate_image("a fox")
    assert made.cost is None


async def test_the_vendors_list_brings_models_and_ends():
    listed = [{"id": name} for name in ("gpt-image-3", "gpt-5", "gpt-image-1")]
    ending = {"id": "gpt-image-2", "shutdown_date": "2027-01-01"}
    with Wire(answer(json={"data": [*listed, ending, 7]})):
        found = await adapter().fetched_data()
    assert found.models == (*OpenAIImagesAdapter.models, "gpt-image-3")
    assert found.ends["gpt-image-2"] == "2027-01-01"


@pytest.mark.parametrize("key", ["my-model/1024x1024/low", "my-model/1024x1024", "my-model"])
async def test_the_operators_own_prices(key):
    mine = adapter("my-model", prices={key: "0.5"})
    assert mine.price(request_for(quality="low")) == Decimal("0.5")
    with Wire(saying(quality="low")):
        assert (await mine.generate_image("a fox", quality="low")).cost == Decimal("0.5")


# ---------------------------------------------------------------- errors


def error_body(code=None, type=None, message="because", **more):
    return {"error": {"message": message, "type": type, "param": None, "code": code, **more}}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, error_body("moderation_blocked", "image_generation_user_error"), Refused),
        (
            400,
            error_body(None, "image_generation_user_error", moderation_details={"moderation_stage": "input"}),
            Refused,
        ),
        (400, error_body("content_policy_violation", "invalid_request_error"), Refused),
        (400, error_body("invalid_image", "image_generation_user_error"), UnsupportedRequest),
        (400, error_body("billing_hard_limit_reached", "invalid_request_error"), Misconfigured),
        (400, error_body("invalid_value", "invalid_request_error"), UnsupportedRequest),
        (400, error_body("unknown_parameter", "invalid_request_error"), UnsupportedRequest),
        (401, error_body("invalid_api_key", "invalid_request_error"), CredentialsRefused),
        (403, error_body("organization_not_verified", "invalid_request_error"), CredentialsRefused),
        (404, error_body("model_not_found", "invalid_request_error"), Misconfigured),
        (429, error_body("rate_limit_exceeded", "requests"), RateLimited),
        (429, error_body(None, "tokens"), RateLimited),
        (429, error_body("insufficient_quota", "insufficient_quota"), Misconfigured),
        (429, error_body(None, "insufficient_quota"), Misconfigured),
        (429, error_body("billing_not_active", "billing_not_active"), Misconfigured),
        (500, error_body(None, "server_error"), Unavailable),
        (502, error_body(), Unavailable),
        (503, error_body(), Unavailable),
        (408, error_body(), Unavailable),
        (409, error_body("conflict"), Unavailable),
        (200, error_body("moderation_blocked"), Refused),
        (200, error_body("something_else"), BadResponse),
        # kin of OpenAI are less strict about the form
        (400, {"error": "because"}, UnsupportedRequest),
        (400, {"message": "because"}, UnsupportedRequest),
        (500, {"error": {"message": "because", "code": 500, "type": []}}, Unavailable),
        (400, {"error": {"message": "because", "code": ["moderation_blocked"], "type": {}}}, UnsupportedRequest),
    ],
)
async def test_errors_by_code_then_type_then_status(status, body, error):
    with Wire(answer(status, json=body)), pytest.raises(error, match=r"^openai_images: .*because") as caught:
        await adapter().generate_image("a fox")
    assert type(caught.value) is error
    assert caught.value.http_status == status


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"error": null}', b'{"error": {}}', b'{"error": [1]}', b"<html>"]
)
@pytest.mark.parametrize(
    ("status", "error"), [(401, CredentialsRefused), (429, RateLimited), (500, Unavailable), (400, UnsupportedRequest)]
)
async def test_an_error_without_sense_in_its_body_goes_by_its_status(body, status, error):
    with Wire(answer(status, content=body)), pytest.raises(error):
        await adapter().generate_image("a fox")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "6500"}, 6.5),
        ({"retry-after-ms": "250.5"}, 0.2505),
        ({"retry-after": "7", "retry-after-ms": "soon"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "nan"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "-5"}, 7.0),
        ({"retry-after-ms": "9" * 400}, 31 * 24 * 3600.0),
    ],
)
async def test_retry_after(headers, seconds):
    limited = answer(429, json=error_body("rate_limit_exceeded", "requests"), headers=headers)
    with Wire(limited), pytest.raises(RateLimited) as caught:
        await adapter().generate_image("a fox")
    assert caught.value.retry_after_s == seconds


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (httpx.ReadTimeout, OutcomeUnknown),
        (httpx.RemoteProtocolError, OutcomeUnknown),
        (httpx.ConnectError, Unavailable),
    ],
)
async def test_a_lost_answer_is_unknown_and_a_lost_connection_is_not(raised, error):
    with Wire(raised), pytest.raises(error):
        await adapter().generate_image("a fox")


@pytest.mark.parametrize("status", [200, 400, 401, 403, 429, 500])
@pytest.mark.parametrize("code", ["invalid_api_key", "moderation_blocked", KEY])
async def test_a_key_in_an_error_body_does_not_come_out(status, code):
    encoded = base64.b64encode(KEY.encode()).decode()
    text = f"Incorrect API key provided: {KEY} sk-proj-planted%2Fsecret%2B0123456789 {encoded} " + "x" * 250 + KEY
    with Wire(answer(status, json=error_body(code, message=text))), pytest.raises(Exception, match="openai") as caught:
        await adapter().generate_image("a fox")
    shown = f"{caught.value} {caught.value!r} {''.join(traceback.format_exception(caught.value))}"
    for secret in (KEY, "planted", encoded):
        assert secret not in shown
    assert KEY not in repr(adapter())


# ---------------------------------------------------------------- health


async def test_health_asks_for_the_model():
    with Wire(answer(json={"id": "gpt-image-2", "object": "model", "created": 1, "owned_by": "openai"})) as wire:
        report = await adapter(organization="org-1", project="proj_2").probe()
    assert (wire.only.method, str(wire.only.url)) == ("GET", "https://api.openai.com/v1/models/gpt-image-2")
    assert wire.only.headers["openai-organization"] == "org-1"
    assert wire.only.headers["openai-project"] == "proj_2"
    assert report.ok
    assert "WARNING" not in report.detail


async def test_an_announced_shutdown_is_a_warning():
    with Wire(answer(json={"id": "gpt-image-2", "shutdown_date": "2027-03-01"})):
        report = await adapter().probe()
    assert report.ok
    assert "WARNING" in report.detail
    assert "2027-03-01" in report.detail


async def test_a_model_name_cannot_lead_to_another_path():
    with Wire(answer(json={"id": "x"})) as wire:
        assert await adapter("../files?x=1").check_health()
    assert wire.only.url.raw_path == b"/v1/models/..%2Ffiles%3Fx%3D1"


@pytest.mark.parametrize(
    "odd",
    [
        answer(json={}),
        answer(json={"id": 5}),
        answer(json=[]),
        answer(json=None),
        answer(content=pictures.html()),
        answer(),
        answer(401, json=error_body("invalid_api_key", message=KEY)),
        answer(404, json=error_body("model_not_found")),
        answer(500),
        httpx.ConnectError,
        httpx.ReadTimeout,
    ],
)
async def test_health_is_false_and_never_raises_when_there_is_no_model(odd):
    with Wire(odd):
        report = await adapter().probe()
    assert report.ok is False
    assert report.detail.startswith("openai_images: ")
    assert KEY not in report.detail


# ---------------------------------------------------------------- dry run, and over a socket


async def test_a_dry_run_asks_nobody_and_reports_the_same():
    dry = OpenAIImagesAdapter(output_compression=50)
    with Wire(answer(500)) as wire:
        made = await dry.generate_image("a fox", 300, 200, seed=1)
        assert await dry.check_health()
    assert wire.requests == []
    assert made.is_placeholder
    assert made.cost == 0
    assert set(made.fit_report) == {"seed", "options.output_compression"}


def live(server, model="gpt-image-2", **options) -> OpenAIImagesAdapter:
    return OpenAIImagesAdapter(api_key=server.key, base_url=server.base_url, model=model, dry_run=False, **options)


@pytest.mark.parametrize("model", OpenAIImagesAdapter.models)
async def test_a_service_that_is_as_strict_as_the_real_one_takes_every_field(provider_servers, model):
    server = provider_servers["openai_images"]
    options = {"quality": "low", "moderation": "low", "output_format": "webp", "output_compression": 90}
    made = await live(server, model).generate_image("a fox", 640, 360, safety_identifier="h4sh", **options)
    assert (made.width, made.height, made.format) == (640, 360, "webp")
    assert len(server.purchases) == 1
    assert await live(server, model).check_health()


@pytest.mark.parametrize("fault", SERVERS["openai_images"].faults_for("submit"), ids=str)
async def test_whatever_goes_wrong_is_told_and_nothing_that_was_bought_is_bought_again(provider_servers, fault):
    server = provider_servers["openai_images"]
    server.fault("submit", fault, times=None)
    if str(fault).startswith("wrong_content_type"):  # the bytes are right, and they are what is believed
        assert (await live(server).generate_image("a fox", 640, 360)).width == 640
        return
    with pytest.raises(ProviderError) as caught:
        await live(server, timeout_s=0.5).generate_image("a fox", 640, 360)
    assert len(server.purchases) <= 1
    if server.purchases:
        assert caught.value.next_step is not NextStep.SAME_PROVIDER
        assert caught.value.outcome in (Outcome.UNKNOWN, Outcome.BAD_RESPONSE)
    assert server.key not in f"{caught.value!r}"


async def test_the_announced_shutdown_over_a_socket(provider_servers):
    server = provider_servers["openai_images"]
    server.shutdown_date = "2027-03-01"
    assert "2027-03-01" in (await live(server).probe()).detail


# ---------------------------------------------------------------- pictures out of pictures


def source(format="png", size=(64, 48), **values):
    content = {"png": pictures.png}.get(format, pictures.png)(*size)
    return GeneratedImage(content=content, format=format, width=size[0], height=size[1], **values)


async def test_an_edit_is_a_form_with_the_pictures_and_the_mask():
    with Wire(OK) as wire:
        made = await adapter().edit_image(
            "add a hat", [source(), source(size=(32, 32))], 1024, 1024, mask=source(), quality="low"
        )
    sent = wire.only
    body = sent.content

    assert (sent.method, str(sent.url)) == ("POST", "https://api.openai.com/v1/images/edits")
    assert sent.headers["content-type"].startswith("multipart/form-data")
    assert body.count(b'name="image[]"') == 2
    assert body.count(b'name="mask"') == 1
    for name, value in {"prompt": "add a hat", "model": "gpt-image-2", "size": "1024x1024", "quality": "low"}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in body
    assert made.provider_name == "openai_images"
    assert made.cost is not None


@pytest.mark.parametrize(
    "arguments",
    [
        {"images": []},
        {"images": [source()] * 17},
        {"images": [source(format="avif")]},
    ],
)
async def test_what_it_cannot_edit_is_said_before_anything_is_sent(arguments):
    with Wire() as wire, pytest.raises(UnsupportedRequest):
        await adapter().edit_image("add a hat", **arguments)

    assert not wire.requests


async def test_an_edit_in_dry_run_asks_nobody():
    openai = OpenAIImagesAdapter(dry_run=True)
    with Wire() as wire:
        made = await openai.edit_image("add a hat", [source()], 64, 48)

    assert (made.is_placeholder, made.dry_run, made.width, made.height) == (True, True, 64, 48)
    assert not wire.requests


def test_an_edit_may_cost_more_than_a_picture():
    plain = adapter().estimate(prompt="a hat", width=1024, height=1024, quality="low")
    edit = adapter().estimate_edit(prompt="a hat", width=1024, height=1024, quality="low", images=[source()])

    assert edit > plain
    assert adapter("model-of-tomorrow").estimate_edit(prompt="a hat", images=[source()]) is None


@pytest.mark.parametrize(("status", "error"), [(401, CredentialsRefused), (429, RateLimited), (500, Unavailable)])
async def test_an_edit_that_is_refused(status, error):
    with Wire(answer(status, json={"error": {"message": "no"}})), pytest.raises(error):
        await adapter().edit_image("add a hat", [source()])


async def test_the_strict_server_takes_an_edit(provider_servers):
    server = provider_servers["openai_images"]
    openai = OpenAIImagesAdapter(api_key=server.key, base_url=server.base_url, dry_run=False)
    made = await openai.edit_image("add a hat", [source(), source()], 1024, 1024, mask=source(), output_format="webp")

    assert (made.format, made.width) == ("webp", 1024)
    assert len(server.purchases) == 1


@pytest.mark.parametrize(
    ("model", "fidelity", "is_sent"),
    [("gpt-image-1.5", "high", True), ("gpt-image-1-mini", "high", False), ("gpt-image-2", "low", False)],
)
async def test_input_fidelity_goes_to_the_models_that_have_it(provider_servers, model, fidelity, is_sent):
    server = provider_servers["openai_images"]
    openai = OpenAIImagesAdapter(api_key=server.key, base_url=server.base_url, dry_run=False, model=model)
    made = await openai.edit_image("x", [source()], 1024, 1024, mask=source("png", (32, 32)), input_fidelity=fidelity)
    plain = await openai.generate_image("x", 1024, 1024, input_fidelity=fidelity)

    assert ("options.input_fidelity" not in made.fit_report) is is_sent
    assert (b'name="input_fidelity"' in server.requests[0].body) is is_sent
    assert "options.input_fidelity" in plain.fit_report
