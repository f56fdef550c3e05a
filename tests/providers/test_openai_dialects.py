"""Every dialect of OpenAI's image API at a server that is as strict as its vendor."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from decimal import Decimal

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
from mediagen.providers import OpenAIImagesAdapter
from mediagen.providers.openai_dialects import DIALECTS
from mediagen.types import GeneratedImage
from tests import pictures
from tests.providers.wire import Wire, answer, json_of
from tests.servers import Fault
from tests.servers.openai_dialects import MANNERS, DialectServer

OTHERS = tuple(MANNERS)
EDITORS = tuple(name for name in OTHERS if DIALECTS[name].edits_by)
MODELS = {"xai": "grok-imagine-image-2.0", "seedream": "seedream-4-5-251128"}


@pytest.fixture(scope="module")
def running() -> Iterator[DialectServer]:
    with DialectServer() as server:
        yield server


@pytest.fixture
def play(running, settings):
    """`play("xai")`: (the server as xAI, the adapter that speaks to it)."""
    settings.MEDIAGEN = {"FIT": "keep"}

    def make(dialect, **options):
        running.reset()
        running.dialect = dialect
        key = running.key if DIALECTS[dialect].needs_key else ""
        values = {"api_key": key, "base_url": running.base_url, "model": MODELS.get(dialect, "my-model"), **options}
        return running, OpenAIImagesAdapter(dialect=dialect, dry_run=False, timeout_s=10, **values)

    return make


def source(format="png") -> GeneratedImage:
    return GeneratedImage(content=pictures.picture(format, 32, 32), format=format, width=32, height=32)


def xai() -> OpenAIImagesAdapter:
    return OpenAIImagesAdapter(api_key="k", base_url="https://api.x.ai/v1", dialect="xai", dry_run=False)


def test_every_dialect_is_tried():
    assert {"openai", *OTHERS} == set(DIALECTS)


@pytest.mark.parametrize("dialect", OTHERS)
@pytest.mark.parametrize("size", [(1024, 1024), (1200, 800), (300, 900)])
async def test_a_picture_and_nothing_that_the_service_would_refuse(dialect, size, play):
    server, adapter = play(dialect)
    everything = {"quality": "max", "background": "opaque", "output_format": "webp", "moderation": "low"}
    options = everything if dialect not in ("azure", "generic") else {"quality": "low"}
    made = await adapter.generate_image("a fox", *size, seed=7, negative_prompt="a dog", **options)
    (bought,) = server.purchases
    assert (bought.model, made.width >= 64) == (adapter.model, True)
    assert all(request.accepted for request in server.requests)
    if not DIALECTS[dialect].seed:
        assert "seed" in made.fit_report
    assert bought.prompt == ("a fox|a dog" if dialect == "localai" else "a fox")


@pytest.mark.parametrize("dialect", OTHERS)
async def test_healthy_and_unbilled(dialect, play):
    server, adapter = play(dialect)
    assert await adapter.check_health() is True
    assert server.purchases == []
    server.fault("health", Fault.html_200())
    assert await adapter.check_health() is (dialect == "seedream")  # it has no list, and says so with 404
    server.clear_faults()
    server.fault("health", Fault.http(401))
    if dialect != "seedream":
        assert await adapter.check_health() is False


@pytest.mark.parametrize("dialect", [name for name in OTHERS if MANNERS[name].needs_key])
async def test_a_wrong_key(dialect, play):
    server, adapter = play(dialect, api_key="wr0ng")
    with pytest.raises(CredentialsRefused):
        await adapter.generate_image("a fox")
    assert await adapter.check_health() is False
    assert server.purchases == []
    _, without = play(dialect, api_key="")
    with pytest.raises(Misconfigured, match="no credential is set"):
        await without.generate_image("a fox")


FAULTS = (
    (Fault.moderation(), Refused, 0),
    (Fault.no_picture(), BadResponse, 1),
    (Fault.not_a_picture(), BadResponse, 1),
    (Fault.truncated_body(), BadResponse, 1),
    (Fault.http(400), UnsupportedRequest, 0),
    (Fault.http(404), Misconfigured, 0),
    (Fault.rate_limited(7), RateLimited, 0),
    (Fault.http(503), Unavailable, 0),
    (Fault.reset_after_body_read(), OutcomeUnknown, 1),
)


@pytest.mark.parametrize("dialect", OTHERS)
async def test_what_goes_wrong_is_the_same_in_every_dialect(dialect, play):
    for fault, meant, bought in FAULTS:
        extra = {"response_format": "b64_json"} if dialect == "localai" else {}
        server, adapter = play(dialect, **extra)
        server.fault("submit", fault)
        with pytest.raises(meant) as caught:
            await adapter.generate_image("a fox", 1024, 1024)
        assert type(caught.value) is meant
        assert (len(server.requests_for("submit")), len(server.purchases)) == (1, bought), fault


@pytest.mark.parametrize("dialect", EDITORS)
@pytest.mark.parametrize("count", [1, 2])
async def test_an_edit(dialect, count, play):
    server, adapter = play(dialect)
    made = await adapter.edit_image("swap", [source("jpeg"), source()][:count], 1024, 1024)
    assert server.sources == count
    assert isinstance(made.content, bytes)
    assert all(request.accepted for request in server.requests)


@pytest.mark.parametrize("dialect", sorted(set(OTHERS) - set(EDITORS)))
async def test_who_edits_nothing_says_so(dialect, play):
    server, adapter = play(dialect)
    with pytest.raises(UnsupportedRequest, match="edits no pictures"):
        await adapter.edit_image("swap", [source()])
    assert server.requests == []


async def test_a_mask_and_too_many_pictures_are_said_before():
    with pytest.raises(UnsupportedRequest, match="mask"):
        await xai().edit_image("swap", [source()], mask=source())
    with pytest.raises(UnsupportedRequest, match="1 to 5"):
        await xai().edit_image("swap", [source()] * 6)


# ---------------------------------------------------------------- azure


async def test_the_older_path_of_azure(play):
    server, adapter = play("azure", api_version="2025-04-01-preview")
    await adapter.generate_image("a fox")
    (request,) = server.requests
    assert request.path == "/openai/deployments/my-model/images/generations"
    assert request.query == {"api-version": "2025-04-01-preview"}
    assert "model" not in request.json()
    assert await adapter.check_health() is True


@pytest.mark.parametrize(
    ("family", "size", "price"),
    [
        ("gpt-image-1.5", "1536x1024", "0.05"),
        ("gpt-image-2", "1200x800", "0.0341"),
        ("", "1200x800", None),
    ],
)
async def test_the_family_behind_a_deployment_knows_sizes_and_prices(family, size, price, play):
    server, adapter = play("azure", **({"family": family} if family else {}))
    held = adapter.estimate(prompt="a fox", width=1200, height=800, quality="medium")
    assert (held and round(held, 4)) == (price and Decimal(price))
    await adapter.generate_image("a fox", 1200, 800)
    assert server.requests[0].json()["size"] == size


@pytest.mark.parametrize(
    "part",
    [
        {"data": [{"content_filter_results": {"violence": {"filtered": True, "severity": "high"}}}]},
        {"data": [], "prompt_filter_results": [{"sexual": {"filtered": True}}]},
        {"data": [{"respect_moderation": False}]},
        {"data": [], "block_reason": "violence"},
    ],
)
async def test_a_refusal_inside_a_200_is_one(part):
    with Wire(answer(json=part)), pytest.raises(Refused):
        await OpenAIImagesAdapter(api_key="k", dry_run=False).generate_image("a fox")


async def test_a_filter_that_found_nothing_is_no_refusal():
    entry = {"content_filter_results": {"violence": {"filtered": False}}, "revised_prompt": ""}
    with Wire(answer(json={"data": [entry]})), pytest.raises(BadResponse):
        await OpenAIImagesAdapter(api_key="k", dry_run=False).generate_image("a fox")


# ---------------------------------------------------------------- xai


async def test_what_xai_says_that_it_cost(play):
    server, adapter = play("xai")
    made = await adapter.generate_image("a fox", 1024, 1024, quality="low")
    assert made.cost == Decimal("0.04")
    assert adapter.estimate(prompt="a fox", quality="low") == Decimal("0.04")
    assert server.requests[0].json()["quality"] == "low"


@pytest.mark.parametrize("ticks", [0, -1, "x", None, 10**12])
async def test_odd_ticks_are_no_price(ticks):
    body = {"data": [{"b64_json": base64.b64encode(pictures.png()).decode()}], "usage": {"cost_in_usd_ticks": ticks}}
    with Wire(answer(json=body)):
        made = await xai().generate_image("x", 64, 48)
    assert made.cost is None


async def test_a_wide_shape_for_xai():
    with Wire(answer(json={})) as wire, pytest.raises(BadResponse):
        await xai().generate_image("x", 1950, 900)
    assert json_of(wire.only)["aspect_ratio"] == "19.5:9"


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("dialect", OTHERS)
def test_the_address_is_written_down_where_the_service_has_none_that_is_everybodys(dialect):
    if DIALECTS[dialect].has_address:
        assert OpenAIImagesAdapter(dialect=dialect, model="m").base_url == DIALECTS[dialect].base_url
    else:
        with pytest.raises(ConfigurationError, match=r"set base_url for \w+: http"):
            OpenAIImagesAdapter(dialect=dialect, model="m")
    if dialect != "xai":
        with pytest.raises(ConfigurationError, match="set the model"):
            OpenAIImagesAdapter(dialect=dialect, base_url="http://127.0.0.1:1/v1")


def test_a_dialect_that_is_none():
    with pytest.raises(ConfigurationError, match="There are: openai, azure, xai"):
        OpenAIImagesAdapter(dialect="klingon")


async def test_a_request_cannot_change_the_dialect():
    with Wire(answer(json={})) as wire, pytest.raises(BadResponse):
        await OpenAIImagesAdapter(api_key="k", dry_run=False).generate_image("x", dialect="xai", family="gpt-image-1.5")
    assert "aspect_ratio" not in json_of(wire.only)
