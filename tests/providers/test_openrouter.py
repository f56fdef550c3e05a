"""OpenRouter: what is sent to whom, what a model takes and costs by its list, and what its errors mean."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest

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
from mediagen.providers import OpenRouterAdapter, openrouter_models
from mediagen.types import GeneratedImage
from tests import pictures
from tests.providers.wire import Wire, answer
from tests.servers import Fault
from tests.servers.openrouter import ENDPOINTS, OpenRouterServer

ASKED = {"prompt": "A lighthouse", "width": 1024, "height": 1024}
SEEDREAM = "bytedance-seed/seedream-4.5"
B64 = base64.b64encode(pictures.png(64, 64)).decode()


@pytest.fixture(autouse=True)
def nothing_known(settings) -> None:
    settings.MEDIAGEN = {"FIT": "keep"}
    openrouter_models._kept.clear()


@pytest.fixture
def server(provider_servers) -> OpenRouterServer:
    return provider_servers["openrouter"]


def adapter(server: Any = None, **more: Any) -> OpenRouterAdapter:
    values = {"api_key": "made-up-key-0123", "dry_run": False, "timeout_s": 5.0}
    if server is not None:
        values |= {"api_key": server.key, "base_url": server.base_url}
    return OpenRouterAdapter(**{**values, **more})


async def test_what_is_sent_and_that_it_costs_what_the_answer_says(server):
    server.cost = 0.0321
    image = await adapter(server).generate_image(prompt="A lighthouse", width=1920, height=1080, seed=7)
    [request] = server.requests_for("submit")
    assert request.json() == {
        "model": "black-forest-labs/flux.2-pro",
        "prompt": "A lighthouse",
        "n": 1,
        "provider": {"allow_fallbacks": False},
        "aspect_ratio": "16:9",
        "seed": 7,
    }
    assert (image.cost, image.seed) == (Decimal("0.0321"), 7)
    assert image.metadata["generation_id"].startswith("gen-")


async def test_ratio_and_tier_and_a_chosen_upstream(server):
    made = adapter(server, model=SEEDREAM, upstream="seed", data_collection="deny")
    await made.generate_image(prompt="x", width=1920, height=1080)
    sent = server.requests_for("submit")[0].json()
    assert (sent["aspect_ratio"], sent["resolution"]) == ("16:9", "2K")
    assert sent["provider"] == {"allow_fallbacks": False, "order": ["seed"], "data_collection": "deny"}


async def test_the_list_is_read_once_an_hour_and_what_a_model_lacks_is_reported(server):
    made = adapter(server, model="openai/gpt-image-2")
    image = await made.generate_image(**ASKED, seed=7, quality="medium", background="transparent")
    await made.generate_image(**ASKED, quality="high")
    assert len(server.requests_for("models")) == 1
    assert [("quality" in r.json(), "seed" in r.json()) for r in server.requests_for("submit")] == [
        (False, False),
        (True, False),
    ]
    assert set(image.fit_report) == {"seed", "options.quality", "options.background"}
    assert image.seed in (None, 7)


async def test_without_the_list_the_service_decides(server):
    server.strict = False
    server.fault("models", Fault.http(503), times=None)
    await adapter(server, quality="high").generate_image(prompt="x", width=2100, height=900)
    sent = server.requests_for("submit")[0].json()
    assert (sent["aspect_ratio"], sent["quality"], "resolution" in sent) == ("21:9", "high", False)


async def test_prices_before_and_after_the_list_is_known(server):
    flux, seedream = adapter(server), adapter(server, model=SEEDREAM)
    assert flux.estimate(prompt="x", width=2048, height=1024) == Decimal("0.06")
    assert seedream.estimate(**ASKED) == Decimal("0.04")
    assert adapter(server, model="google/gemini-3-pro-image").estimate(**ASKED) == Decimal("0.1344")
    tokens = adapter(server, model="openai/gpt-image-2")
    assert (tokens.estimate(**ASKED), "tokens" in tokens.estimate_reason(**ASKED)) == (Decimal("0.22"), True)
    report = await seedream.probe()
    assert report.detail.startswith("$100 left of the key's limit; it costs $0.04 a image or $0.05 a image; it takes ")
    assert seedream.estimate(**ASKED) == Decimal("0.05")  # the dearest of those that may serve
    assert adapter(server, model=SEEDREAM, upstream="seed").estimate(**ASKED) == Decimal("0.04")
    assert adapter(server, model=SEEDREAM, prices={SEEDREAM: "0.09"}).estimate(**ASKED) == Decimal("0.09")


def error(status: int, kind: str | None, **more: Any) -> Any:
    body = {"code": status, "message": "no", "metadata": {"error_type": kind, **more.pop("metadata", {})}}
    return answer(more.pop("http", status), json={"error": body}, **more)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (error(502, "content_policy_violation"), Refused),
        (error(200, "refusal"), Refused),
        (error(400, "invalid_prompt", metadata={"reasons": ["violence"]}), Refused),
        (error(400, "invalid_prompt"), UnsupportedRequest),
        (error(403, None, metadata={"reasons": ["violence"]}), Refused),
        (error(403, "permission_denied"), Misconfigured),
        (error(400, "authentication"), CredentialsRefused),
        (error(402, "payment_required"), Misconfigured),
        (error(404, "not_found"), Misconfigured),
        (error(422, "unprocessable"), UnsupportedRequest),
        (error(429, "rate_limit_exceeded", headers={"retry-after": "7"}), RateLimited),
        (error(503, "provider_overloaded", http=200), Unavailable),
        (error(429, None, http=200), RateLimited),
        (error(504, "timeout"), OutcomeUnknown),
        (error(504, None), OutcomeUnknown),
        (error(500, "server"), Unavailable),
        (error(418, "something new", http=200), UnsupportedRequest),
    ],
)
async def test_the_type_goes_before_the_status(said, meant):
    with Wire(answer(404, json={}), said), pytest.raises(meant) as caught:
        await adapter().generate_image(**ASKED)
    assert caught.type is meant
    if meant is RateLimited and caught.value.retry_after_s is not None:
        assert caught.value.retry_after_s == 7


async def test_an_error_beside_a_picture_keeps_what_was_paid():
    body = {"data": [], "usage": {"cost": 0.04}, "error": {"code": 500, "message": "no picture"}}
    with Wire(answer(404, json={}), answer(json=body)), pytest.raises(Unavailable) as caught:
        await adapter().generate_image(**ASKED)
    assert caught.value.cost == Decimal("0.04")
    with Wire(answer(json={"data": [{}], "usage": {"cost": 0.04}})), pytest.raises(BadResponse) as caught:
        await adapter().generate_image(**ASKED)
    assert caught.value.cost == Decimal("0.04")


@pytest.mark.parametrize("cost", [0, None, "free", -1, True])
async def test_a_cost_that_is_none_is_not_believed(cost):
    body = {"data": [{"b64_json": B64}], "usage": {"cost": cost}}
    with Wire(answer(404, json={}), answer(json=body)):
        image = await adapter().generate_image(**ASKED)
    assert image.cost == Decimal("0.03")  # the price table


@pytest.mark.parametrize("listed", [[{"supported_parameters": ["aspect_ratio"], "pricing": []}], ["x"], None, [{}]])
async def test_a_list_in_another_form_stops_nothing(listed):
    with Wire(answer(json={"endpoints": listed}), answer(json={"data": [{"b64_json": B64}]})):
        await adapter().generate_image(**ASKED, seed=3)


async def test_health(server):
    server.credits = 0.0
    report = await adapter(server).probe()
    assert (report.ok, "Raise it at OpenRouter" in report.detail) == (False, True)
    with Wire(answer(json={"data": {"limit_remaining": None}}), answer(404, json={})):
        assert (await adapter().probe()).detail == "the key has no limit"


@pytest.mark.parametrize("model", ["flux", "https://x/y", "a/b/c", ""])
def test_a_model_that_is_none(model):
    if not model:
        assert adapter(model=model).model in ENDPOINTS
        return
    with pytest.raises(ConfigurationError, match="vendor/name"):
        adapter(model=model)


async def test_a_newer_table_has_the_models_that_are_listed(server):
    table = await adapter(server).fetched_data()
    assert set(ENDPOINTS) <= set(table.models)
    assert table.prices == OpenRouterAdapter.default_prices


@pytest.mark.parametrize(("operation", "count"), [("edit_image", 2), ("vary_image", 1)])
async def test_pictures_are_handed_over_as_references(server, operation, count):
    source = GeneratedImage(content=pictures.png(64, 64), format="png", width=64, height=64)
    more = {"width": 1024, "height": 1024} if operation == "edit_image" else {}
    prompt = "a hat" if operation == "edit_image" else ""
    made = await getattr(adapter(server), operation)(prompt=prompt, images=[source] * count, **more)

    [request] = server.requests_for("submit")
    sent = request.json()
    assert [base64.b64decode(one["image_url"]["url"].partition(",")[2]) for one in sent["input_references"]] == [
        source.content
    ] * count
    assert sent["prompt"] == prompt or sent["prompt"].startswith("Another version")
    assert made.cost == Decimal("0.03")
    assert "handed over" in adapter(server).estimate_work_reason(operation, images=[source], prompt="x")
