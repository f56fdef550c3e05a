"""Google's Gemini Developer API: generateContent of the image models and of one that answers in words, and the model
list's entries."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from tests.servers.base import ProviderServer
from tests.servers.checks import Field, problems
from tests.servers.faults import Fault, FaultKind
from tests.servers.web import Answer, MalformedBody, Request, json_answer

RATIOS = ("1:1", "2:3", "3:2", "3:4", "4:3", "9:16", "16:9", "21:9")
MORE_RATIOS = (*RATIOS, "4:5", "5:4", "1:4", "4:1", "1:8", "8:1")
SIDES = {"1K": 1024, "2K": 2048, "4K": 4096}
TOKENS = {"1K": 1120, "2K": 1680, "4K": 3780}
TOKENS_OF_PRO = {"1K": 1120, "2K": 1120, "4K": 2000}
# (ratios, values of imageSize; none: the field is not known) by model
MODELS = {
    "gemini-nano-banana-2.1": (MORE_RATIOS, ("1K", "2K", "4K")),
    "gemini-3-pro-image": (RATIOS, ("1K", "2K", "4K")),
    "gemini-3.1-flash-lite-image": (RATIOS, ()),
    "gemini-2.5-flash-image": (RATIOS, ()),
}
VISION_MODEL = "gemini-sees"
"""made up: it answers in words"""
WORDS = "A lighthouse at dawn."
"""what every picture shows"""
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
QUOTA = "type.googleapis.com/google.rpc.QuotaFailure"
BODY = {"contents": Field("list", required=True), "generationConfig": Field("object", required=True)}
CONFIG = {
    "responseModalities": Field("list", required=True),
    "imageConfig": Field("object"),
    "thinkingConfig": Field("object"),
}


class GeminiServer(ProviderServer):
    """generativelanguage.googleapis.com. The key is checked first; a wrong one is an invalid argument here."""

    name = "gemini"
    env_key = "GEMINI_API_KEY"
    base_path = "/v1beta"
    steps = ("submit", "health", "other")
    special_faults: ClassVar = {
        "submit": (
            Fault.no_picture(),
            Fault.moderation(),
            *(Fault.moderation(why) for why in ("prompt:JAILBREAK", "IMAGE_SAFETY", "RECITATION", "SPII")),
            Fault.http(504),
            Fault.http(400, code="FAILED_PRECONDITION"),
            Fault.rate_limited(code="retry_delay"),
            Fault.rate_limited(code="per_day"),
            Fault.rate_limited(code="limit_0"),
        ),
    }

    def _forget(self) -> None:
        super()._forget()
        self.parts_before: list[dict[str, Any]] = []
        """what stands in an answer before its picture: thoughts, drafts, words"""

    def step_of(self, request: Request) -> str:
        if request.path.endswith(":generateContent"):
            return "submit"
        return "health" if request.path.startswith("/v1beta/models") else "other"

    def handle(self, request: Request) -> Answer:
        self._check_key(request)
        path = request.path.removeprefix("/v1beta/models")
        model, _, method = path.removeprefix("/").partition(":")
        if request.method == "GET" and path == "":
            self.admit(request)
            return json_answer({"models": [_entry(name) for name in MODELS]})
        if not request.path.startswith("/v1beta/models/") or (request.method == "POST") != (method != ""):
            raise self.refuse(404, request, message="The requested URL was not found on this server.")
        if model == VISION_MODEL and request.method == "POST":
            return self._look(request)
        if model not in MODELS:
            text = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
            raise self.refuse(404, request, message=text)
        if request.method == "GET":
            self.admit(request)
            return json_answer(_entry(model))
        return self._generate(request, model)

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        details: list[dict[str, Any]] = []
        if code == "retry_delay":
            details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "21s"}]
        elif code == "per_day":
            violations = [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}]
            details = [{"@type": QUOTA, "violations": violations}, {"retryDelay": "3s"}]
        elif code == "limit_0":
            message = "You exceeded your current quota. * Quota exceeded for metric: requests, limit: 0"
        elif code == "API_KEY_INVALID":
            details = [{"@type": ERROR_INFO, "reason": code}]
        if code and not code.isupper():
            details.append({"@type": ERROR_INFO, "reason": code})
        named = code if code.isupper() and code != "API_KEY_INVALID" else STATUSES.get(status, "UNKNOWN")
        error = {"code": status, "message": message or f"{named} here.", "status": named, "details": details}
        return json_answer({"error": error}, status)

    def refused(self, request: Request, fault: Fault) -> Answer | None:
        usage = {"promptTokenCount": 0, "totalTokenCount": 0}
        if not fault.code or fault.code.startswith("prompt:"):
            why = fault.code.removeprefix("prompt:") or "PROHIBITED_CONTENT"
            return json_answer({"promptFeedback": {"blockReason": why}, "usageMetadata": usage})
        return json_answer({"candidates": [{"finishReason": fault.code, "index": 0}], "usageMetadata": usage})

    def _generate(self, request: Request, model: str) -> Answer:
        if request.media_type != "application/json":
            raise self._wrong(request, "Send application/json.")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("Invalid JSON payload received.")
        for data, known in ((asked, BODY), (asked.get("generationConfig"), CONFIG)):
            for problem in problems(data, known):
                raise self._wrong(request, f'Invalid JSON payload received. "{problem.field}": {problem.trouble}')
        config = asked["generationConfig"]
        if config["responseModalities"] != ["IMAGE"]:
            raise self._wrong(request, "responseModalities must be IMAGE here.")
        prompt, sources = self._parts(request, asked["contents"])
        ratio, size = self._shape(request, model, config.get("imageConfig", {}))
        thinking = config.get("thinkingConfig")
        if thinking is not None and (
            model != "gemini-nano-banana-2.1" or thinking.get("thinkingLevel") not in ("MINIMAL", "MEDIUM", "HIGH")
        ):
            raise self._wrong(request, "Thinking level is not supported for this model.")
        self.admit(request)
        across, _, down = ratio.partition(":")
        shape = math.sqrt(int(across) / int(down))
        width, height = (round(side / 16) * 16 for side in (SIDES[size] * shape, SIDES[size] / shape))
        self.buy(request, model=model, prompt=prompt, width=width, height=height)
        tokens = (TOKENS_OF_PRO if "pro" in model else TOKENS)[size]
        usage = {
            "promptTokenCount": max(1, len(prompt) // 4) + 1120 * sources,
            "candidatesTokenCount": tokens,
            "thoughtsTokenCount": 200,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": tokens}],
        }
        if self.happens(request, FaultKind.NO_PICTURE):
            parts = [{"text": "I would rather tell you of it."}]
            usage |= {"candidatesTokenCount": 9, "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 9}]}
        else:
            picture = self.make_picture(request, width, height, "png", seed=self.chosen_seed(None))
            data = base64.b64encode(picture).decode()
            parts = [*self.parts_before, {"inlineData": {"mimeType": "image/png", "data": data}}]
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": self.new_id()}
        return json_answer(answer)

    def _look(self, request: Request) -> Answer:
        asked = request.json()
        if request.media_type != "application/json" or not isinstance(asked, dict) or set(asked) != {"contents"}:
            raise self._wrong(request, "Send JSON with contents and nothing else.")
        prompt, sources = self._parts(request, asked["contents"])
        if sources != 1:
            raise self._wrong(request, "contents.parts: one text and one picture here.")
        self.admit(request)
        self.buy(request, model=VISION_MODEL, prompt=prompt)
        is_empty = self.happens(request, FaultKind.NO_PICTURE) is not None
        parts = [{"text": "It is dark.", "thought": True}, *([] if is_empty else [{"text": WORDS}])]
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": len(prompt) // 4 + 258, "candidatesTokenCount": 9, "thoughtsTokenCount": 20}
        facts = {"usageMetadata": usage, "modelVersion": VISION_MODEL, "responseId": self.new_id()}
        return json_answer({"candidates": [candidate], **facts})

    def _parts(self, request: Request, contents: list[Any]) -> tuple[str, int]:
        """(the prompt, how many pictures) of the one turn that is asked."""
        if len(contents) != 1 or set(contents[0]) != {"role", "parts"} or contents[0]["role"] != "user":
            raise self._wrong(request, "Please ensure that there is one turn with the user role.")
        parts = contents[0]["parts"]
        texts = [part["text"] for part in parts if set(part) == {"text"} and part["text"]]
        pictures = [part["inlineData"] for part in parts if set(part) == {"inlineData"}]
        if len(texts) != 1 or len(texts) + len(pictures) != len(parts) or len(pictures) > 14:
            raise self._wrong(request, "contents.parts: one text and up to 14 pictures.")
        for picture in pictures:
            try:
                if set(picture) != {"mimeType", "data"}:
                    raise ValueError
                with Image.open(BytesIO(base64.b64decode(picture["data"], validate=True))) as opened:
                    if f"image/{(opened.format or '').lower()}" != picture["mimeType"]:
                        raise ValueError
            except (OSError, ValueError):
                raise self._wrong(request, "Unable to process input image.") from None
        return texts[0], len(pictures)

    def _shape(self, request: Request, model: str, config: dict[str, Any]) -> tuple[str, str]:
        ratios, sizes = MODELS[model]
        if config.keys() - {"aspectRatio", "imageSize"}:
            raise self._wrong(request, f"Unknown name in imageConfig: {', '.join(config)}.")
        ratio, size = config.get("aspectRatio", "1:1"), config.get("imageSize", "1K")
        if ratio not in ratios:
            raise self._wrong(request, f"aspect_ratio must be one of {', '.join(ratios)}.")
        if "imageSize" in config and size not in sizes:
            raise self._wrong(request, f"image_size '{size}' is not supported for {model}.")
        return ratio, size

    def _wrong(self, request: Request, message: str) -> Exception:
        return self.refuse(400, request, message=message)

    def _check_key(self, request: Request) -> None:
        key = request.headers.get("x-goog-api-key", "")
        if not key:
            text = "Method doesn't allow unregistered callers (callers without established identity)."
            raise self.refuse(403, request, message=text)
        if key != self.key:
            text = "API key not valid. Please pass a valid API key."
            raise self.refuse(400, request, code="API_KEY_INVALID", message=text)


def _entry(model: str) -> dict[str, Any]:
    return {"name": f"models/{model}", "displayName": model, "supportedGenerationMethods": ["generateContent"]}
