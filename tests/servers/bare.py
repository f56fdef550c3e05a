"""Right requests to every step of every server, as data for bare httpx: what the servers' own tests start from."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import httpx
from PIL import Image

from mediagen.providers.comfyui_workflow import filled
from tests.servers import CanvaServer, FigmaServer, ProviderServer, pictures
from tests.servers.comfyui import WORKFLOW
from tests.servers.replicate import SDXL_VERSION

PROMPT = "A lighthouse at dawn"
WIDTH, HEIGHT = 512, 256
KEY_HEADERS = {"flux": "x-key", "figma_api": "x-figma-token", "gemini": "x-goog-api-key"}
"""of those that take no bearer token"""
KEY_WORDS = {"fal": "Key"}
DESIGN = {"type": "type_and_asset", "design_type": {"type": "custom", "width": 320, "height": 200}, "title": "Test"}


@dataclass(frozen=True)
class Call:
    """One request. `path` is below base_url, or a whole URL; `how` are arguments of `httpx.Client.request`."""

    method: str
    path: str
    how: dict[str, Any] = field(default_factory=dict)


def ask(client: httpx.Client, server: ProviderServer, call: Call, **more: Any) -> httpx.Response:
    """Send `call` with the server's key."""
    how = {**call.how, **more}
    how["headers"] = {**key_header(server), **how.get("headers", {})}
    return client.request(call.method, absolute(server, call), **how)


def absolute(server: ProviderServer, call: Call) -> str:
    return call.path if call.path.startswith("http") else server.base_url + call.path


def key_header(server: ProviderServer) -> dict[str, str]:
    """The header that carries the key, in the vendor's way."""
    if server.name in KEY_HEADERS:
        return {KEY_HEADERS[server.name]: server.key}
    return {"authorization": f"{KEY_WORDS.get(server.name, 'Bearer')} {server.key}"}


def texts(**fields: Any) -> dict[str, Any]:
    """Text fields as multipart parts without a file name."""
    return {name: (None, str(value)) for name, value in fields.items()}


def upload(width: int = 64, height: int = 64) -> tuple[str, bytes, str]:
    """A picture as a multipart file."""
    return ("picture.png", pictures.picture(width, height), "image/png")


def opened(content: bytes) -> tuple[str | None, tuple[int, int]]:
    """Format and size of a picture that decodes to its end."""
    with Image.open(BytesIO(content)) as image:
        image.load()
        return image.format, image.size


