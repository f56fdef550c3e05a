"""What models at Replicate take, and our request in their words. No two call things the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mediagen.operations import EDIT, VARY, EditRequest
from mediagen.providers.base import not_honoured
from mediagen.providers.editing import words_of
from mediagen.providers.sizes import Size, nearest_ratio, reduced_ratio, snap_to_grid, tier_that_covers
from mediagen.types import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a model."""

    choices: tuple[str, ...] = ()
    """empty: any value"""
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int = 0
    is_list: bool = False


Inputs = Mapping[str, Input]

_ANY = Input()
_RATIO = re.compile(r"(\d{1,4}(?:\.\d)?):(\d{1,4}(?:\.\d)?)")
_PIXELS = re.compile(r"(\d{2,5})x(\d{2,5})")
_TIER = re.compile(r"(\d{1,4}(?:\.\d{1,2})?)\s*(k|mp|)", re.IGNORECASE)
_TIERS_ARE_IN = ("resolution", "size", "image_size", "megapixels")
_MATCH = "match_input_image"
NOT_SENT = ("price_per_second", "edit_model", "upscale_model", "background_model")
"""options that are for us"""
_COUNTS = ("num_outputs", "num_images", "number_of_images", "max_images", "n")
_FORMATS = {"jpeg": ("jpeg", "jpg")}


def _words(text: str) -> Input:
    return Input(choices=tuple(text.split()))


def _inputs(names: str, **others: Input) -> Inputs:
    return {**dict.fromkeys(names.split(), _ANY), **others}


_ELEVEN = _words("1:1 16:9 21:9 3:2 2:3 4:5 5:4 3:4 4:3 9:16 9:21")
_SIDE = Input(minimum=256, maximum=1440, multiple_of=32)
_OF_GOOGLE = _words("1:1 2:3 3:2 3:4 4:3 4:5 5:4 9:16 16:9 21:9")
_OF_SEEDREAM = _words("1:1 4:3 3:4 16:9 9:16 3:2 2:3 21:9")
_PNG_OR_JPG, _ALL_FORMATS = _words("png jpg"), _words("png jpg webp")

SDXL_INPUTS = _inputs(
    "prompt negative_prompt seed num_inference_steps guidance_scale scheduler refine high_noise_frac refine_steps "
    "apply_watermark lora_scale disable_safety_checker image",
    width=Input(minimum=8, maximum=4096, multiple_of=8),
    height=Input(minimum=8, maximum=4096, multiple_of=8),
)

# Official models, the particular ones first. What a name adds behind these may come and go.
_KNOWN: tuple[tuple[str, Inputs], ...] = (
    (
        r"google/nano-banana-(2|2\.1|pro)",
        _inputs("prompt", aspect_ratio=_OF_GOOGLE, resolution=_words("1K 2K 4K"), output_format=_PNG_OR_JPG),
    ),
    (r"google/nano-banana", _inputs("prompt", aspect_ratio=_OF_GOOGLE, output_format=_PNG_OR_JPG)),
    (
        r"black-forest-labs/flux-(schnell|dev)",
        _inputs(
            "prompt seed num_outputs num_inference_steps disable_safety_checker",
            aspect_ratio=_ELEVEN,
            output_format=_ALL_FORMATS,
        ),
    ),
    (
        r"black-forest-labs/flux-(1\.1-pro|pro)",
        _inputs(
            "prompt seed",
            aspect_ratio=Input(choices=("custom", *_ELEVEN.choices)),
            width=_SIDE,
            height=_SIDE,
            output_format=_ALL_FORMATS,
        ),
    ),
    (r"black-forest-labs/flux-1\.1-pro-ultra", _inputs("prompt seed", aspect_ratio=_ELEVEN, output_format=_PNG_OR_JPG)),
    (
        r"black-forest-labs/flux-kontext-(pro|max)",
        _inputs("prompt seed", aspect_ratio=_ELEVEN, output_format=_PNG_OR_JPG),
    ),
    (
        r"bytedance/seedream-4",
        _inputs("prompt max_images", aspect_ratio=_OF_SEEDREAM, size=_words("1K 2K 4K")),
    ),
    (r"bytedance/seedream-4\.5", _inputs("prompt max_images", aspect_ratio=_OF_SEEDREAM, size=_words("2K 4K"))),
    (
        r"bytedance/seedream-5-pro",
        _inputs("prompt", aspect_ratio=_OF_SEEDREAM, size=_words("1K 2K"), output_format=_PNG_OR_JPG),
    ),
    (
        r"recraft-ai/recraft-(v3|v4|v4-pro|v4\.1)",
        _inputs("prompt", aspect_ratio=_words("1:1 4:3 3:4 3:2 2:3 16:9 9:16 1:2 2:1 4:5 5:4 6:10 14:10 10:14")),
    ),
    (
        r"stability-ai/stable-diffusion-3\.5-(large|large-turbo|medium)",
        _inputs("prompt negative_prompt seed", aspect_ratio=_ELEVEN, output_format=_ALL_FORMATS),
    ),
)


def known_inputs(model: str) -> Inputs | None:
    """What an official model takes; None for one whose schema has to be read."""
    return next((inputs for pattern, inputs in _KNOWN if re.fullmatch(pattern, model)), None)


def read_schema(schema: Any) -> Inputs:
    """The inputs in a model's OpenAPI schema; {} when it names none."""
    parts = schema.get("components") if isinstance(schema, dict) else None
    schemas = parts.get("schemas") if isinstance(parts, dict) else None
    if not isinstance(schemas, dict) or not isinstance(schemas.get("Input"), dict):
        return {}
    properties = schemas["Input"].get("properties")
    if not isinstance(properties, dict):
        return {}
    return {name: _read(spec, schemas) for name, spec in properties.items() if isinstance(spec, dict)}


