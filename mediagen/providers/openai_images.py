"""OpenAI Images: the GPT image models, and servers that speak the same API.

An answer carries the picture as base64; there is no job, so an answer that is lost is a picture that is lost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from mediagen.providers.base import MAX_REVISED_PROMPT_CHARS, Generated, MediaGeneratorProvider, not_honoured
from mediagen.providers.inline import json_limit, picture_bytes
from mediagen.providers.moderation import codes_of, is_refusal
from mediagen.providers.options import Option
from mediagen.providers.sizes import nearest_ratio, snap_to_grid
from mediagen.types import GeneratedImage, GenerationRequest

THREE_SIZES = ((1024, 1024), (1536, 1024), (1024, 1536))
FIXED_SIZE_FAMILIES = ("gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image")
"""take `THREE_SIZES`; every other model, known or not, takes sizes on the grid of gpt-image-2"""

SUCCESSORS = {"dall-e-2": "gpt-image-1-mini", "dall-e-3": "gpt-image-2", "gpt-image-1": "gpt-image-2"}
"""Models that were shut down, and what to use instead."""

# What a variant or a date adds to a name does not change what is charged. A name that is none of these is no family's.
_FAMILY = re.compile(r"(gpt-image-(?:1-mini|1\.5|2|2\.5|2\.6))(?:-flare|-sunburst)?(?:-\d{4}-\d{2}-\d{2})?")
_TEXT_IN, _IMAGE_IN, _IMAGE_OUT = "1M-text-in", "1M-image-in", "1M-image-out"


def _published_prices() -> dict[str, str]:
    """USD: for a picture by family, size and quality, and for a million tokens by family and kind."""
    prices = {}
    # A picture of low, medium and high quality: 1024x1024, then 1536x1024 and its turn.
    for family, square, oblong in (
        ("gpt-image-2", ("0.006", "0.053", "0.211"), ("0.005", "0.041", "0.165")),
        ("gpt-image-1.5", ("0.009", "0.034", "0.133"), ("0.013", "0.05", "0.2")),
        ("gpt-image-1-mini", ("0.005", "0.011", "0.036"), ("0.006", "0.015", "0.052")),
    ):
        for (width, height), by_quality in zip(THREE_SIZES, (square, oblong, oblong), strict=True):
            for quality, price in zip(("low", "medium", "high"), by_quality, strict=True):
                prices[f"{family}/{width}x{height}/{quality}"] = price
    for family, text_in, image_in, image_out in (
        ("gpt-image-2", "5", "8", "30"),
        ("gpt-image-2.5", "5", "8", "30"),
        ("gpt-image-2.6", "5", "8", "30"),
        ("gpt-image-1.5", "5", "8", "32"),  # as others report it; it agrees with the published prices of a picture
        ("gpt-image-1-mini", "2", "2.5", "8"),
    ):
        prices |= {f"{family}/{_TEXT_IN}": text_in, f"{family}/{_IMAGE_IN}": image_in}
        prices[f"{family}/{_IMAGE_OUT}"] = image_out
    return prices


MOST_SOURCES = 16
SOURCE_FORMATS = ("png", "jpeg", "webp")
MOST_TOKENS_OF_A_SOURCE = 6_500
"""what a picture that is handed over counts as at most (high fidelity: 6,240 for its shape, and its tiles)"""


def _part(image: GeneratedImage, stem: str) -> tuple[str, bytes, str]:
    """A file of a form: name, content, type."""
    content = image.content if isinstance(image.content, bytes) else image.content.encode()
    return f"{stem}.{image.format}", content, f"image/{image.format}"


MISCONFIGURED_CODES = frozenset(
    {"billing_hard_limit_reached", "insufficient_quota", "billing_not_active", "model_not_found"}
)


class OpenAIImagesAdapter(MediaGeneratorProvider):
    """OpenAI's image models. Synchronous, and silent until the picture is done, which may take minutes."""

    name = "openai_images"
    label = "OpenAI Images"
    default_base_url = "https://api.openai.com/v1"
    billing_url = "https://platform.openai.com/usage"
    default_model = "gpt-image-2"
    models = (
        *("gpt-image-2", "gpt-image-2.5-flare", "gpt-image-2.5-sunburst", "gpt-image-2.6-flare"),
        *("gpt-image-2.6-sunburst", "gpt-image-1.5", "gpt-image-1-mini", "chatgpt-image-latest"),
    )
    announced_ends = {
        "dall-e-2": "2026-05-12",
        "dall-e-3": "2026-05-12",
        "gpt-image-1": "2026-10-23",
        "gpt-image-1-mini": "",
    }
    default_timeout_s = 600.0
    credential_env = "OPENAI_API_KEY"
    default_prices = _published_prices()
    options = {
        "quality": Option(
            kind="choice",
            choices=("auto", "low", "medium", "high", "xhigh", "max"),
            help="auto when not set. xhigh and max from gpt-image-2.5 on; older models get high instead.",
        ),
        "background": Option(
            kind="choice",
            choices=("auto", "opaque", "transparent"),
            help="transparent needs png or webp, and a model that can.",
        ),
        "output_format": Option(
            kind="choice", choices=("png", "jpeg", "webp"), help="png when not set; jpeg is quicker."
        ),
        "output_compression": Option(kind="int", minimum=0, maximum=100, help="For jpeg and webp; 100 when not set."),
        "moderation": Option(kind="choice", choices=("auto", "low"), help="How strictly prompts are filtered."),
        "safety_identifier": Option(
            kind="text", max_length=64, help="A hash that stands for your end user, for the service's abuse checks."
        ),
        "organization": Option(
            kind="text",
            pattern=r"[A-Za-z0-9_\-]+",
            max_length=128,
            config_only=True,
            help="Organization that pays (org-...).",
        ),
        "project": Option(
            kind="text",
            pattern=r"[A-Za-z0-9_\-]+",
            max_length=128,
            config_only=True,
            help="Project that pays (proj_...).",
        ),
    }

    @property
    def max_prompt_chars(self) -> int | None:
        return 32_000

    @property
    def family(self) -> str:
        """The model without its variant and date ("gpt-image-2.5" for "gpt-image-2.5-flare-2026-09-08")."""
        found = _FAMILY.fullmatch(self.model)
        return found[1] if found else self.model

    def wire_size(self, width: int, height: int) -> tuple[int, int]:
        """The size in pixels to ask for when (width, height) is wanted."""
        if self.model.startswith(FIXED_SIZE_FAMILIES):
            return nearest_ratio(width, height, THREE_SIZES)
        return snap_to_grid(
            width, height, multiple=16, min_side=16, max_side=3840, min_area=655_360, max_area=8_294_400, max_ratio=3
        )

    def wire_quality(self, quality: str) -> str:
        """The best quality that the model knows, when `quality` is one of those above."""
        ends_at_high = self.family == "gpt-image-2" or self.model.startswith(FIXED_SIZE_FAMILIES)
        return "high" if ends_at_high and quality in ("xhigh", "max") else quality

    def price_keys(self, request: GenerationRequest) -> list[str]:
        width, height = self.wire_size(request.width, request.height)
        quality = request.options.get("quality", "auto")
        # What "auto" will choose is not known before; a budget is safer with the dearest of the old three.
        return self._price_keys(f"{width}x{height}", "high" if quality == "auto" else quality)

    def prepared(self, request: GenerationRequest) -> tuple[GenerationRequest, dict[str, Any]]:
        prepared, report = super().prepared(request)
        options = dict(prepared.options)
        level = options.get("output_compression")
        if level is not None and options.get("output_format", "png") == "png":
            del options["output_compression"]
            report["options.output_compression"] = not_honoured(level, "png is not compressed by a level")
        if "quality" in options and (quality := self.wire_quality(options["quality"])) != options["quality"]:
            report["options.quality"] = not_honoured(options["quality"], f"the best of {self.model} is {quality}")
            options["quality"] = quality
        return replace(prepared, options=options), report

    def estimate_edit(
        self, *, images: Sequence[GeneratedImage], mask: GeneratedImage | None = None, **request: Any
    ) -> Decimal | None:
        """As `estimate`, for `edit_image`: what is handed over costs as well."""
        made = self.estimate(**request)
        per_token = self.prices.get(f"{self.model}/{_IMAGE_IN}", self.prices.get(f"{self.family}/{_IMAGE_IN}"))
        if made is None or per_token is None:
            return None
        return made + (len(images) + (mask is not None)) * MOST_TOKENS_OF_A_SOURCE * per_token / 1_000_000

    async def edit_image(
        self,
        prompt: str,
        images: Sequence[GeneratedImage],
        width: int = 1024,
        height: int = 1024,
        mask: GeneratedImage | None = None,
        **options: Any,
    ) -> GeneratedImage:
        """A picture made out of 1 to 16 others as the prompt says; where `mask` is transparent, only there.

        Options and errors as of `generate_image`.
        """
        if not 1 <= len(images) <= MOST_SOURCES:
            raise UnsupportedRequest(f"{self.name}: it edits 1 to {MOST_SOURCES} pictures, not {len(images)}.")
        for image in images:
            if image.format not in SOURCE_FORMATS:
                raise UnsupportedRequest(
                    f"{self.name}: it edits {', '.join(SOURCE_FORMATS)}, not {image.format!r:.20}. Convert it first."
                )
        if mask is not None and mask.format != "png":
            raise UnsupportedRequest(f"{self.name}: a mask must be png, not {mask.format!r:.20}. Convert it first.")
        request, fit_report = self.prepared(
            GenerationRequest.checked(prompt=prompt, width=width, height=height, **options)
        )

        async def ask(request: GenerationRequest) -> Generated:
            return await self._edit_image(request, images, mask)

        return await self._delivered(request, fit_report, ask)

    async def _edit_image(
        self, request: GenerationRequest, images: Sequence[GeneratedImage], mask: GeneratedImage | None
    ) -> Generated:
        width, height = self.wire_size(request.width, request.height)
        options = dict(request.options)
        headers = self._account_headers(options.pop("organization", None), options.pop("project", None))
        fields = {"model": self.model, "prompt": request.prompt, "n": 1, "size": f"{width}x{height}", **options}
        files = [("image[]", _part(image, f"image-{number}")) for number, image in enumerate(images, start=1)]
        if mask is not None:
            files.append(("mask", _part(mask, "mask")))
        response = await self.service.request(
            "POST",
            "/images/edits",
            headers=headers,
            form={name: str(value) for name, value in fields.items()},
            files=files,
            max_bytes=json_limit(),
            purchase=True,
        )
        return await self._read(response, request)

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        width, height = self.wire_size(request.width, request.height)
        options = dict(request.options)
        headers = self._account_headers(options.pop("organization", None), options.pop("project", None))
        payload = {"model": self.model, "prompt": request.prompt, "n": 1, "size": f"{width}x{height}", **options}
        response = await self.service.request(
            "POST", "/images/generations", headers=headers, json=payload, max_bytes=json_limit(), purchase=True
        )
        return await self._read(response, request)

    async def _read(self, response: http.Response, request: GenerationRequest) -> Generated:
        """The picture in the service's answer, and what it says of it."""
        answer, encoded = self.checked(response).json_object_and("b64_json")
        if isinstance(answer.get("error"), dict):
            text = f"answered {response.status} with an error: {self._vendor_text(response)}"
            raise self._vendor_error(response) or BadResponse(text, http_status=response.status)
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
        response = await self.service.request(
            "GET", f"/models/{quote(self.model, safe='')}", headers=headers, timeout_s=self.probe_timeout_s
        )
        answer = self.checked(response).json_object()
        if not isinstance(answer.get("id"), str):
            raise BadResponse("answered without a model.", http_status=response.status)
        if shutdown_date := self.quoted(answer.get("shutdown_date"), 40):
            return f"{self.model} answers; WARNING: it is shut down on {shutdown_date}. Choose another model before."
        return f"{self.model} answers"

    def _check_options(self, options: Mapping[str, Any]) -> None:
        if options.get("background") == "transparent" and options.get("output_format") == "jpeg":
            raise ValueError("option background transparent needs output_format png or webp: jpeg has no transparency.")

    def _checked_model(self, model: str) -> str:
        model = super()._checked_model(model)
        if model in SUCCESSORS:
            raise ConfigurationError(
                f"{self.name}: {model} was shut down by OpenAI. Set the model to {SUCCESSORS[model]}, "
                f"or leave it empty for {self.default_model}."
            )
        return model

    def _account_headers(self, organization: str | None, project: str | None) -> dict[str, str]:
        headers = {"openai-organization": organization, "openai-project": project}
        return {name: value for name, value in headers.items() if value}

    def _price_keys(self, size: str, quality: str) -> list[str]:
        sizes = [f"{size}/{quality}", size]
        return [f"{model}/{rest}" for model in (self.model, self.family) for rest in sizes] + [self.model]

    def _cost(self, answer: Mapping[str, Any], request: GenerationRequest) -> Decimal | None:
        """USD by the tokens that the answer names; else by the size and quality it names; else None."""
        usage = answer.get("usage")
        by_tokens = self._cost_of_tokens(usage) if isinstance(usage, dict) else None
        size, quality = answer.get("size"), answer.get("quality")
        if by_tokens is not None or not isinstance(quality, str):
            return by_tokens
        if not isinstance(size, str):
            width, height = self.wire_size(request.width, request.height)
            size = f"{width}x{height}"
        return next((self.prices[key] for key in self._price_keys(size, quality) if key in self.prices), None)

    def _cost_of_tokens(self, usage: Mapping[str, Any]) -> Decimal | None:
        """None when a count is missing or a price is not known. Text in the output counts as picture, the dearer.

        None also without tokens in the output: a picture was made, so whoever says so does not count pictures.
        """
        if usage.get("output_tokens") == 0:
            return None
        details = usage.get("input_tokens_details")
        details = details if isinstance(details, dict) else {"text_tokens": usage.get("input_tokens")}
        counts = {
            _TEXT_IN: details.get("text_tokens"),
            _IMAGE_IN: details.get("image_tokens", 0),
            _IMAGE_OUT: usage.get("output_tokens"),
        }
        total = Decimal(0)
        for kind, count in counts.items():
            price = self.prices.get(f"{self.model}/{kind}", self.prices.get(f"{self.family}/{kind}"))
            if price is None or type(count) is not int or not 0 <= count < 10**9:
                return None
            total += count * price
        return total / 1_000_000

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
