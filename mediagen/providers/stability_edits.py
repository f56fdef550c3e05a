"""Stability AI's work on pictures (API v2beta): edit, erase, extend, cut out, enlarge, image to image.

All are one form and one answer, except the creative upscale, which is a job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from mediagen import __version__, conf, http
from mediagen.errors import BadResponse, Misconfigured, UnsupportedRequest
from mediagen.operations import OUTPAINT, REMOVE_BACKGROUND, UPSCALE, VARY, EditRequest
from mediagen.providers.base import Generated, JobProvider, not_honoured
from mediagen.providers.editing import (
    WHITE,
    EditsImages,
    OutpaintsImages,
    RemovesBackgrounds,
    UpscalesImages,
    VariesImages,
    part,
    words_of,
)
from mediagen.providers.options import Option
from mediagen.types import GenerationRequest, ProviderJob, current_call
from mediagen.wording import say as _

CLIENT_HEADERS = {"stability-client-id": "mediagen", "stability-client-version": __version__}
ENLARGEMENT = "The same picture, sharp and rich in detail."
"""what the upscalers that need a prompt are told where there is none"""
STRENGTH = {VARY: 0.5}
"""how far image to image goes from the picture (0 to 1), where nothing is said; an edit goes further"""
STRENGTH_OF_AN_EDIT = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address below /v2beta/stable-image/, and what it takes beside the picture and `output_format`."""

    path: str
    options: tuple[str, ...] = ()
    prompt: bool = True
    negative_prompt: bool = True
    seed: bool = True
    mask: bool = False
    formats: tuple[str, ...] = ("png", "jpeg", "webp")


_STYLED = ("style_preset", "grow_mask")
INPAINT = Endpoint(path="edit/inpaint", options=_STYLED, mask=True)
ERASE = Endpoint(path="edit/erase", options=("grow_mask",), prompt=False, negative_prompt=False, mask=True)
REPLACE = Endpoint(path="edit/search-and-replace", options=("search_prompt", *_STYLED))
RECOLOR = Endpoint(path="edit/search-and-recolor", options=("select_prompt", *_STYLED))
EXTEND = Endpoint(path="edit/outpaint", options=("creativity", "style_preset"), negative_prompt=False)
CUT_OUT = Endpoint(
    path="edit/remove-background", prompt=False, negative_prompt=False, seed=False, formats=("png", "webp")
)
FAST = Endpoint(path="upscale/fast", prompt=False, negative_prompt=False, seed=False)
CONSERVATIVE = Endpoint(path="upscale/conservative", options=("creativity",))
CREATIVE = Endpoint(path="upscale/creative", options=("creativity", "style_preset"))
UPSCALERS = {"fast": FAST, "conservative": CONSERVATIVE, "creative": CREATIVE}
ULTRA = Endpoint(path="generate/ultra", options=("strength", "style_preset"))
SD3 = Endpoint(path="generate/sd3", options=("strength", "style_preset", "cfg_scale"))

EDIT_OPTIONS: Mapping[str, Option] = {
    "search_prompt": Option(
        kind="text", max_length=10_000, help=_("Edits: what to replace by what the prompt says, in place of a mask.")
    ),
    "select_prompt": Option(
        kind="text", max_length=10_000, help=_("Edits: what to colour as the prompt says, in place of a mask.")
    ),
    "erase": Option(kind="bool", help=_("Edits: take out what the mask covers; the prompt is not sent.")),
    "grow_mask": Option(
        kind="int", minimum=0, maximum=100, help=_("Edits: pixels; at most 20 where nothing is painted.")
    ),
    "strength": Option(
        kind="float", minimum=0, maximum=1, help=_("Variations, and edits without a mask: how far from the picture.")
    ),
    "upscaler": Option(
        kind="choice",
        choices=tuple(UPSCALERS),
        help=_(
            "fast (default): four times a side, of at most a megapixel; conservative and "
            "creative: to 4 megapixels, twenty and thirty times as dear."
        ),
    ),
    "creativity": Option(
        kind="float", minimum=0, maximum=1, help=_("Extensions; conservative and creative upscales: up to 0.5.")
    ),
}


