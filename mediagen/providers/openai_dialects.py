"""Services that speak OpenAI's image API, each in its own way, as one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mediagen.errors import ConfigurationError
from mediagen.providers.describing import DESCRIBE_OPTIONS
from mediagen.providers.options import Option
from mediagen.providers.sizes import Size, nearest_ratio, snap_to_grid, tier_that_covers
from mediagen.wording import say as _

_OPTIONS_OF_OPENAI = {
    name: name
    for name in (
        *("quality", "background", "output_format", "output_compression", "moderation"),
        *("safety_identifier", "input_fidelity"),
    )
}
_RATIOS_OF_XAI: Mapping[Size, str] = {
    **{(w, h): f"{w}:{h}" for w, h in ((1, 1), (3, 4), (4, 3), (9, 16), (16, 9), (2, 3), (3, 2), (1, 2), (2, 1))},
    **{(20, 9): "20:9", (9, 20): "9:20", (39, 18): "19.5:9", (18, 39): "9:19.5"},
}
_TIERS_OF_XAI = {"1k": 1024, "2k": 2048}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one service differs."""

    name: str
    base_url: str
    """the service's own, or what such a one looks like"""
    default_model: str = ""
    """"" where the model has to be set"""
    key_env: str = ""
    """environment variable of its key; another dialect's is never sent to it"""
    key_hosts: tuple[str, ...] = ()
    """the vendor's hosts, or endings of them; none: a server of one's own, whose address has to be allowed"""
    needs_key: bool = True
    key_headers: tuple[str, ...] = ("authorization",)
    """headers that carry the key: "authorization" (as a bearer token) and "api-key" """
    says_size_by: str = "size"
    """"size" (WxH), "sides" (width, height) or "ratio" (aspect_ratio, resolution)"""
    grid: Mapping[str, int] = field(default_factory=dict)
    """limits of `snap_to_grid`; none: the model's family knows (OpenAI's own models)"""
    options: Mapping[str, str] = field(default_factory=dict)
    """our names of what may be sent, with the service's"""
    formats: tuple[str, ...] = ("png", "jpeg", "webp")
    """values of the option output_format"""
    seed: bool = False
    negative_prompt: str = ""
    """the field's name; "|" joins it to the prompt"""
    always: Mapping[str, Any] = field(default_factory=dict)
    """fields that go with every request"""
    edits_by: str = ""
    """"form" (multipart), "json" (data URLs as `image` or `images`), "same" (data URLs as `image` of a generation)"""
    most_sources: int = 16
    most_tokens_as: str = "max_tokens"
    """the field of a chat completion for the longest answer: what all servers know, and OpenAI calls deprecated"""
    health: str = "models"
    """"model" (the model's entry), "models" (the list, which some have not) or "readyz" (beside the API)"""

    @property
    def has_address(self) -> bool:
        """Whether its `base_url` is a real one."""
        return not any(word in self.base_url for word in ("RESOURCE", "HOST"))


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            name="openai",
            base_url="https://api.openai.com/v1",
            key_env="OPENAI_API_KEY",
            key_hosts=("api.openai.com",),
            default_model="gpt-image-2",
            options=_OPTIONS_OF_OPENAI,
            always={"n": 1},
            edits_by="form",
            most_tokens_as="max_completion_tokens",
            health="model",
        ),
        Dialect(
            name="azure",
            base_url="https://RESOURCE.openai.azure.com/openai/v1",
            key_env="AZURE_OPENAI_API_KEY",
            key_hosts=(".openai.azure.com",),
            key_headers=("authorization", "api-key"),
            options=_OPTIONS_OF_OPENAI,
            always={"n": 1},
            edits_by="form",
            most_tokens_as="max_completion_tokens",
        ),
        Dialect(
            name="xai",
            base_url="https://api.x.ai/v1",
            key_env="XAI_API_KEY",
            key_hosts=("api.x.ai",),
            default_model="grok-imagine-image-2.0",
            says_size_by="ratio",
            options={"quality": "quality"},
            always={"n": 1, "response_format": "b64_json"},
            edits_by="json",
            most_sources=5,
            health="model",
        ),
        Dialect(
            name="seedream",
            base_url="https://ark.ap-southeast.bytepluses.com/api/v3",
            key_env="ARK_API_KEY",
            key_hosts=(".bytepluses.com",),
            # What every version from 4.5 on makes: more would be refused by some, less by others.
            grid={"multiple": 16, "min_side": 512, "max_side": 4096, "min_area": 3_686_400, "max_area": 4_194_304},
            # The vendor marks its pictures visibly unless it is told not to.
            always={"response_format": "b64_json", "watermark": False},
            edits_by="same",
            most_sources=14,
        ),
        Dialect(
            name="together",
            base_url="https://api.together.ai/v1",
            key_env="TOGETHER_API_KEY",
            key_hosts=("api.together.ai", "api.together.xyz"),
            says_size_by="sides",
            grid={"multiple": 16, "min_side": 256, "max_side": 1440},
            options={"output_format": "output_format", "steps": "steps", "guidance_scale": "guidance_scale"},
            formats=("png", "jpeg"),
            seed=True,
            negative_prompt="negative_prompt",
            always={"n": 1, "response_format": "base64"},
        ),
        Dialect(
            name="vllm",
            base_url="http://HOST:8000/v1",
            key_env="VLLM_API_KEY",
            needs_key=False,
            grid={"multiple": 16, "min_side": 256, "max_side": 2048},
            options={"steps": "num_inference_steps", "guidance_scale": "guidance_scale"},
            seed=True,
            negative_prompt="negative_prompt",
            always={"n": 1, "response_format": "b64_json"},
        ),
        Dialect(
            name="localai",
            base_url="http://HOST:8080/v1",
            key_env="LOCALAI_API_KEY",
            needs_key=False,
            grid={"multiple": 8, "min_side": 256, "max_side": 2048},
            options={"steps": "step", "response_format": "response_format"},
            negative_prompt="|",
            always={"n": 1},
            health="readyz",
        ),
        Dialect(
            name="generic",
            base_url="https://HOST/v1",
            needs_key=False,
            grid={"multiple": 8, "min_side": 256, "max_side": 2048},
            options=_OPTIONS_OF_OPENAI | {"response_format": "response_format"},
            always={"n": 1},
            edits_by="form",
        ),
    )
}


