"""Stability AI: Stable Image Core, Ultra and Stable Diffusion 3.5 (API v2beta), and the SDXL 1.0 engine (API v1).

The default model is `core`, although the provider is called after SDXL. SDXL 1.0 exists only in v1, which is kept
alive without new features, makes nine sizes of at most one megapixel from prompts of 2,000 characters, and has no
published price, so that no budget could count it. Core is current, has a price, and makes 1.5 megapixels. Who needs
SDXL itself sets `model` to "stable-diffusion-xl-1024-v1-0".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from mediagen import conf, http
from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    Misconfigured,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.providers.base import Generated, not_honoured
from mediagen.providers.inline import json_limit, picture_bytes
from mediagen.providers.moderation import is_refusal
from mediagen.providers.options import Option
from mediagen.providers.sizes import nearest_ratio
from mediagen.providers.stability_edits import CLIENT_HEADERS, EDIT_OPTIONS, SD3, ULTRA, Endpoint, StabilityEdits
from mediagen.types import GenerationRequest
from mediagen.wording import say as _

V1_ENGINE = "stable-diffusion-xl-1024-v1-0"
SD3_MODELS = ("sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash")
V2_MODELS = ("core", "ultra", *SD3_MODELS)
DISTILLED_MODELS = ("sd3.5-large-turbo", "sd3.5-flash")
"""run without classifier-free guidance, in which a negative prompt would have its effect"""

RATIOS = ((21, 9), (16, 9), (3, 2), (5, 4), (1, 1), (4, 5), (2, 3), (9, 16), (9, 21))
_LYING = ((1152, 896), (1216, 832), (1344, 768), (1536, 640))
V1_SIZES = ((1024, 1024), *_LYING, *((height, width) for width, height in _LYING))
"""pixels; the engine refuses every other pair"""

USD_PER_CREDIT = Decimal("0.01")

STYLES = (
    *("enhance", "anime", "photographic", "digital-art", "comic-book", "fantasy-art", "line-art", "analog-film"),
    *("neon-punk", "isometric", "low-poly", "origami", "modeling-compound", "cinematic", "3d-model", "pixel-art"),
    "tile-texture",
)
SAMPLERS = (
    *("DDIM", "DDPM", "K_DPMPP_2M", "K_DPMPP_2S_ANCESTRAL", "K_DPM_2", "K_DPM_2_ANCESTRAL"),
    *("K_EULER", "K_EULER_ANCESTRAL", "K_HEUN", "K_LMS"),
)
CLIP_GUIDANCE = ("NONE", "FAST_BLUE", "FAST_GREEN", "SIMPLE", "SLOW", "SLOWER", "SLOWEST")

ERRORS: Mapping[str, type[ProviderError]] = {
    "bad_request": UnsupportedRequest,
    "payload_too_large": UnsupportedRequest,
    "invalid_language": UnsupportedRequest,
    "invalid_sdxl_v1_dimensions": UnsupportedRequest,
    "unauthorized": CredentialsRefused,
    "payment_required": Misconfigured,
    "insufficient_balance": Misconfigured,
    "content_moderation": Refused,
    "public_figure": Refused,
    "invalid_prompts": Refused,
    "rate_limit_exceeded": RateLimited,
    "internal_error": Unavailable,
}
"""What the `name` in an error's body means. It goes before the status: moderation comes as 400, 403 and 422."""


