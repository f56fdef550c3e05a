"""Black Forest Labs: submit, poll on another path with a region marker, fetch a signed sample without the key."""

from __future__ import annotations

import base64
import math
import re
import time
from http import HTTPStatus
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from tests.servers.base import ProviderServer
from tests.servers.books import Job
from tests.servers.checks import Field, Problem, problems, words
from tests.servers.faults import DEAD_PORT_URL, METADATA_URL, Fault, FaultKind
from tests.servers.web import Answer, Answered, MalformedBody, Request, json_answer

REGION = "test1"
MAX_FLUX2_PIXELS = 4 * 1024 * 1024
PYDANTIC_TYPES = {
    "missing": "missing",
    "unknown": "extra_forbidden",
    "type": "type_error",
    "choice": "enum",
    "minimum": "greater_than_equal",
    "maximum": "less_than_equal",
    "multiple": "multiple_of",
    "other": "value_error",
}

SHARED = {
    "seed": Field("int", nullable=True),
    "output_format": Field(nullable=True, choices=("jpeg", "png", "webp")),
    "webhook_url": Field(nullable=True, minimum=1, maximum=2083),
    "webhook_secret": Field(nullable=True),
}
SIDE_32 = Field("int", minimum=256, maximum=1440, multiple_of=32)
SIDE_16 = Field("int", nullable=True, minimum=64, multiple_of=16)
PROMPT = Field(nullable=True)
NEEDED_PROMPT = Field(required=True)
UPSAMPLING = Field("bool")
TOLERANCE_6 = Field("int", minimum=0, maximum=6)
TOLERANCE_5 = Field("int", minimum=0, maximum=5)
PICTURE = Field(nullable=True)
PICTURE_FIELDS = ("image", "mask", "image_prompt")

PRO = {
    **SHARED,
    "prompt": PROMPT,
    "image_prompt": PICTURE,
    "width": SIDE_32,
    "height": SIDE_32,
    "prompt_upsampling": UPSAMPLING,
    "safety_tolerance": TOLERANCE_6,
}
ULTRA = {
    **SHARED,
    "prompt": PROMPT,
    "prompt_upsampling": UPSAMPLING,
    "aspect_ratio": Field(),
    "safety_tolerance": TOLERANCE_6,
    "raw": Field("bool"),
    "image_prompt": PICTURE,
    "image_prompt_strength": Field("number", minimum=0, maximum=1),
}
KONTEXT = {
    **SHARED,
    "prompt": NEEDED_PROMPT,
    "aspect_ratio": Field(nullable=True),
    "prompt_upsampling": UPSAMPLING,
    "safety_tolerance": TOLERANCE_6,
    **dict.fromkeys(("input_image", "input_image_2", "input_image_3", "input_image_4"), PICTURE),
}
FILL = {
    **SHARED,
    "image": Field(required=True),
    "mask": PICTURE,
    "prompt": PROMPT,
    "steps": Field("int", nullable=True, minimum=15, maximum=50),
    "guidance": Field("number", nullable=True, minimum=1.5, maximum=100),
    "prompt_upsampling": UPSAMPLING,
    "safety_tolerance": TOLERANCE_6,
}


SIDE = Field("int", nullable=True, minimum=0, maximum=2048)
EXPAND = {
    **{name: field for name, field in FILL.items() if name != "mask"},
    **dict.fromkeys(("top", "bottom", "left", "right"), SIDE),
}


def _flux2(pictures: int) -> dict[str, Field]:
    names = ["input_image", *(f"input_image_{number}" for number in range(2, pictures + 1))]
    return {
        **SHARED,
        "prompt": NEEDED_PROMPT,
        "width": SIDE_16,
        "height": SIDE_16,
        "safety_tolerance": TOLERANCE_5,
        **dict.fromkeys(names, PICTURE),
    }


