"""What other people's servers really answer: what was paid is kept, a refusal is one, no zero is a price."""

from __future__ import annotations

import asyncio
import base64
import json
from decimal import Decimal

import pytest

from mediagen.errors import BadResponse, JobFailed, Refused, Unavailable, UnsupportedRequest
from mediagen.http import AddressRefused
from mediagen.providers import FluxAdapter, OpenAIImagesAdapter, ReplicateSDXLAdapter, SDXLAdapter
from mediagen.providers.moderation import is_refusal, reads_as_refusal
from tests import pictures
from tests.http.raw import raw_server
from tests.providers.conftest import call, dns, quick_polls
from tests.providers.wire import Wire, answer

__all__ = ["call", "dns", "quick_polls"]

PICTURE = pictures.png(64, 64)
OTHER = pictures.png(160, 160, seed=2)
BASE64 = base64.b64encode(PICTURE).decode()
INSIDE = f"data:image/png;base64,{BASE64}"
BASE = "http://127.0.0.1:9999/v1"


def gate(**more):
    return OpenAIImagesAdapter(api_key="sk-made-up", base_url=BASE, dry_run=False, **more)


def images_answer(entry, **more):
    return answer(json={"created": 1, "data": [entry], **more})


async def made_by_gate(*answers, **more):
    with Wire(*answers) as wire:
        return await gate(**more).generate_image("a red fox", 64, 64), wire


# ---------------------------------------------------------------- a picture in place of an address


@pytest.mark.parametrize("inside", [INSIDE, INSIDE.replace("data:", "DATA:", 1), INSIDE.replace("=", "%3D")])
async def test_a_picture_in_place_of_an_address_is_taken(inside, quick_polls):
    made, wire = await made_by_gate(images_answer({"b64_json": None, "url": inside}))
    assert made.content == PICTURE
    assert len(wire.requests) == 1

    flux = FluxAdapter(api_key="k", base_url=BASE, dry_run=False)
    ready = {"id": "t", "status": "Ready", "result": {"sample": inside}}
    with Wire(answer(json={"id": "t", "polling_url": f"{BASE}/get"}), answer(json=ready)):
        assert (await flux.generate_image("a red fox", 64, 64)).content == PICTURE

    replicate = ReplicateSDXLAdapter(api_key="k", base_url=BASE, dry_run=False)
    with Wire(answer(201, json={"id": "t"}), answer(json={"id": "t", "status": "succeeded", "output": [inside]})):
        assert (await replicate.generate_image("a red fox", 64, 64)).content == PICTURE


@pytest.mark.parametrize("inside", ["data:", "data:image/png;base64,", "data:text/html,<p>no</p>", "data:x;base64,*"])
async def test_no_picture_in_place_of_an_address_is_a_bad_response(inside):
    with pytest.raises(BadResponse, match="data: address"):
        await made_by_gate(images_answer({"url": inside}))


async def test_a_picture_inside_an_address_has_the_same_limits(settings):
    settings.MEDIAGEN = {"MAX_IMAGE_BYTES": len(PICTURE) - 1}
    with pytest.raises(BadResponse, match="more than"):
        await made_by_gate(images_answer({"url": INSIDE}))


# ---------------------------------------------------------------- an address by another name


@pytest.mark.parametrize("url", ["/generated-images/b1.png", "generated-images/b1.png", "./generated-images/b1.png"])
async def test_a_relative_address_is_read_against_base_url(url):
    made, wire = await made_by_gate(images_answer({"url": url}), answer(content=PICTURE))
    assert made.content == PICTURE
    asked = wire.requests[1].url
    assert (asked.host, asked.port) == ("127.0.0.1", 9999)
    assert str(asked.path).endswith("/generated-images/b1.png")


@pytest.mark.parametrize(
    "url", ["//evil.example/a.png", "ftp://x/a.png", "file:///etc/passwd", "no picture / sorry", "x"]
)
async def test_what_is_no_address_is_none(url):
    with pytest.raises(AddressRefused, match="no http"):
        await made_by_gate(images_answer({"url": url}))


@pytest.mark.parametrize(
    ("url", "to_set"),
    [("http://localhost:9999/b1.png?sig=secret", "localhost:9999"), ("https://10.0.0.7:8443/b1.png", "10.0.0.7:8443")],
)
async def test_a_refused_address_of_ones_own_says_what_to_set(url, to_set):
    with pytest.raises(AddressRefused) as caught:
        await made_by_gate(images_answer({"url": url}))
    assert f"add '{to_set}' to MEDIAGEN['TRUSTED_HOSTS']" in str(caught.value)
    assert "secret" not in str(caught.value)


