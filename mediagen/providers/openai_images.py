"""OpenAI Images: the GPT image models, and servers that speak the same API.

An answer carries the picture as base64; there is no job, so an answer that is lost is a picture that is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from mediagen import http, images
from mediagen.errors import (
    BadResponse,
    ConfigurationError,
    CredentialsRefused,
    Misconfigured,
    ProviderError,
    RateLimited,
    Refused,
    UnsupportedRequest,
)
from mediagen.operations import DESCRIBE, EDIT, VARY, EditRequest
from mediagen.providers import openai_prices, openai_words
from mediagen.providers.base import MAX_REVISED_PROMPT_CHARS, Generated, not_honoured
from mediagen.providers.data import ProviderData, provider_data
from mediagen.providers.describing import Described, DescribesImages
from mediagen.providers.editing import ALPHA, EditsImages, VariesImages, data_url, part, words_of
from mediagen.providers.inline import json_limit, picture_bytes
from mediagen.providers.moderation import codes_of, is_refusal
from mediagen.providers.openai_answers import moderated
from mediagen.providers.openai_dialects import DIALECTS, OPTIONS, dialect_named, on_grid, ratio_and_tier
from mediagen.providers.service import KeyRule
from mediagen.providers.sizes import nearest_ratio, snap_to_grid
from mediagen.secrets import Secret
from mediagen.types import GenerationRequest, utcnow

THREE_SIZES = ((1024, 1024), (1536, 1024), (1024, 1536))
FIXED_SIZE_FAMILIES = ("gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image")
"""take `THREE_SIZES`; every other model, known or not, takes sizes on the grid of gpt-image-2"""

# What a variant or a date adds to a name does not change what is charged. A name that is none of these is no family's.
_FAMILY = re.compile(
    r"(gpt-image-(?:1-mini|1\.5|2|2\.5|2\.6))(?:-flare|-sunburst)?(?:-\d{4}-\d{2}-\d{2})?"
    r"|(?:dola-)?(seedream-\d-\d(?:-lite|-pro|-flash)?)(?:-\d{6})?"
)
MOST_TOKENS_OF_A_SOURCE = 6_500
"""what a picture that is handed over counts as at most (high fidelity: 6,240 for its shape, and its tiles)"""


MISCONFIGURED_CODES = frozenset(
    {"billing_hard_limit_reached", "insufficient_quota", "billing_not_active", "model_not_found"}
)


class OpenAIImagesAdapter(DescribesImages, EditsImages, VariesImages, table="openai_images"):
    """OpenAI's image models. Synchronous, and silent until the picture is done, which may take minutes."""

    name = "openai_images"
    label = "OpenAI Images"
    default_base_url = "https://api.openai.com/v1"
    billing_url = "https://platform.openai.com/usage"
    default_model = "gpt-image-2"
    default_timeout_s = 600.0
    credential_env = "OPENAI_API_KEY"
    options = OPTIONS
    mask_says_by = ALPHA

    def __init__(
        self, api_key: str | Secret | None = None, base_url: str | None = None, model: str | None = None, **rest: Any
    ) -> None:
        """As of the base class. A dialect whose service has no address of its own needs a `base_url`."""
        self.dialect = dialect = dialect_named(rest.get("dialect") or "openai")
        if not base_url and not dialect.has_address:
            raise ConfigurationError(f"{self.name}: set base_url for {dialect.name}: {dialect.base_url}")
        if not (model or dialect.default_model):
            raise ConfigurationError(f"{self.name}: set the model: {dialect.name} has none that is everybody's.")
        self.credential_env, self.key_hosts = dialect.key_env, dialect.key_hosts
        super().__init__(api_key, base_url or dialect.base_url, model or dialect.default_model, **rest)
        self.supports_seed = dialect.seed
        self.supports_negative_prompt = bool(dialect.negative_prompt)
        self._api_version = str(self.default_options.get("api_version", "")) if dialect.name == "azure" else ""
        if self._api_version:
            self.base_url = self.base_url.removesuffix("/v1").removesuffix("/openai")

    @classmethod
    def key_rule(cls, options: Mapping[str, Any]) -> KeyRule:
        dialect = DIALECTS.get(str(options.get("dialect") or "openai"))
        if dialect is None:
            return KeyRule("?", "", ())
        return KeyRule(dialect.name if dialect.name != "openai" else "", dialect.key_env, dialect.key_hosts)

    @property
    def is_configured(self) -> bool:
        return super().is_configured or not self.dialect.needs_key

    def knows_option(self, name: str) -> bool:
        is_ours = name in ("dialect", "family", "api_version") or name.startswith("describe_")
        is_openais = self.dialect.name == "openai" and name in ("organization", "project")
        return is_ours or is_openais or name in self.dialect.options

    @property
    def max_prompt_chars(self) -> int | None:
        return 32_000

    @property
    def family(self) -> str:
        """The configured one, or the model without its variant and date ("gpt-image-2.5" for
        "gpt-image-2.5-flare-2026-09-08")."""
        found = _FAMILY.fullmatch(self.model)
        return str(self.default_options.get("family") or (found and (found[1] or found[2])) or self.model)

    def wire_size(self, width: int, height: int) -> tuple[int, int]:
        """The size in pixels to ask for when (width, height) is wanted."""
        if self.dialect.grid:
            return on_grid(self.dialect, width, height)
        if self.family.startswith(FIXED_SIZE_FAMILIES):
            return nearest_ratio(width, height, THREE_SIZES)
        return snap_to_grid(
            width, height, multiple=16, min_side=16, max_side=3840, min_area=655_360, max_area=8_294_400, max_ratio=3
        )

    def wire_quality(self, quality: str) -> str:
        """The best quality that the model knows, when `quality` is one of those above."""
        if self.dialect.name == "xai":
            return quality if quality in ("auto", "low", "medium") else "high"
        ends_at_high = self.family == "gpt-image-2" or self.family.startswith(FIXED_SIZE_FAMILIES)
        return "high" if ends_at_high and quality in ("xhigh", "max") else quality

    def size_fields(self, width: int, height: int) -> dict[str, Any]:
        """The payload's fields for the size that comes nearest to width x height, as the dialect says it."""
        if self.dialect.says_size_by == "ratio":
            ratio, tier = ratio_and_tier(width, height)
            return {"aspect_ratio": ratio, "resolution": tier}
        w, h = self.wire_size(width, height)
        return {"width": w, "height": h} if self.dialect.says_size_by == "sides" else {"size": f"{w}x{h}"}

    def price_keys(self, request: GenerationRequest) -> list[str]:
        quality = request.options.get("quality", "auto")
        if self.dialect.says_size_by == "ratio":
            tier = ratio_and_tier(request.width, request.height)[1]
            return [f"{self.model}/{tier}/{'medium' if quality == 'auto' else quality}", self.model]
        width, height = self.wire_size(request.width, request.height)
        return self._table.keys(f"{width}x{height}", openai_prices.as_paid(quality))

    def price(self, request: GenerationRequest) -> Decimal | None:
        known = super().price(request)
        return known if known is not None or self.family != "gpt-image-2" else self._price_by_tokens(request)

    def at_most(self, request: GenerationRequest) -> tuple[Decimal | None, str]:
        if self.price(request) is None and self.family in ("gpt-image-2.5", "gpt-image-2.6"):
            made = self._price_by_tokens(request)
            if made is not None:
                why = "its number of tokens is not published: that of gpt-image-2 and half as much again is held"
                if request.options.get("quality") in ("xhigh", "max"):
                    why += "; what xhigh and max take is assumed"
                return made * openai_prices.ASSUMED, why
        return super().at_most(request)

    def _price_by_tokens(self, request: GenerationRequest) -> Decimal | None:
        quality = openai_prices.as_paid(request.options.get("quality", "auto"))
        return self._table.by_size(*self.wire_size(request.width, request.height), quality)

    @property
    def _table(self) -> openai_prices.Table:
        return openai_prices.Table(self.prices, self.model, self.family)

    def prepared(self, request: GenerationRequest) -> tuple[GenerationRequest, dict[str, Any]]:
        prepared, report = super().prepared(request)
        options = dict(prepared.options)
        if (format := options.get("output_format", "png")) not in self.dialect.formats:
            del options["output_format"]
            report["options.output_format"] = not_honoured(format, f"{self.dialect.name} does not make it")
        fidelity = options.get("input_fidelity")
        if fidelity is not None and (why := self._lacks_fidelity(prepared, fidelity)):
            del options["input_fidelity"]
            if "input_fidelity" in request.options:
                report["options.input_fidelity"] = not_honoured(fidelity, why)
        level = options.get("output_compression")
        if level is not None and options.get("output_format", "png") == "png":
            del options["output_compression"]
            report["options.output_compression"] = not_honoured(level, "png is not compressed by a level")
        if "quality" in options and (quality := self.wire_quality(options["quality"])) != options["quality"]:
            report["options.quality"] = not_honoured(options["quality"], f"the best of {self.model} is {quality}")
            options["quality"] = quality
        return replace(prepared, options=options), report

    def _lacks_fidelity(self, request: GenerationRequest, fidelity: str) -> str:
        """Why an input fidelity is not sent; "" when it is."""
        if not isinstance(request, EditRequest):
            return "it is for edits"
        if self.family == "gpt-image-1-mini":
            return "" if fidelity == "low" else f"{self.model} knows low only"
        return "" if self.family == "gpt-image-1.5" else f"{self.model} has no such parameter"

    @property
    def most_sources(self) -> int:
        return self.dialect.most_sources

    def cannot(self, operation: str) -> str:
        if operation in (EDIT, VARY) and not self.dialect.edits_by:
            return f"{self.name}: {self.dialect.name} edits no pictures by this API."
        if operation == DESCRIBE and self._api_version:
            return (
                f"{self.name}: with an api_version it describes no pictures; take the address that ends in /openai/v1."
            )
        return super().cannot(operation)

    def _most_of(self, operation: str, asked: dict[str, Any]) -> tuple[Decimal | None, str]:
        """What is handed over costs as well."""
        (made, why), mask = super()._most_of(operation, asked), asked.get("mask")
        if made is None:
            return None, why
        handed_over = len(asked["images"]) + (mask is not None)
        if (per_source := self.prices.get(f"{self.model}/source")) is not None:
            return made + handed_over * per_source, why
        per_token = self._table.of("1M-image-in")
        if per_token is None:
            return (made, why) if self.dialect.grid else (self.price_when_unknown, why)
        return made + handed_over * MOST_TOKENS_OF_A_SOURCE * per_token / 1_000_000, why

    async def _work(self, request: EditRequest) -> Generated:
        images, mask = request.images, request.mask
        if mask is not None and self.dialect.edits_by != "form":
            raise UnsupportedRequest(f"{self.dialect.name} knows no mask. Say in the prompt what to change.")
        fields, headers = self._fields(replace(request, prompt=words_of(request)))
        if self.dialect.edits_by != "form":
            urls = [data_url(image) for image in images]
            if self.dialect.edits_by == "same":
                return await self._ask(
                    "generations", request, {**fields, "image": urls if urls[1:] else urls[0]}, headers
                )
            named = [{"type": "image_url", "url": url} for url in urls]
            sources = {"images": named} if named[1:] else {"image": named[0]}
            return await self._ask("edits", request, {**fields, **sources}, headers)
        files = [("image[]", part(image, f"image-{number}")) for number, image in enumerate(images, start=1)]
        if mask is not None:
            files.append(("mask", part(mask, "mask")))
        response = await self.service.request(
            "POST",
            self._path("edits"),
            params=self._params,
            headers=headers,
            form={name: str(value) for name, value in fields.items()},
            files=files,
            max_bytes=json_limit(),
            purchase=True,
        )
        return await self._read(response, request)

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        fields, headers = self._fields(request)
        return await self._ask("generations", request, fields, headers)

    async def _ask(
        self, what: str, request: GenerationRequest, fields: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Generated:
        response = await self.service.request(
            "POST",
            self._path(what),
            params=self._params,
            headers=headers,
            json=fields,
            max_bytes=json_limit(),
            purchase=True,
        )
        return await self._read(response, request)

    def _fields(self, request: GenerationRequest) -> tuple[dict[str, Any], dict[str, str]]:
        """(the payload's fields, headers that say who pays)."""
        dialect, options = self.dialect, dict(request.options)
        headers = self._account_headers(options.pop("organization", None), options.pop("project", None))
        fields = {
            **({} if self._api_version else {"model": self.model}),
            "prompt": request.prompt,
            **self.size_fields(request.width, request.height),
            **dialect.always,
            **{dialect.options[name]: value for name, value in options.items() if name in dialect.options},
        }
        if dialect.name == "xai" and fields.get("quality") == "auto":
            del fields["quality"]
        if request.seed is not None:
            fields["seed"] = request.seed
        if request.negative_prompt and dialect.negative_prompt == "|":
            fields["prompt"] = f"{request.prompt}|{request.negative_prompt}"
        elif request.negative_prompt:
            fields[dialect.negative_prompt] = request.negative_prompt
        return fields, headers

    async def _describe(self, instruction: str, jpeg: bytes) -> Described:
        options, model = self.default_options, self.model_asked_for(DESCRIBE)
        response = await self.service.request(
            "POST",
            "/chat/completions",
            headers=self._account_headers(options.get("organization"), options.get("project")),
            json=openai_words.question(model, instruction, jpeg, most_tokens_as=self.dialect.most_tokens_as),
            purchase=True,
        )
        answer = self.checked(response).json_object()
        if (error := self.error_inside(answer, response)) is not None:
            raise error
        return openai_words.read(answer, response, quoted=self.quoted, cost_of=self._cost_of_words)

    def _path(self, what: str) -> str:
        if self._api_version:
            return f"/openai/deployments/{quote(self.model, safe='')}/images/{what}"
        return f"/images/{what}"

    @property
    def _params(self) -> dict[str, str] | None:
        return {"api-version": self._api_version} if self._api_version else None

    def _auth(self) -> Mapping[str, str]:
        if not self.credential:
            return {}
        names = ("api-key",) if self._api_version else self.dialect.key_headers
        return {name: self.credential if name == "api-key" else f"Bearer {self.credential}" for name in names}

    async def _read(self, response: http.Response, request: GenerationRequest) -> Generated:
        """The picture in the service's answer, and what it says of it."""
        answer, encoded = self.checked(response).json_object_and("b64_json")
        if (error := self.error_inside(answer, response)) is not None:
            raise error
        cost = self._cost(answer, request)
        first, count = self._first(answer, response, cost)
        content, picture = await self._picture(first, encoded, cost)
        differences = self._differences(request.options, answer)
        if count > 1:
            differences["pictures"] = not_honoured(1, f"the service sent {count}; the first was kept")
        return Generated(
            content=content,
            picture=picture,
            cost=cost,
            metadata=self._metadata(answer, first, response),
            not_honoured=differences,
        )

    def _first(
        self, answer: Mapping[str, Any], response: http.Response, cost: Decimal | None
    ) -> tuple[Mapping[str, Any], int]:
        """The entry of the first picture, the one that was asked for, and how many there are."""
        data = answer.get("data")
        first = data[0] if isinstance(data, list) and data else None
        is_empty = not isinstance(first, dict) or not (first.get("b64_json") or first.get("url"))
        if is_empty and (why := moderated(answer) or moderated(first)):
            raise Refused(f"moderation refused it: {self.quoted(why, 300)}", http_status=response.status, cost=cost)
        if not isinstance(data, list) or not isinstance(first, dict):
            raise BadResponse("answered 200 without a picture in it.", http_status=200, cost=cost)
        error = first.get("error")
        if isinstance(error, dict) and not first.get("b64_json") and not first.get("url"):
            said = self.quoted(error.get("message"), 300) or self.quoted(error.get("code"), 60)
            text = f"answered {response.status} with an error in place of the picture: {said}"
            meant = self._meant_by(error, response, text) or BadResponse(text, http_status=response.status)
            meant.cost = cost
            raise meant
        return first, len(data)

    async def _picture(
        self, first: Mapping[str, Any], encoded: memoryview | None, cost: Decimal | None
    ) -> tuple[bytes, images.Picture | None]:
        """The picture's bytes, and what they are if that was looked into on the way. `encoded` is what was taken out
        of the answer's text."""
        text, url = http.taken(first.get("b64_json"), encoded), first.get("url")
        if not text and isinstance(url, str) and url:
            # OpenAI never does; servers that speak its API do. Only their own host gets the key.
            try:
                return await self._fetched(url, with_key=True)
            except ProviderError as exc:
                exc.cost = cost
                raise
        return picture_bytes(text, cost=cost), None

    async def _probe(self) -> str:
        headers = self._account_headers(self.default_options.get("organization"), self.default_options.get("project"))
        if self.dialect.health == "readyz":
            service = http.Service(self.base_url.removesuffix("/v1"), auth=self._auth(), timeout_s=self.timeout_s)
            response = self.checked(await service.request("GET", "/readyz", timeout_s=self.probe_timeout_s))
            if response.body[:1] == b"<":
                raise BadResponse(f"answered {response.status} with {response.describe_body()}.")
            return "ready"
        if self.dialect.health == "models":
            path = "/openai/models" if self._api_version else "/models"
            response = await self.service.request(
                "GET", path, params=self._params, timeout_s=self.probe_timeout_s, max_bytes=json_limit()
            )
            if response.status == 404 and response.error_object():
                return "answers, and has no list of models: whether the key is good shows with the first picture"
            self.checked(response).json()
            return "answers"
        path = f"/models/{quote(self.model, safe='')}"
        response = await self.service.request("GET", path, headers=headers, timeout_s=self.probe_timeout_s)
        answer = self.checked(response).json_object()
        if not isinstance(answer.get("id"), str):
            raise BadResponse("answered without a model.", http_status=response.status)
        if shutdown_date := self.quoted(answer.get("shutdown_date"), 40) or self.announced_ends.get(self.model):
            return f"{self.model} answers; WARNING: it is shut down on {shutdown_date}. Choose another model before."
        return f"{self.model} answers"

    async def fetched_data(self) -> ProviderData:
        """The present table with the image models that OpenAI lists for this key, and their ends. Costs nothing."""
        if self.dialect.name != "openai":
            raise UnsupportedRequest(
                f"{self.name}: only OpenAI's own list of models is read, not {self.dialect.name}'s."
            )
        response = await self.service.request("GET", "/models", timeout_s=self.probe_timeout_s, max_bytes=json_limit())
        listed = self.checked(response).json_object().get("data")
        if not isinstance(listed, list):
            raise BadResponse("answered without a list of models.", http_status=response.status)
        entries = {e["id"]: e for e in listed if isinstance(e, dict) and isinstance(e.get("id"), str)}
        known = provider_data(type(self).name)
        new = sorted(name for name in entries if name.startswith("gpt-image-") and len(name) <= 100)
        ends = {name: str(e["shutdown_date"])[:10] for name, e in entries.items() if e.get("shutdown_date")}
        ends = {name: day for name, day in ends.items() if name in new or name in known.models}
        return known.renewed(
            f"{self.base_url}/models",
            utcnow().date(),
            models=(*known.models, *(name for name in new if name not in (*known.models, *known.successors))),
            ends={**known.ends, **ends},
        )

    def _check_options(self, options: Mapping[str, Any]) -> None:
        if options.get("background") == "transparent" and options.get("output_format") == "jpeg":
            raise ValueError("option background transparent needs output_format png or webp: jpeg has no transparency.")

    def _checked_model(self, model: str) -> str:
        model = super()._checked_model(model)
        instead = provider_data("openai_images").successors.get(model)
        if instead and self.dialect.name == "openai":
            raise ConfigurationError(
                f"{self.name}: {model} was shut down by OpenAI. Set the model to {instead}, "
                f"or leave it empty for {self.default_model}."
            )
        return model

    def _account_headers(self, organization: str | None, project: str | None) -> dict[str, str]:
        headers = {"openai-organization": organization, "openai-project": project}
        return {name: value for name, value in headers.items() if value}

    def _cost(self, answer: Mapping[str, Any], request: GenerationRequest) -> Decimal | None:
        """USD by the tokens that the answer names; else by the size and quality it names; else None."""
        usage = answer.get("usage")
        if self.dialect.name == "xai" and isinstance(usage, dict):
            return openai_prices.of_ticks(usage.get("cost_in_usd_ticks"))
        by_tokens = self._table.of_usage(usage) if isinstance(usage, dict) else None
        size, quality = answer.get("size"), answer.get("quality")
        if by_tokens is not None or not isinstance(quality, str):
            return by_tokens
        if not isinstance(size, str):
            width, height = self.wire_size(request.width, request.height)
            size = f"{width}x{height}"
        return next((self.prices[key] for key in self._table.keys(size, quality) if key in self.prices), None)

    def _differences(self, options: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        """What the service says it made otherwise than asked."""
        report = {}
        for option in ("quality", "background", "output_format"):
            asked, made = options.get(option, "auto"), self.quoted(answer.get(option), 40)
            if asked != "auto" and made not in ("", asked):
                report[f"options.{option}"] = not_honoured(asked, f"{self.model} made it with {made}")
        return report

    def _metadata(self, answer: Mapping[str, Any], first: Mapping[str, Any], response: http.Response) -> dict[str, Any]:
        """What the service says of the picture, and what its support asks for."""
        found = {key: self.quoted(answer.get(key)) for key in ("size", "quality", "background", "output_format")}
        found["revised_prompt"] = self.quoted(first.get("revised_prompt"), MAX_REVISED_PROMPT_CHARS)
        found["request_id"] = self.quoted(response.headers.get("x-request-id"))
        return {key: value for key, value in found.items() if value}

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        error = response.error_object().get("error")
        if not isinstance(error, dict):
            return None
        code = self.quoted(error.get("code"), 60)
        text = f"{f'{response.status} {code}'.strip()}: {self._vendor_text(response)}"
        return self._meant_by(error, response, text)

    def _meant_by(self, error: Mapping[str, Any], response: http.Response, text: str) -> ProviderError | None:
        """What an error object means, with `text` to say; None when its codes say nothing that we know."""
        code, kind, status = error.get("code"), error.get("type"), response.status
        code = code if isinstance(code, str) else ""
        is_moderation = kind == "image_generation_user_error" and "moderation_details" in error
        if is_moderation or any(is_refusal(found) for found in codes_of(error)):
            return Refused(text, http_status=status)
        if code in MISCONFIGURED_CODES or kind == "insufficient_quota":
            return Misconfigured(text, http_status=status)
        if code == "invalid_api_key":
            return CredentialsRefused(text, http_status=status)
        if code == "rate_limit_exceeded":
            return RateLimited(text, http_status=status, retry_after_s=http.retry_after_s(response.headers))
        return None
