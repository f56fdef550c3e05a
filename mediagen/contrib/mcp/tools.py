"""What an assistant can do here: each tool is one request to the API, its answer in words, facts and thumbnails."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

from mediagen.contrib.mcp.inner import Answer, ask

THUMBNAIL_PX = 512
MOST_THUMBNAILS = 4
PATIENCE_S = 45
"""so long a tool waits unless told otherwise: many clients give up after a minute"""
LONGEST_WAIT_S = 110
LOOK_EVERY_S = 1.0
OVER = ("ready", "partial", "failed", "interrupted", "cancelled")


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answers."""

    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    thumbnails: list[bytes] = field(default_factory=list)
    """JPEGs"""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    title: str
    description: str
    properties: dict[str, Any]
    call: Callable[[HttpRequest, dict[str, Any]], Awaitable[Result]]
    required: tuple[str, ...] = ()
    is_read_only: bool = False
    costs: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }


def refusal(answer: Answer) -> Result:
    """The API's own words for what it refused: they say what to do."""
    problem = answer.json()
    return Result(f"{problem.get('title', 'Refused')}: {problem.get('detail', '')}", problem, is_error=True)


def asset_id(given: Mapping[str, Any], name: str = "id") -> str | None:
    """The id, as text; None when it is none, which would be an address that does not exist."""
    try:
        return str(UUID(str(given[name])))
    except (KeyError, ValueError):
        return None


NO_ID = Result("That is no id. search_images and generate_images give ids, which look like 01a2...-....", is_error=True)


# ---------------------------------------------------------------- making


async def generate(request: HttpRequest, given: dict[str, Any]) -> Result:
    return await _make(request, "generations", given)


async def edit(request: HttpRequest, given: dict[str, Any]) -> Result:
    return await _make(request, "edits", given)


async def _make(request: HttpRequest, route: str, given: dict[str, Any]) -> Result:
    body = dict(given)
    wait_s = _patience(body)
    key = body.pop("idempotency_key", None)
    headers = {"prefer": f"wait={wait_s}"} if wait_s else {}
    if key:
        headers["idempotency-key"] = str(key)
    answer = await ask(request, "POST", route, body=body, headers=headers)
    return await _told(request, answer.json()) if answer.is_ok else refusal(answer)


async def status(request: HttpRequest, given: dict[str, Any]) -> Result:
    pk = asset_id(given)
    if pk is None:
        return NO_ID
    until = time.monotonic() + _patience(dict(given), usual=0)
    while True:
        answer = await ask(request, "GET", "generation", pk)
        if not answer.is_ok:
            return refusal(answer)
        facts = answer.json()
        # A thread or process of its own (WSGI) must not wait.
        if facts["state"] in OVER or time.monotonic() > until or not isinstance(request, ASGIRequest):
            return await _told(request, facts)
        await asyncio.sleep(LOOK_EVERY_S)


def _patience(given: dict[str, Any], usual: int = PATIENCE_S) -> int:
    return max(0, min(int(given.pop("wait_seconds", usual)), LONGEST_WAIT_S))


async def _told(request: HttpRequest, facts: dict[str, Any]) -> Result:
    """A generation, as far as it is."""
    state, assets = facts["state"], facts["assets"]
    lines = [f"Generation {facts['id']} is {state}."]
    if state not in OVER:
        lines.append(f'It goes on by itself. Ask generation_status with id "{facts["id"]}" for it, do not ask anew.')
    ready = [asset for asset in assets if asset["state"] == "ready"]
    for asset in assets:
        why = (asset.get("failure") or {}).get("message")
        stands_in = " (a placeholder, not a real picture)" if asset.get("is_placeholder") else ""
        lines.append(f"- asset {asset['id']}: {asset['state']}{stands_in}{f': {why}' if why else ''}")
    if not any(asset["state"] == "failed" for asset in assets):
        return Result("\n".join(lines), facts, await _thumbnails(request, ready))
    return Result("\n".join(lines), facts, await _thumbnails(request, ready), is_error=not ready)


async def _thumbnails(request: HttpRequest, assets: Iterable[Mapping[str, Any]]) -> list[bytes]:
    found = [await thumbnail(request, asset["id"]) for asset in list(assets)[:MOST_THUMBNAILS]]
    return [content for content in found if content]


async def thumbnail(request: HttpRequest, pk: str, side_px: int = THUMBNAIL_PX) -> bytes | None:
    """A JPEG of the asset's picture; None when there is none, or when who asks may not read it."""
    answer = await ask(request, "GET", "asset-renditions", pk, query={"w": side_px, "format": "jpeg"})
    return answer.content if answer.status == 200 and answer.content_type == "image/jpeg" else None


# ---------------------------------------------------------------- finding and deciding


async def search(request: HttpRequest, given: dict[str, Any]) -> Result:
    query = {{"query": "q", "limit": "page_size"}.get(name, name): value for name, value in given.items()}
    answer = await ask(request, "GET", "assets", query={"page_size": 20, **query})
    if not answer.is_ok:
        return refusal(answer)
    facts = answer.json()
    lines = [f"{len(facts['results'])} assets."]
    lines += [f"- {a['id']}: {a['name']} ({a['state']}, {a['review']})" for a in facts["results"]]
    return Result("\n".join(lines), facts)