def _read(spec: Mapping[str, Any], schemas: Mapping[str, Any]) -> Input:
    """One property; its choices may stand in a schema of their own, to which it refers."""
    parts = [spec]
    for part in (spec, *(one for one in spec.get("allOf") or () if isinstance(one, dict))):
        reference = part.get("$ref")
        found = schemas.get(reference.rpartition("/")[2]) if isinstance(reference, str) else None
        if isinstance(found, dict):
            parts.append(found)
    choices: list[Any] = next((part["enum"] for part in parts if isinstance(part.get("enum"), list)), [])
    return Input(
        choices=tuple(str(choice) for choice in choices),
        minimum=_number(spec.get("minimum")),
        maximum=_number(spec.get("maximum")),
        multiple_of=int(_number(spec.get("multipleOf")) or 0),
        is_list=spec.get("type") == "array",
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def worded(inputs: Inputs, request: GenerationRequest, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the request in the model's words, entries of the fit report for what it has no word for)."""
    work = request if isinstance(request, EditRequest) else None
    is_sized = work is None or work.operation in (EDIT, VARY)
    values: dict[str, Any] = _size(inputs, request.width, request.height) if is_sized else {}
    if work is None or ("prompt" in inputs and words_of(work)):
        values["prompt"] = words_of(request)
    if work is not None and is_sized and _MATCH in _choices(inputs, "aspect_ratio") and _has_shape_of_source(work):
        values["aspect_ratio"] = _MATCH
    report: dict[str, Any] = {}
    for name, value in (("seed", request.seed), ("negative_prompt", request.negative_prompt or None)):
        if value is not None and name in inputs:
            values[name] = value
        elif value is not None:
            report[name] = not_honoured(value, f"{model} has no {name.replace('_', ' ')}")
    for name in _COUNTS:
        if name in inputs:
            values[name] = 1
    for name, value in request.options.items():
        if name in NOT_SENT:
            continue
        said = _said(inputs.get(name), value)
        if said is None:
            report[f"options.{name}"] = not_honoured(value, f"{model} does not take it")
        else:
            values[name] = said
    return values, report


def _has_shape_of_source(request: EditRequest) -> bool:
    source = request.images[0]
    return abs(request.width * source.height - request.height * source.width) <= max(source.width, source.height)


def _said(known: Input | None, value: Any) -> Any:
    """An option's value as the model writes it; None when it does not take it."""
    if known is None or not known.choices or not isinstance(value, str):
        return None if known is None else value
    return next((way for way in _FORMATS.get(value, (value,)) if way in known.choices), None)


def _size(inputs: Inputs, width: int, height: int) -> dict[str, Any]:
    ratio = inputs.get("aspect_ratio")
    if "width" in inputs and "height" in inputs and (ratio is None or "custom" in ratio.choices):
        w, h = _pixels(inputs["width"], inputs["height"], width, height)
        return {"width": w, "height": h, **({"aspect_ratio": "custom"} if ratio else {})}
    if ratio is not None and not ratio.choices:
        return {"aspect_ratio": reduced_ratio(width, height, lowest=(1, 3), highest=(3, 1))}
    if ratio is not None and (ratios := dict(_ratios(ratio.choices))):
        nearest = nearest_ratio(width, height, ratios)
        return {"aspect_ratio": ratios[nearest], **_tier(inputs, width, height, nearest)}
    for name in ("size", "image_size"):
        sizes = {(int(m[1]), int(m[2])): text for text in _choices(inputs, name) if (m := _PIXELS.fullmatch(text))}
        if sizes:
            return {name: sizes[nearest_ratio(width, height, sizes)]}
    return _tier(inputs, width, height, (1, 1))


def _choices(inputs: Inputs, name: str) -> tuple[str, ...]:
    return inputs[name].choices if name in inputs else ()


def _ratios(choices: Iterable[str]) -> Iterable[tuple[Size, str]]:
    for text in choices:
        if (found := _RATIO.fullmatch(text)) and float(found[1]) and float(found[2]):
            yield (round(float(found[1]) * 10), round(float(found[2]) * 10)), text


def _tier(inputs: Inputs, width: int, height: int, ratio: Size) -> dict[str, Any]:
    for name in _TIERS_ARE_IN:
        sides = {}
        for text in _choices(inputs, name):
            if (found := _TIER.fullmatch(text)) and (side := _side(float(found[1]), found[2].lower(), name)):
                sides[text] = side
        if sides:
            tiers = dict(sorted(sides.items(), key=lambda pair: pair[1]))
            return {name: tier_that_covers(width, height, ratio, tiers)}
    return {}


def _side(number: float, unit: str, name: str) -> int:
    """The side of a square of a tier, pixels: "2K", "1 MP", and "0.25" where the name says megapixels."""
    if unit == "k":
        return round(number * 1024)
    if unit == "mp" or name == "megapixels":
        return round(math.sqrt(number) * 1024)
    return round(number) if number >= 64 else 0


def _pixels(across: Input, down: Input, width: int, height: int) -> Size:
    multiple = max(across.multiple_of, down.multiple_of, 8)
    return snap_to_grid(
        width,
        height,
        multiple=multiple,
        min_side=int(max(across.minimum or 0, down.minimum or 0, multiple)),
        max_side=int(min(across.maximum or 4096, down.maximum or 4096)),
    )
