"""The provider servers answer right requests rightly, whatever the vendor."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.servers import (
    SERVERS,
)
from tests.servers.bare import KEY_HEADERS, KEY_WORDS, Call, ask, opened, right_call
from tests.servers.fixtures import RunningServers

STEPS = [(name, step) for name, server in SERVERS.items() for step in server.steps if step != "other"]

PUBLIC = {("openrouter", "models"), ("fal", "keys")}
WITH_A_KEY = [(name, step) for name, step in STEPS if step not in ("download", "token") and (name, step) not in PUBLIC]
WITH_A_KEY += [("comfyui", "download")]


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_right_request_is_answered_and_recorded(
    provider_servers: RunningServers, client: httpx.Client, name: str, step: str
) -> None:
    server = provider_servers[name]
    call = right_call(client, server, step)
    response = ask(client, server, call)
    assert response.status_code in (200, 201, 202, 204), response.text
    recorded = server.requests[-1]
    assert (recorded.step, recorded.method, recorded.status) == (step, call.method, response.status_code)
    assert recorded.accepted
    if "json" in call.how:
        assert recorded.json() == call.how["json"]
    if step == server.picture_step:
        content = response.content
        if name in ("openai_images", "openrouter"):
            content = base64.b64decode(response.json()["data"][0]["b64_json"])
        if name == "gemini":
            content = base64.b64decode(response.json()["candidates"][0]["content"]["parts"][0]["inlineData"]["data"])
        assert opened(content)[0] in ("PNG", "JPEG")


@pytest.mark.parametrize(("name", "step"), WITH_A_KEY)
@pytest.mark.parametrize("sent", ["", "another-key-0123456789"], ids=["no key", "wrong key"])
def test_every_step_wants_the_key(
    provider_servers: RunningServers, client: httpx.Client, name: str, step: str, sent: str
) -> None:
    server = provider_servers[name]
    call = right_call(client, server, step)
    server.purchases.clear()
    headers = {"authorization": f"{KEY_WORDS.get(name, 'Bearer')} {sent}" if sent else ""}
    if name in KEY_HEADERS:
        headers = {KEY_HEADERS[name]: sent}
    response = ask(
        client, server, Call(call.method, call.path, {**call.how, "headers": call.how.get("headers", {}) | headers})
    )
    # A result of Stability's looks absent to whoever may not see it.
    # Google calls a wrong key an invalid argument.
    own = {("sdxl", "poll"): (404,), ("gemini", "submit"): (400, 403), ("gemini", "health"): (400, 403)}
    assert response.status_code in own.get((name, step), (401, 403))
    assert not server.requests[-1].accepted
    assert not server.purchases


@pytest.mark.parametrize("name", SERVERS)
def test_unknown_paths_are_404_in_the_vendors_shape(
    provider_servers: RunningServers, client: httpx.Client, name: str
) -> None:
    response = ask(client, provider_servers[name], Call("GET", "/v9/nothing"))
    assert response.status_code == 404
    assert response.text if name == "comfyui" else response.json()


@pytest.mark.parametrize("name", SERVERS)
def test_reset_makes_a_server_as_new(provider_servers: RunningServers, client: httpx.Client, name: str) -> None:
    server = provider_servers[name]
    ask(client, server, right_call(client, server, "submit"))
    server.latency_s, server.cost = 3.0, 9.0
    assert server.requests
    assert server.purchases
    server.reset()
    assert (server.requests, server.purchases, server.jobs) == ([], [], {})
    assert vars(server)["cost"] is None
    assert (server.latency_s, server.polls_until_ready) == (0.0, 2)