async def show(request: HttpRequest, given: dict[str, Any]) -> Result:
    pk = asset_id(given)
    if pk is None:
        return NO_ID
    answer = await ask(request, "GET", "asset", pk)
    if not answer.is_ok:
        return refusal(answer)
    facts = answer.json()
    text = f"{facts['name']} ({facts['state']}, {facts['review']}): {facts.get('alt_text') or facts.get('prompt', '')}"
    return Result(text, facts, await _thumbnails(request, [facts]))


async def approve(request: HttpRequest, given: dict[str, Any]) -> Result:
    pk = asset_id(given)
    if pk is None:
        return NO_ID
    answer = await ask(request, "POST", "asset-approve", pk)
    return Result(f"Asset {pk} is approved.", answer.json()) if answer.is_ok else refusal(answer)


async def export(request: HttpRequest, given: dict[str, Any]) -> Result:
    body = {("asset" if name == "id" else name): value for name, value in given.items()}
    answer = await ask(request, "POST", "exports", body=body)
    if not answer.is_ok:
        return refusal(answer)
    facts = answer.json()
    failed = facts["state"] == "failed"
    text = f"The export to {facts['target']} is {facts['state']}. {facts['message']} {facts['external_url']}".strip()
    return Result(text, facts, is_error=failed)


async def site_status(request: HttpRequest, given: dict[str, Any]) -> Result:
    parts: dict[str, Any] = {}
    for name, route in (("me", "me"), ("libraries", "libraries"), ("providers", "providers")):
        answer = await ask(request, "GET", route)
        parts[name] = answer.json() if answer.is_ok else {"refused": answer.json().get("detail", "")}
    if "refused" in parts["me"]:
        return Result(parts["me"]["refused"], parts, is_error=True)
    dry = "free placeholders unless told otherwise" if parts["me"]["is_dry"] else "live: pictures cost money"
    rights = ", ".join(name for name, may in parts["me"]["may"].items() if may) or "nothing"
    return Result(f"Signed in as {parts['me']['user']}, who may {rights}. Generation is {dry}.", parts)


# ---------------------------------------------------------------- the table

WAIT = {
    "type": "integer",
    "minimum": 0,
    "maximum": LONGEST_WAIT_S,
    "description": f"Seconds to wait for the pictures; {PATIENCE_S}. Then a handle comes back, and they go on.",
}
ID = {"type": "string", "format": "uuid"}
KEY = {"type": "string", "description": "Repeated with the same arguments nothing is made or paid again."}
LIBRARY = {"type": "string", "description": "Id, slug or name of a library. The token's, or the default one."}

TOOLS = (
    Tool(
        "generate_images",
        "Generate images",
        "Make pictures from a prompt. It may cost money: the answer has an estimate, and budgets are held. "
        "What is not ready in time goes on by itself; generation_status has it later.",
        {
            "prompt": {"type": "string", "minLength": 1},
            "negative_prompt": {"type": "string"},
            "count": {"type": "integer", "minimum": 1, "maximum": 10},
            "width": {"type": "integer", "minimum": 1, "description": "Pixels. 1024."},
            "height": {"type": "integer", "minimum": 1, "description": "Pixels. 1024."},
            "aspect_ratio": {"type": "string", "description": 'Like "16:9", instead of a side or both.'},
            "library": LIBRARY,
            "provider": {"type": "string", "description": "Asked instead of the chain."},
            "seed": {"type": "integer", "minimum": 0},
            "tags": {"type": "array", "items": {"type": "string"}},
            "name": {"type": "string"},
            "alt_text": {"type": "string"},
            "dry_run": {"type": "boolean", "description": "true: a free placeholder."},
            "idempotency_key": KEY,
            "wait_seconds": WAIT,
        },
        generate,
        required=("prompt",),
        costs=True,
    ),
    Tool(
        "generation_status",
        "How far a generation is",
        "The state and the assets of what generate_images has begun, by its id.",
        {"id": ID, "wait_seconds": WAIT},
        status,
        required=("id",),
        is_read_only=True,
    ),
    Tool(
        "search_images",
        "Search images",
        "Find assets of the media library. All words have to fit; without a query the newest come.",
        {
            "query": {"type": "string"},
            "library": LIBRARY,
            "tag": {"type": "string"},
            "review": {"type": "string", "enum": ["draft", "approved", "published", "archived"]},
            "mine": {"type": "boolean"},
            "limit": {"type": "integer", "minimum": 1, "maximum": 100},
        },
        search,
        is_read_only=True,
    ),
    Tool(
        "show_image",
        "Show an image",
        "The facts of an asset and a small picture of it.",
        {"id": ID},
        show,
        required=("id",),
        is_read_only=True,
    ),
    Tool(
        "approve_image",
        "Approve an image",
        "Approve a draft. A decision of the person: ask them first.",
        {"id": ID},
        approve,
        required=("id",),
    ),
    Tool(
        "export_image",
        "Export an image",
        "Put an asset into Figma (it waits for the plugin) or Canva.",
        {
            "id": ID,
            "target": {"type": "string", "enum": ["figma", "canva"]},
            "file_key": {"type": "string", "description": "Figma: key or address of the file."},
            "page_id": {"type": "string"},
            "title": {"type": "string"},
            "comment": {"type": "string"},
        },
        export,
        required=("id", "target"),
    ),
    Tool(
        "site_status",
        "What is there",
        "Who is signed in, with which rights and limits; the libraries; the providers and how they are.",
        {},
        site_status,
        is_read_only=True,
    ),
)
BY_NAME = {tool.name: tool for tool in TOOLS}


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
