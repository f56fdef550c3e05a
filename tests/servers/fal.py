"""fal: the queue, the files, and the account's own API (prices, books, the list of requests) on one origin."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from datetime import UTC, datetime
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.servers.base import ProviderServer
from tests.servers.books import Job
from tests.servers.checks import Field, problems
from tests.servers.faults import DEAD_PORT_URL, METADATA_URL, Fault, FaultKind
from tests.servers.web import Answer, Answered, MalformedBody, Request, json_answer

SHARED = {
    "prompt": Field(required=True, minimum=1),
    "num_images": Field("int", minimum=1, maximum=4),
    "output_format": Field(choices=("png", "jpeg", "webp")),
    "enable_safety_checker": Field("bool"),
    "sync_mode": Field("bool"),
}
BY_SIZE = {
    **SHARED,
    "image_size": Field("any"),
    "seed": Field("int", minimum=0, maximum=2**31 - 1),
    "num_inference_steps": Field("int", minimum=1, maximum=50),
    "guidance_scale": Field("number", minimum=0, maximum=20),
    "acceleration": Field(choices=("none", "regular", "high")),
}
BY_TIER = {**SHARED, "aspect_ratio": Field(), "resolution": Field(choices=("1K", "2K", "4K"))}
# fields, USD a unit, the unit
MODELS: dict[str, tuple[dict[str, Field], float, str]] = {
    "fal-ai/flux/dev": (BY_SIZE, 0.025, "megapixels"),
    "fal-ai/flux/schnell": (BY_SIZE, 0.003, "megapixels"),
    "fal-ai/nano-banana-pro": (BY_TIER, 0.15, "images"),
}
NEEDED_HEADERS = {
    "x-fal-no-retry": r"1|true|yes",
    "x-app-fal-disable-fallback": r"true",
    "x-fal-request-timeout": r"[1-9]\d*",
    "x-fal-store-io": r"0",
    "x-fal-object-lifecycle-preference": r'\{"expiration_duration_seconds": \d+\}',
}

REFUSALS = ("content_policy_violation", "black picture")


class FalServer(ProviderServer):
    """queue.fal.run, api.fal.ai/v1 and rest.fal.ai."""

    name = "fal"
    env_key = "FAL_KEY"
    steps = ("submit", "poll", "cancel", "download", "health", "prices", "requests", "books", "keys", "other")
    generate_steps = ("submit", "poll", "download")
    picture_step = "download"
    moderation_step = "poll"
    special_faults: ClassVar = {
        "submit": (
            Fault.foreign_url(METADATA_URL),
            Fault.foreign_url(DEAD_PORT_URL),
            Fault.http(422, code="content_policy_violation"),
            Fault.http(403, code="balance"),
        ),
        "poll": (
            Fault.no_picture(),
            Fault.moderation(),
            Fault.moderation("black picture"),
            Fault.job_never_ends(),
            Fault.unknown_status(),
            Fault.task_not_found(),
            Fault.job_failed("runner_disconnected"),
            Fault.job_failed("request_timeout", http_status=200),
            Fault.foreign_url(METADATA_URL),
            Fault.foreign_url(DEAD_PORT_URL),
        ),
        "download": (Fault.expired(), Fault.expired(404)),
    }

    def _forget(self) -> None:
        super()._forget()
        self.keeps_payloads = False
        """whether the list of requests shows what they were sent (an account's setting against X-Fal-Store-IO)"""
        self.is_admin = True
        """whether the key may read the account's books"""
        self.bills_units = True
        self.signing_key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fal's own key").digest())

    def step_of(self, request: Request) -> str:
        path = request.path
        known = {
            "/v1/account/billing": "health",
            "/v1/models/pricing": "prices",
            "/v1/models/requests/by-endpoint": "requests",
            "/v1/models/billing-events": "books",
            "/.well-known/jwks.json": "keys",
        }
        if path in known:
            return known[path]
        if path.startswith("/files/"):
            return "download"
        if found := re.fullmatch(r"/[^/]+/[^/]+/requests/[^/]+(/status|/cancel)?", path):
            return "cancel" if found[1] == "/cancel" else "poll"
        return "submit" if request.method == "POST" else "other"

    def handle(self, request: Request) -> Answer:
        if request.step == "download":
            return self._file(request)
        if request.step == "keys":
            self.admit(request)
            raw = self.signing_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            older = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
            keys = [older.public_bytes(Encoding.Raw, PublicFormat.Raw), raw]
            named = [base64.urlsafe_b64encode(key).decode().rstrip("=") for key in keys]
            return json_answer({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x} for x in named]})
        if request.headers.get("authorization") != f"Key {self.key}":
            raise self.refuse(401, request, message="Cannot access application: no user found for this key")
        route = (request.method, request.step)
        handlers = {
            ("POST", "submit"): self._submit,
            ("GET", "poll"): self._poll,
            ("PUT", "cancel"): self._cancel,
            ("GET", "health"): self._billing,
            ("GET", "prices"): self._prices,
            ("GET", "requests"): self._requests,
            ("GET", "books"): self._books,
        }
        if route not in handlers:
            raise self.refuse(405 if request.step != "other" else 404, request)
        return handlers[route](request)

    def error(self, status: int, request: Request, *, code: str = "", message: str = "") -> Answer:
        if request.step in ("health", "prices", "requests", "books"):
            kind = {401: "authorization_error", 403: "authorization_error", 429: "rate_limited"}.get(
                status, "server_error"
            )
            return json_answer({"error": {"type": kind, "message": message or code or kind}}, status)
        if code == "content_policy_violation":
            return json_answer({"detail": [_refusal()]}, status)
        if code == "balance":
            return json_answer({"detail": "User is locked. Reason: Exhausted balance. Top up your balance."}, status)
        return json_answer({"detail": message or code or f"error {status}"}, status)

    def _submit(self, request: Request) -> Answer:
        model = request.path.strip("/")
        if model not in MODELS:
            raise self.refuse(404, request, message=f"Application {model} not found")
        if request.media_type != "application/json":
            raise self.refuse(422, request, message="Send JSON.")
        for name, pattern in NEEDED_HEADERS.items():
            if self.strict and not re.fullmatch(pattern, request.headers.get(name, "")):
                raise self.refuse(400, request, message=f"{name} must be {pattern}")
        asked = request.json()
        if not isinstance(asked, dict):
            raise MalformedBody("the body must be an object")
        fields, price, unit = MODELS[model]
        # The queue takes anything; the model refuses it later. Here at once, so that a wrong request buys nothing.
        found = problems(asked, fields, strict=self.strict)
        if found:
            refusal = self.refuse(422, request)
            refusal.answer = _invalid([{"loc": ["body", p.field], "msg": p.says, "type": "value_error"} for p in found])
            raise refusal
        self.admit(request)
        width, height = _size(asked)
        job = Job(
            self.new_id(),
            model=model,
            prompt=asked["prompt"],
            width=width,
            height=height,
            format=asked.get("output_format", "jpeg"),
            seed=self.chosen_seed(asked.get("seed")),
            created_at=time.time(),
            data=asked,
        )
        self.jobs[job.id] = job
        units = max(1.0, width * height / 1024**2) if unit == "megapixels" else 1.0
        self.buy(
            request, price=price * units, model=model, prompt=job.prompt, width=width, height=height, job_id=job.id
        )
        request.leads_to = "poll"
        foreign = self.happens(request, FaultKind.FOREIGN_URL)
        address = foreign.url if foreign else f"{self.origin}/{'/'.join(model.split('/')[:2])}/requests/{job.id}"
        names = {"status_url": "/status", "response_url": "", "cancel_url": "/cancel"}
        urls = {name: address if foreign else address + end for name, end in names.items()}
        return json_answer({"status": "IN_QUEUE", "request_id": job.id, "queue_position": 0, **urls})

    def _poll(self, request: Request) -> Answer:
        self.admit(request)
        _, owner, app, _, job_id, *rest = request.path.split("/")
        job = self.jobs.get(job_id)
        is_its_app = job is not None and job.model.split("/")[:2] == [owner, app]
        if job is None or not is_its_app or self.happens(request, FaultKind.TASK_NOT_FOUND):
            raise self.refuse(404, request, message="Request not found")
        fault = request.fault
        kind = fault.kind if fault is not None else None
        if fault is not None and kind in (FaultKind.MODERATION, FaultKind.JOB_FAILED):
            job.ended, job.error = "COMPLETED", fault.text or fault.code or "content_policy_violation"
        if fault is not None and kind is FaultKind.UNKNOWN_STATUS:
            return json_answer({"status": fault.text}, 202)
        if kind is FaultKind.JOB_NEVER_ENDS:
            return json_answer({"status": "IN_PROGRESS"}, 202)
        if not job.ended:
            job.polls += 1
            job.ended = "COMPLETED" if job.polls >= self.polls_until_ready else ""
        if not rest and job.error in ("", *REFUSALS) and job.ended != "CANCELLED":
            return self._result(request, job)
        if not job.ended:
            return json_answer({"status": "IN_QUEUE" if job.polls == 1 else "IN_PROGRESS", "queue_position": 0}, 202)
        if job.ended == "CANCELLED":
            return json_answer({"status": "COMPLETED", "error": "Cancelled.", "error_type": "request_cancelled"})
        if job.error and job.error not in REFUSALS:
            return json_answer({"status": "COMPLETED", "error": "The request failed.", "error_type": job.error})
        return json_answer({"status": "COMPLETED", "metrics": {"inference_time": 2.5}})

    def _result(self, request: Request, job: Job) -> Answer:
        if not job.ended:
            return json_answer({"detail": "Request is still in progress"}, 400)
        if job.error == "content_policy_violation":
            answer = json_answer({"detail": [_refusal()]}, 422)
            answer.headers["x-fal-error-type"] = job.error
            return answer
        request.leads_to = "download"
        foreign = self.happens(request, FaultKind.FOREIGN_URL)
        answer = json_answer(self.result(job, url=foreign.url if foreign else ""))
        if self.happens(request, FaultKind.NO_PICTURE):
            answer = json_answer({"images": [], "seed": job.seed})
        if self.bills_units:
            unit = MODELS[job.model][2]
            units = max(1.0, job.width * job.height / 1024**2) if unit == "megapixels" else 1.0
            answer.headers["x-fal-billable-units"] = f"{units:g}"
        answer.headers["x-fal-request-id"] = job.id
        return answer

    def result(self, job: Job, url: str = "") -> dict[str, Any]:
        """What the model made, as a result or a webhook has it."""
        url = url or f"{self.delivery_origin}/files/{job.id}.{job.format}"
        image = {"url": url, "width": job.width, "height": job.height, "content_type": f"image/{job.format}"}
        result = {"images": [image], "prompt": job.prompt, "has_nsfw_concepts": [job.error == "black picture"]}
        return result | ({"seed": job.seed} if "seed" in MODELS[job.model][0] else {})

    def webhook(self, job: Job, *, at: float | None = None, **changes: Any) -> tuple[dict[str, str], bytes]:
        """(headers, body) that fal would push for a job."""
        body = json.dumps(
            {"request_id": job.id, "gateway_request_id": job.id, "status": "OK", "payload": self.result(job), **changes}
        ).encode()
        named = [self.new_id(), "user-1", str(int(at if at is not None else time.time()))]
        signed = "\n".join([*named, hashlib.sha256(body).hexdigest()]).encode()
        signature = self.signing_key.sign(signed).hex()
        names = ("request-id", "user-id", "timestamp", "signature")
        return {f"x-fal-webhook-{name}": value for name, value in zip(names, [*named, signature], strict=True)}, body

    def _cancel(self, request: Request) -> Answer:
        self.admit(request)
        job = self.jobs.get(request.path.split("/")[4])
        if job is None:
            raise self.refuse(404, request)
        if job.ended:
            return json_answer({"status": "ALREADY_COMPLETED"}, 400)
        job.ended = "CANCELLED"
        self.cancelled.append(job.id)
        return json_answer({"status": "CANCELLATION_REQUESTED"}, 202)

    def _billing(self, request: Request) -> Answer:
        if not self.is_admin:
            raise self.refuse(403, request, message="Access denied")
        self.admit(request)
        return json_answer({"username": "test", "credits": {"current_balance": self.credits, "currency": "USD"}})

    def _prices(self, request: Request) -> Answer:
        self.admit(request)
        _, price, unit = MODELS[request.query["endpoint_id"]]
        entry = {"endpoint_id": request.query["endpoint_id"], "unit_price": price, "unit": unit, "currency": "USD"}
        return json_answer({"prices": [entry], "next_cursor": None, "has_more": False})

    def _requests(self, request: Request) -> Answer:
        self.admit(request)
        start = datetime.strptime(request.query["start"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        items = [
            {
                "request_id": job.id,
                "endpoint_id": job.model,
                "sent_at": datetime.fromtimestamp(job.created_at, UTC).isoformat(),
                "started_at": datetime.fromtimestamp(job.created_at, UTC).isoformat(),
                **({"json_input": job.data} if self.keeps_payloads else {}),
            }
            for job in self.jobs.values()
            if job.model == request.query["endpoint_id"] and job.created_at >= start
        ]
        return json_answer({"items": items, "next_cursor": None, "has_more": False})

    def _books(self, request: Request) -> Answer:
        if not self.is_admin:
            raise self.refuse(403, request, message="Access denied")
        self.admit(request)
        costs = [p.cost for p in self.purchases if p.job_id == request.query.get("request_id")]
        events = [{"request_id": request.query["request_id"], "cost_total": cost} for cost in costs]
        return json_answer({"billing_events": events, "next_cursor": None, "has_more": False})

    def _file(self, request: Request) -> Answer:
        job = self.jobs.get(request.path.removeprefix("/files/").partition(".")[0])
        if request.method != "GET" or job is None:
            raise Answered(self.file_error(404))
        self.admit(request)
        return self.picture_file(request, job.width, job.height, job.format, seed=job.seed)


def _refusal() -> dict[str, Any]:
    return {
        "loc": ["body", "prompt"],
        "msg": "The content could not be processed because it contained material flagged by a content checker.",
        "type": "content_policy_violation",
        "url": "https://docs.fal.ai/errors#content_policy_violation",
    }


def _invalid(detail: list[dict[str, Any]]) -> Answer:
    return json_answer({"detail": detail}, 422)


def _size(asked: dict[str, Any]) -> tuple[int, int]:
    size = asked.get("image_size")
    if isinstance(size, dict):
        return size["width"], size["height"]
    across, down = (int(word) for word in asked.get("aspect_ratio", "1:1").split(":"))
    side = {"1K": 1024, "2K": 2048, "4K": 4096}[asked.get("resolution", "1K")]
    return round(side * (across / down) ** 0.5 / 8) * 8, round(side * (down / across) ** 0.5 / 8) * 8
