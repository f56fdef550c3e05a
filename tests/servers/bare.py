"""Right requests to every step of every server with bare httpx: what the servers' own tests and faults start from."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx

from tests.servers import CanvaServer, FigmaServer, ProviderServer, pictures
from tests.servers.replicate import SDXL_VERSION

PROMPT = "A lighthouse at dawn"
SIZE = (512, 256)
JSON = "application/json"


def headers(server: ProviderServer) -> dict[str, str]:
    """The header that carries the key, in the vendor's way."""
    own = {"flux": {"x-key": server.key}, "figma_api": {"x-figma-token": server.key}}
    return own.get(server.name, {"authorization": f"Bearer {server.key}"})


def multipart(**fields: Any) -> dict[str, Any]:
    """Text fields as multipart parts without a file name."""
    return {name: (None, str(value)) for name, value in fields.items()}


def upload(width: int = 64, height: int = 64) -> tuple[str, bytes, str]:
    """A picture as a multipart file."""
    return ("picture.png", pictures.picture(width, height), "image/png")


def ask(client: httpx.Client, server: ProviderServer, method: str, path: str, **how: Any) -> httpx.Response:
    """One request with the key; `path` is under base_url, or a whole URL."""
    url = path if path.startswith("http") else server.base_url + path
    return client.request(method, url, headers={**headers(server), **how.pop("headers", {})}, **how)


def submit(client: httpx.Client, server: ProviderServer, **how: Any) -> httpx.Response:
    """The request that makes or starts something."""
    if isinstance(server, FigmaServer):
        path = f"/v1/files/{server.file_key}/comments"
        return ask(client, server, "POST", path, json={"message": PROMPT, "client_meta": {"x": 1, "y": 2}}, **how)
    if isinstance(server, CanvaServer):
        name = json.dumps({"name_base64": base64.b64encode(b"Lighthouse").decode()})
        more = {"content-type": "application/octet-stream", "asset-upload-metadata": name}
        return ask(
            client, server, "POST", "/v1/asset-uploads", content=pictures.picture(64, 48), headers=more, **how
        )
    if server.name == "sdxl":
        fields = multipart(prompt=PROMPT, aspect_ratio="16:9", output_format="jpeg", seed=7)
        path = "/v2beta/stable-image/generate/core"
        return ask(client, server, "POST", path, files=fields, headers={"accept": "image/*"}, **how)
    if server.name == "openai_images":
        body: dict[str, Any] = {"model": "gpt-image-2", "prompt": PROMPT, "size": "1024x1024"}
        return ask(client, server, "POST", "/images/generations", json=body, **how)
    if server.name == "flux":
        body = {"prompt": PROMPT, "width": SIZE[0], "height": SIZE[1], "seed": 7}
        return ask(client, server, "POST", "/v1/flux-pro-1.1", json=body, **how)
    given = {"prompt": PROMPT, "width": SIZE[0], "height": SIZE[1], "seed": 7}
    body = {"version": SDXL_VERSION, "input": given}
    return ask(client, server, "POST", "/predictions", json=body, headers={"cancel-after": "60s"}, **how)


def start_upscale(client: httpx.Client, server: ProviderServer) -> str:
    """Stability's asynchronous upscale; the path of its result."""
    path = "/v2beta/stable-image/upscale/creative"
    fields = {"image": upload(), **multipart(prompt=PROMPT)}
    response = ask(client, server, "POST", path, files=fields)
    return f"/v2beta/results/{response.json()['id']}"


def start_export(client: httpx.Client, server: ProviderServer, **how: Any) -> httpx.Response:
    """Canva's export of a new design."""
    design = {"type": "type_and_asset", "design_type": {"type": "custom", "width": 320, "height": 200}}
    made = ask(client, server, "POST", "/v1/designs", json=design).json()["design"]
    body = {"design_id": made["id"], "format": {"type": "png"}}
    return ask(client, server, "POST", "/v1/exports", json=body, **how)


def step_call(client: httpx.Client, server: ProviderServer, step: str) -> tuple[str, str, dict[str, Any]]:
    """(method, path or URL, arguments of `ask`) of a right request at `step`; takes the steps before it.

    Jobs are made to be ready at the first poll.
    """
    server.polls_until_ready = 1
    prepare = globals()[f"_{server.name}"]
    method, path, how = prepare(client, server, step)
    return method, path, how


def _sdxl(client: httpx.Client, server: ProviderServer, step: str) -> tuple[str, str, dict[str, Any]]:
    if step == "poll":
        return "GET", start_upscale(client, server), {"headers": {"accept": "*/*"}}
    return "GET", "/v1/user/balance", {}


def _openai_images(client: httpx.Client, server: ProviderServer, step: str) -> tuple[str, str, dict[str, Any]]:
    return "GET", "/models/gpt-image-2", {}


def _flux(client: httpx.Client, server: ProviderServer, step: str) -> tuple[str, str, dict[str, Any]]:
    if step == "health":
        return "GET", "/v1/credits", {}
    polling_url = submit(client, server).json()["polling_url"]
    if step == "poll":
        return "GET", polling_url, {}
    return "GET", ask(client, server, "GET", polling_url).json()["result"]["sample"], {}


def _replicate_sdxl(client: httpx.Client, server: ProviderServer, step: str) -> tuple[str, str, dict[str, Any]]:
    if step == "health":
        return "GET", "/account", {}
    urls = submit(client, server).json()["urls"]
    if step == "cancel":
        return "POST", urls["cancel"], {}
    if step == "poll":
        return "GET", urls["get"], {}
    return "GET", ask(client, server, "GET", urls["get"]).json()["output"][0], {}


def _figma_api(client: httpx.Client, server: ProviderServer, step: str) -> tuple[str, str, dict[str, Any]]:
    assert isinstance(server, FigmaServer)
    render = f"/v1/images/{server.file_key}?ids=1:2&format=jpg&scale=0.5"
    if step == "health":
        return "GET", "/v1/me", {}
    if step == "read":
        return "GET", f"/v1/files/{server.file_key}?depth=1", {}
    if step == "render":
        return "GET", render, {}
    return "GET", ask(client, server, "GET", render).json()["images"]["1:2"], {}


def _canva_api(client: httpx.Client, server: ProviderServer, step: str) -> tuple[str, str, dict[str, Any]]:
    assert isinstance(server, CanvaServer)
    if step == "health":
        return "GET", "/v1/users/me", {}
    if step == "token":
        pair = base64.b64encode(f"{server.client_id}:{server.client_secret}".encode()).decode()
        form = {"grant_type": "refresh_token", "refresh_token": server.refresh_token}
        return "POST", "/v1/oauth/token", {"data": form, "headers": {"authorization": f"Basic {pair}"}}
    if step == "design":
        kind = {"type": "custom", "width": 320, "height": 200}
        return "POST", "/v1/designs", {"json": {"type": "type_and_asset", "design_type": kind, "title": "Test"}}
    if step == "poll":
        return "GET", f"/v1/asset-uploads/{submit(client, server).json()['job']['id']}", {}
    if step == "export":
        made = ask(client, server, *_canva_api(client, server, "design")[:2], **_canva_api(client, server, "design")[2])
        return "POST", "/v1/exports", {"json": {"design_id": made.json()["design"]["id"], "format": {"type": "png"}}}
    export = f"/v1/exports/{start_export(client, server).json()['job']['id']}"
    if step == "export_poll":
        return "GET", export, {}
    return "GET", ask(client, server, "GET", export).json()["job"]["urls"][0], {}
