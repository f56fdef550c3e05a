"""What is made out of pictures that are there: the operations beside `generate_image`, and how each is asked for.

An operation is a method that a provider has or has not. All of these take `images`, `prompt`, `width`, `height` and
options as keywords, `edit_image` also a `mask`, `outpaint_image` the margins; each brings one `GeneratedImage`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mediagen.errors import InvalidRequest
from mediagen.types import DESCRIBES, MAX_SIDE_PX, GeneratedImage, GenerationRequest
from mediagen.wording import say as _

GENERATE = "generate_image"
EDIT = "edit_image"
VARY = "vary_image"
UPSCALE = "upscale_image"
REMOVE_BACKGROUND = "remove_background"
OUTPAINT = "outpaint_image"
DESCRIBE = DESCRIBES

LARGEST_MARGIN_PX = 2_000
"""what every service that outpaints takes on one side"""
FACTOR = 2
"""of an enlargement, where nothing is said about its size"""
MOST_TIMES = 16
"""as many pixels a side an enlargement may ask for"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One thing that can be done with pictures."""

    name: str
    does: str
    """as a person says it: "edit pictures" """
    most_sources: int = 1
    needs_prompt: bool = False
    takes_mask: bool = False
    takes_margins: bool = False


OPERATIONS: Mapping[str, Operation] = {
    one.name: one
    for one in (
        Operation(name=EDIT, does="edit pictures", most_sources=16, needs_prompt=True, takes_mask=True),
        Operation(name=VARY, does="vary a picture"),
        Operation(name=UPSCALE, does="enlarge a picture"),
        Operation(name=REMOVE_BACKGROUND, does="remove a background"),
        Operation(name=OUTPAINT, does="extend a picture", takes_margins=True),
    )
}


class Margins(NamedTuple):
    """What is to be added around a picture, pixels."""

    left: int = 0
    right: int = 0
    up: int = 0
    down: int = 0

    @classmethod
    def checked(cls, **sides: Any) -> Margins:
        """`InvalidRequest` for what is no number of pixels from 0 to `LARGEST_MARGIN_PX`."""
        for name, value in sides.items():
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_MARGIN_PX:
                text = f"{name} must be a whole number of pixels from 0 to {LARGEST_MARGIN_PX}, not {value!r:.40}."
                raise InvalidRequest(text, field=name)
        return cls(**sides)


NO_MARGINS = Margins()


def operation_named(name: Any) -> Operation:
    """`InvalidRequest` for a name that is none of `OPERATIONS`."""
    found = OPERATIONS.get(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidRequest(
            _(
                "operation must be one of %(operations)s, not %(name)s.",
                operations=", ".join(OPERATIONS),
                name=f"{name!r:.40}",
            ),
            field="operation",
        )
    return found


def check(name: str, *, prompt: str, sources: int, has_mask: bool, margins: Margins) -> None:
    """`InvalidRequest` that names the argument, for what this operation cannot be asked with."""
    operation = operation_named(name)
    if not 1 <= sources <= operation.most_sources:
        number = "one picture" if operation.most_sources == 1 else f"1 to {operation.most_sources} pictures"
        raise InvalidRequest(
            _("%(name)s works on %(number)s, not on %(sources)s.", name=name, number=number, sources=sources),
            field="sources",
        )
    if operation.needs_prompt and not prompt.strip():
        raise InvalidRequest(_("The prompt is empty. Say what is to be changed."), field="prompt")
    if has_mask and not operation.takes_mask:
        raise InvalidRequest(_("%(name)s takes no mask; edit_image does.", name=name), field="mask")
    if any(margins) != operation.takes_margins:
        what = "needs a margin: left, right, up or down" if operation.takes_margins else "takes no margins"
        raise InvalidRequest(f"{name} {what}.", field="left")


def size_for(
    name: str,
    source: tuple[int, int],
    *,
    width: int | None = None,
    height: int | None = None,
    factor: Any = None,
    margins: Margins = NO_MARGINS,
) -> tuple[int, int]:
    """(width, height) in pixels that the result is to have; `InvalidRequest` for what it cannot have.

    `source` is the size of the first picture. One side alone gives the other by the picture's shape.
    """
    across, down = source
    is_free = name in (EDIT, VARY, UPSCALE)
    if not is_free and (width, height) != (None, None):
        raise InvalidRequest(_("The size of what %(name)s makes follows from the picture.", name=name), field="width")
    if factor is not None and (name != UPSCALE or (width, height) != (None, None)):
        raise InvalidRequest(_("factor goes with upscale_image, in place of width and height."), field="factor")
    if factor is not None and (
        isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 < factor <= MOST_TIMES
    ):
        text = f"factor must be a number over 1 and up to {MOST_TIMES}, not {factor!r:.40}."
        raise InvalidRequest(text, field="factor")
    if name == OUTPAINT:
        wanted = across + margins.left + margins.right, down + margins.up + margins.down
    elif name == UPSCALE and width is None and height is None:
        times = FACTOR if factor is None else factor
        wanted = round(across * times), round(down * times)
    else:
        wanted = _by_shape(across, down, width, height)
    if max(wanted) > MAX_SIDE_PX:
        text = f"The picture would be {wanted[0]}x{wanted[1]} pixels; no side may be over {MAX_SIDE_PX}."
        raise InvalidRequest(text, field="factor" if name == UPSCALE else "width")
    if name == UPSCALE and (wanted[0] < across or wanted[1] < down):
        text = f"The picture has {across}x{down} pixels already: {wanted[0]}x{wanted[1]} would not enlarge it."
        raise InvalidRequest(text, field="width")
    return wanted


def _by_shape(across: int, down: int, width: int | None, height: int | None) -> tuple[int, int]:
    if width is not None:
        return width, max(1, round(width * down / across)) if height is None else height
    return (across, down) if height is None else (max(1, round(height * across / down)), height)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRequest(GenerationRequest):
    """A request to make a picture out of others. Build it with `of()`."""

    operation: str
    images: tuple[GeneratedImage, ...]
    mask: GeneratedImage | None = None
    """where its parts are transparent, or, without transparency, white, the first picture may change"""
    margins: Margins = NO_MARGINS

    @classmethod
    def of(
        cls,
        operation: str,
        *,
        images: Sequence[GeneratedImage],
        prompt: str = "",
        width: int | None = None,
        height: int | None = None,
        mask: GeneratedImage | None = None,
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        **options: Any,
    ) -> EditRequest:
        """The request, or `InvalidRequest`. Without a size it is that of the first picture, with the margins."""
        margins = Margins.checked(left=left, right=right, up=up, down=down)
        check(operation, prompt=prompt, sources=len(images), has_mask=mask is not None, margins=margins)
        if width is None or height is None:
            source = images[0].width, images[0].height
            width, height = size_for(operation, source, width=width, height=height, margins=margins)
        asked = GenerationRequest.checked(prompt=prompt, width=width, height=height, needs_prompt=False, **options)
        return cls(
            prompt=asked.prompt,
            negative_prompt=asked.negative_prompt,
            width=asked.width,
            height=asked.height,
            seed=asked.seed,
            options=asked.options,
            operation=operation,
            images=tuple(images),
            mask=mask,
            margins=margins,
        )
