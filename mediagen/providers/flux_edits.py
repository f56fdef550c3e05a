"""How the FLUX models are asked to work on pictures: which model does it, and what it is sent.

The configured model edits and varies, where it takes pictures. A mask leads to FLUX.1 Fill, an extension to Expand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mediagen.errors import UnsupportedRequest
from mediagen.operations import OUTPAINT, VARY, EditRequest
from mediagen.providers.editing import in_base64, words_of

FILL, EXPAND = "flux-pro-1.0-fill", "flux-pro-1.0-expand"
OPTIONS_OF_FLUX_1_TOOLS = ("safety_tolerance", "output_format", "prompt_upsampling")
"""of ours, those that Fill and Expand know; their steps and guidance have other bounds"""
_MOST_SOURCES = (("flux-3", 10), ("flux-2-klein", 4), ("flux-2", 8), ("flux-kontext", 4))
ONE_MEGAPIXEL = 1024 * 1024


def most_sources(model: str) -> int:
    """Pictures that the model takes beside a prompt; 0 for one that edits none."""
    return next((most for beginning, most in _MOST_SOURCES if model.startswith(beginning)), 0)


def model_for(configured: str, request: EditRequest) -> str:
    """The model that does this; `UnsupportedRequest` when none does."""
    if request.operation == OUTPAINT:
        return EXPAND
    if request.mask is not None:
        return FILL
    if most_sources(configured) or request.operation == VARY:
        return configured
    raise UnsupportedRequest(f"{configured} edits with a mask only. Set the model to one of flux-2 or flux-kontext.")


def picture_fields(model: str, request: EditRequest) -> Mapping[str, Any]:
    """The prompt and the pictures, as the model's payload has them."""
    pictures = [in_base64(image) for image in request.images]
    fields: dict[str, Any] = {"prompt": words_of(request)}
    if model in (FILL, EXPAND):
        if len(pictures) > 1:
            raise UnsupportedRequest(f"{model} works on one picture, not on {len(pictures)}.")
        fields["image"] = pictures[0]
        if request.mask is not None:
            fields["mask"] = in_base64(request.mask)
        left, right, up, down = request.margins
        sides = {"left": left, "right": right, "top": up, "bottom": down}
        return fields | {side: pixels for side, pixels in sides.items() if pixels}
    if model.startswith("flux-3"):
        return fields | {"images": pictures}
    if not most_sources(model):
        return fields | {"image_prompt": pictures[0]}
    names = ["input_image", *(f"input_image_{number}" for number in range(2, len(pictures) + 1))]
    return fields | dict(zip(names, pictures, strict=True))


def megapixels_in(request: EditRequest) -> int:
    """What is handed over, each picture in begun megapixels."""
    return sum(math.ceil(image.width * image.height / ONE_MEGAPIXEL) for image in request.images)