class StabilityEdits(EditsImages, VariesImages, UpscalesImages, RemovesBackgrounds, OutpaintsImages, JobProvider):
    """The operations on pictures. What makes pictures out of words is in the adapter."""

    mask_says_by = WHITE
    poll_interval_s: ClassVar[float] = 10.0  # the service asks for no more than that
    poll_max_interval_s: ClassVar[float] = 15.0

    def image_to_image(self) -> Endpoint | None:
        """Where the configured model takes a picture beside the prompt."""
        raise NotImplementedError

    def v2_picture(self, response: http.Response, request: GenerationRequest, **metadata: str) -> Generated:
        """The picture that a 200 of v2beta is."""
        raise NotImplementedError

    def cannot(self, operation: str) -> str:
        if operation == VARY and self.image_to_image() is None:
            return f"{self.name}: {self.model} takes no picture; ultra and the sd3.5 models do."
        return super().cannot(operation)

    def endpoint_of(self, request: EditRequest) -> Endpoint:
        """Which address does this; `UnsupportedRequest` when none does."""
        if request.operation == UPSCALE:
            return UPSCALERS[request.options.get("upscaler", "fast")]
        if request.operation == REMOVE_BACKGROUND:
            return CUT_OUT
        if request.operation == OUTPAINT:
            return EXTEND
        for option, endpoint in (("search_prompt", REPLACE), ("select_prompt", RECOLOR)):
            if request.options.get(option):
                return endpoint
        if request.options.get("erase"):
            if request.mask is None:
                raise UnsupportedRequest(f"{self.name}: option erase needs a mask of what is to be taken out.")
            return ERASE
        found = INPAINT if request.mask is not None else self.image_to_image()
        if found is None:
            raise UnsupportedRequest(
                f"{self.name}: it edits with a mask, or with option search_prompt or select_prompt; without them only "
                "with the model ultra or an sd3.5 one."
            )
        return found

    def prepared(self, request: GenerationRequest) -> tuple[GenerationRequest, dict[str, Any]]:
        prepared, report = super().prepared(request)
        options = dict(prepared.options)
        if not isinstance(prepared, EditRequest):
            for option in options.keys() & EDIT_OPTIONS.keys():
                value = options.pop(option)
                if option in request.options:
                    report[f"options.{option}"] = not_honoured(value, "it is for work on pictures")
            return replace(prepared, options=options), report
        endpoint = self.endpoint_of(prepared)
        for option in [name for name in options if name not in (*endpoint.options, *_CHOOSING, "output_format")]:
            value = options.pop(option)
            if option in request.options:
                report[f"options.{option}"] = not_honoured(value, f"{endpoint.path} has no such option")
        if (format := options.get("output_format", "png")) not in endpoint.formats:
            options["output_format"] = "png"
            report["options.output_format"] = not_honoured(format, f"{endpoint.path} makes no {format}")
        seed, negative_prompt = prepared.seed, prepared.negative_prompt
        if seed is not None and not endpoint.seed:
            report["seed"], seed = not_honoured(seed, f"{endpoint.path} has no seed"), None
        if negative_prompt and not endpoint.negative_prompt:
            why = f"{endpoint.path} has no negative prompt"
            report["negative_prompt"], negative_prompt = not_honoured(negative_prompt, why), ""
        if prepared.mask is not None and not endpoint.mask:
            report["mask"] = not_honoured("a mask", f"{endpoint.path} takes none")
        return replace(prepared, options=options, seed=seed, negative_prompt=negative_prompt), report

    async def _work(self, request: EditRequest) -> Generated:
        endpoint = self.endpoint_of(request)
        if endpoint is CREATIVE or current_call().resume is not None:
            return await JobProvider._generate_image(self, request)
        response = await self._sent(endpoint, request, accept="image/*")
        return replace(self.v2_picture(response, request), model=self._model_of(endpoint))

    async def _submit(self, request: GenerationRequest) -> ProviderJob:
        response = await self._sent(CREATIVE, request, accept="application/json")
        return ProviderJob(self._job_id(response.json_object().get("id")), {"path": CREATIVE.path})

    async def _collect(self, request: GenerationRequest, job: ProviderJob) -> Generated:
        service = self.service

        async def ask() -> http.Response | None:
            response = await service.request(
                "GET",
                f"/v2beta/results/{self._job_id(job.id)}",
                headers={**CLIENT_HEADERS, "accept": "*/*"},
                timeout_s=service.poll_timeout_s,
                max_bytes=conf.get("MAX_IMAGE_BYTES"),
            )
            if response.status == 404:
                # Believed by the poll only when it says so for a while. A wrong key looks the same.
                raise Misconfigured("says that it has no such result, or not any more (24 h).", http_status=404)
            if response.status == 202:
                return None
            self.checked(response)
            if response.body[:1] == b"{":
                raise BadResponse("answered a poll without a picture.", http_status=response.status)
            return response

        picture = self.v2_picture(await self._polled(ask, job), request)
        return replace(picture, job_id=job.id, model=str(job.data.get("path") or CREATIVE.path))

    async def _sent(self, endpoint: Endpoint, request: GenerationRequest, accept: str) -> http.Response:
        response = await self.service.request(
            "POST",
            f"/v2beta/stable-image/{endpoint.path}",
            headers={**CLIENT_HEADERS, "accept": accept},
            files=self._form(endpoint, cast(EditRequest, request)),
            max_bytes=conf.get("MAX_IMAGE_BYTES"),
            purchase=True,
        )
        return self.checked(response)

    def _form(self, endpoint: Endpoint, request: EditRequest) -> dict[str, Any]:
        """The fields, texts as files without a name, as multipart has them."""
        options = {name: value for name, value in request.options.items() if name in endpoint.options}
        fields: dict[str, Any] = {"output_format": request.options.get("output_format", "png"), **options}
        if endpoint.prompt and (prompt := words_of(request) or (ENLARGEMENT if endpoint is not EXTEND else "")):
            fields["prompt"] = prompt
        if request.negative_prompt:
            fields["negative_prompt"] = request.negative_prompt
        if request.seed is not None:
            fields["seed"] = request.seed
        if endpoint is EXTEND:
            fields |= {side: pixels for side, pixels in request.margins._asdict().items() if pixels}
        if endpoint in (ULTRA, SD3):
            fields.setdefault("strength", STRENGTH.get(request.operation, STRENGTH_OF_AN_EDIT))
        if endpoint is SD3:
            fields |= {"mode": "image-to-image", "model": self.model}
        form: dict[str, Any] = {name: (None, str(value)) for name, value in fields.items()}
        form["image"] = part(request.images[0], "image")
        if request.mask is not None and endpoint.mask:
            form["mask"] = part(request.mask, "mask")
        return form

    def _model_of(self, endpoint: Endpoint) -> str:
        return self.model if endpoint in (ULTRA, SD3) else endpoint.path

    def price_keys(self, request: GenerationRequest) -> list[str]:
        if isinstance(request, EditRequest) and (endpoint := self.endpoint_of(request)) not in (ULTRA, SD3):
            return [endpoint.path]
        return super().price_keys(request)


_CHOOSING = ("upscaler", "erase", "search_prompt", "select_prompt")
"""options that say which address does it"""
