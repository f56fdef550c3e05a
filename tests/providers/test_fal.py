"""fal: what is sent, what it costs, how a lost answer is found, and whose webhooks are believed."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from mediagen import http
from mediagen.chain import MediaGeneratorChain
from mediagen.errors import ConfigurationError, Outcome, Refused, UnsupportedRequest
from mediagen.providers import FalAdapter, fal_account
from mediagen.providers.webhooks import WebhookRefused
from mediagen.types import GenerationRequest, ProviderJob, current_call, reset_current_call, set_current_call
from tests.providers.cases import hurry
from tests.servers import Fault
from tests.servers import fal as fal_models
from tests.servers.fal import FalServer

__all__ = ["hurry"]

pytestmark = pytest.mark.usefixtures("hurry")

ASKED = {"prompt": "A lighthouse", "width": 512, "height": 512}


@pytest.fixture
def server(provider_servers, settings, monkeypatch) -> FalServer:
    monkeypatch.setattr(FalAdapter, "find_for_s", 3.0)
    monkeypatch.setattr(FalAdapter, "poll_max_interval_s", 0.01)
    settings.MEDIAGEN = {"FIT": "keep", "BACKOFF_S": 0.001}
    fal_account._prices.clear()
    fal_account._keys.clear()
    return provider_servers["fal"]


def adapter(server, **more: Any) -> FalAdapter:
    values = {"api_key": server.key, "base_url": server.base_url, "dry_run": False, "timeout_s": 5.0}
    return FalAdapter(**{**values, **more})


async def test_what_is_sent(server):
    image = await adapter(server, num_inference_steps=20, input={"acceleration": "high"}).generate_image(
        **ASKED, seed=7
    )
    [request] = server.requests_for("submit")
    assert request.path == "/fal-ai/flux/dev"
    assert request.json() == {
        "prompt": "A lighthouse",
        "image_size": {"width": 512, "height": 512},
        "num_images": 1,
        "output_format": "png",
        "num_inference_steps": 20,
        "seed": 7,
        "acceleration": "high",
    }
    assert request.headers["x-fal-no-retry"] == "1"
    assert request.headers["x-app-fal-disable-fallback"] == "true"
    assert request.headers["x-fal-store-io"] == "0"
    assert request.headers["x-fal-object-lifecycle-preference"] == '{"expiration_duration_seconds": 3600}'
    assert int(request.headers["x-fal-request-timeout"]) <= 5
    assert (image.seed, image.model_name) == (7, "fal-ai/flux/dev")


@pytest.mark.parametrize(
    ("model", "size", "said"),
    [
        ("fal-ai/nano-banana-pro", (1920, 1080), {"aspect_ratio": "16:9", "resolution": "2K"}),
        ("fal-ai/flux-pro/kontext/text-to-image", (1000, 1500), {"aspect_ratio": "2:3"}),
        ("somebody/new-model", (1000, 1500), {"image_size": {"width": 992, "height": 1504}}),
    ],
)
def test_how_a_size_is_said(model, size, said):
    assert FalAdapter(model=model)._size(*size) == said
    assert FalAdapter(model="a/b", size_by="aspect_ratio")._size(1000, 1000) == {"aspect_ratio": "1:1"}


async def test_cost_is_units_at_the_accounts_own_price(server):
    image = await adapter(server).generate_image(**ASKED)
    assert (image.cost, image.metadata["billable_units"]) == (Decimal("0.025"), 1.0)
    await adapter(server).generate_image(**ASKED)
    assert len(server.requests_for("prices")) == 1  # asked for once
    assert adapter(server).estimate(prompt="x", width=2048, height=1024) == Decimal("0.050")


async def test_cost_by_the_books_where_no_units_are_named(server):
    server.bills_units = False
    assert (await adapter(server, billing_events=True).generate_image(**ASKED)).cost == Decimal("0.025")
    assert len(server.requests_for("books")) == 1
    assert (await adapter(server).generate_image(**ASKED)).cost == Decimal("0.025")  # the price table


def test_prices_before_anything_was_read():
    assert FalAdapter().estimate(**ASKED) == Decimal("0.025")
    assert FalAdapter(model="fal-ai/nano-banana-pro").estimate(prompt="x", width=3000, height=3000) == Decimal("0.30")
    assert FalAdapter(prices={"fal-ai/flux/dev": "0.5", "fal-ai/flux/dev/1MP": "0.4"}).estimate(**ASKED) == Decimal(
        "0.4"
    )
    assert FalAdapter(model="somebody/new-model").estimate(**ASKED) is None


# --- a lost answer


async def run(server, **how: Any) -> Any:
    return await MediaGeneratorChain([adapter(server)]).execute("generate_image", **ASKED, **how)


@pytest.mark.parametrize("keeps_payloads", [False, True])
async def test_a_lost_submit_is_found_among_others_and_fetched(server, keeps_payloads):
    server.keeps_payloads = keeps_payloads
    await run(server)  # somebody else's, for the same prompt
    server.fault("submit", Fault.reset_after_body_read())
    outcome = await run(server)
    [attempt] = outcome.attempts
    assert (attempt.outcome, attempt.provider_job_id) == (Outcome.SUCCEEDED, server.purchases[1].job_id)
    assert len(server.purchases) == 2
    assert server.requests_for("requests")


@pytest.mark.parametrize("keeps_payloads", [False, True])
async def test_another_picture_with_the_same_seed_is_not_taken_for_it(server, monkeypatch, keeps_payloads):
    monkeypatch.setattr(FalAdapter, "find_for_s", 0.1)
    server.keeps_payloads = keeps_payloads
    chain = MediaGeneratorChain([adapter(server)])
    await chain.execute("generate_image", prompt="A boat", width=512, height=512, seed=7)
    server.fault("submit", Fault.reset_before_body_read())
    outcome = await chain.execute("generate_image", **ASKED, seed=7)
    assert outcome.attempts[0].outcome is Outcome.UNKNOWN
    server.fault("submit", Fault.reset_after_body_read())
    monkeypatch.setattr(FalAdapter, "find_for_s", 3.0)
    outcome = await chain.execute("generate_image", **ASKED, seed=7)
    assert outcome.attempts[0].provider_job_id == server.purchases[1].job_id


async def test_one_that_is_not_listed_stays_unknown_and_nothing_is_bought(server, monkeypatch):
    monkeypatch.setattr(FalAdapter, "find_for_s", 0.05)
    server.fault("submit", Fault.reset_before_body_read())
    outcome = await run(server)
    [attempt] = outcome.attempts
    assert (attempt.outcome, server.purchases) == (Outcome.UNKNOWN, [])
    assert "It was looked for there, and was not found." in attempt.message


async def test_a_list_that_cannot_be_read_leaves_it_unknown(server):
    server.fault("submit", Fault.reset_after_body_read())
    server.fault("requests", Fault.http(503), times=None)
    outcome = await run(server)
    assert outcome.attempts[0].outcome is Outcome.UNKNOWN
    assert "could not be looked for" in outcome.attempts[0].message
    assert len(server.purchases) == 1


async def test_another_process_finds_it_by_the_key(server):
    server.fault("submit", Fault.reset_after_body_read())
    server.fault("requests", Fault.http(503), times=None)
    left = (await run(server)).attempts[0]
    server.clear_faults()
    outcome = await run(server, keys={"fal": left.purchase_key})
    assert outcome.attempts[0].state == "adopted"
    assert outcome.attempts[0].provider_job_id == server.purchases[0].job_id
    assert len(server.purchases) == 1


async def test_a_lost_job_that_was_refused_is_a_refusal(server):
    server.fault("submit", Fault.reset_after_body_read())
    server.keeps_payloads = True
    server.fault("poll", Fault.moderation(), times=None)
    assert (await run(server)).attempts[0].outcome is Outcome.REFUSED


# --- what it says


async def test_a_black_picture_is_a_refusal(server):
    server.fault("poll", Fault.moderation("black picture"), times=None)
    with pytest.raises(Refused, match="black one") as caught:
        await adapter(server).generate_image(**ASKED)
    assert caught.value.cost == Decimal("0.025")  # it was made, and is billed


def test_a_validation_error_names_the_field_and_may_have_cost_something(server):
    answer = {"detail": [{"loc": ["body", "image_size", "width"], "msg": "too large", "type": "less_than_equal"}]}
    error = adapter(server)._failure(422, answer, Decimal("0.01"))
    assert isinstance(error, UnsupportedRequest)
    assert (str(error), error.cost) == ("422: image_size.width: too large", Decimal("0.01"))


async def test_health_says_what_is_left_or_with_a_lesser_key_what_it_costs(server):
    assert (await adapter(server).probe()).detail == "$100 left"
    server.is_admin = False
    assert (await adapter(server).probe()).detail == "fal-ai/flux/dev costs $0.025, by megapixels"
    server.is_admin, server.credits = True, 0.0
    report = await adapter(server).probe()
    assert (report.ok, "Buy credits" in report.detail) == (False, True)


@pytest.mark.parametrize("model", ["flux", "a b/c", "https://fal.run/x", "a/../b?c"])
def test_a_model_that_is_none(model):
    with pytest.raises(ConfigurationError, match="owner/app"):
        FalAdapter(model=model)


# --- webhooks


async def submitted(server) -> tuple[FalAdapter, ProviderJob]:
    fal = adapter(server)
    fal.webhook_url = "https://site.example/media-library/webhooks/fal/"
    prepared, _ = fal.prepared(GenerationRequest(**ASKED))
    async with http.session():
        return fal, await fal._submit(prepared)


async def test_a_webhook_is_asked_for_and_believed(server):
    fal, job = await submitted(server)
    assert server.requests_for("submit")[0].query["fal_webhook"] == fal.webhook_url
    headers, body = server.webhook(server.jobs[job.id])
    for _ in range(2):
        delivery = await fal.read_webhook(headers, body)
    assert (delivery.job_id, delivery.id) == (job.id, headers["x-fal-webhook-request-id"])
    assert len(server.requests_for("keys")) == 1
    assert "authorization" not in server.requests_for("keys")[0].headers

    async def delivered(provider: str, job_id: str) -> dict[str, Any]:
        return delivery.payload

    call = current_call()
    call.delivered, call.resume = delivered, job
    token = set_current_call(call)
    try:
        image = await fal.generate_image(**ASKED)
    finally:
        reset_current_call(token)
    assert image.provider_job_id == job.id
    assert server.requests_for("poll") == []


@pytest.mark.parametrize("kind", ["old", "from the future", "another body", "no signature", "another key"])
async def test_a_webhook_that_is_not_genuine_is_refused(server, kind):
    fal, job = await submitted(server)
    at = {"old": time.time() - 400, "from the future": time.time() + 400}.get(kind)
    headers, body = server.webhook(server.jobs[job.id], at=at)
    if kind == "another body":
        body = body.replace(b"OK", b"KO")
    elif kind == "no signature":
        del headers["x-fal-webhook-signature"]
    elif kind == "another key":
        headers["x-fal-webhook-signature"] = "00" * 64
    with pytest.raises(WebhookRefused):
        await fal.read_webhook(headers, body)


async def test_a_newer_table_has_the_accounts_prices(server, monkeypatch):
    monkeypatch.setitem(fal_models.MODELS, "fal-ai/flux/schnell", (fal_models.BY_SIZE, 0.004, "megapixels"))
    for model in set(FalAdapter.models) - fal_models.MODELS.keys():
        monkeypatch.setitem(fal_models.MODELS, model, (fal_models.BY_TIER, 0.07, "images"))
    table = await adapter(server).fetched_data()
    assert table.prices["fal-ai/flux/schnell/2MP"] == "0.008"
    assert table.prices["fal-ai/nano-banana-pro/4K"] == "0.30"  # a price a picture says nothing of the tiers


@pytest.mark.parametrize("model", FalAdapter.models)
@pytest.mark.parametrize("size", [(1024, 1024), (1200, 800), (1920, 1080)])
def test_every_model_has_a_price_or_a_reason(model, size):
    made = FalAdapter(model=model)
    assert made.estimate(prompt="x", width=size[0], height=size[1])
