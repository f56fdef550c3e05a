"""OpenRouter's Images API: pictures in one answer, the list of a model's servers, what is left of a key."""

from __future__ import annotations

import base64
import time
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from tests.servers.base import ProviderServer
from tests.servers.checks import Field, problems, words
from tests.servers.faults import Fault, FaultKind
from tests.servers.web import Answer, MalformedBody, Request, json_answer

RATIOS = words("1:1 4:3 3:4 3:2 2:3 16:9 9:16 21:9")
FIELDS = {
    "model": Field(required=True),
    "prompt": Field(required=True, minimum=1),
    "aspect_ratio": Field(),
    "resolution": Field(choices=("512", "1K", "2K", "4K")),
    "size": Field(),
    "n": Field("int", minimum=1, maximum=10),
    "quality": Field(choices=("auto", "low", "medium", "high")),
    "background": Field(choices=("auto", "opaque", "transparent")),
    "output_format": Field(choices=("png", "jpeg", "webp", "svg")),
    "output_compression": Field("int", minimum=0, maximum=100),
    "seed": Field("int"),
    "input_references": Field("list"),
    "provider": Field("object"),
    "stream": Field("bool"),
}
PROVIDER = {
    "order": Field("list"),
    "allow_fallbacks": Field("bool"),
    "data_collection": Field(choices=("allow", "deny")),
    "options": Field("object"),
}


def _enum(*values: str) -> dict[str, Any]:
    return {"type": "enum", "values": list(values)}


ENDPOINTS: dict[str, list[dict[str, Any]]] = {
    "black-forest-labs/flux.2-pro": [
        {
            "provider_name": "Black Forest Labs",
            "provider_slug": "black-forest-labs",
            "provider_tag": "black-forest-labs",
            "supported_parameters": {
                "aspect_ratio": _enum("auto", *RATIOS),
                "output_format": _enum("png", "jpeg"),
                "seed": {"type": "boolean"},
                "n": {"type": "range", "min": 1, "max": 1},
            },
            "allowed_passthrough_parameters": ["steps", "guidance"],
            "supports_streaming": False,
            "pricing": [{"billable": "output_image", "unit": "megapixel", "cost_usd": 0.03}],
        }
    ],
    "bytedance-seed/seedream-4.5": [
        {
            "provider_name": "Seed",
            "provider_slug": "seed",
            "provider_tag": tag,
            "supported_parameters": {
                "aspect_ratio": _enum(*RATIOS, "9:19.5"),
                "resolution": _enum(*tiers),
                "seed": {"type": "boolean"},
            },
            "allowed_passthrough_parameters": [],
            "supports_streaming": False,
            "pricing": [{"billable": "output_image", "unit": "image", "cost_usd": cost}],
        }
        for tag, tiers, cost in (("seed", ("1K", "2K", "4K"), 0.04), ("seed/eu", ("1K", "2K"), 0.05))
    ],
    "openai/gpt-image-2": [
        {
            "provider_name": "OpenAI",
            "provider_slug": "openai",
            "provider_tag": "openai",
            "supported_parameters": {"aspect_ratio": _enum("1:1", "3:2", "2:3"), "quality": _enum("low", "high")},
            "allowed_passthrough_parameters": ["moderation"],
            "supports_streaming": True,
            "pricing": [{"billable": "output_image", "unit": "token", "cost_usd": 0.00003}],
        }
    ],
}
TYPES = {
    400: "invalid_request",
    401: "authentication",
    402: "payment_required",
    403: "permission_denied",
    404: "not_found",
    413: "payload_too_large",
    422: "unprocessable",
    429: "rate_limit_exceeded",
    500: "server",
    502: "provider_unavailable",
    503: "provider_overloaded",
    504: "timeout",
}


