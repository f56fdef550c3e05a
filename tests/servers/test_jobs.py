"""The servers that make pictures while one polls: what BFL and Replicate make, and what they refuse."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.servers import (
    ProviderServer,
)
from tests.servers.bare import HEIGHT, PROMPT, WIDTH, Call, ask, opened, right_call
from tests.servers.fixtures import RunningServers
from tests.servers.replicate import SDXL_VERSION


# BFL
def flux(client: httpx.Client, server: ProviderServer, model: str = "flux-pro-1.1", **body: Any) -> httpx.Response:
    return ask(client, server, Call("POST", f"/v1/{model}", {"json": {"prompt": PROMPT, **body}}))


def test_flux_goes_from_submit_to_sample(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["flux"]
    server.polls_until_ready = 3
    submitted = flux(client, server, width=640, height=320, seed=0, output_format="webp").json()
    assert submitted["cost"] == server.purchases[0].cost == 4
    assert "/v1/get_result?" in submitted["polling_url"]
    polls = [ask(client, server, Call("GET", submitted["polling_url"])).json() for _ in range(3)]
    assert [poll["status"] for poll in polls] == ["Pending", "Pending", "Ready"]
    assert polls[-1]["result"]["seed"] == 0
    sample = client.get(polls[-1]["result"]["sample"])
    assert opened(sample.content) == ("WEBP", (640, 320))
    assert not server.leaks
    assert client.get(polls[-1]["result"]["sample"].replace("sig=", "sig=x")).status_code == 403


def test_flux_tasks_are_regional(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["flux"]
    url = flux(client, server).json()["polling_url"]
    without_region = ask(client, server, Call("GET", url.partition("&")[0])).json()
    assert without_region["status"] == "Task not found"
    assert ask(client, server, Call("GET", url)).json()["status"] == "Pending"


def test_flux_delivers_from_another_host_and_notices_the_key(
    provider_servers: RunningServers, client: httpx.Client
) -> None:
    server = provider_servers["flux"]
    elsewhere = server.deliver_elsewhere()
    assert elsewhere != server.origin
    call = right_call(client, server, "download")
    assert call.path.startswith(elsewhere)
    assert ask(client, server, call).status_code == 200
    assert [request.path for request in server.leaks] == [httpx.URL(call.path).path]


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        ("flux-pro-1.1", {"width": 1000}, "width"),
        ("flux-pro-1.1", {"width": 1472}, "width"),
        ("flux-pro-1.1", {"height": 224}, "height"),
        ("flux-pro-1.1", {"height": "512"}, "height"),
        ("flux-pro-1.1", {"safety_tolerance": 7}, "safety_tolerance"),
        ("flux-pro-1.1", {"output_format": "jpg"}, "output_format"),
        ("flux-pro-1.1", {"negative_prompt": "rain"}, "negative_prompt"),
        ("flux-pro-1.1", {"steps": 20}, "steps"),
        ("flux-dev", {"guidance": 6}, "guidance"),
        ("flux-2-pro", {"prompt": None}, "prompt"),
        ("flux-2-pro", {"width": 48, "height": 64}, "width"),
        ("flux-2-pro", {"width": 1000}, "width"),
        ("flux-2-pro", {"width": 4096, "height": 2048}, "width"),
        ("flux-2-pro", {"safety_tolerance": 6}, "safety_tolerance"),
        ("flux-2-pro", {"prompt_upsampling": True}, "prompt_upsampling"),
        ("flux-2-klein-4b", {"input_image_5": "x"}, "input_image_5"),
        ("flux-kontext-pro", {"aspect_ratio": "21:9x"}, "aspect_ratio"),
        ("flux-kontext-pro", {"aspect_ratio": "3:1"}, "aspect_ratio"),
        ("flux-pro-1.1-ultra", {"width": 1024}, "width"),
    ],
)
def test_flux_refuses(
    provider_servers: RunningServers, client: httpx.Client, model: str, body: dict[str, Any], field: str
) -> None:
    server = provider_servers["flux"]
    response = flux(client, server, model, **body)
    assert response.status_code == 422
    detail = response.json()["detail"]
    assert detail[0]["loc"] == ["body", field]
    assert set(detail[0]) == {"loc", "msg", "type"}
    assert not server.purchases


@pytest.mark.parametrize(
    ("model", "body", "size", "cost"),
    [
        ("flux-dev", {}, (1024, 768), 2.5),
        ("flux-2-pro", {"width": 1024, "height": 1040}, (1024, 1040), 4.5),
        ("flux-2-max", {}, (1024, 1024), 7),
        ("flux-kontext-max", {"aspect_ratio": "16:9"}, (1360, 768), 8),
        ("flux-pro-1.1-ultra", {"aspect_ratio": "21:9"}, (3136, 1344), 6),
    ],
)
def test_flux_sizes_and_prices(
    provider_servers: RunningServers, client: httpx.Client, model: str, body: dict[str, Any], size: Any, cost: float
) -> None:
    server = provider_servers["flux"]
    assert flux(client, server, model, **body).json()["cost"] == cost
    assert (server.purchases[0].width, server.purchases[0].height) == size


def test_flux_knobs(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["flux"]
    server.strict = False
    server.cost = 12.5
    server.active_limit = 1  # type: ignore[attr-defined]
    assert flux(client, server, negative_prompt="rain").json()["cost"] == 12.5
    assert flux(client, server).status_code == 429
    assert flux(client, server, "flux-9").status_code == 404
    hooked = ask(client, server, Call("POST", "/v1/flux-dev", {"json": {"webhook_url": "https://example.com/"}}))
    assert hooked.status_code == 429
    server.active_limit = None  # type: ignore[attr-defined]
    hooked = ask(client, server, Call("POST", "/v1/flux-dev", {"json": {"webhook_url": "https://example.com/"}}))
    assert "polling_url" not in hooked.json()


# Replicate
def test_replicate_may_have_its_token_at_home_only(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["replicate_sdxl"]
    ask(client, server, right_call(client, server, "download"))
    assert not server.leaks
    server.deliver_elsewhere()
    ask(client, server, right_call(client, server, "download"))
    assert len(server.leaks) == 1


def predict(client: httpx.Client, server: ProviderServer, headers: Any = None, **body: Any) -> httpx.Response:
    body = {"version": SDXL_VERSION, "input": {"prompt": PROMPT}} | body
    return ask(client, server, Call("POST", "/predictions", {"json": body, "headers": headers or {}}))


def test_replicate_goes_from_create_to_files(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["replicate_sdxl"]
    given = {"prompt": PROMPT, "width": WIDTH, "height": HEIGHT, "num_outputs": 2}
    created = predict(client, server, {"cancel-after": "1m30s"}, input=given)
    prediction = created.json()
    assert (created.status_code, prediction["status"], prediction["output"]) == (201, "starting", None)
    assert prediction["deadline"]
    assert prediction["urls"]["get"].startswith(server.base_url + "/predictions/")
    states = [ask(client, server, Call("GET", prediction["urls"]["get"])).json() for _ in range(2)]
    assert [state["status"] for state in states] == ["processing", "succeeded"]
    files = [client.get(url).content for url in states[-1]["output"]]
    assert [opened(file) for file in files] == [("PNG", (WIDTH, HEIGHT))] * 2
    assert files[0] != files[1]
    server.delivery_needs_key = True  # type: ignore[attr-defined]
    assert client.get(states[-1]["output"][0]).status_code == 401
    assert ask(client, server, Call("GET", states[-1]["output"][0])).status_code == 200


def test_replicate_waits_and_cancels(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["replicate_sdxl"]
    running = predict(client, server, {"prefer": "wait=5"})
    assert (running.status_code, running.json()["status"]) == (202, "starting")
    server.polls_until_ready = 1
    done = predict(client, server, {"prefer": "wait"})
    assert (done.status_code, done.json()["status"]) == (201, "succeeded")
    for prediction in (running.json(), done.json()):
        ask(client, server, Call("POST", prediction["urls"]["cancel"]))
    assert server.cancelled == [running.json()["id"]]
    assert ask(client, server, Call("GET", running.json()["urls"]["get"])).json()["status"] == "canceled"


@pytest.mark.parametrize(
    ("body", "headers", "status", "named"),
    [
        ({"version": "stability-ai/sdxl"}, {}, 422, "Invalid version"),
        ({"version": "0" * 64}, {}, 422, "Invalid version"),
        ({"version": SDXL_VERSION[:40]}, {}, 422, "Invalid version"),
        ({"version": f"someone/else:{SDXL_VERSION}"}, {}, 422, "Invalid version"),
        ({"model": "stability-ai/sdxl"}, {}, 422, "model"),
        ({"input": "text"}, {}, 422, "input"),
        ({"input": {"prompt": PROMPT, "width": 1001}}, {}, 422, "input.width"),
        ({"input": {"prompt": PROMPT, "num_outputs": 5}}, {}, 422, "input.num_outputs"),
        ({"input": {"prompt": PROMPT, "scheduler": "EULER"}}, {}, 422, "input.scheduler"),
        ({"input": {"prompt": PROMPT, "cfg_scale": 7}}, {}, 422, "input.cfg_scale"),
        ({"webhook": "http://example.com/"}, {}, 422, "webhook"),
        ({"webhook_events_filter": ["done"]}, {}, 422, "webhook_events_filter"),
        ({}, {"prefer": "wait=61"}, 400, "Prefer"),
        ({}, {"cancel-after": "4s"}, 400, "Cancel-After"),
        ({}, {"cancel-after": "soon"}, 400, "Cancel-After"),
        ({}, {"cancel-after": "1.5m"}, 400, "Cancel-After"),
        ({}, {"content-type": "text/plain"}, 400, "content type"),
    ],
)
def test_replicate_refuses(
    provider_servers: RunningServers, client: httpx.Client, body: Any, headers: Any, status: int, named: str
) -> None:
    server = provider_servers["replicate_sdxl"]
    response = predict(client, server, headers, **body)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert named in response.text
    assert not server.purchases


@pytest.mark.parametrize("value", ["5", "30s", "5m", "1h", "1h30m", "1h30m45s"])
def test_replicate_takes_durations(provider_servers: RunningServers, client: httpx.Client, value: str) -> None:
    assert predict(client, provider_servers["replicate_sdxl"], {"cancel-after": value}).status_code == 201


def test_replicate_models_path_is_for_official_models(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["replicate_sdxl"]
    how = {"json": {"input": {"prompt": PROMPT}}}
    community = ask(client, server, Call("POST", "/models/stability-ai/sdxl/predictions", how))
    assert community.status_code == 404
    official = ask(client, server, Call("POST", "/models/black-forest-labs/flux-schnell/predictions", how))
    assert official.json()["version"] == "hidden"
    named = predict(client, server, version=f"stability-ai/sdxl:{SDXL_VERSION}")
    assert named.json()["version"] == SDXL_VERSION
