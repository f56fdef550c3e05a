"""Replicate: SDXL, official models, and any that says what it takes. A prediction is created, polled, and fetched."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, ClassVar

from mediagen import http
from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    JobFailed,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
)
from mediagen.http import JobEnded
from mediagen.operations import EditRequest
from mediagen.providers import webhooks
from mediagen.providers.base import Generated, not_honoured
from mediagen.providers.inline import json_limit
from mediagen.providers.moderation import reads_as_refusal
from mediagen.providers.options import Option
from mediagen.providers.replicate_edits import EDIT_OPTIONS, ReplicateEdits, picture_input
from mediagen.providers.replicate_inputs import SDXL_INPUTS, Inputs, known_inputs, read_schema, worded
from mediagen.providers.sizes import Size, snap_to_grid
from mediagen.types import GenerationRequest, ProviderJob
from mediagen.wording import say as _

SDXL_VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc"
# What the service adds to our own deadline before it ends a prediction that nobody waits for any more.
CANCEL_MARGIN_S = 30
CANCEL_TIMEOUT_S = 10.0
SIGNING_KEY_AGE_S = 3600.0
# (base_url, fingerprint of the token) -> (key that signs webhooks, when it was asked for)
_signing_keys: dict[tuple[str, str], tuple[str, float]] = {}

SCHEMA_AGE_S = 24 * 3600.0
# (base_url, model) -> (what it takes, when that was read)
_schemas: dict[tuple[str, str], tuple[Inputs, float]] = {}

_MODEL = re.compile(r"(?:(?P<path>[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*):)?(?P<version>[0-9a-f]{64})", re.ASCII)
_OFFICIAL_MODEL = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*", re.ASCII)
_RESETS_IN = re.compile(r"resets? in ~?\s*(\d{1,6}(?:\.\d+)?)\s*s", re.IGNORECASE)


class ReplicateSDXLAdapter(ReplicateEdits, table="replicate_sdxl"):
    """Text to image with stability-ai/sdxl, an official model, or any version of a model that takes a prompt; work on
    pictures with models that take those."""

    name = "replicate_sdxl"
    label = "Replicate SDXL"
    default_base_url = "https://api.replicate.com/v1"
    billing_url = "https://replicate.com/predictions"
    job_url = "https://replicate.com/p/{job_id}"
    default_model = f"stability-ai/sdxl:{SDXL_VERSION}"
    # A cold start alone can take minutes.
    default_timeout_s = 300.0
    default_cooldown_s = 10.0
    credential_env = "REPLICATE_API_KEY"
    supports_seed = True
    supports_negative_prompt = True
    key_hosts = ("replicate.delivery", "api.replicate.com")
    options: ClassVar[Mapping[str, Option]] = {
        "output_format": Option(
            kind="choice", choices=("png", "jpeg", "webp"), help=_("Of models that have a choice; SDXL makes png.")
        ),
        "num_inference_steps": Option(kind="int", minimum=1, maximum=500, help=_("Denoising steps. Vendor: 50.")),
        "guidance_scale": Option(kind="float", minimum=1, maximum=50, help=_("How closely to follow the prompt. 7.5.")),
        "scheduler": Option(
            kind="choice",
            choices=(
                "DDIM",
                "DPMSolverMultistep",
                "HeunDiscrete",
                "KarrasDPM",
                "K_EULER_ANCESTRAL",
                "K_EULER",
                "PNDM",
            ),
        ),
        "refine": Option(
            kind="choice",
            choices=("no_refiner", "expert_ensemble_refiner", "base_image_refiner"),
            help=_("Second model."),
        ),
        "high_noise_frac": Option(kind="float", minimum=0, maximum=1, help=_("With expert_ensemble_refiner.")),
        "refine_steps": Option(kind="int", minimum=1, maximum=500, help=_("With base_image_refiner.")),
        "apply_watermark": Option(kind="bool", help=_("An invisible mark in the pixels. Default: no.")),
        "lora_scale": Option(kind="float", minimum=0, maximum=1, help=_("Only for versions trained with LoRA.")),
        "disable_safety_checker": Option(
            kind="bool", config_only=True, help=_("Let pictures through that the model itself takes for unsafe.")
        ),
        "price_per_second": Option(
            kind="float",
            minimum=0,
            config_only=True,
            help=_("USD a second of your hardware; without it costs stay unknown."),
        ),
        **EDIT_OPTIONS,
    }

    async def _submit(self, request: GenerationRequest) -> ProviderJob:
        model = self.model_for(request)
        path, version = _parsed(model)
        is_work = isinstance(request, EditRequest)
        taken = await self._inputs(model, picture_input if is_work else lambda inputs: "prompt" in inputs)
        inputs, report = worded(taken, request, path or model)
        if isinstance(request, EditRequest):
            inputs |= await self.picture_inputs(taken, request, path or model)
        if "refine" in taken:  # it is SDXL, or was trained on it
            inputs["width"], inputs["height"] = sdxl_size(request.width, request.height)
        if "apply_watermark" in taken:
            # Whoever publishes the picture says where it came from; the vendor's own default is True.
            inputs.setdefault("apply_watermark", False)
        body: dict[str, Any] = {"version": version, "input": inputs} if version else {"input": inputs}
        if self.webhook_url:
            body |= {"webhook": self.webhook_url, "webhook_events_filter": ["completed"]}
        response = await self.service.request(
            "POST",
            "/predictions" if version else f"/models/{path}/predictions",
            json=body,
            headers={"cancel-after": f"{math.ceil(self.poll_timeout_s) + CANCEL_MARGIN_S}s"},
            timeout_s=min(self.submit_timeout_s, self.timeout_s),
            purchase=True,
        )
        if response.status >= 500 and response.status != 503:  # 503 says that it was not taken
            raise OutcomeUnknown(
                f"answered {response.status} to a prediction; it may be running all the same.",
                http_status=response.status,
            )
        answer = self.checked(response).json_object()
        data = {"model": model, **({"not_honoured": report} if report else {})}
        return ProviderJob(self._job_id(answer.get("id")), data)

    async def _inputs(self, model: str, is_enough: Callable[[Inputs], Any]) -> Inputs:
        """What the model takes: known, or read out of its own schema, once a day in each process. Buys nothing.

        `is_enough` says whether it takes what it is to be asked with.
        """
        path, version = _parsed(model)
        if path in ("", "stability-ai/sdxl"):
            return SDXL_INPUTS  # a version alone cannot be looked up
        if not version and (known := known_inputs(path)) is not None and is_enough(known):
            return known
        place = (self.base_url, model)
        inputs, read_at = _schemas.get(place, ({}, 0.0))
        if not inputs or time.monotonic() - read_at > SCHEMA_AGE_S:
            where = f"/models/{path}/versions/{version}" if version else f"/models/{path}"
            response = await self.service.request("GET", where, timeout_s=self.probe_timeout_s, max_bytes=json_limit())
            found = self.checked(response).json_object()
            latest = found if version else found.get("latest_version")
            inputs = read_schema(latest.get("openapi_schema") if isinstance(latest, dict) else None)
            _schemas[place] = (inputs, time.monotonic())
        if not is_enough(inputs):
            raise Misconfigured(f"{model} makes nothing out of what it is to be given, or does not say what it takes.")
        return inputs

    async def _collect(self, request: GenerationRequest, job: ProviderJob) -> Generated:
        service = self.service
        # By our own base_url, not by the URL in the answer: the id is all that has to be kept.
        path = f"/predictions/{self._job_id(job.id)}"

        async def ask() -> dict[str, Any] | None:
            response = await service.request("GET", path, timeout_s=service.poll_timeout_s, max_bytes=json_limit())
            return self._ended(self.checked(response))

        async def cancel() -> None:
            with suppress(ProviderError):  # Cancel-After ends it too
                await service.request("POST", f"{path}/cancel", timeout_s=min(CANCEL_TIMEOUT_S, self.timeout_s))

        prediction = await self._polled(ask, job, on_deadline=cancel)
        cost, metadata = self._cost(prediction)
        try:
            content, picture = await self._fetched(_first_url(prediction), with_key=True)
        except BadResponse as exc:
            exc.cost = cost
            raise
        model = job.data.get("model")
        seed = _seed(prediction)
        return Generated(
            content=content,
            picture=picture,
            model=model if isinstance(model, str) else "",
            seed=seed,
            cost=cost,
            job_id=job.id,
            metadata=metadata,
            not_honoured={**_reported(job), **_surplus(prediction)},
        )

    def _pushed(self, answer: http.Response) -> dict[str, Any] | None:
        return self._ended(answer)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> webhooks.Delivery:
        """A pushed prediction; `WebhookRefused` unless it is signed with the account's key and recent."""
        delivery_id = webhooks.check_signature(headers, body, await self._signing_key())
        payload = webhooks.payload_of(body)
        return webhooks.Delivery(delivery_id, self._pushed_id(payload.get("id")), payload)

    async def _signing_key(self) -> str:
        """The account's key, asked for once an hour in each process."""
        place = (self.base_url, self._credential.fingerprint())
        key, asked_at = _signing_keys.get(place, ("", 0.0))
        if not key or time.monotonic() - asked_at > SIGNING_KEY_AGE_S:
            self._require_credential()
            response = await self.service.request("GET", "/webhooks/default/secret", timeout_s=self.probe_timeout_s)
            found = self.checked(response).json_object().get("key")
            if not isinstance(found, str) or not found:
                raise BadResponse("answered without a signing key.", http_status=response.status)
            key = found
            _signing_keys[place] = (key, time.monotonic())
        return key

    def _ended(self, response: http.Response) -> dict[str, Any] | None:
        """The prediction when it succeeded with a file, None while it runs; raises how it ended otherwise."""
        prediction = response.json_object()
        status = prediction.get("status")
        if not isinstance(status, str):
            raise BadResponse("answered a poll without a status.", http_status=response.status)
        cost, _ = self._cost(prediction)
        if status == "failed":
            error = prediction.get("error")
            text = self.quoted(error, 300) or "without saying why"
            if reads_as_refusal(text):
                raise JobEnded(Refused(f"the model refused the picture: {text}", cost=cost))
            raise JobEnded(JobFailed(f"the prediction failed: {text}", cost=cost))
        if status in ("canceled", "aborted"):
            raise JobEnded(JobFailed(f"the prediction was {status} before it was done.", cost=cost))
        if status != "succeeded":
            return None
        if not _first_url(prediction):
            why = "its files were removed (they are kept for an hour)" if prediction.get("data_removed") else "no file"
            raise JobEnded(BadResponse(f"the prediction succeeded, and its answer holds no picture: {why}.", cost=cost))
        return prediction

    def _cost(self, prediction: Mapping[str, Any]) -> tuple[Decimal | None, dict[str, Any]]:
        """(USD or None when the price of a second is not configured, what to remember of the time)."""
        metrics, seconds = prediction.get("metrics"), None
        if isinstance(metrics, dict):
            seconds = next((metrics[key] for key in ("predict_time", "total_time") if _is_time(metrics.get(key))), None)
        if seconds is None:
            return None, {}
        # Official models, which have no version here, are charged by the picture.
        version = _parsed(self.model)[1]
        is_ours = bool(version) and prediction.get("version", version) == version  # another runs on other hardware
        price = self.default_options.get("price_per_second") if is_ours else None
        cost = None if price is None else (Decimal(str(seconds)) * Decimal(str(price))).quantize(Decimal("0.000001"))
        return cost, {"seconds": seconds}

    async def _probe(self) -> str:
        response = await self.service.request("GET", "/account", timeout_s=self.probe_timeout_s)
        username = self.checked(response).json_object().get("username")
        if not isinstance(username, str):
            raise BadResponse("answered without an account.", http_status=response.status)
        return f"account {self.quoted(username)}"

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        text = self._vendor_text(response)
        if response.status == 422 and "invalid version" in text.lower():
            return Misconfigured(f"422: {text}", http_status=422)
        if response.status == 429:
            said = _RESETS_IN.search(text)
            in_text_s = float(said.group(1)) if said else self.default_cooldown_s
            wait_s = http.retry_after_s(response.headers)
            return RateLimited(f"429: {text}", http_status=429, retry_after_s=in_text_s if wait_s is None else wait_s)
        return None

    def _vendor_text(self, response: http.Response) -> str:
        data = response.error_object()
        text = ": ".join(part for part in (data.get("title"), data.get("detail")) if isinstance(part, str) and part)
        return self.quoted(text, 300) or super()._vendor_text(response)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        for name in EDIT_OPTIONS.keys() & options.keys():
            if not _MODEL.fullmatch(options[name]) and not _OFFICIAL_MODEL.fullmatch(options[name]):
                raise ValueError(f'option {name} must be "owner/name", or "owner/name:version".')

    def _checked_model(self, model: str) -> str:
        if not _MODEL.fullmatch(model) and not _OFFICIAL_MODEL.fullmatch(model):
            raise ConfigurationError(
                f'{self.name}: model must be "owner/name:version" or a version alone (64 hex digits), '
                f'or "owner/name" for an official model of Replicate; not {model!r:.80}.'
            )
        if model == "stability-ai/sdxl":
            raise ConfigurationError(
                f"{self.name}: stability-ai/sdxl is no official model and needs a version: {self.default_model}."
            )
        return super()._checked_model(model)

    def price_keys(self, request: GenerationRequest) -> list[str]:
        model = self.model_for(request)
        return [f"{model}/{request.width}x{request.height}", model, _parsed(model)[0] or model]