def right_call(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    """A right request at `step`. Takes the steps before it; jobs are then ready at the first poll."""
    server.polls_until_ready = 1
    make = {
        "sdxl": _sdxl,
        "openai_images": _openai_images,
        "flux": _flux,
        "replicate_sdxl": _replicate_sdxl,
        "figma_api": _figma_api,
        "canva_api": _canva_api,
        "gemini": _gemini,
        "openrouter": _openrouter,
        "fal": _fal,
        "comfyui": _comfyui,
    }[server.name]
    return make(client, server, step)


def _got(client: httpx.Client, server: ProviderServer, step: str) -> Any:
    """The JSON of the right answer at an earlier step."""
    return ask(client, server, right_call(client, server, step)).json()


def _sdxl(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    if step == "health":
        return Call("GET", "/v1/user/balance")
    if step == "submit":
        fields = texts(prompt=PROMPT, aspect_ratio="16:9", output_format="jpeg", seed=7)
        return Call("POST", "/v2beta/stable-image/generate/core", {"files": fields, "headers": {"accept": "image/*"}})
    upscale = Call(
        "POST", "/v2beta/stable-image/upscale/creative", {"files": {"image": upload(), **texts(prompt=PROMPT)}}
    )
    return Call("GET", f"/v2beta/results/{ask(client, server, upscale).json()['id']}", {"headers": {"accept": "*/*"}})


def _openai_images(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    if step == "health":
        return Call("GET", "/models/gpt-image-2")
    return Call(
        "POST", "/images/generations", {"json": {"model": "gpt-image-2", "prompt": PROMPT, "size": "1024x1024"}}
    )


def _flux(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    if step == "health":
        return Call("GET", "/v1/credits")
    if step == "submit":
        body = {"prompt": PROMPT, "width": WIDTH, "height": HEIGHT, "seed": 7}
        return Call("POST", "/v1/flux-pro-1.1", {"json": body})
    if step == "poll":
        return Call("GET", _got(client, server, "submit")["polling_url"])
    return Call("GET", _got(client, server, "poll")["result"]["sample"])


def _replicate_sdxl(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    if step == "health":
        return Call("GET", "/account")
    if step == "submit":
        given = {"prompt": PROMPT, "width": WIDTH, "height": HEIGHT, "seed": 7}
        how = {"json": {"version": SDXL_VERSION, "input": given}, "headers": {"cancel-after": "60s"}}
        return Call("POST", "/predictions", how)
    if step == "cancel":
        return Call("POST", _got(client, server, "submit")["urls"]["cancel"])
    if step == "poll":
        return Call("GET", _got(client, server, "submit")["urls"]["get"])
    return Call("GET", _got(client, server, "poll")["output"][0])


def _figma_api(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    assert isinstance(server, FigmaServer)
    if step == "health":
        return Call("GET", "/v1/me")
    if step == "submit":
        body = {"message": PROMPT, "client_meta": {"node_id": "1:2", "node_offset": {"x": 1, "y": 2}}}
        return Call("POST", f"/v1/files/{server.file_key}/comments", {"json": body})
    if step == "read":
        return Call("GET", f"/v1/files/{server.file_key}?depth=1")
    if step == "render":
        return Call("GET", f"/v1/images/{server.file_key}?ids=1:2&format=jpg&scale=0.5")
    return Call("GET", _got(client, server, "render")["images"]["1:2"])


def _canva_api(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    assert isinstance(server, CanvaServer)
    if step == "health":
        return Call("GET", "/v1/users/me")
    if step == "token":
        pair = base64.b64encode(f"{server.client_id}:{server.client_secret}".encode()).decode()
        form = {"grant_type": "refresh_token", "refresh_token": server.refresh_token}
        return Call("POST", "/v1/oauth/token", {"data": form, "headers": {"authorization": f"Basic {pair}"}})
    if step == "revoke":
        pair = base64.b64encode(f"{server.client_id}:{server.client_secret}".encode()).decode()
        how = {"data": {"token": server.refresh_token}, "headers": {"authorization": f"Basic {pair}"}}
        return Call("POST", "/v1/oauth/revoke", how)
    if step == "authorize":
        query = {
            "code_challenge": "x" * 43,
            "code_challenge_method": "S256",
            "scope": "asset:read asset:write",
            "response_type": "code",
            "client_id": server.client_id,
            "redirect_uri": "https://example.com/back",
            "state": "abc",
        }
        return Call("GET", f"{server.origin}/api/oauth/authorize?{urlencode(query)}")
    if step == "design_meta":
        return Call("GET", f"/v1/designs/{_got(client, server, 'design')['design']['id']}")
    if step == "move":
        item = _got(client, server, "design")["design"]["id"]
        return Call("POST", "/v1/folders/move", {"json": {"to_folder_id": "FAtest", "item_id": item}})
    if step == "submit":
        name = json.dumps({"name_base64": base64.b64encode(b"Lighthouse").decode()})
        headers = {"content-type": "application/octet-stream", "asset-upload-metadata": name}
        return Call("POST", "/v1/asset-uploads", {"content": pictures.picture(64, 48), "headers": headers})
    if step == "poll":
        return Call("GET", f"/v1/asset-uploads/{_got(client, server, 'submit')['job']['id']}")
    if step == "design":
        return Call("POST", "/v1/designs", {"json": DESIGN})
    if step == "export":
        design_id = _got(client, server, "design")["design"]["id"]
        return Call("POST", "/v1/exports", {"json": {"design_id": design_id, "format": {"type": "png"}}})
    if step == "export_poll":
        return Call("GET", f"/v1/exports/{_got(client, server, 'export')['job']['id']}")
    return Call("GET", _got(client, server, "export_poll")["job"]["urls"][0])


def _gemini(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    if step == "health":
        return Call("GET", "/models/gemini-nano-banana-2.1")
    config = {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9", "imageSize": "1K"}}
    body = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}], "generationConfig": config}
    return Call("POST", "/models/gemini-nano-banana-2.1:generateContent", {"json": body})


def _openrouter(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    if step == "health":
        return Call("GET", "/key")
    if step == "models":
        return Call("GET", "/images/models/black-forest-labs/flux.2-pro/endpoints")
    body = {"model": "black-forest-labs/flux.2-pro", "prompt": PROMPT, "provider": {"allow_fallbacks": False}}
    return Call("POST", "/images", {"json": body})


def _fal(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    paths = {
        "health": "/v1/account/billing?expand=credits",
        "prices": "/v1/models/pricing?endpoint_id=fal-ai/flux/dev",
        "requests": "/v1/models/requests/by-endpoint?endpoint_id=fal-ai/flux/dev&start=2026-01-01T00:00:00Z",
        "books": "/v1/models/billing-events?request_id=1",
        "keys": "/.well-known/jwks.json",
    }
    if step in paths:
        return Call("GET", paths[step])
    if step == "submit":
        headers = {
            "x-fal-no-retry": "1",
            "x-app-fal-disable-fallback": "true",
            "x-fal-request-timeout": "60",
            "x-fal-store-io": "0",
            "x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 3600}',
        }
        size = {"width": WIDTH, "height": HEIGHT}
        body = {"prompt": PROMPT, "image_size": size, "seed": 7, "output_format": "png"}
        return Call("POST", "/fal-ai/flux/dev", {"json": body, "headers": headers})
    if step == "cancel":
        return Call("PUT", _got(client, server, "submit")["cancel_url"])
    if step == "poll":
        return Call("GET", _got(client, server, "submit")["response_url"])
    return Call("GET", _got(client, server, "poll")["images"][0]["url"])


def _comfyui(client: httpx.Client, server: ProviderServer, step: str) -> Call:
    if step == "health":
        return Call("GET", "/system_stats")
    if step == "queue":
        return Call("GET", "/queue")
    if step == "submit":
        values = {"prompt": PROMPT, "negative_prompt": "", "width": WIDTH, "height": HEIGHT, "seed": 7}
        return Call("POST", "/prompt", {"json": {"prompt": filled(WORKFLOW, values), "client_id": "test"}})
    if step == "cancel":
        return Call("POST", "/queue", {"json": {"delete": [_got(client, server, "submit")["prompt_id"]]}})
    if step == "poll":
        return Call("GET", f"/history/{_got(client, server, 'submit')['prompt_id']}")
    [entry] = _got(client, server, "poll").values()
    return Call("GET", f"/view?{urlencode(entry['outputs']['9']['images'][0])}")
