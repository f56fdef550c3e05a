"""OpenRouter's Images API: one key for many vendors' models. One request, silent until the picture is made.

What a model takes and costs is read from OpenRouter's own list, kept for an hour in each process. There is no job: an
answer that is lost is a picture that is lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, ClassVar

from mediagen import http
from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.operations import EDIT, OPERATIONS, EditRequest
from mediagen.providers import openrouter_models
from mediagen.providers.base import MAX_REVISED_PROMPT_CHARS, Generated, not_honoured
from mediagen.providers.data import ProviderData, provider_data
from mediagen.providers.editing import EditsImages, VariesImages, data_url, words_of
from mediagen.providers.inline import json_limit, picture_bytes
from mediagen.providers.moderation import is_refusal
from mediagen.providers.openrouter_models import TIERS
from mediagen.providers.options import Option
from mediagen.providers.reading import is_number
from mediagen.providers.sizes import tier_that_covers
from mediagen.types import GenerationRequest, utcnow
from mediagen.wording import say as _

ONE_MEGAPIXEL = 1024 * 1024
_MODEL = re.compile(r"[a-z0-9][\w.\-]*/[a-z0-9][\w.\-:]*", re.ASCII | re.IGNORECASE)

# error_type, which goes before the status: a refusal comes as 502 too, an overload as 200.
_MEANS: Mapping[str, type[ProviderError]] = {
    "refusal": Refused,
    "authentication": CredentialsRefused,
    **dict.fromkeys(("payment_required", "permission_denied", "not_found"), Misconfigured),
    **dict.fromkeys(
        ("invalid_request", "invalid_prompt", "image_too_large", "image_too_small", "unsupported_image_format"),
        UnsupportedRequest,
    ),
    **dict.fromkeys(("string_too_long", "unprocessable", "payload_too_large"), UnsupportedRequest),
    "rate_limit_exceeded": RateLimited,
    **dict.fromkeys(("provider_overloaded", "provider_unavailable", "server"), Unavailable),
    "timeout": OutcomeUnknown,
}


class OpenRouterAdapter(EditsImages, VariesImages, table="openrouter"):
    """One model of one vendor through OpenRouter. It does not fail over there: the chain does, and says so."""

    name = "openrouter"
    label = "OpenRouter"
    default_base_url = "https://openrouter.ai/api/v1"
    default_model = "black-forest-labs/flux.2-pro"
    # What OpenRouter lists now goes before these.
    default_timeout_s = 300.0
    credential_env = "OPENROUTER_API_KEY"
    billing_url = "https://openrouter.ai/activity"
    key_hosts = ("openrouter.ai",)
    supports_seed = True
    options: ClassVar[Mapping[str, Option]] = {
        "quality": Option(kind="choice", choices=("auto", "low", "medium", "high"), help=_("For models that have it.")),
        "background": Option(
            kind="choice", choices=("auto", "opaque", "transparent"), help=_("For models that have it.")
        ),
        "output_format": Option(kind="choice", choices=("png", "jpeg", "webp"), help=_("For models that have it.")),
        "output_compression": Option(kind="int", minimum=0, maximum=100, help=_("For models that have it.")),
        "upstream": Option(
            kind="text",
            max_length=200,
            config_only=True,
            help=_("Whose servers serve the model (provider_tag), where several do. Not set: OpenRouter's choice."),
        ),
        "data_collection": Option(
            kind="choice",
            choices=("allow", "deny"),
            config_only=True,
            help=_("deny: only vendors that do not keep prompts."),
        ),
    }

    @property
    def most_sources(self) -> int:
        return OPERATIONS[EDIT].most_sources

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        with suppress(ProviderError):  # without the list, the service itself says what does not fit
            await self._read_list()
        payload, lacks = self._payload(request)
        response = await self.service.request("POST", "/images", json=payload, max_bytes=json_limit(), purchase=True)
        answer, encoded = self.checked(response).json_object_and("b64_json")
        usage = answer.get("usage")
        cost = _usd(usage.get("cost")) if isinstance(usage, dict) else None
        if (error := self.error_inside(answer, response)) is not None:
            error.cost = cost
            raise error
        data = answer.get("data")
        first = data[0] if isinstance(data, list) and data else None
        if not isinstance(data, list) or not isinstance(first, dict):
            raise BadResponse("answered 200 without a picture in it.", http_status=200, cost=cost)
        if len(data) > 1:
            lacks["pictures"] = not_honoured(1, f"the service sent {len(data)}; the first was kept")
        metadata = {
            "generation_id": self.quoted(response.headers.get("x-generation-id")),
            "revised_prompt": self.quoted(first.get("revised_prompt"), MAX_REVISED_PROMPT_CHARS),
        }
        return Generated(
            content=picture_bytes(http.taken(first.get("b64_json"), encoded), cost=cost),
            # A seed that was not sent is none that the picture has.
            seed=payload.get("seed"),
            cost=cost,
            metadata={key: value for key, value in metadata.items() if value},
            not_honoured=lacks,
        )

    def _payload(self, request: GenerationRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        """(body, what the model lacks as entries of the fit report)."""
        own = {name: request.options[name] for name in ("upstream", "data_collection") if name in request.options}
        routing: dict[str, Any] = {"allow_fallbacks": False}
        if "upstream" in own:
            routing["order"] = [own["upstream"]]
        if "data_collection" in own:
            routing["data_collection"] = own["data_collection"]
        payload: dict[str, Any] = {"model": self.model, "prompt": words_of(request), "n": 1, "provider": routing}
        if isinstance(request, EditRequest):
            urls = [data_url(image) for image in request.images]
            payload["input_references"] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        payload |= self._listed.size_fields(request.width, request.height)
        wanted = {name: value for name, value in request.options.items() if name not in own}
        if request.seed is not None:
            wanted["seed"] = request.seed
        lacks = {}
        for name, value in wanted.items():
            if self._listed.takes(name, value):
                payload[name] = value
            else:
                entry = "seed" if name == "seed" else f"options.{name}"
                lacks[entry] = not_honoured(value, f"{self.model} has no such parameter, or not this value of it")
        return payload, lacks

    # ------------------------------------------------------------------ what OpenRouter lists

    async def _read_list(self) -> None:
        """Have the list of the model's servers, where what is known is old."""
        if openrouter_models.is_fresh(self.base_url, self.model):
            return
        openrouter_models.keep(self.base_url, self.model, None)  # first, so that others do not all ask
        response = await self.service.request(
            "GET", f"/images/models/{self.model}/endpoints", timeout_s=self.probe_timeout_s
        )
        openrouter_models.keep(self.base_url, self.model, self.checked(response).json_object().get("endpoints"))

    @property
    def _listed(self) -> openrouter_models.Listed:
        """What is known of the servers that may serve: the one that is configured, else all."""
        return openrouter_models.Listed.of(self.base_url, self.model, self.default_options.get("upstream"))

    def price_keys(self, request: GenerationRequest) -> list[str]:
        tier = self._listed.size_fields(request.width, request.height).get("resolution")
        tier = tier or tier_that_covers(request.width, request.height, (request.width, request.height), TIERS)
        megapixels = min(4, math.ceil(request.width * request.height / ONE_MEGAPIXEL))
        keys = super().price_keys(request)
        return [keys[0], f"{self.model}/{tier}", f"{self.model}/{megapixels}MP", *keys[1:]]

    def at_most(self, request: GenerationRequest) -> tuple[Decimal | None, str]:
        found, why = super().at_most(request)
        if found is None or not isinstance(request, EditRequest):
            return found, why
        return found, f"{why}; what is handed over may be charged as well".removeprefix("; ")

    def price(self, request: GenerationRequest) -> Decimal | None:
        """The operator's price; else the dearest of those that are listed; else what was listed with this version."""
        keys = self.price_keys(request)
        key = next((key for key in keys if key in self.prices), None)
        if key is not None and str(self.prices[key]) != self.default_prices.get(key):
            return self.prices[key]
        tier = self._listed.size_fields(request.width, request.height).get("resolution", "")
        listed = self._listed.price(tier, math.ceil(request.width * request.height / ONE_MEGAPIXEL))
        if listed is not None:
            return listed
        return self.prices[key] if key is not None else None

    # ------------------------------------------------------------------ what the service says

    async def fetched_data(self) -> ProviderData:
        """The present table with the image models that OpenRouter lists. Costs nothing."""
        response = await self.service.request("GET", "/images/models", timeout_s=self.probe_timeout_s)
        listed = self.checked(response).json_object().get("data")
        if not isinstance(listed, list):
            raise BadResponse("answered without a list of models.", http_status=response.status)
        known = provider_data(type(self).name)
        names = [entry.get("id") for entry in listed if isinstance(entry, dict)]
        new = sorted(name for name in names if isinstance(name, str) and _MODEL.fullmatch(name) and len(name) <= 200)
        models = (*known.models, *(name for name in new if name not in known.models))
        return known.renewed(f"{self.base_url}/images/models", utcnow().date(), models=models)

    async def _probe(self) -> str:
        response = await self.service.request("GET", "/key", timeout_s=self.probe_timeout_s)
        key = self.checked(response).json_object().get("data")
        if not isinstance(key, dict):
            raise BadResponse("answered without what it knows of the key.", http_status=response.status)
        left = key.get("limit_remaining")
        if left is not None and not is_number(left):
            raise BadResponse("answered without a limit of the key.", http_status=response.status)
        if left is not None and left <= 0:
            raise Misconfigured(
                f"${left:g} left of the key's limit. Raise it at OpenRouter, or nothing can be generated."
            )
        said = "the key has no limit" if left is None else f"${left:g} left of the key's limit"
        with suppress(ProviderError):
            await self._read_list()
        return self.quoted("; ".join([said, *self._listed.told()]), 400)

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        error = response.error_object().get("error")
        if not isinstance(error, dict):
            return OutcomeUnknown("a gateway answered 504.", http_status=504) if response.status == 504 else None
        code, metadata = error.get("code"), error.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        kind, reasons = metadata.get("error_type"), metadata.get("reasons")
        # Inside a 200 the code is the status that it means.
        status = code if response.is_success and isinstance(code, int) and 400 <= code < 600 else response.status
        why = self.quoted(", ".join(map(str, reasons)), 100) if isinstance(reasons, list) and reasons else ""
        text = f"{status}: {self._vendor_text(response)}{f' ({why})' if why else ''}"
        if is_refusal(kind) or (why and kind in (None, "invalid_prompt", "permission_denied")):
            return Refused(text, http_status=response.status)
        if status == 504 and kind in (None, "timeout", "server"):
            return OutcomeUnknown(f"{text} It may be made and billed all the same.", http_status=response.status)
        meant = _MEANS.get(kind) if isinstance(kind, str) else None
        if meant is None:
            is_inside = response.is_success and status != response.status
            told = http.Response(status, response.headers, response.body, response.url)
            return http.error_for_status(told, self._vendor_text(response)) if is_inside else None
        wait_s = http.retry_after_s(response.headers) if meant in (RateLimited, Unavailable) else None
        return meant(text, http_status=response.status, retry_after_s=wait_s)

    def _checked_model(self, model: str) -> str:
        if not _MODEL.fullmatch(model):
            raise ConfigurationError(f'{self.name}: model must be "vendor/name", not {model!r:.80}.')
        return super()._checked_model(model)


def _usd(value: Any) -> Decimal | None:
    """None also for 0: no picture is free, so whoever says so has not counted it (yet)."""
    return Decimal(str(value)) if is_number(value) and value > 0 else None