# ---------------------------------------------------------------- a body that does not end


def _head(kind, length):
    framing = b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length
    return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n%s\r\n\r\n" % (kind, framing)


@pytest.mark.parametrize("ending", ["chunked", "length", "hangs"])
@pytest.mark.parametrize("provider", ["openai", "sdxl v1", "sdxl v2"])
async def test_a_whole_picture_is_kept_though_the_body_is_never_closed(provider, ending):
    bodies = {
        "openai": json.dumps({"data": [{"b64_json": BASE64}]}).encode(),
        "sdxl v1": json.dumps({"artifacts": [{"base64": BASE64, "finishReason": "SUCCESS"}]}).encode(),
        "sdxl v2": PICTURE,
    }
    body, kind = bodies[provider], b"image/png" if provider == "sdxl v2" else b"application/json"
    if provider == "sdxl v2" and ending == "hangs":
        pytest.skip("bytes of a picture that go on coming have no end that can be seen")

    async def unclosed(exchange):
        if ending == "chunked":
            await exchange.write(_head(kind, None) + b"%x\r\n%s\r\n" % (len(body), body))
        else:
            await exchange.write(_head(kind, len(body) + 99) + body)
        if ending == "hangs":
            await asyncio.sleep(60)
        exchange.writer.close()

    model = {"sdxl v1": "stable-diffusion-xl-1024-v1-0", "sdxl v2": "core", "openai": None}[provider]
    maker = OpenAIImagesAdapter if provider == "openai" else SDXLAdapter
    async with raw_server(unclosed) as server:
        adapter = maker(api_key="k", base_url=server.url, model=model, dry_run=False, timeout_s=1.5)
        made = await adapter.generate_image("a red fox", 64, 64)
    assert made.content == PICTURE


@pytest.mark.parametrize("provider", ["openai", "sdxl v2"])
async def test_half_a_picture_is_still_refused(provider):
    body = json.dumps({"data": [{"b64_json": BASE64}]}).encode() if provider == "openai" else PICTURE

    async def cut(exchange):
        await exchange.write(_head(b"x/y", len(body)) + body[:-20])
        exchange.writer.close()

    maker = OpenAIImagesAdapter if provider == "openai" else SDXLAdapter
    async with raw_server(cut) as server:
        adapter = maker(api_key="k", base_url=server.url, dry_run=False, timeout_s=5)
        with pytest.raises(BadResponse, match="broke off"):
            await adapter.generate_image("a red fox", 64, 64)


# ---------------------------------------------------------------- the picture that was made, and no other

ECHO = {"b64_json": base64.b64encode(OTHER).decode()}


@pytest.mark.parametrize("place", ["before", "behind"])
async def test_a_picture_elsewhere_in_the_answer_is_not_the_result(place):
    def around(entry):
        parts = [("source", ECHO), ("data", [entry])]
        return answer(json=dict(parts if place == "before" else reversed(parts)))

    made, _ = await made_by_gate(around({"b64_json": BASE64}))
    assert made.content == PICTURE
    made, _ = await made_by_gate(around({"b64_json": None, "url": "/made.png"}), answer(content=PICTURE))
    assert made.content == PICTURE
    with pytest.raises(BadResponse):
        await made_by_gate(around({"b64_json": None}))
    with pytest.raises(Refused):
        await made_by_gate(around({"b64_json": None, "error": {"code": "content_filter"}}))


async def test_sdxl_takes_its_own_artifact_only():
    v1 = SDXLAdapter(api_key="k", model="stable-diffusion-xl-1024-v1-0", base_url=BASE, dry_run=False)
    echo = {"base64": ECHO["b64_json"]}
    with (
        Wire(answer(json={"init_image": echo, "artifacts": [{"finishReason": "SUCCESS"}]})),
        pytest.raises(BadResponse),
    ):
        await v1.generate_image("a red fox", 64, 64)
    with Wire(answer(json={"init_image": echo, "artifacts": [{"base64": BASE64, "finishReason": "SUCCESS"}] * 2})):
        made = await v1.generate_image("a red fox", 64, 64)
    assert made.content == PICTURE
    assert "the service sent 2" in made.fit_report["pictures"]["why"]


async def test_a_second_picture_is_told():
    made, _ = await made_by_gate(answer(json={"data": [{"b64_json": BASE64}, {"b64_json": BASE64}]}))
    assert "the service sent 2" in made.fit_report["pictures"]["why"]


