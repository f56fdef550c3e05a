"""Providers that are not built on our base classes: opened, stood in for, and kept from giving secrets away."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from mediagen import conf, http, images
from mediagen.descriptions import DescribeRequest, one_line, rehearsed
from mediagen.errors import BadResponse, NotAPicture
from mediagen.operations import GENERATE, EditRequest
from mediagen.secrets import Secret
from mediagen.types import GeneratedImage, GenerationRequest, ImageDescription, usd_or_none


def name_of(provider: Any) -> str:
    return str(provider.get_name())


def model_of(provider: Any, operation: str) -> str:
    """The model that it asks for this operation: its own, unless its `model_asked_for(operation)` names another."""
    model_asked_for = getattr(provider, "model_asked_for", None)
    return str((model_asked_for(operation) if callable(model_asked_for) else getattr(provider, "model", "")) or "")


def lacks(provider: Any, operation: str) -> str:
    """Why the provider cannot be asked for this operation; "" when it can: it has the method, and does not say by
    `cannot(operation)` that it cannot with its model or settings."""
    if operation.startswith("_") or not callable(getattr(provider, operation, None)):
        return f"{name_of(provider)} does not have {operation}."
    cannot = getattr(provider, "cannot", None)
    return str(cannot(operation) or "") if callable(cannot) else ""


async def stand_in(provider: Any, operation: str, asked: Mapping[str, Any]) -> GeneratedImage:
    """A placeholder in the provider's name."""
    is_plain = operation == GENERATE
    request = GenerationRequest.checked(**asked) if is_plain else EditRequest.of(operation, **asked)
    content = await asyncio.to_thread(images.stand_in, name_of(provider), request)
    picture = images.inspect(content, max_pixels=request.width * request.height)
    return GeneratedImage(
        content=content,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        metadata={"dry_run": True, "prompt": request.prompt, "provider": name_of(provider)},
        provider_name=name_of(provider),
        cost=Decimal(0),
        is_placeholder=True,
        dry_run=True,
        sha256=picture.sha256,
    )


def stand_in_text(provider: Any, asked: Mapping[str, Any]) -> ImageDescription:
    """A rehearsal's text in the provider's name."""
    return rehearsed(name_of(provider), DescribeRequest.checked(**asked))


def described(provider: Any, result: Any) -> ImageDescription:
    """A description as it is kept: one line. `BadResponse`, with what it cost, when there is none in it."""
    if isinstance(result, str):
        result = ImageDescription(text=result)
    if not isinstance(result, ImageDescription):
        raise BadResponse(f"{name_of(provider)} answered with {type(result).__name__}, not an ImageDescription.")
    text = one_line(result.text)
    cost = usd_or_none(result.cost, name_of(provider))
    if not text:
        raise BadResponse(f"{name_of(provider)} answered with a description that has no words.", cost=cost)
    return replace(result, text=text, cost=cost, provider_name=result.provider_name or name_of(provider))


async def opened(provider: Any, result: GeneratedImage, prompt: str = "", *, strict: bool) -> GeneratedImage:
    """A result with its bytes fetched and looked into; `BadResponse` when they are no picture.

    Not `strict`: bytes of a kind that we do not know are handed on with `metadata["verified"]` False.
    """
    content: Any = result.content
    metadata = {"prompt": prompt, "provider": name_of(provider), **(result.metadata or {})}
    if isinstance(content, str):
        service = http.Service(str(getattr(provider, "base_url", "")), auth={}, timeout_s=60.0)
        content = await service.download(content)
    if not isinstance(content, bytes | bytearray | memoryview) or not content:
        raise BadResponse(f"{name_of(provider)} answered with a picture that has no bytes.", cost=result.cost)
    content = came = bytes(content)
    facts: dict[str, Any] = {}
    try:
        content, picture = images.tidied(
            content, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES")
        )
    except NotAPicture as exc:
        if strict or _claims_a_format(content) or _is_a_page(content):
            message = f"{name_of(provider)} answered without a usable picture: {exc}"
            raise BadResponse(message, cost=result.cost) from None
        metadata["verified"] = False
    else:
        facts = {"format": picture.format, "width": picture.width, "height": picture.height, "sha256": picture.sha256}
        facts["fit_report"] = {**(result.fit_report or {}), **picture.fit_report}
        if content is not came and not result.original:
            facts["original"] = came
    return replace(
        result,
        content=content,
        content_type="binary",
        metadata=metadata,
        provider_name=result.provider_name or name_of(provider),
        **facts,
    )


def secrets_of(provider: Any) -> list[Secret | str]:
    """What must not appear in a text about this provider: ours say it, a foreign one's likely attributes are taken."""
    found: list[Secret | str] = list(getattr(provider, "secrets", ()))
    for key, value in getattr(provider, "__dict__", {}).items():
        if isinstance(value, str) and any(word in key.lower() for word in ("key", "token", "secret", "password")):
            found.append(value)
    return found


SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF")


def _claims_a_format(content: bytes) -> bool:
    """Whether the bytes begin like a picture that we know: then they are a broken one."""
    return content.startswith(SIGNATURES) or content[4:8] == b"ftyp"


def text_of(exc: BaseException) -> str:
    """str(exc), also of an exception that cannot be printed."""
    try:
        return str(exc)
    except Exception:
        return "(it cannot be printed)"


def _is_a_page(content: bytes) -> bool:
    head = content[:256].lstrip().lower()
    return head.startswith((b"<!doctype", b"<html", b"<svg", b"<?xml", b"{", b"["))