def sdxl_size(width: int, height: int) -> Size:
    """The size (pixels) to ask for: the shape of width x height, near the one megapixel that SDXL was trained for."""
    return snap_to_grid(
        width,
        height,
        multiple=8,
        min_side=384,
        max_side=2048,
        min_area=1024 * 768,
        max_area=1024 * 1152,
        max_ratio=4.0,
    )


def _parsed(model: str) -> tuple[str, str]:
    """("owner/name" or "", version or "" for an official model) of a checked model name."""
    found = _MODEL.fullmatch(model)
    return (found["path"] or "", found["version"]) if found else (model, "")


def _first_url(prediction: Mapping[str, Any]) -> str:
    """The file that a prediction made; "" when its output names none."""
    output = prediction.get("output")
    if isinstance(output, list) and output:
        output = output[0]
    return output if isinstance(output, str) else ""


def _surplus(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the fit report when the prediction made more files than the one that was asked for."""
    output = prediction.get("output")
    count = len(output) if isinstance(output, list) else 1
    return {"pictures": not_honoured(1, f"the service sent {count}; the first was kept")} if count > 1 else {}


def _reported(job: ProviderJob) -> dict[str, Any]:
    """Entries of the fit report that were known when the prediction was asked for."""
    found = job.data.get("not_honoured")
    return found if isinstance(found, dict) else {}


def _seed(prediction: Mapping[str, Any]) -> int | None:
    """The seed as the service understood it. One that it drew itself stands only in its logs."""
    inputs = prediction.get("input")
    seed = inputs.get("seed") if isinstance(inputs, dict) else None
    return seed if isinstance(seed, int) and not isinstance(seed, bool) else None


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
