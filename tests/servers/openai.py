"""OpenAI's image endpoints: generations (JSON, also streamed), edits (multipart), the model list's entries, and chat
completions about one picture."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Mapping
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from tests.servers.base import ProviderServer
from tests.servers.checks import Field, problems, values, words
from tests.servers.faults import Fault, FaultKind
from tests.servers.web import Answer, MalformedBody, Part, Request, json_answer

FREE_SIZE_MODELS = words(
    "gpt-image-2 gpt-image-2-2026-04-21 gpt-image-2.5-sunburst gpt-image-2.5-sunburst-2026-09-08 gpt-image-2.5-flare "
    "gpt-image-2.5-flare-2026-09-08 gpt-image-2.6-sunburst gpt-image-2.6-flare"
)
FIXED_SIZE_MODELS = ("gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image-latest")
MODELS = (*FREE_SIZE_MODELS, *FIXED_SIZE_MODELS)
FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536")
MIN_PIXELS, MAX_PIXELS, MAX_EDGE, GRID = 655_360, 8_294_400, 3_840, 16

COMMON_FIELDS = {
    "prompt": Field(required=True, minimum=1, maximum=32_000),
    "model": Field(nullable=True),
    "n": Field("int", nullable=True, minimum=1, maximum=10),
    "size": Field(nullable=True),
    "quality": Field(nullable=True, choices=("auto", "low", "medium", "high", "xhigh", "max")),
    "output_format": Field(nullable=True, choices=("png", "jpeg", "webp")),
    "output_compression": Field("int", nullable=True, minimum=0, maximum=100),
    "background": Field(nullable=True, choices=("auto", "opaque", "transparent")),
    "complexity": Field(nullable=True, choices=("low", "medium", "high")),
    "stream": Field("bool", nullable=True),
    "partial_images": Field("int", nullable=True, minimum=0, maximum=3),
    "user": Field(),
    "safety_identifier": Field(maximum=64),
}
GENERATE_FIELDS = {**COMMON_FIELDS, "moderation": Field(nullable=True, choices=("auto", "low"))}
EDIT_FIELDS = {
    **COMMON_FIELDS,
    "image": Field("file"),
    "mask": Field("file"),
    "input_fidelity": Field(nullable=True, choices=("high", "low")),
}
VISION_MODELS = words("gpt-sees gpt-sees-mini")
"""made up: the vendor's file names no model that has to see"""
CHAT_FIELDS = {
    "model": Field(required=True),
    "messages": Field("list", required=True, minimum=1),
    "max_completion_tokens": Field("int", nullable=True, minimum=1),
    "max_tokens": Field("int", nullable=True, minimum=1),
}
WORDS = "A lighthouse at dawn."
"""what every picture shows"""
# type and code of the error object, by status
KINDS = {
    400: ("invalid_request_error", "invalid_value"),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "organization_not_verified"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("invalid_request_error", "request_timeout"),
    409: ("invalid_request_error", "conflict"),
    429: ("requests", "rate_limit_exceeded"),
}
TYPES = {
    "moderation_blocked": "image_generation_user_error",
    "content_policy_violation": "invalid_request_error",
    "insufficient_quota": "insufficient_quota",
    "billing_hard_limit_reached": "invalid_request_error",
    "billing_not_active": "billing_not_active",
}
TOKENS = {"low": 272, "medium": 1_056, "high": 4_160, "xhigh": 6_000, "max": 8_000}


