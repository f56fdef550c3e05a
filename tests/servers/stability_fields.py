"""Stability's endpoints as data: fields, limits of the pictures sent in, credits. Facts of the v1 and v2beta files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.servers.checks import Field, words

RATIOS = ("21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21")
STYLES = words(
    "enhance anime photographic digital-art comic-book fantasy-art line-art analog-film neon-punk isometric low-poly "
    "origami modeling-compound cinematic 3d-model pixel-art tile-texture"
)

PROMPT = Field(required=True, minimum=1, maximum=10_000)
TEXT = Field(maximum=10_000)
SEED = Field("int", minimum=0, maximum=4_294_967_294)
FORMAT = Field(choices=("jpeg", "png", "webp"))
STYLE = Field(choices=STYLES)
RATIO = Field(choices=RATIOS)
PART = Field("number", minimum=0, maximum=1)
IMAGE = Field("file", required=True)
EXTRA_IMAGE = Field("file")
SIDE = Field("int", minimum=0, maximum=2000)
COMMON = {"seed": SEED, "output_format": FORMAT}
STYLED = {**COMMON, "negative_prompt": TEXT, "style_preset": STYLE}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path under /v2beta/stable-image/. `sides` and `area` bound every picture sent in, pixels inclusive."""

    fields: dict[str, Field]
    credits: float
    makes: Literal["core", "one_megapixel", "as_given", "times_four", "four_megapixels"] = "as_given"
    sides: tuple[int, int] = (64, 16_384)
    area: tuple[int, int] = (4_096, 9_437_184)
    is_async: bool = False


def _grow(maximum: int) -> Field:
    return Field("number", minimum=0, maximum=maximum)


ENDPOINTS = {
    "generate/core": Endpoint({"prompt": PROMPT, "aspect_ratio": RATIO, **STYLED}, 3, "core"),
    "generate/ultra": Endpoint(
        {"prompt": PROMPT, "aspect_ratio": RATIO, **STYLED, "image": EXTRA_IMAGE, "strength": PART},
        8,
        "one_megapixel",
        area=(4_096, 16_384**2),
    ),
    "generate/sd3": Endpoint(
        {
            "prompt": PROMPT,
            "mode": Field(choices=("text-to-image", "image-to-image")),
            "model": Field(choices=("sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash")),
            "aspect_ratio": RATIO,
            "cfg_scale": Field("number", minimum=1, maximum=10),
            **STYLED,
            "image": EXTRA_IMAGE,
            "strength": PART,
        },
        6.5,
        "one_megapixel",
        area=(4_096, 16_384**2),
    ),
    "upscale/fast": Endpoint(
        {"image": IMAGE, "output_format": FORMAT}, 2, "times_four", sides=(32, 1_536), area=(1_024, 1_048_576)
    ),
    "upscale/conservative": Endpoint(
        {
            "image": IMAGE,
            "prompt": PROMPT,
            "negative_prompt": TEXT,
            **COMMON,
            "creativity": Field("number", minimum=0.2, maximum=0.5),
        },
        40,
        "four_megapixels",
    ),
    "upscale/creative": Endpoint(
        {"image": IMAGE, "prompt": PROMPT, **STYLED, "creativity": Field("number", minimum=0.1, maximum=0.5)},
        60,
        "four_megapixels",
        area=(4_096, 1_048_576),
        is_async=True,
    ),
    "edit/erase": Endpoint({"image": IMAGE, "mask": EXTRA_IMAGE, "grow_mask": _grow(20), **COMMON}, 5),
    "edit/inpaint": Endpoint(
        {"image": IMAGE, "prompt": PROMPT, "mask": EXTRA_IMAGE, "grow_mask": _grow(100), **STYLED}, 5
    ),
    "edit/outpaint": Endpoint(
        {
            "image": IMAGE,
            "left": SIDE,
            "right": SIDE,
            "up": SIDE,
            "down": SIDE,
            "creativity": PART,
            "prompt": TEXT,
            "style_preset": STYLE,
            **COMMON,
        },
        4,
    ),
    "edit/search-and-replace": Endpoint(
        {"image": IMAGE, "prompt": PROMPT, "search_prompt": PROMPT, "grow_mask": _grow(20), **STYLED}, 5
    ),
    "edit/search-and-recolor": Endpoint(
        {"image": IMAGE, "prompt": PROMPT, "select_prompt": PROMPT, "grow_mask": _grow(20), **STYLED}, 5
    ),
    "edit/remove-background": Endpoint(
        {"image": IMAGE, "output_format": Field(choices=("png", "webp"))}, 5, area=(4_096, 4_194_304)
    ),
}
SD3_CREDITS = {"sd3.5-large": 6.5, "sd3.5-large-turbo": 4.0, "sd3.5-medium": 3.5, "sd3.5-flash": 2.5}

V1_ENGINE = "stable-diffusion-xl-1024-v1-0"
_V1_LYING = ((1152, 896), (1216, 832), (1344, 768), (1536, 640))
V1_SIZES = {(1024, 1024), *_V1_LYING, *((height, width) for width, height in _V1_LYING)}
V1_FIELDS = {
    "text_prompts": Field("list", required=True, minimum=1),
    "width": Field("int", minimum=128, multiple_of=64),
    "height": Field("int", minimum=128, multiple_of=64),
    "cfg_scale": Field("number", minimum=0, maximum=35),
    "clip_guidance_preset": Field(
        choices=("NONE", "FAST_BLUE", "FAST_GREEN", "SIMPLE", "SLOW", "SLOWER", "SLOWEST"),
    ),
    "sampler": Field(
        choices=words(
            "DDIM DDPM K_DPMPP_2M K_DPMPP_2S_ANCESTRAL K_DPM_2 K_DPM_2_ANCESTRAL K_EULER K_EULER_ANCESTRAL K_HEUN K_LMS"
        )
    ),
    "samples": Field("int", minimum=1, maximum=10),
    "seed": Field("int", minimum=0, maximum=4_294_967_295),
    # The file of 2023 allows 150; later documents 50. What passes here passes both.
    "steps": Field("int", minimum=10, maximum=50),
    "style_preset": STYLE,
}
V1_PROMPT_FIELDS = {"text": Field(required=True, maximum=2_000), "weight": Field("number")}