FLEX = {
    **_flux2(8),
    "guidance": Field("number", nullable=True, minimum=1.5, maximum=10),
    "steps": Field("int", nullable=True, minimum=1, maximum=50),
    "prompt_upsampling": Field("bool", nullable=True),
}
DEV = {
    **PRO,
    "steps": Field("int", nullable=True, minimum=1, maximum=50),
    "guidance": Field("number", nullable=True, minimum=1.5, maximum=5),
}
FLUX_3_RATIOS = words("auto 21:9 2:1 16:9 3:2 7:5 4:3 5:4 1:1 4:5 3:4 5:7 2:3 9:16 1:2 9:21")
FLUX_3_SIDES = {"768sq": 768, "1k": 1024, "1.5k": 1536, "2k": 2048, "4k": 4096}
# Its schema is strict: what is not here is refused.
FLUX_3 = {
    "prompt": NEEDED_PROMPT,
    "images": Field("list", minimum=1, maximum=10),
    "aspect_ratio": Field(choices=FLUX_3_RATIOS),
    "resolution": Field(choices=tuple(FLUX_3_SIDES)),
    "grounding": Field("bool"),
    "safety_tolerance": Field("int", minimum=0, maximum=4),
    "version": Field(),
}
# fields and credits per picture (flux-2: for the first megapixel)
MODELS: dict[str, tuple[dict[str, Field], float]] = {
    "flux-pro-1.1": (PRO, 4.0),
    "flux-dev": (DEV, 2.5),
    "flux-pro-1.1-ultra": (ULTRA, 6.0),
    "flux-kontext-pro": (KONTEXT, 4.0),
    "flux-kontext-max": (KONTEXT, 8.0),
    "flux-pro-1.0-fill": (FILL, 5.0),
    "flux-pro-1.0-expand": (EXPAND, 5.0),
    "flux-3-image": (FLUX_3, 4.8),
    "flux-2-pro": (_flux2(8), 3.0),
    "flux-2-pro-preview": (_flux2(8), 3.0),
    "flux-2-max": (_flux2(8), 7.0),
    "flux-2-flex": (FLEX, 5.0),
    "flux-2-klein-4b": (_flux2(4), 1.4),
    "flux-2-klein-9b": (_flux2(4), 1.5),
    "flux-2-klein-9b-preview": (_flux2(4), 1.5),
}


