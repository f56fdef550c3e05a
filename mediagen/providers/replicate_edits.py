"""Work on pictures by models at Replicate: which model does it, and by which of its inputs it takes the pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mediagen.errors import BadResponse, UnsupportedRequest
from mediagen.operations import EDIT, OPERATIONS, REMOVE_BACKGROUND, UPSCALE, VARY, EditRequest
from mediagen.providers.base import JobProvider
from mediagen.providers.editing import (
    EditsImages,
    RemovesBackgrounds,
    UpscalesImages,
    VariesImages,
    bytes_of,
    data_url,
)
from mediagen.providers.options import Option
from mediagen.providers.replicate_inputs import Inputs
from mediagen.types import GeneratedImage
from mediagen.wording import say as _

LARGEST_DATA_URL_BYTES = 256 * 1024
"""a larger file is sent beforehand, and named by its address"""
_PICTURES = ("image_input", "input_images", "images", "input_image", "image", "init_image")
"""what models call the pictures that they take, the likeliest first"""
_FACTORS = ("scale", "upscale_factor", "scale_factor")
_MODELS = {EDIT: "edit_model", VARY: "edit_model", UPSCALE: "upscale_model", REMOVE_BACKGROUND: "background_model"}

EDIT_OPTIONS: Mapping[str, Option] = {
    name: Option(kind="text", max_length=200, config_only=True, help=help)
    for name, help in (
        ("edit_model", _("Model that edits and varies pictures, if not the configured one.")),
        ("upscale_model", _("Model that enlarges pictures. Without it none is.")),
        ("background_model", _("Model that removes backgrounds. Without it none is.")),
    )
}


class ReplicateEdits(EditsImages, VariesImages, UpscalesImages, RemovesBackgrounds, JobProvider):
    """The operations, each by the model that the configuration names for it."""

    @property
    def most_sources(self) -> int:
        return OPERATIONS[EDIT].most_sources

    def cannot(self, operation: str) -> str:
        if operation in (UPSCALE, REMOVE_BACKGROUND) and not self.default_options.get(_MODELS[operation]):
            return (
                f"{self.name}: name a model that can {OPERATIONS[operation].does} in the option {_MODELS[operation]}."
            )
        return super().cannot(operation)

    def model_for(self, request: Any) -> str:
        """The model that makes this: the configured one, unless the configuration names another for the operation."""
        option = _MODELS.get(request.operation, "") if isinstance(request, EditRequest) else ""
        return str(self.default_options.get(option) or self.model)

    async def picture_inputs(self, inputs: Inputs, request: EditRequest, model: str) -> dict[str, Any]:
        """The pictures, and how much larger they are to be, in the model's words. Buys nothing."""
        name = picture_input(inputs)
        if not name:
            raise UnsupportedRequest(f"{model} takes no picture. Name another model in {_MODELS[request.operation]}.")
        is_list = inputs[name].is_list
        if len(request.images) > 1 and not is_list:
            raise UnsupportedRequest(f"{model} takes one picture, not {len(request.images)}.")
        sent = [await self._sent(image) for image in request.images]
        return {
            name: sent if is_list else sent[0],
            **(_factor(inputs, request) if request.operation == UPSCALE else {}),
        }

    async def _sent(self, image: GeneratedImage) -> str:
        """An address by which the model reads the picture: it holds the bytes, or they are kept at Replicate for it."""
        if len(url := data_url(image)) <= LARGEST_DATA_URL_BYTES:
            return url
        file = (f"source.{image.format}", bytes_of(image), f"image/{image.format}")
        response = await self.service.request("POST", "/files", files={"content": file})
        urls = self.checked(response).json_object().get("urls")
        found = urls.get("get") if isinstance(urls, dict) else None
        if not isinstance(found, str) or not found:
            raise BadResponse("took a file and named no address of it.", http_status=response.status)
        return found


def picture_input(inputs: Inputs) -> str:
    """The input by which a model takes pictures; "" for one that takes none."""
    return next((name for name in _PICTURES if name in inputs), "")


def _factor(inputs: Inputs, request: EditRequest) -> dict[str, Any]:
    """How many times larger a side is to be, as whole a number as covers what is wanted."""
    name = next((name for name in _FACTORS if name in inputs), "")
    if not name:
        return {}
    source, known = request.images[0], inputs[name]
    times = math.ceil(max(request.width / source.width, request.height / source.height) - 1e-6)
    choices = sorted(float(choice) for choice in _numbers(known.choices))
    if choices:
        wanted = next((choice for choice in choices if choice >= times), choices[-1])
        return {name: next(text for text in known.choices if text.rstrip("x") == f"{wanted:g}")}
    lowest, highest = known.minimum or times, known.maximum or times
    return {name: int(min(max(times, lowest), highest))}


def _numbers(choices: Sequence[str]) -> list[str]:
    return [text.rstrip("x") for text in choices if text.rstrip("x").replace(".", "", 1).isdigit()]
