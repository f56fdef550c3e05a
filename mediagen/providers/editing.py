"""The operations on pictures that are there, as bases of adapters: an adapter derives from those that it really has.

Each brings the operation's method and that which says what one may cost. The adapter writes `_work`, or, where that is
how its pictures are made anyhow, lets it be `_generate_image`: both are given an `EditRequest`.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar, cast

from mediagen import images as pictures
from mediagen.errors import UnsupportedRequest
from mediagen.operations import EDIT, OUTPAINT, REMOVE_BACKGROUND, UPSCALE, VARY, EditRequest
from mediagen.providers.base import Generated, MediaGeneratorProvider
from mediagen.types import GeneratedImage, GenerationRequest

SOURCE_FORMATS = ("png", "jpeg", "webp")
ALPHA, WHITE = "alpha", "white"
VARIATION = "Another version of this picture: the same subject, style and light, with other details."
"""what a service that edits by words is asked for a variation without any"""


class WorksOnPictures(MediaGeneratorProvider):
    """What the operations have in common."""

    mask_says_by: ClassVar[str] = ""
    """what marks the parts that may change in a mask that is sent: "alpha" or "white"; "" for none taken"""

    @property
    def most_sources(self) -> int:
        """Pictures that `edit_image` takes at once."""
        return 1

    async def _work(self, request: EditRequest) -> Generated:
        """Ask the service. As `_generate_image`, with the operation and its pictures in the request."""
        return await self._generate_image(request)

    def estimate_work_reason(self, operation: str, **asked: Any) -> str:
        """As `estimate_reason`, for an operation on pictures."""
        return self._most_of(operation, asked)[1]

    def _estimate_work(self, operation: str, asked: dict[str, Any]) -> Decimal | None:
        return self._most_of(operation, asked)[0]

    def _most_of(self, operation: str, asked: dict[str, Any]) -> tuple[Decimal | None, str]:
        return self.at_most(self.prepared(EditRequest.of(operation, **asked))[0])

    async def _work_on(self, operation: str, **asked: Any) -> GeneratedImage:
        images: Sequence[GeneratedImage] = asked["images"]
        most = self.most_sources if operation == EDIT else 1
        if not 1 <= len(images) <= most:
            raise UnsupportedRequest(f"{self.name}: it works on 1 to {most} pictures, not {len(images)}.")
        for image in images:
            if image.format not in SOURCE_FORMATS:
                raise UnsupportedRequest(
                    f"{self.name}: it takes {', '.join(SOURCE_FORMATS)}, not {image.format!r:.20}. Convert it first."
                )
        if asked.get("mask") is not None and not self.mask_says_by:
            raise UnsupportedRequest(f"{self.name}: it knows no mask. Say in the prompt what is to change, and where.")
        if why := self.cannot(operation):
            raise UnsupportedRequest(why)
        prepared, report = self.prepared(EditRequest.of(operation, **asked))
        request = cast(EditRequest, prepared)
        if request.mask is not None and not self.runs_dry:
            request = replace(request, mask=await asyncio.to_thread(self._mask_of, request))
        return await self._delivered(request, report, self._work)

    def _mask_of(self, request: EditRequest) -> GeneratedImage:
        """The mask as the service wants it, of the first picture's size."""
        first, mask = request.images[0], request.mask
        size = first.width, first.height
        written = pictures.masks.in_alpha if self.mask_says_by == ALPHA else pictures.masks.in_white
        content = written(bytes_of(mask) if mask is not None else b"", size)
        return GeneratedImage(content=content, format="png", width=size[0], height=size[1])


class EditsImages(WorksOnPictures):
    """`edit_image`."""

    async def edit_image(
        self,
        prompt: str,
        images: Sequence[GeneratedImage],
        width: int = 1024,
        height: int = 1024,
        mask: GeneratedImage | None = None,
        **options: Any,
    ) -> GeneratedImage:
        """A picture made out of others as the prompt says; with a mask only there, in the first of them.

        Options and errors as of `generate_image`.
        """
        asked = {"prompt": prompt, "images": images, "width": width, "height": height, "mask": mask}
        return await self._work_on(EDIT, **asked, **options)

    def estimate_edit(self, **request: Any) -> Decimal | None:
        """As `estimate`, for `edit_image`."""
        return self._estimate_work(EDIT, request)


class VariesImages(WorksOnPictures):
    """`vary_image`."""

    async def vary_image(self, images: Sequence[GeneratedImage], prompt: str = "", **options: Any) -> GeneratedImage:
        """Another picture like the one, of its size unless width and height say otherwise."""
        return await self._work_on(VARY, images=images, prompt=prompt, **options)

    def estimate_vary(self, **request: Any) -> Decimal | None:
        """As `estimate`, for `vary_image`."""
        return self._estimate_work(VARY, request)


class UpscalesImages(WorksOnPictures):
    """`upscale_image`."""

    async def upscale_image(self, images: Sequence[GeneratedImage], prompt: str = "", **options: Any) -> GeneratedImage:
        """The one picture, with more pixels: width and height, else twice as many a side."""
        return await self._work_on(UPSCALE, images=images, prompt=prompt, **options)

    def estimate_upscale(self, **request: Any) -> Decimal | None:
        """As `estimate`, for `upscale_image`."""
        return self._estimate_work(UPSCALE, request)


class RemovesBackgrounds(WorksOnPictures):
    """`remove_background`."""

    async def remove_background(
        self, images: Sequence[GeneratedImage], prompt: str = "", **options: Any
    ) -> GeneratedImage:
        """What is in the foreground of the one picture, on nothing: with transparency."""
        return await self._work_on(REMOVE_BACKGROUND, images=images, prompt=prompt, **options)

    def estimate_remove_background(self, **request: Any) -> Decimal | None:
        """As `estimate`, for `remove_background`."""
        return self._estimate_work(REMOVE_BACKGROUND, request)


class OutpaintsImages(WorksOnPictures):
    """`outpaint_image`."""

    async def outpaint_image(
        self, images: Sequence[GeneratedImage], prompt: str = "", **options: Any
    ) -> GeneratedImage:
        """The one picture, continued by `left`, `right`, `up` and `down` pixels."""
        return await self._work_on(OUTPAINT, images=images, prompt=prompt, **options)

    def estimate_outpaint(self, **request: Any) -> Decimal | None:
        """As `estimate`, for `outpaint_image`."""
        return self._estimate_work(OUTPAINT, request)


def words_of(request: GenerationRequest) -> str:
    """The prompt, for a service that needs one; of a variation without any, that one is wanted."""
    is_wordless = isinstance(request, EditRequest) and request.operation == VARY and not request.prompt.strip()
    return VARIATION if is_wordless else request.prompt


def bytes_of(image: GeneratedImage) -> bytes:
    return image.content if isinstance(image.content, bytes) else image.content.encode()


def part(image: GeneratedImage, stem: str) -> tuple[str, bytes, str]:
    """A file of a form: name, content, type."""
    return f"{stem}.{image.format}", bytes_of(image), f"image/{image.format}"


def in_base64(image: GeneratedImage) -> str:
    return base64.b64encode(bytes_of(image)).decode()


def data_url(image: GeneratedImage) -> str:
    return f"data:image/{image.format};base64,{in_base64(image)}"