class BFLServer(ProviderServer):
    """api.bfl.ai."""

    name = "flux"
    env_key = "BFL_API_KEY"
    steps = ("submit", "poll", "download", "health", "other")
    generate_steps = ("submit", "poll", "download")
    picture_step = "download"
    moderation_step = "poll"
    special_faults: ClassVar = {
        "submit": (Fault.foreign_url(METADATA_URL), Fault.foreign_url(DEAD_PORT_URL)),
        "poll": (
            Fault.no_picture(),
            Fault.moderation(),
            Fault.moderation("Content Moderated"),
            Fault.job_never_ends(),
            Fault.unknown_status(),
            Fault.task_not_found(),
            Fault.job_failed(),
            Fault.job_failed(http_status=422),
            Fault.foreign_url(METADATA_URL),
            Fault.foreign_url(DEAD_PORT_URL),
        ),
        "download": (Fault.expired(), Fault.expired(404)),
    }

    def _forget(self) -> None:
        super()._forget()
        self.active_limit: int | None = None
        """running tasks at which a submit is answered with 429; the vendor has 24"""

    def step_of(self, request: Request) -> str:
        if request.path == "/v1/get_result":
            return "poll"
        if request.path == "/v1/credits":
            return "health"
        if request.path.startswith("/delivery/"):
            return "download"
        return "submit" if request.path.startswith("/v1/") else "other"

    def handle(self, request: Request) -> Answer:
        if request.step == "download":
            return self._sample(request)
        key = request.headers.get("x-key")
        if key != self.key:
            raise self.refuse(401 if key else 403, request, message="Not authenticated")
        if request.step == "submit" and request.method == "POST":
            return self._submit(request, request.path.removeprefix("/v1/"))
        if request.step == "poll" and request.method == "GET":
            return self._poll(request)
        if request.step == "health" and request.method == "GET":
            self.admit(request)
            return json_answer({"credits": self.credits})
        raise self.refuse(405 if request.step != "other" else 404, request)

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        usual = {
            401: "Not authenticated",
            402: "Insufficient credits",
            403: "Not authenticated",
            429: "Too many active tasks",
        }
        return json_answer({"detail": message or code or usual.get(status) or HTTPStatus(status).phrase}, status)

    def _submit(self, request: Request, model: str) -> Answer:
        if model not in MODELS:
            raise self.refuse(404, request)
        fields, credits = MODELS[model]
        if request.media_type != "application/json":
            raise self._invalid(request, [Problem("", "type", "Input should be a valid JSON object")])
        try:
            asked = request.json()
        except MalformedBody:
            raise self._invalid(request, [Problem("0", "other", "JSON decode error")]) from None
        if not isinstance(asked, dict):
            raise self._invalid(request, [Problem("", "type", "Input should be a valid JSON object")])
        # The vendor drops unknown fields without a word; here they are refused while `strict`, so that we notice.
        found = problems(asked, fields, strict=self.strict or model.startswith("flux-3"))
        found = found or self._more_problems(model, asked)
        if found:
            raise self._invalid(request, found)
        running = sum(not job.ended for job in self.jobs.values())
        if self.active_limit is not None and running >= self.active_limit:
            raise self.refuse(429, request)
        self.admit(request)

        sources = self._sources(request, asked)
        width, height = _output_size(model, asked, sources)
        megapixels = width * height / 1024**2
        price = credits + (1.5 * max(0, math.ceil(megapixels) - 1) if model.startswith("flux-2") else 0)
        job = Job(
            self.new_id(),
            model=model,
            prompt=asked.get("prompt") or "",
            width=width,
            height=height,
            format=asked.get("output_format") or ("png" if "kontext" in model else "jpeg"),
            seed=self.chosen_seed(asked.get("seed")),
            created_at=time.time(),
        )
        self.jobs[job.id] = job
        bought = self.buy(
            request, price=price, model=model, prompt=job.prompt, width=width, height=height, job_id=job.id
        )
        request.leads_to = "poll"
        handed_over = round(sum(w * h for w, h in sources.values()) / 1024**2, 2)
        stated = {"cost": bought.cost, "input_mp": handed_over, "output_mp": round(megapixels, 2)}
        if asked.get("webhook_url"):
            return json_answer({"id": job.id, "status": "Pending", "webhook_url": asked["webhook_url"], **stated})
        foreign = self.happens(request, FaultKind.FOREIGN_URL)
        url = foreign.url if foreign else f"{self.origin}/v1/get_result?id={job.id}&region={REGION}"
        return json_answer({"id": job.id, "polling_url": url, **stated})

    def _more_problems(self, model: str, asked: dict[str, Any]) -> list[Problem]:
        """What the vendor's text says and its schema does not."""
        ratio = asked.get("aspect_ratio")
        if ratio is not None and not model.startswith("flux-3"):
            wide, low = (21 / 9, 9 / 21) if model.endswith("ultra") else (7 / 3, 3 / 7)
            match = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", ratio)
            if match is None or not low - 1e-9 <= int(match[1]) / int(match[2]) <= wide + 1e-9:
                return [Problem("aspect_ratio", "other", "Value error, aspect ratio is out of range")]
        if model.startswith("flux-2"):
            width, height = asked.get("width"), asked.get("height")
            if width and height and width * height > MAX_FLUX2_PIXELS:
                return [Problem("width", "other", "Value error, the picture is larger than 4 megapixels")]
        return []

    def _sources(self, request: Request, asked: dict[str, Any]) -> dict[str, tuple[int, int]]:
        """The sizes of the pictures that came along, by field; a mask must have that of its picture."""
        given = {
            name: value for name, value in asked.items() if name in PICTURE_FIELDS or name.startswith("input_image")
        }
        given |= {f"images.{number}": value for number, value in enumerate(asked.get("images") or ())}
        sizes = {}
        for name, value in given.items():
            try:
                with Image.open(BytesIO(base64.b64decode(value, validate=True))) as image:
                    sizes[name] = image.size
                    is_grey = image.mode == "L"
            except (ValueError, TypeError, OSError):
                raise self._invalid(request, [Problem(name, "other", "Value error, not a picture in base64")]) from None
            if name == "mask" and not is_grey:
                raise self._invalid(request, [Problem(name, "other", "Value error, the mask is not black and white")])
        if "mask" in sizes and sizes["mask"] != sizes["image"]:
            raise self._invalid(request, [Problem("mask", "other", "Value error, the mask has another size")])
        return sizes

    def _invalid(self, request: Request, found: list[Problem]) -> Exception:
        refusal = self.refuse(422, request)
        detail = [
            {"loc": ["body", *([one.field] if one.field else [])], "msg": one.says, "type": PYDANTIC_TYPES[one.trouble]}
            for one in found
        ]
        refusal.answer = json_answer({"detail": detail}, 422)
        return refusal

    def _poll(self, request: Request) -> Answer:
        job = self.jobs.get(request.query.get("id", ""))
        self.admit(request)
        # Tasks are regional: without the marker of the returned URL nobody here knows them.
        if job is None or request.query.get("region") != REGION or self.happens(request, FaultKind.TASK_NOT_FOUND):
            return _task(request.query.get("id", ""), "Task not found")
        fault = request.fault
        if fault is not None and fault.kind is FaultKind.MODERATION:
            job.ended = fault.code or "Request Moderated"
        elif fault is not None and fault.kind is FaultKind.JOB_FAILED:
            job.ended, job.error = "Error", fault.text
        if job.ended in ("Request Moderated", "Content Moderated"):
            return _task(job.id, job.ended, details={"Moderation Reasons": ["Violence"]})
        if job.ended == "Error":
            status = fault.status if fault is not None and fault.kind is FaultKind.JOB_FAILED else 200
            return _task(job.id, "Error", details={"error": job.error}, http_status=status)
        if word := self.happens(request, FaultKind.UNKNOWN_STATUS):
            return _task(job.id, word.text, progress=0.1)
        if self.happens(request, FaultKind.JOB_NEVER_ENDS):
            return _task(job.id, "Pending", progress=0.5)
        job.polls += 1
        if job.polls < self.polls_until_ready:
            return _task(job.id, "Pending", progress=round(job.polls / self.polls_until_ready, 2))
        job.ended = "Ready"
        if self.happens(request, FaultKind.NO_PICTURE):
            return _task(job.id, "Ready")
        request.leads_to = "download"
        foreign = self.happens(request, FaultKind.FOREIGN_URL)
        url = f"{self.delivery_origin}/delivery/{job.id}/sample.{job.format}?se=2099-01-01&sig={job.id[:8]}"
        result = {
            "sample": foreign.url if foreign else url,
            "prompt": job.prompt,
            "seed": job.seed,
            "start_time": job.created_at,
            "end_time": time.time(),
        }
        return _task(job.id, "Ready", result=result)

    def _sample(self, request: Request) -> Answer:
        job = self.jobs.get(request.path.split("/")[2])
        if request.method != "GET" or job is None or request.query.get("sig") != job.id[:8]:
            raise Answered(self.file_error(403))
        self.admit(request)
        return self.picture_file(request, job.width, job.height, job.format, seed=job.seed)