async def test_a_rewritten_prompt_is_told():
    made, _ = await made_by_gate(images_answer({"b64_json": BASE64, "revised_prompt": "a red fox in thick fog"}))
    assert made.metadata["revised_prompt"] == "a red fox in thick fog"
    assert made.fit_report["prompt"]["made"] == "a red fox in thick fog"
    made, _ = await made_by_gate(images_answer({"b64_json": BASE64, "revised_prompt": "a red fox"}))
    assert "prompt" not in made.fit_report


# ---------------------------------------------------------------- refusals

VIOLATION = {"code": "ResponsibleAIPolicyViolation", "content_filter_results": {}}


@pytest.mark.parametrize(
    "error",
    [
        {"code": "moderation_blocked"},
        {"code": "content_policy_violation"},
        {"code": "contentFilter"},
        {"code": "content_filter", "status": 400},
        {"code": "400", "inner_error": VIOLATION},
        {"code": 400, "innererror": VIOLATION},
        {"code": "BadRequest", "innererror": {"code": "x", "innererror": VIOLATION}},
        {"code": None, "type": "content_filtered"},
    ],
)
@pytest.mark.parametrize("status", [400, 200])
async def test_a_refusal_is_one_whatever_its_code(error, status):
    with pytest.raises(Refused):
        await made_by_gate(answer(status, json={"error": {"message": "no", **error}}))


async def test_another_error_is_no_refusal():
    with pytest.raises(UnsupportedRequest):
        await made_by_gate(answer(400, json={"error": {"message": "the filter", "code": "invalid_size"}}))
    for code in ("invalid_request_error", "rate_limit_exceeded", "server_error", "", None, 400, "content_type"):
        assert not is_refusal(code)
    for text in ("CUDA out of memory", "invalid input", "retry policy exhausted", "sensitive to size"):
        assert not reads_as_refusal(text)


@pytest.mark.parametrize("text", ["content moderation flagged the prompt", "NSFW content", "violates our usage policy"])
async def test_a_job_that_moderation_ended_is_refused(text, quick_polls):
    replicate = ReplicateSDXLAdapter(api_key="k", base_url=BASE, dry_run=False)
    failed = answer(json={"id": "t", "status": "failed", "error": text})
    with Wire(answer(201, json={"id": "t"}), failed) as wire, pytest.raises(Refused):
        await replicate.generate_image("a red fox", 64, 64)
    assert len(wire.requests) == 2
    flux = FluxAdapter(api_key="k", base_url=BASE, dry_run=False)
    ended = {"id": "t", "status": "Error", "details": {"error": text}}
    with Wire(answer(json={"id": "t", "polling_url": f"{BASE}/get"}), answer(json=ended)), pytest.raises(Refused):
        await flux.generate_image("a red fox", 64, 64)


def test_a_failed_job_is_not_bought_again_where_it_failed():
    assert JobFailed.outcome == Unavailable.outcome
    assert JobFailed.next_step != Unavailable.next_step


# ---------------------------------------------------------------- no zero is a price


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        {"input_tokens": 23, "output_tokens": 0, "input_tokens_details": {"text_tokens": 23, "image_tokens": 0}},
    ],
)
async def test_no_tokens_are_no_price(usage):
    made, _ = await made_by_gate(images_answer({"b64_json": BASE64}, usage=usage), model="some-model")
    assert made.cost is None
    made, _ = await made_by_gate(
        images_answer({"b64_json": BASE64}, usage=usage), model="some-model", prices={"some-model": "0.04"}
    )
    assert made.cost == Decimal("0.04")


async def test_zero_seconds_are_no_price(quick_polls):
    replicate = ReplicateSDXLAdapter(api_key="k", base_url=BASE, dry_run=False, price_per_second=0.001)
    ended = {"id": "t", "status": "succeeded", "output": [INSIDE], "metrics": {"predict_time": 0}}
    with Wire(answer(201, json={"id": "t"}), answer(json=ended)):
        assert (await replicate.generate_image("a red fox", 64, 64)).cost is None


# ---------------------------------------------------------------- what cannot be opened


async def test_a_picture_that_cannot_be_scaled_is_kept_as_it_came():
    broken = pictures.undecodable_png(96, 64)
    entry = {"b64_json": base64.b64encode(broken).decode()}
    made, _ = await made_by_gate(images_answer(entry))
    assert made.content == broken
    assert made.fit_report["size"]["action"] == "kept"
    assert "cannot be decoded" in made.fit_report["size"]["why"]


async def test_what_stands_behind_a_paid_picture_is_cut_off_and_told(quick_polls):
    tail = b"a tool that writes behind the end" * 4
    made, _ = await made_by_gate(images_answer({"url": "/made.png"}), answer(content=PICTURE + tail))
    assert made.content == PICTURE
    assert "behind the end" in made.fit_report["content"]["why"]
