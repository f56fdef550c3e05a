"""Stability AI: v2beta (multipart) and the v1 SDXL engine (JSON). Like the vendor, it checks input before the key."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from tests.servers import pictures
from tests.servers.base import ProviderServer
from tests.servers.books import Job
from tests.servers.checks import Problem, problems, values
from tests.servers.faults import Fault, FaultKind
from tests.servers.stability_fields import (
    ENDPOINTS,
    SD3_CREDITS,
    V1_ENGINE,
    V1_FIELDS,
    V1_PROMPT_FIELDS,
    V1_SIZES,
    Endpoint,
)
from tests.servers.web import Answer, MalformedBody, Part, Request, json_answer

MAX_BODY_BYTES = 10 * 1024 * 1024
V2 = "/v2beta/stable-image/"
RESULTS = "/v2beta/results/"
NAMES = {
    400: "bad_request",
    401: "unauthorized",
    402: "payment_required",
    403: "forbidden",
    404: "not_found",
    408: "request_timeout",
    413: "payload_too_large",
    422: "invalid_language",
    429: "rate_limit_exceeded",
    500: "internal_error",
    502: "bad_gateway",
    503: "service_unavailable",
}


class StabilityServer(ProviderServer):
    """api.stability.ai. `poll` is the result of an asynchronous upscale, which no text-to-image call needs."""

    name = "sdxl"
    env_key = "SDXL_API_KEY"
    steps = ("submit", "poll", "health", "other")
    special_faults: ClassVar = {
        "submit": (
            Fault.no_picture(),
            Fault.moderation(),
            Fault.content_filtered(),
            Fault.http(422, code="invalid_language"),
            Fault.http(422, code="public_figure"),
            Fault.rate_limited(code="insufficient_balance"),
        ),
        "poll": (Fault.job_never_ends(), Fault.task_not_found(), Fault.content_filtered()),
    }

    def step_of(self, request: Request) -> str:
        if request.path.startswith("/v1/user/"):
            return "health"
        if request.path.startswith(RESULTS):
            return "poll"
        return "submit" if request.path.startswith((V2, "/v1/generation/")) else "other"

    def common_headers(self) -> dict[str, str]:
        return {"x-request-id": self.new_id().replace("-", "")}

    def handle(self, request: Request) -> Answer:
        path, method = request.path, request.method
        if method == "POST" and path.startswith(V2) and (endpoint := ENDPOINTS.get(path.removeprefix(V2))):
            return self._v2(request, path.removeprefix(V2), endpoint)
        if method == "POST" and path.startswith("/v1/generation/"):
            return self._v1(request)
        if method == "GET" and path.startswith(RESULTS):
            return self._result(request, path.removeprefix(RESULTS))
        if method == "GET" and path in ("/v1/user/balance", "/v1/user/account"):
            return self._user(request)
        raise self.refuse(404, request, message="resource not found")

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        name = code or NAMES.get(status, "internal_error")
        text = message or f"{name.replace('_', ' ')}."
        body: dict[str, Any] = {"id": self.new_id().replace("-", ""), "name": name}
        # v1 says `message`, v2beta `errors`.
        body |= {"message": text} if request.path.startswith("/v1/") else {"errors": [text]}
        return json_answer(body, status)

    def refused(self, request: Request, fault: Fault) -> Answer | None:
        text = "Your request was flagged by our content moderation system and was not processed."
        if request.path.startswith("/v1/"):
            return self.error(400, request, code=fault.code or "invalid_prompts", message=text)
        return self.error(403, request, code=fault.code or "content_moderation", message=text)

    # v2beta
    def _v2(self, request: Request, path: str, endpoint: Endpoint) -> Answer:
        wants_json = endpoint.is_async or self._accepts(request, ("image/*", "application/json"))
        if len(request.body) > MAX_BODY_BYTES:
            raise self.refuse(413, request, message="body: payloads cannot be larger than 10MiB in size")
        if request.media_type != "multipart/form-data":
            raise self.refuse(400, request, message="content-type: must be multipart/form-data")
        form = request.form()
        self._complain(request, problems(form, endpoint.fields, strict=self.strict))
        asked = values(form, endpoint.fields)
        sizes = {
            name: self._picture_size(request, name, part, endpoint) for name, part in form.items() if part.filename
        }
        self._check_image_mode(request, path, asked)
        self._check_client_headers(request)
        self._check_key(request)
        self.admit(request)

        width, height = _output_size(endpoint, asked, sizes)
        seed = self.chosen_seed(int(asked.get("seed", 0)) or None)
        format = asked.get("output_format", "png")
        model = asked.get("model", "sd3.5-large") if path == "generate/sd3" else path.rpartition("/")[2]
        what: dict[str, Any] = {"model": model, "prompt": asked.get("prompt", ""), "width": width, "height": height}
        price = SD3_CREDITS.get(model, endpoint.credits)
        if endpoint.is_async:
            job = Job((self.new_id() + self.new_id()).replace("-", ""), **what, format=format, seed=seed)
            self.jobs[job.id] = job
            self.buy(request, price=price, job_id=job.id, **what)
            request.leads_to = "poll"
            return json_answer({"id": job.id})
        self.buy(request, price=price, **what)
        return self._v2_picture(request, width, height, format, seed, wants_json)

    def _v2_picture(self, request: Request, width: int, height: int, format: str, seed: int, as_json: bool) -> Answer:
        content, reason = self._picture(request, width, height, format, seed)
        if as_json:
            data = {"image": base64.b64encode(content).decode(), "seed": seed, "finish_reason": reason}
            if not content:
                del data["image"]
            return json_answer(data, content_type=f"application/json; type={pictures.MEDIA_TYPES[format]}")
        headers = {"seed": str(seed), "finish-reason": reason}
        is_json = self.happens(request, FaultKind.NOT_A_PICTURE) is not None
        return Answer(200, content, "application/json" if is_json else pictures.MEDIA_TYPES[format], headers)

    def _picture(self, request: Request, width: int, height: int, format: str, seed: int) -> tuple[bytes, str]:
        if self.happens(request, FaultKind.CONTENT_FILTERED):
            return pictures.blurred(width, height, format), "CONTENT_FILTERED"
        if self.happens(request, FaultKind.NO_PICTURE):
            return b"", "SUCCESS"
        return self.make_picture(request, width, height, format, seed=seed), "SUCCESS"

    def _picture_size(self, request: Request, name: str, part: Part, endpoint: Endpoint) -> tuple[int, int]:
        try:
            with Image.open(BytesIO(part.content), formats=("PNG", "JPEG", "WEBP")) as image:
                width, height = image.size
        except OSError:
            raise self.refuse(400, request, message=f"{name}: must be a PNG, JPEG or WebP picture") from None
        least, most = endpoint.sides
        if not (least <= min(width, height) and max(width, height) <= most):
            raise self.refuse(400, request, message=f"{name}: sides must be between {least} and {most} pixels")
        if not endpoint.area[0] <= width * height <= endpoint.area[1]:
            limits = f"{endpoint.area[0]} and {endpoint.area[1]} pixels"
            raise self.refuse(400, request, message=f"{name}: must have between {limits} in all")
        return width, height

    def _check_image_mode(self, request: Request, path: str, asked: dict[str, Any]) -> None:
        has_image = "image" in asked
        if path == "generate/sd3":
            wants_image = asked.get("mode", "text-to-image") == "image-to-image"
            if wants_image != has_image:
                raise self.refuse(400, request, message="image: goes with mode image-to-image, and only with it")
            if wants_image and "aspect_ratio" in asked:
                raise self.refuse(400, request, message="aspect_ratio: is not allowed with mode image-to-image")
        if path.startswith("generate/") and has_image != ("strength" in asked):
            raise self.refuse(400, request, message="strength: goes with image, and image with strength")
        if path == "edit/outpaint" and not any(asked.get(side) for side in ("left", "right", "up", "down")):
            raise self.refuse(400, request, message="left, right, up, down: one must be greater than 0")

    def _result(self, request: Request, job_id: str) -> Answer:
        as_json = self._accepts(request, ("*/*", "application/json"))
        job = self.jobs.get(job_id)
        # A wrong key looks the same as a wrong id.
        if job is None or self._sent_key(request) != self.key:
            raise self.refuse(404, request, code="generation_not_found", message="id: does not exist or has expired")
        self.admit(request)
        if self.happens(request, FaultKind.TASK_NOT_FOUND):
            raise self.refuse(404, request, code="generation_not_found", message="id: does not exist or has expired")
        running = self.happens(request, FaultKind.JOB_NEVER_ENDS) is not None
        job.polls += not running
        if running or job.polls < self.polls_until_ready:
            return json_answer({"id": job.id, "status": "in-progress"}, 202)
        return self._v2_picture(request, job.width, job.height, job.format, job.seed, as_json)

    # v1
    def _v1(self, request: Request) -> Answer:
        engine, _, operation = request.path.removeprefix("/v1/generation/").partition("/")
        if operation != "text-to-image":
            raise self.refuse(404, request, message="resource not found")
        if engine != V1_ENGINE:
            raise self.refuse(404, request, message=f"The specified engine (ID {engine}) was not found")
        as_json = self._accepts(request, ("application/json", "image/png"))
        if request.media_type != "application/json":
            raise self.refuse(400, request, message="content-type: must be application/json")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("the body must be a JSON object")
        self._complain(request, problems(asked, V1_FIELDS, strict=self.strict))
        for item in asked["text_prompts"]:
            item = item if isinstance(item, dict) else {}
            self._complain(request, problems(item, V1_PROMPT_FIELDS, strict=self.strict), "text_prompts.")
        width, height = asked.get("width", 512), asked.get("height", 512)
        if (width, height) not in V1_SIZES:
            allowed = ", ".join(f"{w}x{h}" for w, h in sorted(V1_SIZES))
            text = f"for {V1_ENGINE} the allowed dimensions are {allowed}, but we received {width}x{height}"
            raise self.refuse(400, request, code="invalid_sdxl_v1_dimensions", message=text)
        samples = asked.get("samples", 1)
        if not as_json and samples != 1:
            raise self.refuse(400, request, message="samples: must be 1 with accept image/png")
        self._check_key(request)
        self.admit(request)

        prompt = next((one["text"] for one in asked["text_prompts"] if one.get("weight", 1) > 0), "")
        what: dict[str, Any] = {"model": engine, "prompt": prompt, "width": width, "height": height}
        self.buy(request, price=0.4 * samples, **what)
        first = self.chosen_seed(asked.get("seed") or None)
        seeds = [first + number for number in range(samples)]
        if not as_json:
            return self._v2_picture(request, width, height, "png", seeds[0], as_json=False)
        made = [(seed, *self._picture(request, width, height, "png", seed)) for seed in seeds]
        artifacts = [
            {"base64": base64.b64encode(content).decode(), "seed": seed, "finishReason": reason}
            for seed, content, reason in made
            if content
        ]
        return json_answer({"artifacts": artifacts})

    def _user(self, request: Request) -> Answer:
        self._check_key(request)
        self.admit(request)
        if request.path.endswith("balance"):
            return json_answer({"credits": self.credits})
        return json_answer(
            {
                "id": "user-test",
                "email": "someone@example.com",
                "profile_picture": "https://example.com/me.png",
                "organizations": [{"id": "org-test", "name": "Test", "role": "MEMBER", "is_default": True}],
            }
        )

    # what both share
    def _accepts(self, request: Request, allowed: tuple[str, ...]) -> bool:
        """Whether JSON is wanted; the first of `allowed` is the default. Any other Accept is an error, `*/*` too."""
        accept = request.headers.get("accept", "") or allowed[0]
        if accept not in allowed:
            raise self.refuse(400, request, message=f"accept: must be one of {', '.join(allowed)}")
        return accept == "application/json"

    def _check_client_headers(self, request: Request) -> None:
        for name in ("stability-client-id", "stability-client-user-id", "stability-client-version"):
            if len(request.headers.get(name, "")) > 256:
                raise self.refuse(400, request, message=f"{name}: must be at most 256 characters")

    def _complain(self, request: Request, found: Sequence[Problem], prefix: str = "") -> None:
        if found:
            raise self.refuse(400, request, message="; ".join(f"{prefix}{one.field}: {one.says}" for one in found))

    def _sent_key(self, request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key if scheme == "Bearer" else ""

    def _check_key(self, request: Request) -> None:
        key = self._sent_key(request)
        if not key:
            raise self.refuse(401, request, message="authorization: is required")
        if key != self.key:
            # v1 repeats the key in full; whoever logs this message logs the key.
            text = f"Incorrect API key provided: {key}." if request.path.startswith("/v1/") else "invalid API key"
            raise self.refuse(401, request, message=text)


def _output_size(endpoint: Endpoint, asked: dict[str, Any], sizes: dict[str, tuple[int, int]]) -> tuple[int, int]:
    width, height = sizes.get("image", (0, 0))
    if endpoint.makes == "times_four":
        return 4 * width, 4 * height
    if endpoint.makes == "four_megapixels":
        scale = math.sqrt(4_194_304 / (width * height))
        return round(width * scale), round(height * scale)
    if endpoint.makes == "as_given":
        return (
            width + asked.get("left", 0) + asked.get("right", 0),
            height + asked.get("up", 0) + asked.get("down", 0),
        )
    across, down = (int(word) for word in asked.get("aspect_ratio", "1:1").split(":"))
    side = 1536 if endpoint.makes == "core" else 1024
    return (
        round(side * math.sqrt(across / down) / 64) * 64,
        round(side * math.sqrt(down / across) / 64) * 64,
    )