class SDXLAdapter(StabilityEdits, table="sdxl"):
    """Stability AI's text-to-image models, and its work on pictures. Synchronous but for the creative upscale: the
    answer to the one request is the picture."""

    name = "sdxl"
    label = "Stability AI (SDXL, Stable Image)"
    default_base_url = "https://api.stability.ai"
    billing_url = "https://platform.stability.ai/account/credits"
    default_model = "core"
    models_are_closed = True
    default_cooldown_s = 60.0  # over 150 requests in 10 s shut the account out for that long
    credential_env = "SDXL_API_KEY"
    supports_seed = True
    supports_negative_prompt = True
    options = {
        "style_preset": Option(kind="choice", choices=STYLES, help=_("Leads the model towards a style.")),
        "output_format": Option(
            kind="choice", choices=("png", "jpeg", "webp"), only_models=V2_MODELS, help=_("png when not set.")
        ),
        "cfg_scale": Option(
            kind="float",
            minimum=0,
            maximum=35,
            only_models=(*SD3_MODELS, V1_ENGINE),
            help=_("How closely to follow the prompt: 1 to 10 for sd3.5 models, 0 to 35 for SDXL."),
        ),
        "steps": Option(
            # The vendor's file of 2023 allows 150, later documents 50.
            kind="int",
            minimum=10,
            maximum=50,
            only_models=(V1_ENGINE,),
            help=_("Diffusion steps."),
        ),
        "sampler": Option(
            kind="choice", choices=SAMPLERS, only_models=(V1_ENGINE,), help=_("Chosen for you if not set.")
        ),
        "clip_guidance_preset": Option(kind="choice", choices=CLIP_GUIDANCE, only_models=(V1_ENGINE,)),
        "organization": Option(
            kind="text",
            pattern=r"[A-Za-z0-9_\-]+",
            max_length=128,
            only_models=(V1_ENGINE,),
            config_only=True,
            help=_("Organization that pays, if not the key's default one."),
        ),
        **EDIT_OPTIONS,
    }

    def image_to_image(self) -> Endpoint | None:
        return SD3 if self.model in SD3_MODELS else ULTRA if self.model == "ultra" else None

    @property
    def seed_range(self) -> tuple[int, int]:
        # 0 is a legal value and means a random seed: asked for as a seed it cannot be had.
        return 1, 4_294_967_295 if self.model == V1_ENGINE else 4_294_967_294

    @property
    def max_prompt_chars(self) -> int | None:
        return 2_000 if self.model == V1_ENGINE else 10_000

    def prepared(self, request: GenerationRequest) -> tuple[GenerationRequest, dict[str, Any]]:
        if not request.negative_prompt or self.model not in DISTILLED_MODELS:
            return super().prepared(request)
        prepared, report = super().prepared(replace(request, negative_prompt=""))
        why = f"{self.model} takes no notice of a negative prompt"
        report["negative_prompt"] = not_honoured(request.negative_prompt, why)
        return prepared, report

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        return await (self._from_v1(request) if self.model == V1_ENGINE else self._from_v2(request))

    async def _from_v2(self, request: GenerationRequest) -> Generated:
        ratio_width, ratio_height = nearest_ratio(request.width, request.height, RATIOS)
        ratio = f"{ratio_width}:{ratio_height}"
        fields = {"prompt": request.prompt, "aspect_ratio": ratio, "output_format": "png"}
        fields |= {option: str(value) for option, value in request.options.items()}
        if request.negative_prompt:
            fields["negative_prompt"] = request.negative_prompt
        if request.seed is not None:
            fields["seed"] = str(request.seed)
        endpoint = self.model
        if self.model in SD3_MODELS:
            endpoint = "sd3"
            fields["model"] = self.model
        response = await self.service.request(
            "POST",
            f"/v2beta/stable-image/generate/{endpoint}",
            headers={**CLIENT_HEADERS, "accept": "image/*"},
            # Multipart also for text alone, which is what a file without a name gives.
            files={name: (None, value) for name, value in fields.items()},
            max_bytes=conf.get("MAX_IMAGE_BYTES"),
            purchase=True,
        )
        return self.v2_picture(self.checked(response), request, aspect_ratio=ratio)

    def v2_picture(self, response: http.Response, request: GenerationRequest, **metadata: str) -> Generated:
        self._check_finish(response.headers.get("finish-reason", "SUCCESS"), request)
        content, found = self._body_of(response)
        return Generated(
            content=content,
            picture=found,
            seed=_seed(response.headers.get("seed")),
            metadata={**metadata, **self._request_id(response)},
        )

    async def _from_v1(self, request: GenerationRequest) -> Generated:
        width, height = nearest_ratio(request.width, request.height, V1_SIZES)
        options = dict(request.options)
        prompts: list[dict[str, Any]] = [{"text": request.prompt, "weight": 1}]
        if request.negative_prompt:
            prompts.append({"text": request.negative_prompt, "weight": -1})
        headers = self._v1_headers(options.pop("organization", None))
        payload = {"text_prompts": prompts, "width": width, "height": height, "samples": 1, **options}
        if request.seed is not None:
            payload["seed"] = request.seed
        response = await self.service.request(
            "POST",
            f"/v1/generation/{V1_ENGINE}/text-to-image",
            headers=headers,
            json=payload,
            max_bytes=json_limit(),
            purchase=True,
        )
        data, encoded = self.checked(response).json_object_and("base64")
        artifacts = data.get("artifacts")
        picture = artifacts[0] if isinstance(artifacts, list) and artifacts else None
        if not isinstance(picture, dict):
            raise BadResponse("answered 200 without a picture in it.", http_status=200)
        self._check_finish(picture.get("finishReason", "SUCCESS"), request)
        surplus = {}
        if isinstance(artifacts, list) and len(artifacts) > 1:
            surplus["pictures"] = not_honoured(1, f"the service sent {len(artifacts)}; the first was kept")
        return Generated(
            content=picture_bytes(http.taken(picture.get("base64"), encoded), cost=self.price(request)),
            seed=_seed(picture.get("seed")),
            metadata={"size": f"{width}x{height}", **self._request_id(response)},
            not_honoured=surplus,
        )

    async def _probe(self) -> str:
        organization = self.default_options.get("organization") if self.knows_option("organization") else None
        response = await self.service.request(
            "GET", "/v1/user/balance", headers=self._v1_headers(organization), timeout_s=self.probe_timeout_s
        )
        credits = self.checked(response).json_object().get("credits")
        if isinstance(credits, bool) or not isinstance(credits, int | float) or not math.isfinite(credits):
            raise BadResponse("answered without a balance.", http_status=response.status)
        left = f"{credits:.2f}".rstrip("0").rstrip(".")
        if credits <= 0:
            raise Misconfigured(f"{left} credits left: nothing can be made until credits are bought.")
        if (needed := Decimal(self.default_prices.get(self.model, "0")) / USD_PER_CREDIT) > Decimal(credits):
            raise Misconfigured(f"{left} credits left, and one picture of {self.model} takes {needed}: buy credits.")
        return f"{left} credits left"

    def _check_options(self, options: Mapping[str, Any]) -> None:
        cfg_scale = options.get("cfg_scale")
        if cfg_scale is not None and self.model in SD3_MODELS and not 1 <= cfg_scale <= 10:
            raise ValueError(f"option cfg_scale must be a number from 1 to 10 for {self.model}, not {cfg_scale:g}.")

    def _check_finish(self, reason: Any, request: GenerationRequest) -> None:
        """What the service says of a picture that came with status 200."""
        if reason == "CONTENT_FILTERED":
            # The picture is there, blurred, and was billed.
            raise Refused(
                "moderation blurred the picture (CONTENT_FILTERED); it was billed all the same.",
                http_status=200,
                cost=self.price(request),
            )
        if reason != "SUCCESS":
            raise BadResponse(f"answered 200 with finish reason {self.quoted(reason, 40)!r}.", http_status=200)

    def _vendor_error(self, response: http.Response) -> ProviderError | None:
        name = response.error_object().get("name")
        error = ERRORS.get(name) if isinstance(name, str) else None
        if error is None and is_refusal(name):
            error = Refused
        if error is None:
            return None
        text = f"{response.status} {name}: {self._vendor_text(response)}"
        if error is Misconfigured:
            text = f"{text.rstrip('.')}. Buy credits for the account of this key."
        return error(text, http_status=response.status, retry_after_s=http.retry_after_s(response.headers))

    def _request_id(self, response: http.Response) -> dict[str, str]:
        """What the vendor's support asks for."""
        found = self.quoted(response.headers.get("x-request-id"))
        return {"request_id": found} if found else {}

    def _v1_headers(self, organization: str | None) -> dict[str, str]:
        headers = {**CLIENT_HEADERS, "accept": "application/json"}
        if organization:
            headers["organization"] = organization
        return headers


def _seed(value: Any) -> int | None:
    """The seed the service says it used; None when it says nothing that can be one."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)
    return value if type(value) is int and 0 <= value <= 4_294_967_295 else None
