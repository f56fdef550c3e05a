"""The servers that answer with the picture itself: what Stability and OpenAI make, and what they refuse."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from tests.servers import (
    ProviderServer,
    StabilityServer,
)
from tests.servers.bare import PROMPT, Call, ask, opened, right_call, texts, upload
from tests.servers.fixtures import RunningServers
from tests.servers.openai import FIXED_SIZE_MODELS, MODELS
from tests.servers.stability_fields import V1_SIZES

CORE = "/v2beta/stable-image/generate/core"
SD3 = "/v2beta/stable-image/generate/sd3"
V1 = "/v1/generation/stable-diffusion-xl-1024-v1-0/text-to-image"


def one_field(body: Any, field: str) -> bool:
    return field in json.dumps(body)


# Stability
def core(
    client: httpx.Client, server: ProviderServer, path: str = CORE, accept: str = "image/*", **how: Any
) -> httpx.Response:
    return ask(client, server, Call("POST", path, {"headers": {"accept": accept}, **how}))


def test_stability_v2_answers_bytes_or_base64(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["sdxl"]
    fields = texts(prompt=PROMPT, aspect_ratio="16:9", output_format="webp", seed=42, style_preset="cinematic")
    as_bytes = core(client, server, files=fields)
    assert as_bytes.headers["content-type"] == "image/webp"
    assert (as_bytes.headers["seed"], as_bytes.headers["finish-reason"]) == ("42", "SUCCESS")
    assert as_bytes.headers["x-request-id"]
    as_json = core(client, server, accept="application/json", files=fields)
    assert as_json.headers["content-type"] == "application/json; type=image/webp"
    assert as_json.json()["seed"] == 42
    assert "seed" not in as_json.headers
    assert base64.b64decode(as_json.json()["image"]) == as_bytes.content
    assert [bought.model for bought in server.purchases] == ["core", "core"]
    assert server.purchases[0].cost == 3
    assert server.requests[0].form()["prompt"].text == PROMPT


@pytest.mark.parametrize(
    ("path", "fields", "size", "cost"),
    [
        (CORE, {}, (1536, 1536), 3),
        (SD3, {"aspect_ratio": "16:9"}, (1344, 768), 6.5),
        (SD3, {"model": "sd3.5-medium"}, (1024, 1024), 3.5),
        (SD3, {"mode": "image-to-image", "image": upload(), "strength": 0.5}, (1024, 1024), 6.5),
        ("/v2beta/stable-image/generate/ultra", {"aspect_ratio": "9:21"}, (640, 1536), 8),
        ("/v2beta/stable-image/upscale/fast", {"prompt": None, "image": upload(80, 64)}, (320, 256), 2),
        ("/v2beta/stable-image/edit/remove-background", {"prompt": None, "image": upload(80, 64)}, (80, 64), 5),
        ("/v2beta/stable-image/edit/outpaint", {"image": upload(80, 64), "left": 20}, (100, 64), 4),
    ],
)
def test_stability_v2_sizes_and_prices(
    provider_servers: RunningServers, client: httpx.Client, path: str, fields: dict[str, Any], size: Any, cost: float
) -> None:
    server = provider_servers["sdxl"]
    given = {"prompt": PROMPT, **fields}
    files = {
        name: value if isinstance(value, tuple) else (None, str(value))
        for name, value in given.items()
        if value is not None
    }
    response = core(client, server, path, files=files)
    assert opened(response.content)[1] == size, response.text
    assert server.purchases[0].cost == cost


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"data": {"prompt": PROMPT}}, "multipart"),
        ({"json": {"prompt": PROMPT}}, "multipart"),
        ({"files": {"prompt": ("prompt.txt", PROMPT)}}, "prompt: must be a text field"),
        ({"files": texts(seed=1)}, "prompt"),
        ({"files": texts(prompt="")}, "prompt"),
        ({"files": texts(prompt="x" * 10_001)}, "prompt"),
        ({"files": texts(prompt=PROMPT, width=1024)}, "width"),
        ({"files": texts(prompt=PROMPT, aspect_ratio="4:3")}, "aspect_ratio"),
        ({"files": texts(prompt=PROMPT, seed=4_294_967_295)}, "seed"),
        ({"files": texts(prompt=PROMPT, seed="many")}, "seed"),
        ({"files": texts(prompt=PROMPT, style_preset="baroque")}, "style_preset"),
        ({"files": texts(prompt=PROMPT, output_format="avif")}, "output_format"),
        ({"files": [("prompt", (None, "a")), ("prompt", (None, "b"))]}, "prompt"),
        ({"files": texts(prompt=PROMPT), "accept": "image/png"}, "accept"),
        ({"files": texts(prompt=PROMPT), "accept": "*/*"}, "accept"),
        ({"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}}, "boundary"),
        ({"files": texts(prompt=PROMPT, strength=0.5), "path": SD3}, "strength"),
        ({"files": {**texts(prompt=PROMPT, strength=0.5), "image": upload()}, "path": SD3}, "image"),
        ({"files": texts(prompt=PROMPT, cfg_scale=11), "path": SD3}, "cfg_scale"),
        ({"files": texts(prompt=PROMPT, model="sd3-large"), "path": SD3}, "model"),
        ({"files": {"image": upload(16, 16)}, "path": "/v2beta/stable-image/upscale/fast"}, "image"),
        ({"files": {"image": (None, "text")}, "path": "/v2beta/stable-image/upscale/fast"}, "image"),
    ],
)
def test_stability_v2_refuses(
    provider_servers: RunningServers, client: httpx.Client, how: dict[str, Any], named: str
) -> None:
    server = provider_servers["sdxl"]
    how = {"headers": {"accept": how.get("accept", "image/*")} | how.get("headers", {})} | {
        key: value for key, value in how.items() if key not in ("accept", "headers")
    }
    response = ask(client, server, Call("POST", how.pop("path", CORE), how))
    body = response.json()
    assert (response.status_code, body["name"]) == (400, "bad_request")
    assert set(body) == {"id", "name", "errors"}
    assert one_field(body["errors"], named), body
    assert not server.purchases


def test_stability_v2_refuses_large_bodies_and_checks_input_before_the_key(
    provider_servers: RunningServers, client: httpx.Client
) -> None:
    server = provider_servers["sdxl"]
    large = core(client, server, SD3, files={**texts(prompt=PROMPT), "image": ("i.png", b"0" * 10_485_760)})
    assert (large.status_code, large.json()["name"]) == (413, "payload_too_large")
    wrong = client.post(server.base_url + CORE, headers={"accept": "image/*"}, files=texts(prompt=""))
    assert wrong.status_code == 400
    right = client.post(server.base_url + CORE, headers={"accept": "image/*"}, files=texts(prompt="x"))
    assert (right.status_code, right.json()["name"]) == (401, "unauthorized")


def test_stability_results_take_their_polls(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["sdxl"]
    call = right_call(client, server, "poll")
    server.polls_until_ready = 3
    states = [ask(client, server, call).status_code for _ in range(3)]
    assert states == [202, 202, 200]
    unknown = ask(client, server, Call("GET", "/v2beta/results/" + "0" * 64, {"headers": {"accept": "*/*"}}))
    assert (unknown.status_code, unknown.json()["name"]) == (404, "generation_not_found")


def v1_body(**more: Any) -> dict[str, Any]:
    return {"text_prompts": [{"text": PROMPT}], "width": 1024, "height": 1024, **more}


@pytest.mark.parametrize("size", sorted(V1_SIZES), ids=str)
def test_stability_v1_makes_its_nine_sizes(
    provider_servers: RunningServers, client: httpx.Client, size: tuple[int, int]
) -> None:
    server = provider_servers["sdxl"]
    body = v1_body(width=size[0], height=size[1], seed=5)
    body["text_prompts"].append({"text": "rain", "weight": -1})
    answer = core(client, server, V1, "application/json", json=body).json()["artifacts"]
    assert [(one["seed"], one["finishReason"]) for one in answer] == [(5, "SUCCESS")]
    assert opened(base64.b64decode(answer[0]["base64"])) == ("PNG", size)
    assert (server.purchases[0].prompt, server.purchases[0].width) == (PROMPT, size[0])


def test_stability_v1_answers_png_bytes_and_several_samples(
    provider_servers: RunningServers, client: httpx.Client
) -> None:
    server = provider_servers["sdxl"]
    assert opened(core(client, server, V1, "image/png", json=v1_body()).content) == ("PNG", (1024, 1024))
    several = core(client, server, V1, "application/json", json=v1_body(samples=2)).json()["artifacts"]
    assert len({one["base64"] for one in several}) == 2


@pytest.mark.parametrize(
    ("body", "name", "accept"),
    [
        ({}, "bad_request", "application/json"),
        ([], "bad_request", "application/json"),
        ({"text_prompts": []}, "bad_request", "application/json"),
        (v1_body(width=512, height=512), "invalid_sdxl_v1_dimensions", "application/json"),
        ({"text_prompts": [{"text": PROMPT}]}, "invalid_sdxl_v1_dimensions", "application/json"),
        (v1_body(width=1000), "bad_request", "application/json"),
        (v1_body(steps=51), "bad_request", "application/json"),
        (v1_body(cfg_scale="7"), "bad_request", "application/json"),
        (v1_body(sampler="EULER"), "bad_request", "application/json"),
        (v1_body(prompt=PROMPT), "bad_request", "application/json"),
        (v1_body(text_prompts=[{"text": "x" * 2001}]), "bad_request", "application/json"),
        (v1_body(samples=2), "bad_request", "image/png"),
        (v1_body(), "bad_request", "image/*"),
    ],
)
def test_stability_v1_refuses(
    provider_servers: RunningServers, client: httpx.Client, body: Any, name: str, accept: str
) -> None:
    server = provider_servers["sdxl"]
    response = core(client, server, V1, accept, json=body)
    assert (response.status_code, response.json()["name"]) == (400, name)
    assert set(response.json()) == {"id", "name", "message"}
    assert not server.purchases


def test_stability_v1_repeats_the_key_it_refuses(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["sdxl"]
    assert isinstance(server, StabilityServer)
    response = client.get(server.base_url + "/v1/user/balance", headers={"authorization": "Bearer sk-not-mine-123"})
    assert response.status_code == 401
    assert "sk-not-mine-123" in response.json()["message"]


# OpenAI
def generate(client: httpx.Client, server: ProviderServer, **body: Any) -> httpx.Response:
    body = {"model": "gpt-image-2", "prompt": PROMPT} | body
    given = {name: value for name, value in body.items() if value != "absent"}
    return ask(client, server, Call("POST", "/images/generations", {"json": given}))


@pytest.mark.parametrize("model", MODELS)
def test_openai_knows_the_models_alive(provider_servers: RunningServers, client: httpx.Client, model: str) -> None:
    server = provider_servers["openai_images"]
    assert ask(client, server, Call("GET", f"/models/{model}")).json()["id"] == model
    size = "1536x1024" if model in FIXED_SIZE_MODELS else "1280x720"
    answer = generate(client, server, model=model, size=size, quality="low", output_format="jpeg").json()
    assert (answer["size"], answer["output_format"], answer["quality"]) == (size, "jpeg", "low")
    width, height = (int(side) for side in size.split("x"))
    assert opened(base64.b64decode(answer["data"][0]["b64_json"])) == ("JPEG", (width, height))
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


@pytest.mark.parametrize("model", ["dall-e-2", "dall-e-3", "gpt-image-1", "absent"])
def test_openai_knows_the_models_dead(provider_servers: RunningServers, client: httpx.Client, model: str) -> None:
    server = provider_servers["openai_images"]
    response = generate(client, server, model=model)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    if model != "absent":
        assert ask(client, server, Call("GET", f"/models/{model}")).status_code == 404
    assert not server.purchases


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"response_format": "b64_json"}, "response_format", "unknown_parameter"),
        ({"style": "vivid"}, "style", "unknown_parameter"),
        ({"seed": 1}, "seed", "unknown_parameter"),
        ({"negative_prompt": "rain"}, "negative_prompt", "unknown_parameter"),
        ({"prompt": "absent"}, "prompt", "missing_required_parameter"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": "x" * 32_001}, "prompt", "invalid_value"),
        ({"n": 11}, "n", "invalid_value"),
        ({"size": "1000x1000"}, "size", "invalid_value"),
        ({"size": "512x512"}, "size", "invalid_value"),
        ({"size": "3840x3840"}, "size", "invalid_value"),
        ({"size": "3200x1024"}, "size", "invalid_value"),
        ({"size": "3856x1600"}, "size", "invalid_value"),
        ({"size": "large"}, "size", "invalid_value"),
        ({"model": "gpt-image-1.5", "size": "1280x720"}, "size", "invalid_value"),
        ({"quality": "hd"}, "quality", "invalid_value"),
        ({"quality": "max"}, "quality", "invalid_value"),
        ({"output_compression": 50}, "output_compression", "invalid_value"),
        ({"background": "transparent"}, "background", "invalid_value"),
        ({"moderation": "none"}, "moderation", "invalid_value"),
    ],
)
def test_openai_refuses(
    provider_servers: RunningServers, client: httpx.Client, body: dict[str, Any], param: str, code: str
) -> None:
    server = provider_servers["openai_images"]
    response = generate(client, server, **body)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert not server.purchases


def test_openai_masks_the_key_and_announces_a_shutdown(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["openai_images"]
    server.shutdown_date = "2027-01-31"  # type: ignore[attr-defined]
    model = ask(client, server, Call("GET", "/models/gpt-image-2"))
    assert model.json()["shutdown_date"] == "2027-01-31"
    assert model.headers["x-request-id"]
    refused = client.get(model.url, headers={"authorization": "Bearer sk-very-secret-key-9876"})
    message = refused.json()["error"]["message"]
    assert "9876" in message
    assert "secret-key" not in message


def test_openai_streams_and_edits(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["openai_images"]
    stream = generate(client, server, stream=True, partial_images=1)
    assert stream.headers["content-type"] == "text/event-stream"
    kinds = [line.removeprefix("event: ") for line in stream.text.split("\n") if line.startswith("event: ")]
    assert kinds == ["image_generation.partial_image", "image_generation.completed"]
    edit = Call("POST", "/images/edits", {"files": [("image[]", upload()), ("image[]", upload())]})
    fields = {"model": "gpt-image-2.5-flare", "prompt": PROMPT, "size": "1024x1024", "background": "transparent"}
    edited = ask(client, server, edit, data=fields)
    assert opened(base64.b64decode(edited.json()["data"][0]["b64_json"])) == ("PNG", (1024, 1024))
    assert ask(client, server, edit, data=fields | {"input_fidelity": "high"}).status_code == 400
    assert ask(client, server, Call("POST", "/images/edits", {"data": fields})).status_code == 400
