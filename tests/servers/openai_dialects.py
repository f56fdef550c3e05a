"""Services that speak OpenAI's image API in their own way, each as strict as its vendor, on one server.

No part of `SERVERS`: they are one provider's dialects. `server.dialect` says who it plays.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from tests.servers.base import ProviderServer
from tests.servers.checks import Field, problems
from tests.servers.faults import Fault, FaultKind
from tests.servers.web import Answer, MalformedBody, Request, json_answer

RATIOS = ("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1", "auto")
SIZE = Field(required=True)
B64 = Field(required=True, choices=("b64_json",))
PROMPT = {"prompt": Field(required=True, minimum=1), "model": Field(required=True), "n": Field("int", choices=())}


@dataclass(frozen=True)
class Manner:
    """What one vendor takes."""

    base_path: str
    fields: dict[str, Field]
    key_headers: tuple[str, ...] = ("authorization",)
    needs_key: bool = True
    moderation: dict[str, Any] = field(default_factory=dict)
    """its error object when it refuses"""
    area: tuple[int, int] = (65_536, 16_777_216)
    models_path: str = "/models"


MANNERS = {
    "azure": Manner(
        "/openai/v1",
        PROMPT | {"size": SIZE, "quality": Field(choices=("auto", "low", "medium", "high", "xhigh", "max"))},
        key_headers=("authorization", "api-key"),
        moderation={
            "code": "400",
            "message": "The response was filtered.",
            "inner_error": {"code": "ResponsibleAIPolicyViolation"},
        },
    ),
    "xai": Manner(
        "/v1",
        PROMPT
        | {
            "aspect_ratio": Field(required=True, choices=RATIOS),
            "resolution": Field(required=True, choices=("1k", "2k")),
            "quality": Field(choices=("low", "medium", "high")),
            "response_format": B64,
        },
        moderation={"code": "content_policy_violation", "message": "no"},
        models_path="/models/grok-imagine-image-2.0",
    ),
    "seedream": Manner(
        "/api/v3",
        {name: spec for name, spec in PROMPT.items() if name != "n"}
        | {
            "size": SIZE,
            "response_format": B64,
            "watermark": Field("bool", required=True),
            "image": Field("any"),
        },
        moderation={"code": "InputTextSensitiveContentDetected", "message": "no"},
        area=(3_686_400, 4_194_304),
        models_path="",
    ),
    "together": Manner(
        "/v1",
        PROMPT
        | {
            "width": Field("int", required=True, minimum=64, maximum=1792, multiple_of=16),
            "height": Field("int", required=True, minimum=64, maximum=1792, multiple_of=16),
            "response_format": Field(required=True, choices=("base64",)),
            "seed": Field("int"),
            "negative_prompt": Field(),
            "steps": Field("int"),
            "guidance_scale": Field("number"),
            "output_format": Field(choices=("jpeg", "png")),
        },
        moderation={"code": "content_moderation", "message": "NSFW content", "type": "invalid_request_error"},
    ),
    "vllm": Manner(
        "/v1",
        PROMPT
        | {
            "size": SIZE,
            "response_format": B64,
            "seed": Field("int"),
            "negative_prompt": Field(),
            "num_inference_steps": Field("int"),
            "guidance_scale": Field("number"),
        },
        needs_key=False,
        moderation={"code": "content_filter", "message": "no"},
    ),
    "localai": Manner(
        "/v1",
        PROMPT | {"size": SIZE, "step": Field("int"), "response_format": Field(choices=("url", "b64_json"))},
        needs_key=False,
        moderation={"code": "contentFilter", "message": "no"},
        models_path="/../readyz",
    ),
    "generic": Manner(
        "/v1",
        PROMPT | {"size": SIZE, "quality": Field(), "response_format": Field(choices=("url", "b64_json"))},
        needs_key=False,
        moderation={"code": "moderation_blocked", "message": "no"},
    ),
}


class DialectServer(ProviderServer):
    """Plays the service that `dialect` names."""

    name = "openai_images"
    env_key = "OPENAI_API_KEY"
    steps = ("submit", "health", "download", "other")
    special_faults: ClassVar = {"submit": (Fault.no_picture(), Fault.moderation())}

    def _forget(self) -> None:
        super()._forget()
        self.dialect = "generic"
        self.sources = 0
        """how many pictures the last edit came with"""

    @property
    def manner(self) -> Manner:
        return MANNERS[self.dialect]

    @property
    def base_url(self) -> str:
        return self.origin + self.manner.base_path

    def step_of(self, request: Request) -> str:
        if request.path.startswith("/files/"):
            return "download"
        if "/images/" in request.path:
            return "submit"
        return "health" if request.method == "GET" else "other"

    def handle(self, request: Request) -> Answer:
        if request.path.startswith("/files/"):
            self.admit(request)
            return self.picture_file(request, 64, 64, "png")
        is_old = request.path.startswith("/openai/deployments/") or request.path == "/openai/models"
        self._check_key(request, is_old=is_old)
        if request.method == "GET":
            return self._health(request)
        what = request.path.rpartition("/images/")[2]
        if is_old:
            if self.dialect != "azure" or not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", request.query["api-version"]):
                raise self.refuse(404, request, message="Resource not found")
            return self._make(request, request.json() | {"model": request.path.split("/")[3]})
        if request.path.removesuffix(f"/images/{what}") != self.manner.base_path:
            raise self.refuse(404, request, message="Not found")
        edits = {"azure": "edits", "xai": "edits", "generic": "edits"}
        if what not in ("generations", edits.get(self.dialect)):
            raise self.refuse(404, request, message="Not found")
        if request.media_type == "multipart/form-data" and what == "edits" and self.dialect != "xai":
            parts = request.parts()
            self.sources = sum(part.name == "image[]" for part in parts)
            return self._make(request, {part.name: part.text for part in parts if part.filename is None} | {"n": 1})
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("not an object")
        if what == "edits":
            asked = self._without_sources(request, asked)
        return self._make(request, asked)

    def _without_sources(self, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
        """xAI: one as `image`, 2 to 5 as `images`, each as the address of its data."""
        given = asked.pop("images", None) or [asked.pop("image", None)]
        for source in given:
            if not isinstance(source, dict) or set(source) != {"type", "url"} or source["type"] != "image_url":
                raise self.refuse(422, request, message="image: expected an image_url")
            self._check_source(request, source["url"])
        self.sources = len(given)
        return asked

    def _check_source(self, request: Request, url: str) -> None:
        head, _, data = url.partition(",")
        with Image.open(BytesIO(base64.b64decode(data, validate=True))) as picture:
            if head != f"data:image/{(picture.format or '').lower()};base64":
                raise self.refuse(400, request, message="image: wrong type")

    def _make(self, request: Request, asked: dict[str, Any]) -> Answer:
        for problem in problems(asked, self.manner.fields):
            if (problem.field, problem.trouble) != ("n", "choice"):
                raise self.refuse(400, request, message=f"Argument not supported: {problem.field} ({problem.says})")
        if (given := asked.get("image")) is not None:
            sources = [given] if isinstance(given, str) else given
            for url in sources:
                self._check_source(request, url)
            self.sources = len(sources)
        width, height = self._size(request, asked)
        self.admit(request)
        self.buy(request, model=asked["model"], prompt=asked["prompt"], width=width, height=height)
        if self.happens(request, FaultKind.NO_PICTURE):
            return json_answer({"created": 1, "data": []})
        if asked.get("response_format") == "url" or (self.dialect == "localai" and "response_format" not in asked):
            return json_answer({"created": 1, "data": [{"url": f"{self.delivery_origin}/files/1.png"}]})
        content = self.make_picture(request, width, height, "png")
        answer = {"created": 1, "data": [{"b64_json": base64.b64encode(content).decode()}]}
        if self.dialect == "xai":
            answer["usage"] = {"cost_in_usd_ticks": 400_000_000}
        return json_answer(answer)

    def _size(self, request: Request, asked: dict[str, Any]) -> tuple[int, int]:
        if "width" in asked:
            width, height = asked["width"], asked["height"]
        elif "aspect_ratio" in asked:
            side = {"1k": 1024, "2k": 2048}[asked["resolution"]]
            across, down = map(float, asked["aspect_ratio"].split(":"))
            shape = (across / down) ** 0.5
            width, height = round(side * shape / 16) * 16, round(side / shape / 16) * 16
        else:
            match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", asked["size"])
            if match is None:
                raise self.refuse(400, request, message="size")
            width, height = int(match[1]), int(match[2])
        low, high = self.manner.area
        if not low <= width * height <= high:
            raise self.refuse(400, request, message=f"image size must be at least {low} pixels")
        return width, height

    def _health(self, request: Request) -> Answer:
        known = self.manner.base_path + self.manner.models_path
        if self.manner.models_path == "/../readyz":
            known = "/readyz"
        if request.path not in (known, "/openai/models") or not self.manner.models_path:
            raise self.refuse(404, request, message="Not found")
        self.admit(request)
        if known == "/readyz":
            return Answer(200, b"OK", "text/plain")
        return json_answer({"id": "grok-imagine-image-2.0"} if self.dialect == "xai" else [{"id": "my-model"}])

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        return json_answer({"error": {"code": code or None, "message": message or "an error"}}, status)

    def refused(self, request: Request, fault: Fault) -> Answer | None:
        return json_answer({"error": self.manner.moderation}, 400)

    def _check_key(self, request: Request, *, is_old: bool) -> None:
        if not self.manner.needs_key:
            if any(name in request.headers for name in ("authorization", "api-key")):
                raise self.refuse(400, request, message="who needs a key?")
            return
        names = ("api-key",) if is_old else self.manner.key_headers
        given = [request.headers.get(name, "").removeprefix("Bearer ") for name in names]
        if set(given) != {self.key} or (is_old and "authorization" in request.headers):
            raise self.refuse(401, request, message="wrong key")
