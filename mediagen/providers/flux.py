"""Black Forest Labs: FLUX 3, FLUX.2, FLUX1.1, Kontext. A job is submitted, polled at its regional URL and fetched."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, cast

from mediagen import http
from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    JobFailed,
    Misconfigured,
    OutcomeUnknown,
    Refused,
)
from mediagen.http import JobEnded
from mediagen.operations import EditRequest
from mediagen.providers import flux_edits, webhooks
from mediagen.providers.base import MAX_REVISED_PROMPT_CHARS, Generated, JobProvider, not_honoured
from mediagen.providers.editing import WHITE, EditsImages, OutpaintsImages, VariesImages
from mediagen.providers.flux_edits import EXPAND, FILL, ONE_MEGAPIXEL, OPTIONS_OF_FLUX_1_TOOLS
from mediagen.providers.flux_sizes import size_fields
from mediagen.providers.inline import json_limit
from mediagen.providers.moderation import is_refusal, reads_as_refusal
from mediagen.providers.options import Option
from mediagen.providers.reading import as_words, fault, is_number
from mediagen.types import GenerationRequest, ProviderJob
from mediagen.wording import say as _

CREDIT_USD = Decimal("0.01")
_THREE_AND_FOUR_MEGAPIXELS = ((1536, 2048), (2048, 2048))

_FLUX_1 = ("flux-pro-1.1", "flux-dev")
_ULTRA = ("flux-pro-1.1-ultra",)
_KONTEXT = ("flux-kontext-pro", "flux-kontext-max")

_MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9.\-]{0,63}")
# These work on a picture, or on a fine-tune that has to be named: no prompt alone makes anything there.
_NEEDS_MORE_THAN_A_PROMPT = re.compile(r"-(fill|expand|canny|depth|finetuned)\b")
# A gateway that gave up does not know what became of the task behind it.
_GATEWAY_GAVE_UP = frozenset({502, 504, 520, 521, 522, 523, 524})
_ENDINGS = frozenset({"Ready", "Request Moderated", "Content Moderated", "Error", "Task not found"})
_HIGHEST: Mapping[tuple[str, str], float] = {
    ("safety_tolerance", "flux-2"): 5,
    ("safety_tolerance", "flux-3"): 4,
    ("guidance", "flux-dev"): 5,
}
"""(option, beginning of a model's name): the maximum there, where it is lower than the option's own"""


class FluxAdapter(EditsImages, VariesImages, OutpaintsImages, JobProvider, table="flux"):
    """Text to image with the FLUX models, and work on pictures. The service has no way to cancel a task."""

    name = "flux"
    label = "Black Forest Labs FLUX"
    default_base_url = "https://api.bfl.ai"
    billing_url = "https://dashboard.bfl.ai"
    # The current generation, up to 4 megapixels, so that few pictures have to be enlarged afterwards.
    default_model = "flux-2-pro"
    default_cooldown_s = 5.0  # the limit counts running tasks, and one of those ends soon
    credential_env = "BFL_API_KEY"
    supports_seed = True
    key_hosts = (".bfl.ai",)
    mask_says_by = WHITE
    options: ClassVar[Mapping[str, Option]] = {
        "safety_tolerance": Option(
            kind="int",
            minimum=0,
            maximum=6,
            help=_("0 moderates most strictly; at most 5 for flux-2, 4 for flux-3. Vendor: 2."),
        ),
        "output_format": Option(
            kind="choice", choices=("png", "jpeg", "webp"), help=_("What the service sends. Default: png.")
        ),
        "prompt_upsampling": Option(
            kind="bool",
            only_models=("flux-2-flex", *_FLUX_1, *_ULTRA, *_KONTEXT),
            help=_("Let the service rewrite the prompt. flux-2-flex does so unless told not to."),
        ),
        "steps": Option(kind="int", minimum=1, maximum=50, only_models=("flux-2-flex", "flux-dev")),
        "guidance": Option(
            kind="float",
            minimum=1.5,
            maximum=10,
            only_models=("flux-2-flex", "flux-dev"),
            help=_("How closely to follow the prompt; at most 5 for flux-dev."),
        ),
        "raw": Option(kind="bool", only_models=_ULTRA, help=_("Less processed, more natural pictures.")),
        "grounding": Option(
            kind="bool",
            help=_(
                "flux-3: search the web, also for pictures, before painting. Off unless set, though "
                "the vendor has it on: the prompt would go to others, and would bring other pictures "
                "tomorrow."
            ),
        ),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_seed = not self._is_flux_3

    @property
    def _is_flux_3(self) -> bool:
        return self.model.startswith("flux-3")

    def knows_option(self, name: str) -> bool:
        # FLUX 3 refuses what it does not know, and it knows two of ours; one of them only it knows.
        if self._is_flux_3:
            return name in ("safety_tolerance", "grounding")
        return name != "grounding" and super().knows_option(name)

    @property
    def most_sources(self) -> int:
        return max(1, flux_edits.most_sources(self.model))

    def model_for(self, request: GenerationRequest) -> str:
        """The model that makes this: the configured one, unless only another can."""
        return flux_edits.model_for(self.model, request) if isinstance(request, EditRequest) else self.model

    def prepared(self, request: GenerationRequest) -> tuple[GenerationRequest, dict[str, Any]]:
        prepared, report = super().prepared(request)
        if (model := self.model_for(prepared)) not in (FILL, EXPAND):
            return prepared, report
        options = dict(prepared.options)
        for option in [name for name in options if name not in OPTIONS_OF_FLUX_1_TOOLS]:
            value = options.pop(option)
            if option in request.options:
                report[f"options.{option}"] = not_honoured(value, f"{model} does it, and has no such option")
        return replace(prepared, options=options), report

    async def _submit(self, request: GenerationRequest) -> ProviderJob:
        model = self.model_for(request)
        is_flux_3 = model.startswith("flux-3")
        payload: dict[str, Any] = {
            "prompt": request.prompt,
            **size_fields(model, request.width, request.height),
            **({"grounding": False} if is_flux_3 else {"output_format": "png"}),
            **request.options,
        }
        if isinstance(request, EditRequest):
            payload |= flux_edits.picture_fields(model, request)
        if request.seed is not None and (model in (FILL, EXPAND) or self.supports_seed):
            payload["seed"] = request.seed
        is_pushed = bool(self.webhook_url) and not is_flux_3  # whether its schema has these fields is not known
        if is_pushed:
            payload |= {"webhook_url": self.webhook_url, "webhook_secret": self.webhook_secret}
        response = await self.service.request(
            "POST",
            f"/v1/{model}",
            json=payload,
            timeout_s=min(self.submit_timeout_s, self.timeout_s),
            purchase=True,
        )
        if response.status in _GATEWAY_GAVE_UP:
            raise OutcomeUnknown(
                f"a gateway answered {response.status}; the task may be running all the same.",
                http_status=response.status,
            )
        answer = self.checked(response).json_object()
        cost = _usd(answer.get("cost"))
        data = {"polling_url": answer.get("polling_url"), "model": model}
        data.update({key: answer[key] for key in ("input_mp", "output_mp") if is_number(answer.get(key))})
        job = ProviderJob(self._job_id(answer.get("id")), data, cost)
        if is_pushed:
            data["is_pushed"] = True
        elif not isinstance(data["polling_url"], str) or not data["polling_url"]:
            raise BadResponse("took the task and named no polling_url to ask for it.", cost=cost, job=job)
        return job

    async def _collect(self, request: GenerationRequest, job: ProviderJob) -> Generated:
        service = self.service
        url = job.data.get("polling_url")
        if not isinstance(url, str) or not url:
            # Only without the region's own URL: the general one knows the tasks of its own region.
            url = f"{self.base_url}/v1/get_result?id={job.id}"

        async def ask() -> dict[str, Any] | None:
            response = await service.get_url(url, max_bytes=json_limit())
            task = response.error_object()
            status = task.get("status")
            # An ending may come with an HTTP status of 4xx or 5xx: the body is read first.
            task_like = isinstance(status, str) and status in _ENDINGS and isinstance(task.get("id"), str)
            if job.data.get("is_pushed") and status == "Task not found":
                return None  # the general address does not know other regions' tasks; the answer will be pushed
            if response.is_success or task_like:
                return self._ended(response, task)
            self.checked(response)
            return None

        result = await self._polled(ask, job)
        content, picture = await self._fetched(result["sample"])
        model = job.data.get("model")
        seed = result.get("seed")
        metadata = {key: job.data[key] for key in ("input_mp", "output_mp") if key in job.data}
        used_prompt = result.get("prompt")
        if isinstance(used_prompt, str) and used_prompt and used_prompt != request.prompt:
            metadata["revised_prompt"] = self.quoted(used_prompt, MAX_REVISED_PROMPT_CHARS)
        return Generated(
            content=content,
            picture=picture,
            model=model if isinstance(model, str) else "",
            seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
            cost=job.cost,
            job_id=job.id,
            metadata=metadata,
        )

    def _pushed(self, answer: http.Response) -> dict[str, Any] | None:
        return self._ended(answer, answer.error_object())

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> webhooks.Delivery:
        """A pushed result; `WebhookRefused` unless it carries the secret that the task was submitted with."""
        webhooks.check_shared_secret(headers.get("x-webhook-secret", ""), self.webhook_secret)
        payload = webhooks.payload_of(body)
        job_id = self._pushed_id(payload.get("id") or payload.get("task_id"))
        return webhooks.Delivery(hashlib.sha256(body).hexdigest(), job_id, {**payload, "id": job_id})

    def _ended(self, response: http.Response, task: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result of a task that is ready, None while it runs; raises how it ended otherwise."""
        status = task.get("status")
        if not isinstance(status, str):
            response.json_object()  # says so when it is HTML or empty
            raise BadResponse("answered a poll without a status.", http_status=response.status)
        if status == "Ready":
            result = task.get("result")
            sample = result.get("sample") if isinstance(result, dict) else None
            if not isinstance(result, dict) or not isinstance(sample, str) or not sample:
                raise JobEnded(BadResponse("the task is ready, and its answer names no picture."))
            return result
        if status in ("Request Moderated", "Content Moderated") or is_refusal(status):
            what = "the prompt" if status.startswith("Request") else "the picture"
            raise JobEnded(Refused(f"moderation refused {what} ({status}).{self._details(task)}"))
        if status == "Error":
            details = self._details(task)
            if reads_as_refusal(details):
                raise JobEnded(Refused(f"moderation refused it.{details}"))
            raise JobEnded(JobFailed(f"the task failed.{details}"))
        if status == "Task not found":
            # Believed by the poll only when it says so for a while.
            raise Misconfigured('says "Task not found".', http_status=response.status)
        return None  # Pending, and the words for it that are yet to come

    def _details(self, task: Mapping[str, Any]) -> str:
        """What a task that has ended says about why, with a space in front; "" when it says nothing."""
        for part in (task.get("details"), task.get("result")):
            said = part.get("error", part) if isinstance(part, dict) else part
            if said:
                return " " + self.quoted(as_words(said), 300)
        return ""

    async def _probe(self) -> str:
        response = await self.service.request("GET", "/v1/credits", timeout_s=self.probe_timeout_s)
        credits = self.checked(response).json_object().get("credits")
        if not is_number(credits):
            raise BadResponse("answered without a number of credits.", http_status=response.status)
        if credits <= 0:
            raise Misconfigured(
                f"{credits:g} credits left. Buy some at Black Forest Labs, or nothing can be generated."
            )
        return f"{credits:g} credits left"

    def _auth(self) -> Mapping[str, str]:
        return {"x-key": self.credential}

    def _vendor_text(self, response: http.Response) -> str:
        detail = response.error_object().get("detail")
        if not isinstance(detail, list):
            return super()._vendor_text(response)
        faults = [fault(entry) for entry in detail if isinstance(entry, dict)]
        return self.quoted("; ".join(faults), 300)

    def _checked_model(self, model: str) -> str:
        if not _MODEL_NAME.fullmatch(model):
            raise ConfigurationError(f"{self.name}: {model!r:.80} cannot be a model's name. It has: {self._known()}.")
        if _NEEDS_MORE_THAN_A_PROMPT.search(model):
            raise ConfigurationError(
                f"{self.name}: {model} needs more than a prompt and cannot generate. Take one of: {self._known()}."
            )
        return super()._checked_model(model)

    def _known(self) -> str:
        return ", ".join(self.models)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        for (option, beginning), highest in _HIGHEST.items():
            if self.model.startswith(beginning) and options.get(option, 0) > highest:
                raise ValueError(f"option {option} must be at most {highest:g} for {self.model}.")

    def price_keys(self, request: GenerationRequest) -> list[str]:
        model = self.model_for(request)
        if model in (FILL, EXPAND):
            return [model]
        size = size_fields(model, request.width, request.height)
        keys = super().price_keys(request)
        if "resolution" in size:
            keys.insert(0, f"{model}/{size['resolution']}")
        if "width" in size:
            keys.insert(1, f"{model}/{math.ceil(size['width'] * size['height'] / ONE_MEGAPIXEL)}MP")
        return keys

    def price(self, request: GenerationRequest) -> Decimal | None:
        return None if self._charges_sources(request) else super().price(request)

    def at_most(self, request: GenerationRequest) -> tuple[Decimal | None, str]:
        if not self._charges_sources(request):
            return super().at_most(request)
        sizes = ((request.width, request.height), *_THREE_AND_FOUR_MEGAPIXELS)
        (made, why), (less, _), (more, _) = (
            super(FluxAdapter, self).at_most(GenerationRequest(prompt=request.prompt, width=w, height=h))
            for w, h in sizes
        )
        if made is None or less is None or more is None:
            return made, why
        handed_over = flux_edits.megapixels_in(cast(EditRequest, request)) * (more - less)
        why = f"{why}; " if why else ""
        return made + handed_over, f"{why}what is charged for pictures handed over is not published: as for one made"

    def _charges_sources(self, request: GenerationRequest) -> bool:
        return isinstance(request, EditRequest) and self.model_for(request).startswith("flux-2")


def _usd(credits: Any) -> Decimal | None:
    """None also for 0: no picture is free, so whoever says so (a gateway) does not count."""
    return Decimal(str(credits)) * CREDIT_USD if is_number(credits) and credits > 0 else None