class OpenRouterServer(ProviderServer):
    """openrouter.ai/api/v1."""

    name = "openrouter"
    env_key = "OPENROUTER_API_KEY"
    base_path = "/api/v1"
    steps = ("submit", "models", "health", "other")
    special_faults: ClassVar = {
        "submit": (
            Fault.no_picture(),
            Fault.moderation(),
            Fault.http(502, code="content_policy_violation"),
            Fault.http(403, code="moderation"),
            Fault.http(200, code="provider_overloaded"),
            Fault.http(413),
            Fault.http(504),
        ),
    }

    def step_of(self, request: Request) -> str:
        path = request.path.removeprefix("/api/v1")
        if path == "/images":
            return "submit"
        if path.startswith("/images/models"):
            return "models"
        return "health" if path == "/key" else "other"

    def handle(self, request: Request) -> Answer:
        route = (request.method, request.step)
        if route == ("GET", "models"):
            return self._models(request)  # for everybody
        if request.headers.get("authorization") != f"Bearer {self.key}":
            raise self.refuse(401, request, message="No auth credentials found")
        if route == ("POST", "submit"):
            return self._generate(request)
        if route == ("GET", "health"):
            self.admit(request)
            return json_answer({"data": {"label": "test", "limit": 100, "limit_remaining": self.credits, "usage": 0.5}})
        raise self.refuse(404, request)

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        kind = TYPES.get(status) if code in ("", "moderation") else code
        metadata: dict[str, Any] = {"error_type": kind, "provider_name": "Black Forest Labs", "provider_code": None}
        if code == "moderation":
            metadata["reasons"] = ["violence"]
        number = 503 if status == 200 else status
        text = message or (kind or "error").replace("_", " ")
        return json_answer({"error": {"code": number, "message": text, "metadata": metadata}}, status)

    def refused(self, request: Request, fault: Fault) -> Answer | None:
        return self.error(400, request, code="content_policy_violation", message="The prompt was refused.")

    def _models(self, request: Request) -> Answer:
        self.admit(request)
        name = request.path.removeprefix("/api/v1/images/models").strip("/").removesuffix("/endpoints")
        if not name:
            return json_answer({"data": [{"id": model} for model in ENDPOINTS]})
        if name not in ENDPOINTS:
            raise self.refuse(404, request)
        return json_answer({"id": name, "endpoints": ENDPOINTS[name]})

    def _generate(self, request: Request) -> Answer:
        if request.media_type != "application/json":
            raise self.refuse(400, request, message="Send application/json.")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("the body must be an object")
        for found in [*problems(asked, FIELDS), *problems(asked.get("provider") or {}, PROVIDER)]:
            raise self.refuse(400, request, message=f"{found.field} {found.says}")
        for entry in asked.get("input_references", ()):
            url = entry.get("image_url", {}).get("url", "") if entry.get("type") == "image_url" else ""
            try:
                with Image.open(BytesIO(base64.b64decode(url.partition(";base64,")[2], validate=True))):
                    pass
            except (ValueError, OSError):
                raise self.refuse(400, request, message="input_references: not a picture.") from None
        model = asked["model"]
        if model not in ENDPOINTS:
            raise self.refuse(404, request, message=f"{model} does not exist")
        order = (asked.get("provider") or {}).get("order")
        endpoint = next((e for e in ENDPOINTS[model] if not order or e["provider_tag"] in order), None)
        if endpoint is None:
            raise self.refuse(404, request, message="No allowed providers are available for the selected model.")
        takes = endpoint["supported_parameters"]
        if asked.get("n", 1) > 1:
            raise self.refuse(400, request, message="This model makes one picture.")
        if "size" in asked and "size" not in takes:
            raise self.refuse(400, request, message="This model does not take exact pixels.")
        for name in ("aspect_ratio", "resolution"):
            if name in asked and self.strict and asked[name] not in takes.get(name, {}).get("values", ()):
                raise self.refuse(400, request, message=f"{name} {asked[name]} is not one of this model's.")
        self.admit(request)
        across, down = (float(word) for word in asked.get("aspect_ratio", "1:1").split(":"))
        side = {"512": 512, "1K": 1024, "2K": 2048, "4K": 4096}[asked.get("resolution", "1K")]
        width = round(side * (across / down) ** 0.5 / 16) * 16
        height = round(side * (down / across) ** 0.5 / 16) * 16
        self.buy(request, price=0.03, model=model, prompt=asked["prompt"], width=width, height=height)
        format = asked.get("output_format", "png")
        picture = self.make_picture(request, width, height, format, seed=self.chosen_seed(asked.get("seed")))
        data = [{"b64_json": base64.b64encode(picture).decode(), "media_type": f"image/{format}"}]
        if self.happens(request, FaultKind.NO_PICTURE):
            data = []
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": self.purchases[-1].cost}
        answer = json_answer({"created": int(time.time()), "data": data, "usage": usage})
        answer.headers["x-generation-id"] = f"gen-{self.new_id()}"
        return answer