class OpenAIServer(ProviderServer):
    """api.openai.com/v1. The key is checked first, then the model, then the rest."""

    name = "openai_images"
    env_key = "OPENAI_API_KEY"
    base_path = "/v1"
    steps = ("submit", "health", "other")
    special_faults: ClassVar = {
        "submit": (
            Fault.no_picture(),
            Fault.moderation(),
            Fault.moderation("content_policy_violation"),
            Fault.http(400, code="billing_hard_limit_reached"),
            Fault.rate_limited(code="insufficient_quota"),
            Fault.rate_limited(code="billing_not_active"),
            Fault.http(409),
        ),
    }

    def _forget(self) -> None:
        super()._forget()
        self.shutdown_date: str | None = None
        """what the model's entry announces, as YYYY-MM-DD"""

    def step_of(self, request: Request) -> str:
        if request.path.startswith("/v1/images/") or request.path == "/v1/chat/completions":
            return "submit"
        return "health" if request.path.startswith("/v1/models") else "other"

    def common_headers(self) -> dict[str, str]:
        return {"x-request-id": "req_" + self.new_id().replace("-", "")}

    def handle(self, request: Request) -> Answer:
        self._check_key(request)
        route = (request.method, request.path)
        if route == ("POST", "/v1/images/generations"):
            return self._generate(request)
        if route == ("POST", "/v1/images/edits"):
            return self._edit(request)
        if route == ("POST", "/v1/chat/completions"):
            return self._chat(request)
        if route == ("GET", "/v1/models"):
            self.admit(request)
            return json_answer({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})
        if request.method == "GET" and request.path.startswith("/v1/models/"):
            return self._model(request, request.path.removeprefix("/v1/models/"))
        raise self.refuse(
            404, request, code="unknown_url", message=f"Unknown request URL: {request.method} {request.path}."
        )

    def error(
        self, status: int, request: Request, *, code: str = "", message: str = "", param: str | None = None, **more: Any
    ) -> Answer:
        kind, usual = KINDS.get(status, ("server_error", None if status >= 500 else "error"))
        kind = TYPES.get(code, kind)
        name = code or usual
        text = message or f"{(name or 'The server had an error while processing your request').replace('_', ' ')}."
        return json_answer({"error": {"message": text, "type": kind, "param": param, "code": name, **more}}, status)

    def refused(self, request: Request, fault: Fault) -> Answer | None:
        text = "Your request was rejected by the safety system."
        code = fault.code or "moderation_blocked"
        if code != "moderation_blocked":
            return self.error(400, request, code=code, message=text)
        details = {"moderation_stage": "input", "categories": ["violence"]}
        return self.error(400, request, code=code, message=text, moderation_details=details)

    def _generate(self, request: Request) -> Answer:
        if request.media_type != "application/json":
            raise self.refuse(400, request, code="unsupported_content_type", message="Send application/json.")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("We could not parse the JSON body of your request: it must be an object.")
        self._check(request, asked, GENERATE_FIELDS)
        return self._make(request, asked, kind="image_generation")

    def _chat(self, request: Request) -> Answer:
        asked = request.json()
        if request.media_type != "application/json" or not isinstance(asked, dict):
            raise MalformedBody("We could not parse the JSON body of your request: it must be an object.")
        self._check(request, asked, CHAT_FIELDS, VISION_MODELS)
        text, content = self._looked_at(request, asked["messages"])
        self.admit(request)
        with Image.open(BytesIO(content)) as image:
            width, height = image.size
        self.buy(request, model=asked["model"], prompt=text, width=width, height=height)
        is_empty = self.happens(request, FaultKind.NO_PICTURE) is not None
        message = {"role": "assistant", "content": "" if is_empty else WORDS, "refusal": None, "annotations": []}
        tokens = len(text) // 4 + width * height // 1000, 9
        usage = dict(zip(("prompt_tokens", "completion_tokens"), tokens, strict=True))
        return json_answer(
            {
                "id": f"chatcmpl-{self.new_id()}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": f"{asked['model']}-2026-10-01",
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
                "usage": {**usage, "total_tokens": sum(tokens)},
            }
        )

    def _looked_at(self, request: Request, messages: list[Any]) -> tuple[str, bytes]:
        """(what is asked, the picture) of the one message of a user."""
        try:
            [message] = messages
            text, image = message["content"]
            url = image["image_url"]["url"]
            right = (set(message), message["role"], set(text), set(image), set(image["image_url"])) == (
                {"role", "content"},
                "user",
                {"type", "text"},
                {"type", "image_url"},
                {"url"},
            )
            if not right or (text["type"], image["type"]) != ("text", "image_url") or not text["text"]:
                raise ValueError
            head, _, data = url.partition(";base64,")
            content = base64.b64decode(data, validate=True)
            with Image.open(BytesIO(content)) as picture:
                if head != f"data:image/{(picture.format or '').lower()}":
                    raise ValueError
        except (KeyError, TypeError, ValueError, OSError):
            raise self._wrong(request, "messages", "One message of a user: a text and a picture.") from None
        return text["text"], content

    def _edit(self, request: Request) -> Answer:
        if request.media_type != "multipart/form-data":
            raise self.refuse(400, request, code="unsupported_content_type", message="Send multipart/form-data.")
        images = [part for part in request.parts() if part.name in ("image", "image[]")]
        form = {part.name: part for part in request.parts() if part.name != "image[]"}
        self._check(request, form, EDIT_FIELDS)
        if not 1 <= len(images) <= 16 or any(part.filename is None for part in images):
            raise self._wrong(request, "image", "Send 1 to 16 image files.", code="missing_required_parameter")
        for part in images:
            try:
                with Image.open(BytesIO(part.content), formats=("PNG", "JPEG", "WEBP")):
                    pass
            except OSError:
                raise self._wrong(request, "image", "Invalid image file.", code="invalid_image_file") from None
        if (mask := form.get("mask")) is not None:
            self._check_mask(request, mask, images[0])
        asked = values(form, EDIT_FIELDS)
        if "input_fidelity" in asked and str(asked["model"]).startswith("gpt-image-2"):
            raise self._wrong(request, "input_fidelity", "input_fidelity is not supported by this model.")
        return self._make(request, asked, kind="image_edit")

    def _check_mask(self, request: Request, mask: Part, first: Part) -> None:
        try:
            with Image.open(BytesIO(mask.content), formats=("PNG",)) as image:
                has_alpha, size = "A" in image.getbands(), image.size
            with Image.open(BytesIO(first.content)) as image:
                wanted = image.size
        except OSError:
            raise self._wrong(request, "mask", "Invalid mask file.", code="invalid_image_file") from None
        if not has_alpha or size != wanted:
            raise self._wrong(request, "mask", "The mask needs an alpha channel, and the size of the first image.")

    def _check(
        self,
        request: Request,
        data: Mapping[str, Any],
        fields: Mapping[str, Field],
        models: tuple[str, ...] = MODELS,
    ) -> None:
        self._check_model(request, data, models)
        for problem in problems(data, fields):
            name, says = problem.field, problem.says
            if problem.trouble == "unknown":
                raise self._wrong(request, name, f"Unknown parameter: '{name}'.", code="unknown_parameter")
            if problem.trouble == "missing":
                text = f"Missing required parameter: '{name}'."
                raise self._wrong(request, name, text, code="missing_required_parameter")
            code = "invalid_type" if problem.trouble == "type" else "invalid_value"
            raise self._wrong(request, name, f"Invalid value for '{name}': {says}.", code=code)

    def _check_model(self, request: Request, data: Mapping[str, Any], models: tuple[str, ...] = MODELS) -> None:
        given = data.get("model") or "dall-e-2"  # what the vendor's file still names as the default
        model = given if isinstance(given, str) else getattr(given, "text", "")
        if model not in models:
            text = f"The model '{model}' does not exist or you do not have access to it."
            raise self._wrong(request, "model", text, status=404, code="model_not_found")

    def _make(self, request: Request, asked: dict[str, Any], kind: str) -> Answer:
        model = asked["model"]
        width, height = self._size(request, model, asked.get("size") or "auto")
        quality = asked.get("quality") or "auto"
        if quality in ("xhigh", "max") and not model.startswith(("gpt-image-2.5", "gpt-image-2.6")):
            raise self._wrong(request, "quality", f"quality '{quality}' is not supported by {model}.")
        format = asked.get("output_format") or "png"
        if asked.get("output_compression") is not None and format == "png":
            raise self._wrong(request, "output_compression", "Compression is for jpeg and webp only.")
        background = asked.get("background") or "auto"
        if background == "transparent" and (format == "jpeg" or re.fullmatch(r"gpt-image-2(-\d{4}-\d\d-\d\d)?", model)):
            raise self._wrong(request, "background", "Transparent background is not supported here.")
        self.admit(request)
        count = asked.get("n") or 1
        self.buy(request, model=model, prompt=asked["prompt"], width=width, height=height)
        made = [
            base64.b64encode(
                self.make_picture(
                    request, width, height, format, seed=self.chosen_seed(None), transparent=background == "transparent"
                )
            ).decode()
            for _ in range(0 if self.happens(request, FaultKind.NO_PICTURE) else count)
        ]
        facts = {
            "background": "opaque" if background == "auto" else background,
            "output_format": format,
            "quality": "medium" if quality == "auto" else quality,
            "size": f"{width}x{height}",
        }
        created = int(time.time())
        usage = _usage(asked["prompt"], facts["quality"], count * width * height)
        if asked.get("stream"):
            return _stream(kind, made, {**facts, "created_at": created}, usage, asked.get("partial_images") or 0)
        return json_answer({"created": created, "data": [{"b64_json": one} for one in made], **facts, "usage": usage})

    def _size(self, request: Request, model: str, size: str) -> tuple[int, int]:
        if size == "auto":
            return 1024, 1024
        if model in FIXED_SIZE_MODELS and size not in FIXED_SIZES:
            raise self._wrong(request, "size", f"Invalid size '{size}'. Supported: {', '.join(FIXED_SIZES)}, auto.")
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", size)
        if match is None:
            raise self._wrong(request, "size", f"Invalid size '{size}'. Expected WIDTHxHEIGHT.")
        width, height = int(match[1]), int(match[2])
        if width % GRID or height % GRID:
            raise self._wrong(request, "size", f"Invalid size '{size}'. Both sides must be multiples of {GRID}.")
        if max(width, height) > MAX_EDGE or max(width, height) > 3 * min(width, height):
            raise self._wrong(request, "size", f"Invalid size '{size}'. Edges up to {MAX_EDGE}, ratio up to 3:1.")
        if not MIN_PIXELS <= width * height <= MAX_PIXELS:
            raise self._wrong(request, "size", f"Invalid size '{size}'. {MIN_PIXELS} to {MAX_PIXELS} pixels.")
        return width, height

    def _model(self, request: Request, model: str) -> Answer:
        self._check_model(request, {"model": model})
        self.admit(request)
        entry = {"id": model, "object": "model", "created": 1_776_729_600, "owned_by": "system"}
        return json_answer(entry | ({"shutdown_date": self.shutdown_date} if self.shutdown_date else {}))

    def _wrong(
        self, request: Request, param: str, message: str, *, status: int = 400, code: str = "invalid_value"
    ) -> Exception:
        refusal = self.refuse(status, request)
        refusal.answer = self.error(status, request, code=code, message=message, param=param)
        return refusal

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            text = "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'."
            raise self.refuse(401, request, message=text)
        if key != self.key:
            masked = f"{key[:8]}{'*' * 8}{key[-4:]}"
            raise self.refuse(401, request, message=f"Incorrect API key provided: {masked}.")


def _usage(prompt: str, quality: str, pixels: int) -> dict[str, Any]:
    text = max(1, len(prompt) // 4)
    out = round(TOKENS[quality] * pixels / 1024**2)
    return {
        "input_tokens": text,
        "output_tokens": out,
        "total_tokens": text + out,
        "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
        "output_tokens_details": {"text_tokens": 0, "image_tokens": out},
    }


def _stream(kind: str, made: list[str], facts: dict[str, Any], usage: dict[str, Any], partials: int) -> Answer:
    events = [
        {"type": f"{kind}.partial_image", "b64_json": picture, "partial_image_index": number, **facts}
        for picture in made
        for number in range(partials)
    ]
    events += [{"type": f"{kind}.completed", "b64_json": picture, "usage": usage, **facts} for picture in made]
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return Answer(200, text.encode(), "text/event-stream")
