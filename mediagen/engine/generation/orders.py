"""What a caller asks the engine for, checked before anything is stored or sent."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from mediagen.engine.database import as_uuid
from mediagen.errors import InvalidRequest
from mediagen.operations import EDIT, GENERATE, NO_MARGINS, Margins, check
from mediagen.types import GeneratedImage, GenerationRequest, checked_text
from mediagen.wording import say as _


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetOrder:
    """One picture to be made and kept. Build it with `of()`."""

    request: GenerationRequest
    library_id: uuid.UUID | None = None
    name: str = ""
    description: str = ""
    alt_text: str = ""
    tags: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    """asked instead of the chain, in this order; empty: the chain"""
    dry_run: bool | None = None
    deadline_s: float | None = None
    created_by_id: Any = None
    parent_id: uuid.UUID | None = None
    idempotency_key: str = ""
    generation_id: uuid.UUID | None = None
    """the same for all that one request asks for"""
    operation: str = GENERATE
    source_ids: tuple[uuid.UUID, ...] = ()
    """assets out of which this one is made; none: out of the prompt alone"""
    mask_id: uuid.UUID | None = None
    """an asset whose transparent (or else white) parts say where the first source may change"""
    margins: Margins = NO_MARGINS
    """pixels that are added around the source"""
    style: str = ""
    """name of the style whose words are in the prompt; kept with the asset, and sent to nobody"""
    described: tuple[GeneratedImage, ...] = field(default=(), compare=False, repr=False)
    """what sources and mask are, without their bytes, where that is known already: for prices"""

    @classmethod
    def of(
        cls,
        prompt: str,
        width: int = 1024,
        height: int = 1024,
        library_id: Any = None,
        *,
        name: str = "",
        description: str = "",
        alt_text: str = "",
        tags: Iterable[str] = (),
        provider: str | None = None,
        providers: Iterable[str] | str | None = None,
        dry_run: bool | None = None,
        deadline_s: float | None = None,
        created_by: Any = None,
        parent: Any = None,
        idempotency_key: str = "",
        generation_id: Any = None,
        operation: str = GENERATE,
        sources: Iterable[Any] = (),
        mask: Any = None,
        margins: Margins = NO_MARGINS,
        **request: Any,
    ) -> AssetOrder:
        """The order, or `InvalidRequest` that names the argument. What is no argument here goes to the provider.

        `sources` and `mask` are assets or their ids; of what is made out of pictures, `sources.order_of` gives the
        size.
        """
        source_ids = tuple(pk for source in sources if (pk := as_uuid(source, "sources")) is not None)
        mask_id = as_uuid(mask, "mask")
        if operation != GENERATE:
            check(operation, prompt=prompt, sources=len(source_ids), has_mask=mask_id is not None, margins=margins)
        elif source_ids or mask_id is not None:
            raise InvalidRequest(
                _("Say which operation the pictures are for: edit_image, vary_image ..."), field="operation"
            )
        for argument, value, limit in (
            ("name", name, 255),
            ("description", description, None),
            ("alt_text", alt_text, None),
            ("idempotency_key", idempotency_key, 255),
        ):
            checked_text(value, argument)
            if limit is not None and len(value) > limit:
                raise InvalidRequest(
                    _(
                        "%(argument)s has %(number)s characters; at most %(limit)s fit.",
                        argument=argument,
                        number=len(value),
                        limit=limit,
                    ),
                    field=argument,
                )
        if dry_run not in (None, True, False):
            raise InvalidRequest(
                _("dry_run must be True, False or None, not %(dry_run)s.", dry_run=f"{dry_run!r:.40}"), field="dry_run"
            )
        for option, value in request.items():
            if option in RESERVED:
                raise InvalidRequest(_("%(option)s is no option of a provider.", option=option), field=option)
            if option not in ("negative_prompt", "seed"):
                checked_text(option, "the name of an option")
                _check_storable(value, option)
        chosen = [provider] if provider else [providers] if isinstance(providers, str) else list(providers or ())
        return cls(
            request=GenerationRequest.checked(
                prompt=prompt, width=width, height=height, needs_prompt=operation == GENERATE, **request
            ),
            library_id=as_uuid(library_id, "library_id"),
            name=name,
            description=description,
            alt_text=alt_text,
            tags=(tags,) if isinstance(tags, str) else tuple(tags),
            providers=tuple(chosen),
            dry_run=dry_run,
            deadline_s=deadline_s,
            created_by_id=getattr(created_by, "pk", created_by),
            parent_id=as_uuid(parent, "parent"),
            idempotency_key=idempotency_key,
            generation_id=as_uuid(generation_id, "generation_id"),
            operation=operation,
            source_ids=source_ids,
            mask_id=mask_id,
            margins=margins,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """What the asset row keeps, enough to generate it again. JSON-able."""
        kept: dict[str, Any] = {"width": self.request.width, "height": self.request.height}
        if self.request.options:
            kept["options"] = {key: _jsonable(value) for key, value in self.request.options.items()}
        if self.providers:
            kept["providers"] = list(self.providers)
        if self.dry_run is not None:
            kept["dry_run"] = self.dry_run
        if self.deadline_s is not None:
            kept["deadline_s"] = self.deadline_s
        if self.operation not in (GENERATE, EDIT):  # an edit shows by its sources
            kept["operation"] = self.operation
        if self.source_ids:
            kept["sources"] = [str(pk) for pk in self.source_ids]
        if self.mask_id is not None:
            kept["mask"] = str(self.mask_id)
        if any(self.margins):
            kept["margins"] = list(self.margins)
        if self.style:
            kept["style"] = self.style
        return kept


RESERVED = frozenset(
    {"recorder", "resume", "keys", "avoid", "stop_for", "stop_unless_asked", "fetch_for_s", "patient", "delivered"}
    | {"self", "needs_prompt", "images", "left", "right", "up", "down", "factor"}
)
"""what the chain's own call is told, and no provider"""
ARGUMENTS = frozenset(signature(AssetOrder.of).parameters) - {"negative_prompt", "seed", "request"}
"""of an order: in a request's options they would pass by whoever checked who asks for what"""
MAX_NESTING = 20


def _check_storable(value: Any, name: str, depth: int = 0) -> None:
    """`InvalidRequest` for what no JSON column holds, so that it is said before a row is made."""
    if isinstance(value, str):
        checked_text(value, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequest(_("%(name)s must be a finite number, not %(value)s.", name=name, value=value), field=name)
    elif isinstance(value, Mapping | list | tuple) and depth < MAX_NESTING:
        for part in [*value.keys(), *value.values()] if isinstance(value, Mapping) else value:
            _check_storable(part, name, depth + 1)
    elif value is not None and not isinstance(value, bool | int | float):
        raise InvalidRequest(
            _(
                "%(name)s must be text, a number, a list or a dict, not %(name_2)s.",
                name=name,
                name_2=type(value).__name__,
            ),
            field=name,
        )


def _jsonable(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return str(value)


def request_kwargs(request: GenerationRequest) -> dict[str, Any]:
    """The request as the keyword arguments of `generate_image`; only what was asked, for foreign providers' sake."""
    kwargs: dict[str, Any] = {"prompt": request.prompt, "width": request.width, "height": request.height}
    if request.negative_prompt:
        kwargs["negative_prompt"] = request.negative_prompt
    if request.seed is not None:
        kwargs["seed"] = request.seed
    return {**kwargs, **request.options}
