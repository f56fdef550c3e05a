"""POST openai/v1/images/generations, GET openai/v1/models: what an OpenAI SDK asks, answered by our chain."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.http import HttpResponseBase, StreamingHttpResponse
from django.urls import path, re_path
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.authentication import TokenAuthentication
from mediagen.api.base import APIBase, AsyncAPIView, Nowhere, holds_a_worker
from mediagen.api.openai import errors, making, models
from mediagen.api.openai.errors import Refusal
from mediagen.api.openai.reading import Wanted, read
from mediagen.api.slashes import either_way
from mediagen.api.throttles import GenerateThrottle, RoleThrottle
from mediagen.engine.generation import idempotency
from mediagen.engine.library import Right
from mediagen.engine.work import in_server
from mediagen.models import MediaAsset

logger = logging.getLogger("mediagen.api")

MOST_SOURCES = 16
STILL_THERE_S = 15.0
"""silence after which a stream says that it lives"""


class Door:
    """Bearer tokens only, and refusals as OpenAI's. Not in our schema: it is described by theirs."""

    schema: Any = None

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [TokenAuthentication()]

    def get_exception_handler(self) -> Callable[[Exception, Any], Response | None]:
        return errors.handle

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        response["x-request-id"] = f"req_{uuid.uuid4().hex}"
        if response.status_code >= 500:
            logger.warning("%s was answered with %s", response["x-request-id"], response.status_code)
        return response


class ModelsView(Door, APIBase):
    """The names that `model` may have here."""

    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.GENERATE}

    def get(self, request: Request, name: str | None = None) -> Response:
        found = models.listed()
        if name is None:
            return Response({"object": "list", "data": found})
        model = next((model for model in found if model["id"] == name), None)
        if model is None:
            raise Refusal(404, f"The model '{name:.80}' does not exist here.", param="model", code="model_not_found")
        return Response(model)


class Elsewhere(Door, Nowhere):
    """Whatever else OpenAI has."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Refusal(
            404,
            f"There is no {request.method} {request.path:.200} here: only images/generations, images/edits and models.",
            code="unknown_url",
        )


class GenerationsView(Door, AsyncAPIView):
    """One to ten pictures of a prompt."""

    honours_key = True
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}
    throttle_classes: Any = (RoleThrottle, GenerateThrottle)

    async def post(self, request: Request) -> HttpResponseBase:
        wanted = read(request.data)
        return await self.made(request, wanted)

    async def made(self, request: Request, wanted: Wanted, sources: making.Sources | None = None) -> HttpResponseBase:
        sent, is_sync = _sent(request), holds_a_worker(request)
        is_short = is_sync and not await in_server.is_in_test()
        tasks = await making.begin(wanted, self.access, sent, sources, outlives_request=not is_short)
        if is_short:
            may_repeat = bool(sent.key) or sent.repeat is not None
            await making.wait(tasks, making.WSGI_WAIT_S, may_repeat=may_repeat)
        if wanted.stream:
            kind = "image_edit" if wanted.operation == "edit_image" else "image_generation"
            events = _events(tasks, wanted, kind)
            if is_sync:
                # The event loop of a sync server's request ends with this method, and the pictures' tasks with it.
                return streamed([event async for event in events])
            return streamed(events)
        return Response(await self.answer(request, await making.all_of(tasks), wanted))

    async def answer(self, request: Request, assets: Sequence[MediaAsset], wanted: Wanted) -> dict[str, Any]:
        data = []
        for asset in assets:
            address = making.address(asset, wanted.output_format) if wanted.as_url else ""
            if address:
                picture = {"url": request.build_absolute_uri(address)}
            else:  # where no file has an address, nobody who has paid goes away without his picture
                picture = {"b64_json": await making.encoded(asset, wanted.output_format)}
            data.append({**picture, **making.revised_prompt(asset), "mediagen": making.described(asset)})
        first = assets[0]
        size, format = f"{first.width}x{first.height}", wanted.output_format or first.format
        return {"created": making.now_s(), "data": data, "output_format": format, "size": size}


class EditsView(GenerationsView):
    """One to ten pictures made out of others: multipart/form-data, as the SDKs send it."""

    parser_classes: Any = (MultiPartParser,)

    async def post(self, request: Request) -> HttpResponseBase:
        data: Any = await sync_to_async(lambda: request.data)()  # which may be read from a file
        files = request.FILES
        images = [file for name in ("image", "image[]") for file in files.getlist(name)]
        masks = files.getlist("mask")
        if not 1 <= len(images) <= MOST_SOURCES:
            raise errors.invalid(f"Send 1 to {MOST_SOURCES} pictures as files.", "image", "missing_required_parameter")
        if len(masks) > 1:
            raise errors.invalid("Send one mask.", "mask")
        fields = {name.removesuffix("[]"): value for name, value in data.items() if name not in files}
        wanted = read(fields, "edit_image")
        sources = making.Sources(images, masks[0] if masks else None)
        return await self.made(request, wanted, sources)


def _sent(request: Request) -> making.Sent:
    """What the headers say of earlier requests that were the same. OpenAI's SDKs count their own repeats from 0."""
    key = request.headers.get("Idempotency-Key")
    count = request.headers.get("x-stainless-retry-count", "")
    return making.Sent(
        key="" if key is None else idempotency.check_key(key),
        repeat=int(count) if count.isascii() and count.isdecimal() and len(count) <= 4 else None,
    )


def streamed(events: AsyncIterator[bytes] | list[bytes]) -> StreamingHttpResponse:
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def _events(tasks: Sequence[Any], wanted: Wanted, kind: str) -> AsyncIterator[bytes]:
    """One `completed` event a picture. Parts of pictures are not sent: no provider of the chain gives them."""
    failure: BaseException | None = None
    made = 0
    async for result in making.as_they_come(tasks, STILL_THERE_S):
        if result is None:
            yield b": still there\n\n"
        elif isinstance(result, MediaAsset):
            try:
                content = await making.encoded(result, wanted.output_format)
            except Exception as exc:
                failure = exc
                continue
            made += 1
            event = {
                "type": f"{kind}.completed",
                "b64_json": content,
                "created_at": making.now_s(),
                "size": f"{result.width}x{result.height}",
                "quality": wanted.options.get("quality", "auto"),
                "background": wanted.options.get("background", "auto"),
                "output_format": wanted.output_format or result.format,
                **making.revised_prompt(result),
                "mediagen": making.described(result),
            }
            yield _event(event["type"], event)
        else:
            failure = result
    if failure is not None and not made:
        yield _event("error", errors.refusal_of(failure).body)


def _event(name: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


routes = [
    path("openai/v1/images/generations", GenerationsView.as_view(), name="openai-generations"),
    path("openai/v1/images/edits", EditsView.as_view(), name="openai-edits"),
    path("openai/v1/models", ModelsView.as_view(), name="openai-models"),
    path("openai/v1/models/<str:name>", ModelsView.as_view(), name="openai-model"),
    re_path(r"^openai/", either_way(Elsewhere.as_view())),
]
