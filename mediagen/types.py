"""Small typed data that every layer may use. Knows nothing of Django, HTTP or any provider."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Protocol

from mediagen.attempts import Answer as Answer
from mediagen.attempts import Attempt as Attempt
from mediagen.attempts import AttemptState as AttemptState
from mediagen.attempts import ProviderJob as ProviderJob
from mediagen.errors import ConfigurationError, CostRefused, InvalidRequest
from mediagen.wording import say as _

logger = logging.getLogger("mediagen")


MAKES_PICTURES = {
    "generate_image": "estimate",
    "edit_image": "estimate_edit",
    "vary_image": "estimate_vary",
    "upscale_image": "estimate_upscale",
    "remove_background": "estimate_remove_background",
    "outpaint_image": "estimate_outpaint",
}
"""operations whose result is a `GeneratedImage`, with the provider's method that says what one may cost"""
DESCRIBES = "describe_image"
"""the operation whose result is an `ImageDescription`"""
ARE_BOUGHT: Mapping[str, str] = {**MAKES_PICTURES, DESCRIBES: "estimate_describe"}
"""operations that a provider may want money for, with the method that says how much"""


COSTS_LESS_THAN = 1_000_000
"""USD a picture; what the columns hold"""


def usd(value: Any) -> Decimal | None:
    """A sum as other people's adapters give it ("0.04", 0.04, 1) as it is written, exactly; `ConfigurationError` for
    what is none, or less than nothing."""
    if value is None:
        return None
    try:
        found = Decimal(-1) if isinstance(value, bool) else Decimal(str(value))
    except ArithmeticError:
        found = Decimal(-1)
    if not found.is_finite() or not 0 <= found < COSTS_LESS_THAN:
        raise ConfigurationError(f"cost must be USD, 0 or more, or None when it is not known; not {value!r:.40}.")
    return found


def usd_or_none(value: Any, what: str) -> Decimal | None:
    """As `usd`, for what is paid already: what is no sum is logged and not known, and the picture is kept."""
    try:
        return usd(value)
    except ConfigurationError as exc:
        logger.error("%s: %s", what, exc)
        return None


@dataclass(slots=True)
class GeneratedImage:
    """One picture, as it leaves a provider.

    `content` is the bytes; only a foreign provider may hand over `content_type="url"` with a URL in
    `content`, which the chain then fetches through the guarded client. `width`, `height` in pixels and
    `format` ("png", "jpeg", "webp", "avif", "gif") say what the bytes really are, not what was asked.
    `cost` in USD, None when unknown. `fit_report` says what of the request was not honoured, and how.
    """

    content: bytes | str
    content_type: str = "binary"
    format: str = ""
    width: int = 0
    height: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    provider_name: str = ""
    model_name: str = ""
    seed: int | None = None
    cost: Decimal | None = None
    provider_job_id: str = ""
    is_placeholder: bool = False
    dry_run: bool = False
    fit_report: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    """hex digest of `content`; empty until the bytes have been opened and believed"""
    original: bytes = b""
    """what came, where `content` was made of it: scaled, cropped or tidied"""

    def __post_init__(self) -> None:
        try:
            self.cost = usd(self.cost)
        except ConfigurationError as exc:
            self.cost = None
            raise CostRefused(str(exc), image=self) from None

    def __repr__(self) -> str:
        size = len(self.content or b"")
        return f"<GeneratedImage {self.provider_name} {self.format} {self.width}x{self.height} {size} bytes>"