def _task(
    job_id: str,
    status: str,
    *,
    result: dict[str, Any] | None = None,
    progress: float | None = None,
    details: dict[str, Any] | None = None,
    http_status: int = 200,
) -> Answer:
    body = {"id": job_id, "status": status, "result": result, "progress": progress, "details": details, "preview": None}
    return json_answer(body, http_status)


def _output_size(model: str, asked: dict[str, Any], sources: dict[str, tuple[int, int]]) -> tuple[int, int]:
    if model in ("flux-pro-1.0-fill", "flux-pro-1.0-expand"):
        across, down = sources["image"]
        more = {side: asked.get(side) or 0 for side in ("left", "right", "top", "bottom")}
        return across + more["left"] + more["right"], down + more["top"] + more["bottom"]
    if "aspect_ratio" in MODELS[model][0]:
        ratio = asked.get("aspect_ratio") or ("16:9" if model.endswith("ultra") else "1:1")
        across, down = (int(word) for word in ratio.split(":"))
        side = 2048 if model.endswith("ultra") else 1024
        if model.startswith("flux-3"):
            side = FLUX_3_SIDES[asked.get("resolution") or "1k"]
        return round(side * math.sqrt(across / down) / 16) * 16, round(side * math.sqrt(down / across) / 16) * 16
    if model.startswith("flux-2"):
        return asked.get("width") or 1024, asked.get("height") or 1024
    return asked.get("width", 1024), asked.get("height", 768)
