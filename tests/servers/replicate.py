"""Replicate: predictions by version, polled and cancelled, files on a delivery host. Errors are problem+json."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any, ClassVar

from PIL import Image

from tests.servers.base import ProviderServer
from tests.servers.books import Job
from tests.servers.checks import Field, Problem, problems, words
from tests.servers.faults import DEAD_PORT_URL, METADATA_URL, Fault, FaultKind
from tests.servers.web import Answer, Answered, MalformedBody, Request, json_answer

SDXL = "stability-ai/sdxl"
SDXL_VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
ELEVEN = words("1:1 16:9 21:9 3:2 2:3 4:5 5:4 3:4 4:3 9:16 9:21")
PROMPT = {"prompt": Field(required=True)}
FORMAT = {"output_format": Field(choices=("png", "jpg", "webp"))}
GOOGLE = words("match_input_image 1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9")
SIDE_32 = Field("int", minimum=256, maximum=1440, multiple_of=32)
OFFICIAL_MODELS: dict[str, dict[str, Field]] = {
    "black-forest-labs/flux-schnell": {
        **PROMPT,
        **FORMAT,
        "aspect_ratio": Field(choices=ELEVEN),
        "seed": Field("int"),
        "num_outputs": Field("int", minimum=1, maximum=4),
        "num_inference_steps": Field("int", minimum=1, maximum=4),
        "disable_safety_checker": Field("bool"),
    },
    "black-forest-labs/flux-1.1-pro": {
        **PROMPT,
        **FORMAT,
        "aspect_ratio": Field(choices=("custom", *ELEVEN)),
        "width": SIDE_32,
        "height": SIDE_32,
        "seed": Field("int"),
    },
    "stability-ai/stable-diffusion-3.5-large": {
        **PROMPT,
        **FORMAT,
        "aspect_ratio": Field(choices=ELEVEN),
        "negative_prompt": Field(),
        "seed": Field("int"),
    },
    "google/nano-banana-pro": {
        **PROMPT,
        "aspect_ratio": Field(choices=GOOGLE),
        "resolution": Field(choices=("1K", "2K", "4K")),
        "output_format": Field(choices=("jpg", "png")),
        "image_input": Field("list"),
    },
    "bytedance/seedream-4.5": {
        **PROMPT,
        "aspect_ratio": Field(choices=words("match_input_image 1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9")),
        "size": Field(choices=("2K", "4K", "custom")),
        "max_images": Field("int", minimum=1, maximum=15),
    },
    "recraft-ai/recraft-v4": {
        **PROMPT,
        "aspect_ratio": Field(
            choices=("Not set", *words("1:1 4:3 3:4 3:2 2:3 16:9 9:16 1:2 2:1 4:5 5:4 6:10 14:10 10:14"))
        ),
        "size": Field(),
    },
    "acme/enlarger": {"image": Field(required=True), "scale": Field("int", minimum=1, maximum=10)},
    "acme/cutter": {"image": Field(required=True)},
    # Not in our table: what it takes has to be asked for.
    "acme/painter": {
        **PROMPT,
        "image_size": Field(required=True, choices=("1024x1024", "1536x1024", "1024x1536")),
        "num_images": Field("int", minimum=1, maximum=4),
        "negative_prompt": Field(),
    },
}
ENDED = ("succeeded", "failed", "canceled", "aborted")
NSFW = "NSFW content detected. Try running it again, or try a different prompt."

REQUEST_FIELDS = {
    "input": Field("object", required=True),
    "stream": Field("bool"),
    "webhook": Field(),
    "webhook_events_filter": Field("list"),
}
VERSION_REQUEST_FIELDS = {"version": Field(required=True), **REQUEST_FIELDS}
SDXL_INPUT = {
    "prompt": Field(),
    "negative_prompt": Field(),
    "image": Field(),
    "mask": Field(),
    "width": Field("int", minimum=8, maximum=4096, multiple_of=8),
    "height": Field("int", minimum=8, maximum=4096, multiple_of=8),
    "num_outputs": Field("int", minimum=1, maximum=4),
    "num_inference_steps": Field("int", minimum=1, maximum=500),
    "guidance_scale": Field("number", minimum=1, maximum=50),
    "prompt_strength": Field("number", minimum=0, maximum=1),
    "seed": Field("int"),
    "scheduler": Field(choices=words("DDIM DPMSolverMultistep HeunDiscrete KarrasDPM K_EULER_ANCESTRAL K_EULER PNDM")),
    "refine": Field(choices=("no_refiner", "expert_ensemble_refiner", "base_image_refiner")),
    "refine_steps": Field("int"),
    "high_noise_frac": Field("number", minimum=0, maximum=1),
    "apply_watermark": Field("bool"),
    "lora_scale": Field("number", minimum=0, maximum=1),
    "replicate_weights": Field(),
    "disable_safety_checker": Field("bool"),
}
TITLES = {
    400: "Bad Request",
    401: "Unauthenticated",
    402: "Insufficient credit",
    403: "Forbidden",
    404: "Not found",
    408: "Request Timeout",
    422: "Input validation failed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class ReplicateServer(ProviderServer):
    """api.replicate.com/v1."""

    name = "replicate_sdxl"
    env_key = "REPLICATE_API_KEY"
    base_path = "/v1"
    steps = ("submit", "poll", "cancel", "download", "health", "other")
    generate_steps = ("submit", "poll", "download")
    picture_step = "download"
    moderation_step = "poll"
    delivery_takes_key = True
    special_faults: ClassVar = {
        "submit": (Fault.foreign_url(METADATA_URL), Fault.http(422, code="Invalid version or not permitted")),
        "poll": (
            Fault.no_picture(),
            Fault.moderation(),
            Fault.job_never_ends(),
            Fault.unknown_status(),
            Fault.task_not_found(),
            Fault.job_failed(),
            Fault.job_failed("", status="canceled"),
            Fault.job_failed("", status="aborted"),
            Fault.foreign_url(METADATA_URL),
            Fault.foreign_url(DEAD_PORT_URL),
        ),
        "download": (Fault.expired(), Fault.expired(404)),
    }

    def _forget(self) -> None:
        super()._forget()
        self.versions = {SDXL_VERSION: SDXL}
        """known versions and their models; inputs are checked against SDXL's schema"""
        self.delivery_needs_key = False
        """whether files are served to holders of the token only"""
        self.files: dict[str, bytes] = {}
        """what was sent beforehand, by address"""
        self.signing_key = "whsec_" + base64.b64encode(b"a key for signing webhooks").decode()

    def step_of(self, request: Request) -> str:
        path = request.path
        if path.startswith("/delivery/"):
            return "download"
        if path == "/v1/account":
            return "health"
        if re.fullmatch(r"/v1/predictions|/v1/models/[^/]+/[^/]+/predictions", path):
            return "submit"
        if re.fullmatch(r"/v1/predictions/[^/]+/cancel", path):
            return "cancel"
        return "poll" if re.fullmatch(r"/v1/predictions/[^/]+", path) else "other"

    def handle(self, request: Request) -> Answer:
        route = (request.method, request.step)
        if request.step == "download":
            return self._file(request)
        if self._sent_key(request) != self.key:
            raise self.refuse(401, request, message="You did not pass a valid authentication token")
        if route == ("POST", "submit"):
            return self._create(request)
        if route == ("GET", "poll"):
            return self._get(request)
        if route == ("POST", "cancel"):
            return self._cancel(request)
        if route == ("GET", "health"):
            self.admit(request)
            return json_answer(
                {"type": "user", "username": "test", "name": "Test", "github_url": "https://example.com/test"}
            )
        described = re.fullmatch(r"/v1/models/([^/]+/[^/]+?)(?:/versions/([0-9a-f]{64}))?", request.path)
        if request.method == "GET" and described:
            return self._describe(request, *described.groups())
        if request.method == "POST" and request.path == "/v1/files":
            return self._keep_file(request)
        if request.method == "GET" and request.path == "/v1/webhooks/default/secret":
            self.admit(request)
            return json_answer({"key": self.signing_key})
        raise self.refuse(405 if request.step != "other" else 404, request)

    def error(self, status: int, request: Request, *, code: str = "", message: str = "", **more: Any) -> Answer:
        if status == 429:
            wait = request.fault.retry_after if request.fault is not None else None
            seconds = wait if isinstance(wait, int) else 30
            text = f"Request was throttled. Your rate limit resets in ~{seconds}s."
            return json_answer({"detail": text, "status": status}, status)
        title = code or TITLES.get(status, "Error")
        body = {"title": title, "detail": message or f"{title}.", "status": status, **more}
        return json_answer(body, status, "application/problem+json")

    def _describe(self, request: Request, model: str, version: str | None) -> Answer:
        if model not in OFFICIAL_MODELS and self.versions.get(version or "") != model:
            raise self.refuse(404, request, message="The requested resource could not be found.")
        self.admit(request)
        schema = schema_of(OFFICIAL_MODELS.get(model, SDXL_INPUT))
        if version:
            return json_answer({"id": version, "openapi_schema": schema})
        owner, _, name = model.partition("/")
        return json_answer({"owner": owner, "name": name, "latest_version": {"id": "a" * 64, "openapi_schema": schema}})

    def _create(self, request: Request) -> Answer:
        by_version = request.path == "/v1/predictions"
        if request.media_type != "application/json":
            raise self.refuse(400, request, message="The content type must be application/json")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("the body must be a JSON object")
        # No other keys: here the vendor's file says so itself.
        self._complain(request, problems(asked, VERSION_REQUEST_FIELDS if by_version else REQUEST_FIELDS))
        self._check_webhook(request, asked)
        waits = self._prefers_wait(request)
        deadline = self._cancel_after(request)
        if by_version:
            version, model = self._version(request, asked["version"])
        else:
            version, model = "hidden", request.path.removeprefix("/v1/models/").removesuffix("/predictions")
            if model not in OFFICIAL_MODELS:
                raise self.refuse(404, request, message="The requested resource could not be found.")
        given = asked["input"]
        self._complain(request, problems(given, OFFICIAL_MODELS.get(model, SDXL_INPUT), strict=self.strict), "input.")
        source = self._size_of_source(request, given)
        self.admit(request)

        width, height = given.get("width", 1024), given.get("height", 1024)
        if source is not None and model.startswith("acme/"):
            width, height = (side * given.get("scale", 1) for side in source)
        job = Job(
            self.new_id().replace("-", "")[:26],
            model=model,
            prompt=str(given.get("prompt", "")),
            width=width,
            height=height,
            seed=self.chosen_seed(given.get("seed")),
            count=given.get("num_outputs", 1),
            created_at=time.time(),
            data={"input": given, "version": version, "deadline": deadline},
        )
        self.jobs[job.id] = job
        self.buy(request, model=model, prompt=job.prompt, width=width, height=height, job_id=job.id)
        request.leads_to = "poll"
        if waits:  # holding the answer open is one look at the job; a wait that runs out is a normal answer
            job.polls += 1
            if job.polls >= self.polls_until_ready:
                job.ended = "succeeded"
                request.leads_to = "download"
        foreign = self.happens(request, FaultKind.FOREIGN_URL)
        answer = self._prediction(job, "starting")
        if foreign:
            answer["urls"]["get"] = answer["urls"]["cancel"] = foreign.url
        return json_answer(answer, 202 if waits and not job.ended else 201)

    def _keep_file(self, request: Request) -> Answer:
        part = request.form().get("content")
        if part is None or part.filename is None:
            self._complain(request, [Problem("content", "missing", "is required")])
        self.admit(request)
        file_id = self.new_id()
        url = f"{self.base_url}/files/{file_id}"
        self.files[url] = part.content if part is not None else b""
        return json_answer({"id": file_id, "urls": {"get": url}, "size": len(self.files[url])}, 201)

    def _size_of_source(self, request: Request, given: Mapping[str, Any]) -> tuple[int, int] | None:
        """Of the first picture among the inputs: a file that was sent, or a data URL of at most 256 KB."""
        found = next((given[name] for name in ("image", "image_input") if name in given), None)
        urls = found if isinstance(found, list) else [found] if found else []
        sizes = []
        for url in urls:
            head, _, encoded = url.partition(";base64,")
            try:
                if url not in self.files and (len(url) > 256 * 1024 or not head.startswith("data:image/")):
                    raise ValueError(url[:40])
                content = self.files[url] if url in self.files else base64.b64decode(encoded, validate=True)
                with Image.open(BytesIO(content)) as image:
                    sizes.append(image.size)
            except (ValueError, OSError):
                self._complain(request, [Problem("image", "other", "must be a file or a small data URL")], "input.")
        return sizes[0] if sizes else None

    def _version(self, request: Request, wanted: str) -> tuple[str, str]:
        name, _, version = wanted.rpartition(":") if ":" in wanted else ("", "", wanted)
        if re.fullmatch(r"[^/:]+/[^/:]+", wanted) and wanted in OFFICIAL_MODELS:
            return "hidden", wanted
        model = self.versions.get(version) if re.fullmatch(r"[0-9a-f]{64}", version) else None
        if model is None or (name and name != model):
            text = "The specified version does not exist (or perhaps you don't have permission to use it?)"
            raise self.refuse(422, request, code="Invalid version or not permitted", message=text)
        return version, model

    def _check_webhook(self, request: Request, asked: Mapping[str, Any]) -> None:
        webhook = asked.get("webhook")
        if webhook is not None and not webhook.startswith("https://"):
            self._complain(request, [Problem("webhook", "other", "must be an HTTPS URL")])
        known = ("start", "output", "logs", "completed")
        if any(event not in known for event in asked.get("webhook_events_filter", [])):
            self._complain(request, [Problem("webhook_events_filter", "choice", f"must be of {', '.join(known)}")])

    def _prefers_wait(self, request: Request) -> bool:
        prefer = request.headers.get("prefer")
        if prefer is not None and not re.fullmatch(r"wait(=([1-9]|[1-5][0-9]|60))?", prefer):
            raise self.refuse(400, request, message="Prefer must be wait or wait=1 to wait=60")
        return prefer is not None

    def _cancel_after(self, request: Request) -> datetime | None:
        value = request.headers.get("cancel-after")
        if value is None:
            return None
        match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", value) if value else None
        seconds = sum(int(n or 0) * unit for n, unit in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0
        if seconds < 5:
            raise self.refuse(
                400, request, message="Cancel-After must be a duration like 30s, 5m or 1h30m, at least 5s"
            )
        return datetime.now(UTC) + timedelta(seconds=seconds)

    def _get(self, request: Request) -> Answer:
        job = self._job(request, request.path.rpartition("/")[2])
        self.admit(request)
        fault = request.fault
        kind = fault.kind if fault is not None else None
        if kind is FaultKind.TASK_NOT_FOUND:
            raise self.refuse(404, request, message="The requested resource could not be found.")
        if fault is not None and kind is FaultKind.MODERATION:
            job.ended, job.error = "failed", fault.code or NSFW
        elif fault is not None and kind is FaultKind.JOB_FAILED:
            job.ended, job.error = fault.code or "failed", fault.text
        if fault is not None and kind is FaultKind.UNKNOWN_STATUS:
            return json_answer(self._prediction(job, fault.text))
        if not job.ended and kind is not FaultKind.JOB_NEVER_ENDS:
            job.polls += 1
            if job.polls >= self.polls_until_ready:
                job.ended = "succeeded"
        answer = self._prediction(job, "processing")
        if job.ended == "succeeded":
            request.leads_to = "download"
            if fault is not None and kind is FaultKind.FOREIGN_URL:
                answer["output"] = [fault.url]
            if kind is FaultKind.NO_PICTURE:
                answer["output"] = []
        return json_answer(answer)

    def _cancel(self, request: Request) -> Answer:
        job = self._job(request, request.path.split("/")[3])
        self.admit(request)
        if not job.ended:
            job.ended = "canceled"
            self.cancelled.append(job.id)
        return json_answer(self._prediction(job, "canceled"))

    def _job(self, request: Request, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise self.refuse(404, request, message="The requested resource could not be found.")
        return self.jobs[job_id]

    def _prediction(self, job: Job, running: str) -> dict[str, Any]:
        api = f"{self.base_url}/predictions/{job.id}"
        succeeded = job.ended == "succeeded"
        files = [f"{self.delivery_origin}/delivery/{job.id}/out-{number}.png" for number in range(job.count)]
        answer: dict[str, Any] = {
            "id": job.id,
            "model": job.model,
            "version": job.data["version"],
            "input": job.data["input"],
            "output": files if succeeded else None,
            "error": job.error or None,
            "status": job.ended or running,
            "logs": f"Using seed: {job.seed}\n" if job.ended else "",
            "source": "api",
            "data_removed": False,
            "metrics": {"predict_time": 2.5, "total_time": 3.0} if succeeded else {},
            "created_at": _iso(job.created_at),
            "urls": {"get": api, "cancel": f"{api}/cancel", "web": f"https://replicate.com/p/{job.id}"},
        }
        if running != "starting" or job.ended:
            answer["started_at"] = _iso(job.created_at)
        if job.ended:
            answer["completed_at"] = _iso(time.time())
        if job.data["deadline"] is not None:
            answer["deadline"] = job.data["deadline"].isoformat().replace("+00:00", "Z")
        return answer

    def _file(self, request: Request) -> Answer:
        _, _, job_id, file = (*request.path.split("/"), "", "")[:4]
        job, match = self.jobs.get(job_id), re.fullmatch(r"out-(\d)\.png", file)
        if request.method != "GET" or job is None or match is None or int(match[1]) >= job.count:
            raise Answered(self.file_error(404))
        if self.delivery_needs_key and self._sent_key(request) != self.key:
            raise Answered(self.file_error(401))
        self.admit(request)
        return self.picture_file(request, job.width, job.height, "png", seed=job.seed + int(match[1]))

    def _complain(self, request: Request, found: list[Problem], prefix: str = "") -> None:
        if not found:
            return
        fields = [{"type": one.trouble, "field": prefix + one.field, "description": one.says} for one in found]
        detail = "".join(f"- {one['field']}: {one['description']}\n" for one in fields)
        refusal = self.refuse(422, request)
        refusal.answer = self.error(422, request, message=detail, invalid_fields=fields)
        raise refusal

    def _sent_key(self, request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key if scheme == "Bearer" else ""


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat().replace("+00:00", "Z")


def schema_of(fields: Mapping[str, Field]) -> dict[str, Any]:
    """Inputs as a model's OpenAPI document has them: choices stand in a schema of their own."""
    kinds = {"int": "integer", "number": "number", "bool": "boolean", "list": "array"}
    properties: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for name, field in fields.items():
        if field.choices:
            schemas[name] = {"type": "string", "enum": list(field.choices)}
            properties[name] = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "description": ""}
        else:
            bounds = {"minimum": field.minimum, "maximum": field.maximum, "multipleOf": field.multiple_of}
            properties[name] = {"type": kinds.get(field.kind, "string")}
            properties[name] |= {key: value for key, value in bounds.items() if value is not None}
    required = [name for name, field in fields.items() if field.required]
    schemas["Input"] = {"type": "object", "properties": properties, "required": required}
    return {"openapi": "3.0.2", "components": {"schemas": schemas}}