@dataclass(slots=True, kw_only=True)
class ImageDescription:
    """What a provider says a picture shows: one line of text, ready to be an alt text. `cost` in USD, None when
    unknown; `fit_report` says what of the request was not honoured."""

    text: str
    language: str = ""
    provider_name: str = ""
    model_name: str = ""
    cost: Decimal | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    fit_report: dict[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    """it was made here, and says nothing of the picture"""


@dataclass(slots=True)
class FigmaExportResult:
    """What is known of a picture's way into a Figma file. `figma_node_id` is empty until a plugin reports it."""

    figma_node_id: str
    figma_url: str
    figma_file_key: str
    page_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    """`status` and `dry_run` are always in here"""


@dataclass(slots=True)
class CanvaExportResult:
    """What is known of a picture's way into Canva. `design_id` and `edit_url` are empty until there is a design."""

    design_id: str
    edit_url: str
    title: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    """`status` and `dry_run` are always in here"""


MAX_SIDE_PX = 16_384
MAX_PROMPT_CHARS = 32_000
"""of a prompt that comes over HTTP; a provider may take less"""
MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """What the caller wants, in our words. Build it with `checked()`, which refuses nonsense."""

    prompt: str
    negative_prompt: str = ""
    width: int = 1024
    """pixels"""
    height: int = 1024
    """pixels"""
    seed: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """options that adapters declare, by their names; what the serving provider does not know is reported"""

    @classmethod
    def checked(
        cls,
        *,
        prompt: str,
        width: int = 1024,
        height: int = 1024,
        negative_prompt: str | None = "",
        seed: int | None = None,
        needs_prompt: bool = True,
        **options: Any,
    ) -> GenerationRequest:
        """The request, or `InvalidRequest` that names the field and what to do."""
        text = checked_text(prompt, "prompt")
        if needs_prompt and not text.strip():
            raise InvalidRequest(_("The prompt is empty. Say what the picture should show."), field="prompt")
        return cls(
            prompt=text,
            negative_prompt=checked_text(negative_prompt or "", "negative_prompt"),
            width=_checked_side(width, "width"),
            height=_checked_side(height, "height"),
            seed=_checked_seed(seed),
            options=options,
        )


def near(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant: the names that are like it, else all there are."""
    names = {one.casefold(): one for one in known}
    if found := get_close_matches(str(name)[:100].casefold(), names, n=3, cutoff=0.6):
        return f"Did you mean {' or '.join(names[one] for one in found)}?"
    return f"There are: {', '.join(names.values())}." if names else "There are none."


def checked_text(value: Any, name: str) -> str:
    """`value` when a database and a JSON body can hold it; otherwise `InvalidRequest`."""
    if not isinstance(value, str):
        raise InvalidRequest(
            _("%(name)s must be text, not %(name_2)s.", name=name, name_2=type(value).__name__), field=name
        )
    if "\x00" in value:
        raise InvalidRequest(_("%(name)s holds a NUL character. Remove it.", name=name), field=name)
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidRequest(
            _(
                "%(name)s holds half a character (a lone surrogate) at position %(start)s. Remove it.",
                name=name,
                start=exc.start,
            ),
            field=name,
        ) from None
    return value


def _checked_side(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequest(
            _("%(name)s must be a whole number of pixels, not %(value)s.", name=name, value=f"{value!r:.40}"),
            field=name,
        )
    if not 1 <= value <= MAX_SIDE_PX:
        raise InvalidRequest(
            _(
                "%(name)s must be between 1 and %(max_side_px)s pixels, not %(value)s.",
                name=name,
                max_side_px=MAX_SIDE_PX,
                value=f"{value!r:.40}",
            ),
            field=name,
        )
    return value


def _checked_seed(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEED:
        raise InvalidRequest(
            _(
                "seed must be a whole number from 0 to %(max_seed)s, not %(value)s.",
                max_seed=MAX_SEED,
                value=f"{value!r:.40}",
            ),
            field="seed",
        )
    return value


class Recorder(Protocol):
    """Told of every attempt, in order. A test's recorder is three lines around a list; the engine's writes rows.

    An exception from `started` keeps the request from being sent. One from the others is logged and survived,
    because the answer may be paid for; only a `MediagenError` from `finished` ends the execution.
    """

    async def started(self, attempt: Attempt) -> None:
        """Before the request leaves. May raise `AttemptVetoed`."""

    async def job_submitted(self, attempt: Attempt) -> None:
        """`attempt.job` is set: the provider took the job and it can be found again by it."""

    async def finished(self, attempt: Attempt) -> None:
        """State, outcome and cost are final."""


@dataclass(slots=True, kw_only=True)
class Call:
    """What surrounds one attempt and is no part of the request: given to a provider by `current_call`."""

    dry_run: bool | None = None
    """True or False override the provider's own setting; None leaves it"""
    deadline: float | None = None
    """`time.monotonic()` value after which the answer is of no use"""
    attempt: Attempt | None = None
    recorder: Recorder | None = None
    resume: ProviderJob | None = None
    """fetch this job instead of buying a new one"""
    looks_for_s: float | None = None
    """with `resume`: ask for the job for so long at most, once at least, and cancel nothing; None: as configured"""
    purchase_key: str = field(default_factory=lambda: str(uuid.uuid4()))
    """a UUID that names this purchase, known to the recorder before the request leaves. For services that know
    idempotency keys, or that let us choose a job's id; each attempt has another one"""
    delivered: Callable[[str, str], Awaitable[dict[str, Any] | None]] | None = None
    """asks, by provider name and job id, what the provider has pushed about a job; None where nothing is pushed"""
    answer: Answer | None = None
    """the last 2xx answer that came, or the picture that was taken out of it"""

    async def job_submitted(self, job: ProviderJob) -> None:
        """An adapter calls this the moment the provider has named the job, before it polls."""
        if self.attempt is None:
            return
        cost = usd_or_none(job.cost, f"{self.attempt.provider_name}: job {job.id}")
        if cost is not job.cost:
            job = replace(job, cost=cost)
        self.attempt.job = job
        if job.cost is not None:
            self.attempt.cost = job.cost
        if self.recorder is None:
            return
        try:
            await self.recorder.job_submitted(self.attempt)
        except Exception:
            # The job is bought: a recorder that cannot write is no reason to leave the picture behind.
            logger.exception("job %s of %s could not be recorded", job.id, self.attempt.provider_name)

    def seconds_left(self, at_most_s: float) -> float:
        """Seconds an adapter may still take, never more than `at_most_s`."""
        if self.deadline is None:
            return at_most_s
        return max(0.0, min(at_most_s, self.deadline - time.monotonic()))


_current_call: ContextVar[Call | None] = ContextVar("mediagen_call", default=None)


def current_call() -> Call:
    """The `Call` the chain set for this attempt; an empty one when an adapter is used by itself."""
    return _current_call.get() or Call()


def set_current_call(call: Call | None) -> Any:
    """Make `call` current in this context; returns the token for `reset_current_call`."""
    return _current_call.set(call)


def reset_current_call(token: Any) -> None:
    _current_call.reset(token)


def utcnow() -> datetime:
    return datetime.now(UTC)


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, 5.7): new rows go to the end of the primary key's index."""
    return _uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big"))


def uuid7_in(owner: uuid.UUID, number: int, key: str) -> uuid.UUID:
    """The UUIDv7 of an owner's part: always the same for the same arguments, sorted by `number` right after it."""
    digest = hashlib.sha256(owner.bytes + key.encode()).digest()
    return _uuid7(owner.int >> 80, (number & 0xFFFFFFFF) << 40 | int.from_bytes(digest[:5], "big"))


def _uuid7(ms: int, tail: int) -> uuid.UUID:
    """`tail` has 74 bits for what the version and the variant leave, 12 before the variant and 62 behind."""
    high, low = tail >> 62 & 0xFFF, tail & 0x3FFFFFFFFFFFFFFF
    return uuid.UUID(int=(ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | high << 64 | 0x2 << 62 | low)
