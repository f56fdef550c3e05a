"""Google Gemini: the requests to the byte, what every answer is taken for, and what it costs."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.providers import GeminiAdapter
from mediagen.types import GeneratedImage
from tests import pictures
from tests.providers.wire import Wire, answer, json_of

KEY = "AIzaSy-planted/secret+0123456789"
PICTURE, DRAFT = pictures.png(64, 48), pictures.png(32, 32)
MODEL = "gemini-nano-banana-2.1"
USAGE = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 1130,
    "thoughtsTokenCount": 200,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}, {"modality": "TEXT", "tokenCount": 10}],
}


def inline(content: bytes, **more):
    return {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(content).decode()}, **more}


def saying(*parts, usage=USAGE, **more):
    body = {"candidates": [{"content": {"parts": list(parts)}, "finishReason": "STOP", **more}], "responseId": "r1"}
    return answer(json={**body, "usageMetadata": usage})


OK = saying(inline(PICTURE))


def adapter(model=MODEL, **options) -> GeminiAdapter:
    return GeminiAdapter(api_key=KEY, model=model, dry_run=False, **options)


def source(format="png") -> GeneratedImage:
    return GeneratedImage(content=pictures.png(32, 32), format=format, width=32, height=32)


# ---------------------------------------------------------------- what is sent


async def test_the_request():
    with Wire(OK) as wire:
        await adapter().generate_image("a red fox, 狐", 1920, 1080, thinking="high")
    sent = wire.only
    base = "https://generativelanguage.googleapis.com/v1beta"
    assert (sent.method, str(sent.url)) == ("POST", f"{base}/models/{MODEL}:generateContent")
    assert sent.headers["x-goog-api-key"] == KEY
    assert "authorization" not in sent.headers
    assert json_of(sent) == {
        "contents": [{"role": "user", "parts": [{"text": "a red fox, 狐"}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "16:9", "imageSize": "2K"},
            "thinkingConfig": {"thinkingLevel": "HIGH"},
        },
    }


async def test_of_one_tier_no_size_is_sent_and_what_the_model_lacks_is_reported():
    with Wire(OK) as wire:
        made = await adapter("gemini-2.5-flash-image").generate_image(
            "a fox", 1920, 1080, seed=7, negative_prompt="x", thinking="high"
        )
    assert json_of(wire.only)["generationConfig"] == {
        "responseModalities": ["IMAGE"],
        "imageConfig": {"aspectRatio": "16:9"},
    }
    assert {"seed", "negative_prompt", "options.thinking"} <= made.fit_report.keys()


async def test_an_edit_is_the_same_call_with_the_pictures():
    with Wire(OK) as wire:
        await adapter().edit_image("swap them", [source(), source("webp")], 1024, 1024)
    parts = json_of(wire.only)["contents"][0]["parts"]
    assert parts[0] == {"text": "swap them"}
    assert [part["inlineData"]["mimeType"] for part in parts[1:]] == ["image/png", "image/webp"]
    assert base64.b64decode(parts[1]["inlineData"]["data"]) == source().content


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"images": []}, "1 to 14"),
        ({"images": [source()] * 15}, "not 15"),
        ({"images": [source("gif")]}, "Convert it"),
        ({"images": [source()], "mask": source()}, "mask"),
    ],
)
async def test_what_it_cannot_edit_is_said_before_anything_is_sent(arguments, match):
    with Wire(OK) as wire, pytest.raises(UnsupportedRequest, match=match):
        await adapter().edit_image("x", **arguments)
    assert wire.requests == []


async def test_the_strict_server_takes_an_edit(provider_servers):
    server = provider_servers["gemini"]
    gemini = GeminiAdapter(api_key=server.key, base_url=server.base_url, dry_run=False)
    made = await gemini.edit_image("swap them", [source()], 1024, 1024)
    assert (made.width, made.height, len(server.purchases)) == (1024, 1024, 1)
    assert made.cost < gemini.estimate_edit(prompt="swap them", images=[source()])


@given(width=st.integers(1, 8192), height=st.integers(1, 8192))
def test_every_size_becomes_a_ratio_and_the_smallest_tier_that_covers(width, height):
    ratio, tier = adapter().wire_size(width, height)
    across, down = map(int, ratio.split(":"))
    shape = (across / down) ** 0.5
    side = {"1K": 1024, "2K": 2048, "4K": 4096}[tier] * 1.02
    assert tier == "4K" or (side * shape >= width and side / shape >= height)
    assert tier == "1K" or side / 2 * shape < width or side / 2 / shape < height


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://127.0.0.1:1/v1beta", "http://127.0.0.1:1/v1"])
def test_a_base_url_without_a_version_gets_one(base_url):
    expected = base_url if "/v1" in base_url else f"{base_url}/v1beta"
    assert adapter(base_url=base_url).base_url == expected


def test_model_names():
    assert adapter(f"models/{MODEL}").model == MODEL
    for wrong in ("a b", "../x", "imagen-4.0-generate-001"):
        with pytest.raises(ConfigurationError):
            adapter(wrong)


# ---------------------------------------------------------------- what is answered


async def test_drafts_and_words_are_passed_over():
    parts = [inline(DRAFT, thought=True), {"text": "here"}, inline(DRAFT), inline(PICTURE), inline(DRAFT, thought=True)]
    with Wire(saying(*parts)):
        made = await adapter().generate_image("a fox", 64, 48)
    assert made.content == PICTURE
    assert made.metadata["request_id"] == "r1"


async def test_a_long_draft_before_the_picture_is_no_picture():
    large = pictures.encode(Image.effect_noise((200, 200), 100), "png")
    with Wire(saying(inline(large, thought=True), inline(PICTURE))):
        assert (await adapter().generate_image("a fox", 64, 48)).content == PICTURE
    with Wire(saying(inline(large, thought=True))), pytest.raises(BadResponse):
        await adapter().generate_image("a fox", 64, 48)


@pytest.mark.parametrize(
    "why", ["SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK", "OTHER"]
)
async def test_every_blocked_prompt_is_refused(why):
    with Wire(answer(json={"promptFeedback": {"blockReason": why}})), pytest.raises(Refused, match=why):
        await adapter().generate_image("a fox")


@pytest.mark.parametrize(
    "why",
    [
        "SAFETY",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "RECITATION",
        "IMAGE_RECITATION",
    ],
)
async def test_every_refused_picture_is_refused_with_what_it_cost(why):
    said = saying(usage={"promptTokenCount": 1000}, finishReason=why, finishMessage="try another")
    with Wire(said), pytest.raises(Refused, match=f"{why}.*try another") as caught:
        await adapter().generate_image("a fox")
    assert caught.value.cost == Decimal("0.0015")


@pytest.mark.parametrize("why", ["NO_IMAGE", "IMAGE_OTHER", "MAX_TOKENS", "STOP"])
async def test_no_picture_is_a_bad_response_and_not_asked_again(why):
    usage = {"promptTokenCount": 0, "candidatesTokenCount": 100}
    said = saying({"text": "A fox is"}, usage=usage, finishReason=why)
    with Wire(said) as wire, pytest.raises(BadResponse, match="A fox is") as caught:
        await adapter().generate_image("a fox")
    assert len(wire.requests) == 1
    assert caught.value.cost == Decimal("0.00075")


@pytest.mark.parametrize(
    "odd", [{}, {"candidates": None}, {"candidates": [{}]}, {"candidates": [{"content": {"parts": ["x", {}]}}]}, []]
)
async def test_garbage_is_a_bad_response(odd):
    with Wire(answer(json=odd)), pytest.raises(BadResponse):
        await adapter().generate_image("a fox")


def error(status, code="", message="because", **more):
    return answer(status, json={"error": {"code": status, "message": message, "status": code, **more}})


DAY = [{"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}, {"retryDelay": "3s"}]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (error(400, "INVALID_ARGUMENT"), UnsupportedRequest),
        (error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), CredentialsRefused),
        (error(400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]), CredentialsRefused),
        (error(400, "FAILED_PRECONDITION"), Misconfigured),
        (error(401, "UNAUTHENTICATED"), CredentialsRefused),
        (error(403, "PERMISSION_DENIED"), CredentialsRefused),
        (error(404, "NOT_FOUND"), Misconfigured),
        (error(429, "RESOURCE_EXHAUSTED", details=[{"retryDelay": "21s"}]), RateLimited),
        (error(429, "RESOURCE_EXHAUSTED", details=DAY), Misconfigured),
        (error(429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 0, model: x"), Misconfigured),
        (error(500, "INTERNAL"), Unavailable),
        (error(503, "UNAVAILABLE"), Unavailable),
        (error(504, "DEADLINE_EXCEEDED"), OutcomeUnknown),
        (error(200, "UNAVAILABLE"), BadResponse),
        (answer(504, content=b"<html>"), Unavailable),
    ],
)
async def test_errors(said, meant):
    with Wire(said), pytest.raises(meant) as caught:
        await adapter().generate_image("a fox")
    assert type(caught.value) is meant
    if meant is RateLimited:
        assert caught.value.retry_after_s == 21


async def test_a_model_that_is_not_there_says_the_near_ones():
    with Wire(error(404, "NOT_FOUND")), pytest.raises(Misconfigured, match=f"Did you mean {MODEL}"):
        await adapter("gemini-nano-banana-21").generate_image("a fox")


# ---------------------------------------------------------------- what it costs


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        (MODEL, "0.035325"),  # 100 in, 10 text and 200 thoughts, 1120 picture
        ("gemini-3-pro-image", "0.13712"),
        ("gemini-3.1-flash-lite-image", None),
    ],
)
async def test_cost_by_tokens(model, cost):
    with Wire(OK):
        made = await adapter(model).generate_image("a fox", 64, 48)
    assert made.cost == (cost and Decimal(cost))


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        ({**USAGE, "candidatesTokensDetails": None}, "0.03555"),  # all of it as picture
        ({"promptTokenCount": 100, "candidatesTokenCount": 0}, None),
        ({"promptTokenCount": "x", "candidatesTokenCount": 1120}, None),
        ({"candidatesTokenCount": -1}, None),
        (None, None),
    ],
)
async def test_odd_counts_are_never_a_free_picture(usage, cost):
    with Wire(saying(inline(PICTURE), usage=usage)):
        made = await adapter().generate_image("a fox", 64, 48)
    assert made.cost == (cost and Decimal(cost))


@pytest.mark.parametrize("model", GeminiAdapter.models)
def test_every_model_has_a_price_with_its_reason_at_every_size(model):
    gemini = adapter(model)
    for width, height in ((1024, 1024), (1200, 800), (1920, 1080), (4096, 4096)):
        assert gemini.estimate(prompt="a fox", width=width, height=height) is not None
        assert gemini.estimate_reason(prompt="a fox", width=width, height=height)


async def test_a_budget_holds_more_than_a_picture_takes():
    with Wire(OK):
        made = await adapter().generate_image("a fox", 64, 48)
    assert made.cost < adapter().estimate(prompt="a fox", width=64, height=48)
    assert adapter().estimate(prompt="a fox", thinking="high") > adapter().estimate(prompt="a fox", thinking="minimal")


# ---------------------------------------------------------------- health, and the list of models


async def test_health_warns_of_an_announced_end():
    with Wire(answer(json={"name": "models/gemini-2.5-flash-image"})) as wire:
        report = await adapter("gemini-2.5-flash-image").probe()
    assert report.ok
    assert "2027-03-15" in report.detail
    assert str(wire.only.url).endswith("/v1beta/models/gemini-2.5-flash-image")


async def test_the_vendors_list_brings_new_models():
    listed = ["models/gemini-4-image", "models/gemini-4-pro", "models/imagen-4.0-x", f"models/{MODEL}"]
    with Wire(answer(json={"models": [{"name": name} for name in listed] + [7]})):
        found = await adapter().fetched_data()
    assert found.models == (*GeminiAdapter.models, "gemini-4-image")
    assert found.prices == dict(GeminiAdapter.default_prices)