def dialect_named(name: Any) -> Dialect:
    """The dialect; `ConfigurationError` when there is none of this name."""
    if name not in DIALECTS:
        raise ConfigurationError(f"There is no dialect {name!r:.40} of OpenAI's API. There are: {', '.join(DIALECTS)}.")
    return DIALECTS[name]


def on_grid(dialect: Dialect, width: int, height: int) -> Size:
    """The size in pixels that comes nearest to width x height."""
    return snap_to_grid(width, height, **dialect.grid)


def ratio_and_tier(width: int, height: int) -> tuple[str, str]:
    """xAI's aspect_ratio and resolution: the nearest shape, and the smallest tier that covers width x height."""
    ratio = nearest_ratio(width, height, _RATIOS_OF_XAI)
    return _RATIOS_OF_XAI[ratio], tier_that_covers(width, height, ratio, _TIERS_OF_XAI)


FAMILIES = ("gpt-image-2", "gpt-image-2.5", "gpt-image-2.6", "gpt-image-1.5", "gpt-image-1-mini")
"""what may stand behind an Azure deployment"""

OPTIONS: Mapping[str, Option] = {
    "quality": Option(
        kind="choice",
        choices=("auto", "low", "medium", "high", "xhigh", "max"),
        help=_("auto when not set. xhigh and max from gpt-image-2.5 on; older models get high instead."),
    ),
    "background": Option(
        kind="choice",
        choices=("auto", "opaque", "transparent"),
        help=_("transparent needs png or webp, and a model that can."),
    ),
    "output_format": Option(
        kind="choice", choices=("png", "jpeg", "webp"), help=_("png when not set; jpeg is quicker.")
    ),
    "output_compression": Option(kind="int", minimum=0, maximum=100, help=_("For jpeg and webp; 100 when not set.")),
    "moderation": Option(kind="choice", choices=("auto", "low"), help=_("How strictly prompts are filtered.")),
    "input_fidelity": Option(
        kind="choice",
        choices=("low", "high"),
        help=_("Edits: how closely to keep to the pictures. gpt-image-1.5; gpt-image-1-mini has low only."),
    ),
    "safety_identifier": Option(
        kind="text", max_length=64, help=_("A hash that stands for your end user, for the service's abuse checks.")
    ),
    "organization": Option(
        kind="text",
        pattern=r"[A-Za-z0-9_\-]+",
        max_length=128,
        config_only=True,
        help=_("Organization that pays (org-...)."),
    ),
    "project": Option(
        kind="text",
        pattern=r"[A-Za-z0-9_\-]+",
        max_length=128,
        config_only=True,
        help=_("Project that pays (proj_...)."),
    ),
    "steps": Option(kind="int", minimum=1, maximum=500, help=_("Denoising steps. together, vllm and localai.")),
    "guidance_scale": Option(
        kind="float", minimum=0, maximum=50, help=_("How closely to follow the prompt. together and vllm.")
    ),
    "dialect": Option(
        kind="choice", choices=tuple(DIALECTS), config_only=True, help=_("Whose way of this API. openai when not set.")
    ),
    "family": Option(
        kind="choice",
        choices=FAMILIES,
        config_only=True,
        help=_("The model behind a deployment whose name does not tell: its sizes and prices count."),
    ),
    "api_version": Option(
        kind="text",
        pattern=r"\d{4}-\d{2}-\d{2}(-preview)?",
        config_only=True,
        help=_("azure: the older path, by deployment, with this version."),
    ),
    "response_format": Option(
        kind="choice",
        choices=("b64_json", "url"),
        config_only=True,
        help=_("localai and generic; not sent when not set."),
    ),
    **DESCRIBE_OPTIONS,
}
