"""The contract of a provider, and what all of ours have in common.

A provider in the chain needs `get_name()`, `check_health()` and the operations it has (`generate_image`, ...);
it need not use these base classes. Ours are `ServiceProvider` (settings, credential, health; no operation), and on
top of it `MediaGeneratorProvider` (pictures at once: write `_generate_image`) and `JobProvider` (a job first: write
`_submit` and `_collect`). Dry runs, option checks, opening the bytes, resizing, prices and scrubbing are done here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar, TypeVar

from mediagen import conf, http, images
from mediagen.errors import BadResponse, NotAPicture, ProviderError, UnsupportedRequest
from mediagen.providers.options import Option, clean_options
from mediagen.providers.service import HealthReport, ServiceProvider
from mediagen.providers.webhooks import WebhookRefused
from mediagen.types import MAX_SEED, Answer, GeneratedImage, GenerationRequest, ProviderJob, current_call

__all__ = [
    "Generated",
    "HealthReport",
    "JobProvider",
    "MediaGeneratorProvider",
    "Option",
    "ServiceProvider",
    "not_honoured",
    "open_picture",
]

T = TypeVar("T")
MAX_REVISED_PROMPT_CHARS = 10_000
"""of a prompt that a service says it has rewritten: `metadata["revised_prompt"]`"""
# What may become part of a path, and fits into the attempt's row.
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:\-]{0,199}")


@dataclass(slots=True, kw_only=True)
class Generated:
    """What an adapter's own code brings back: the bytes as they came, and what the service said about them."""

    content: bytes | bytearray
    picture: images.Picture | None = None
    """what `content` is, when it has been looked into already"""
    model: str = ""
    """the model that served, when the service names it; else the configured one"""
    seed: int | None = None
    cost: Decimal | None = None
    """USD as the service reported it; None lets the price table answer"""
    job_id: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    not_honoured: dict[str, Any] = field(default_factory=dict)
    """what came out otherwise than asked, as entries of the fit report (see `not_honoured()`)"""


class MediaGeneratorProvider(ServiceProvider):
    """Base of the providers that make pictures, and a good base for another one.

    `get_name()`, `await check_health()` and `await generate_image(prompt, width, height, **options)` are what the
    chain uses. Errors are `mediagen.errors.ProviderError`s whose class says what happens next.
    """

    def estimate(self, **request: Any) -> Decimal | None:
        """USD that `generate_image` with these arguments may cost at most; None when the price is not known."""
        return self.at_most(self.prepared(GenerationRequest.checked(**request))[0])[0]

    def estimate_reason(self, **request: Any) -> str:
        """Why `estimate` is no exact price; "" when it is one, or when nothing is known."""
        return self.at_most(self.prepared(GenerationRequest.checked(**request))[0])[1]

    async def generate_image(
        self, prompt: str, width: int = 1024, height: int = 1024, **options: Any
    ) -> GeneratedImage:
        """One picture as bytes. `width` and `height` in pixels; `negative_prompt`, `seed` and declared options.

        Raises `InvalidRequest` for nonsense and `ProviderError`s for what the service does.
        """
        request, fit_report = self.prepared(
            GenerationRequest.checked(prompt=prompt, width=width, height=height, **options)
        )
        return await self._delivered(request, fit_report, self._generate_image)

    # ------------------------------------------------------------------ what an adapter writes

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        """Ask the service. `request.options` are cleaned and complete with the configured defaults."""
        raise NotImplementedError

    def price_keys(self, request: GenerationRequest) -> list[str]:
        """Keys into the price table, the most particular first."""
        size = f"{request.width}x{request.height}"
        return [f"{self.model}/{size}", self.model]

    @property
    def seed_range(self) -> tuple[int, int]:
        """The lowest and the highest seed this model takes. Another one is not sent, and that is reported."""
        return 0, MAX_SEED

    @property
    def max_prompt_chars(self) -> int | None:
        """The longest prompt, and negative prompt, this model takes. A longer one is `UnsupportedRequest`."""
        return None

    # ------------------------------------------------------------------ what an adapter uses

    def price(self, request: GenerationRequest) -> Decimal | None:
        """USD from the price table; None when it is not known, which is not the same as nothing."""
        for key in self.price_keys(request):
            if key in self.prices:
                return self.prices[key]
        return None

    def at_most(self, request: GenerationRequest) -> tuple[Decimal | None, str]:
        """(USD that a picture may cost at most, why that is no price), for budgets. None when nobody can know."""
        if (price := self.price(request)) is not None:
            return price, ""
        for key in self.price_keys(request):
            if key in self.upper_prices:
                usd, why = self.upper_prices[key]
                return Decimal(usd), why
        if self.price_when_unknown is not None:
            return self.price_when_unknown, "no price is known: price_when_unknown is held"
        return None, ""

    def prepared(self, request: GenerationRequest) -> tuple[GenerationRequest, dict[str, Any]]:
        """(request with cleaned and default options, report of what this provider cannot honour)."""
        try:
            known = {name: option for name, option in self.options.items() if self.knows_option(name)}
            cleaned, unknown = clean_options(known, request.options)
        except ValueError as exc:
            raise UnsupportedRequest(f"{self.name}: {exc}") from None
        report: dict[str, Any] = {}
        seed, negative_prompt = request.seed, request.negative_prompt
        if seed is not None and not self.supports_seed:
            report["seed"], seed = not_honoured(seed, f"{self.name} has no seed"), None
        lowest, highest = self.seed_range
        if seed is not None and not lowest <= seed <= highest:
            why = f"{self.name} takes seeds from {lowest} to {highest}"
            report["seed"], seed = not_honoured(seed, why), None
        if negative_prompt and not self.supports_negative_prompt:
            why = f"{self.name} has no negative prompt"
            report["negative_prompt"], negative_prompt = not_honoured(negative_prompt, why), ""
        for option in unknown:
            whose = self.model if option in self.options else self.name
            report[f"options.{option}"] = not_honoured(request.options[option], f"{whose} has no such option")
        for option in [o for o in cleaned if self.options[o].config_only]:
            why = f"only the configuration of {self.name} may say this"
            report[f"options.{option}"] = not_honoured(cleaned.pop(option), why)
        options = {**self.default_options, **cleaned}
        for option in [o for o in options if not self.knows_option(o)]:
            report[f"options.{option}"] = not_honoured(options.pop(option), f"{self.model} has no such option")
        try:
            self._check_options(options)
        except ValueError as exc:
            raise UnsupportedRequest(f"{self.name}: {exc}") from None
        limit = self.max_prompt_chars
        for what, text in (("prompt", request.prompt), ("negative prompt", negative_prompt)):
            if limit is not None and len(text) > limit:
                raise UnsupportedRequest(
                    f"{self.name}: the {what} has {len(text):,} characters; {self.model} takes at most {limit:,}."
                )
        prepared = replace(request, seed=seed, negative_prompt=negative_prompt, options=options)
        return prepared, report

    async def _fetched(self, url: str, *, with_key: bool = False) -> tuple[bytes, images.Picture]:
        """A result and what it is, by `Service.download`; `BadResponse` when no picture could be had."""
        found: list[tuple[bytes, images.Picture]] = []
        await self.service.download(url, with_key=with_key, check=lambda body: found.append(tidied(body)))
        return found[-1]

    def _body_of(self, response: http.Response) -> tuple[bytes, images.Picture | None]:
        """A picture that is the body of an answer, and what it is when that had to be looked into: an answer that did
        not end as it should may hold a whole one."""
        content = bytes(response.body)
        if response.broken is None:
            return content, None
        try:
            return tidied(content)
        except NotAPicture:
            raise response.broken from None

    # ------------------------------------------------------------------ inside

    async def _delivered(
        self,
        request: GenerationRequest,
        fit_report: dict[str, Any],
        ask: Callable[[Any], Awaitable[Generated]],
    ) -> GeneratedImage:
        """What `ask` brings, opened; a placeholder in dry run."""
        if self.runs_dry or self.is_placeholder:
            return await self._placeholder(request, fit_report)
        with self._told_apart():
            self._require_credential()
            async with http.session():
                generated = await ask(request)
                # From here on this is what was paid for: the answer around it need not stay in memory.
                current_call().answer = Answer(generated.content)
            return await self._opened(request, generated, fit_report)

    async def _placeholder(self, request: GenerationRequest, fit_report: dict[str, Any]) -> GeneratedImage:
        variant = self.model
        if request.options or request.negative_prompt:
            # Another picture for other options, without showing them: one may name an end user.
            told = json.dumps([dict(request.options), request.negative_prompt], sort_keys=True, default=str)
            variant += f" {hashlib.sha256(told.encode()).hexdigest()[:6]}"
        content = await asyncio.to_thread(images.stand_in, self.name, request, variant, dry_run=self.runs_dry)
        picture = images.inspect(content, max_pixels=request.width * request.height)
        return GeneratedImage(
            content=content,
            format=picture.format,
            width=picture.width,
            height=picture.height,
            # No model was asked, so none has refused an option: what the adapter declares, it has taken.
            metadata=self._told(
                request,
                {name: entry["asked"] for name in self.options if (entry := fit_report.get(f"options.{name}"))}
                | {"dry_run": self.runs_dry},
            ),
            provider_name=self.name,
            model_name=self.model,
            seed=request.seed,
            cost=Decimal(0),
            is_placeholder=True,
            dry_run=self.runs_dry,
            fit_report=fit_report,
            sha256=picture.sha256,
        )

    def _told(self, request: GenerationRequest, metadata: dict[str, Any]) -> dict[str, Any]:
        """What a picture says of its making: the prompt, who served, and each option that was taken, by its name."""
        taken = {name: value for name, value in request.options.items() if not self.options[name].config_only}
        return {**metadata, **taken, "prompt": request.prompt, "provider": self.name}

    async def _opened(
        self, request: GenerationRequest, generated: Generated, fit_report: dict[str, Any]
    ) -> GeneratedImage:
        """Believe the bytes only after they have been looked into; bring them to the asked size."""
        cost = generated.cost if generated.cost is not None else self.price(request)
        came = generated.content if isinstance(generated.content, bytes) else bytes(generated.content)
        content, picture, size_report = await open_picture(
            came, request.width, request.height, cost=cost, picture=generated.picture
        )
        return GeneratedImage(
            content=content,
            format=picture.format,
            width=picture.width,
            height=picture.height,
            metadata=self._told(request, generated.metadata),
            provider_name=self.name,
            model_name=generated.model or self.model,
            seed=_seed(request, generated),
            cost=cost,
            provider_job_id=generated.job_id,
            fit_report={**fit_report, **generated.not_honoured, **size_report, **_rewritten(request, generated)},
            sha256=picture.sha256,
            original=b"" if content is came else came,
        )


class JobProvider(MediaGeneratorProvider):
    """A provider whose service gives a job id at once and the picture later.

    The id is with the recorder before the first poll, so a killed process fetches the job instead of buying another.
    """

    can_resume = True
    submit_timeout_s: ClassVar[float] = 60.0
    """a submission is answered at once; `timeout_s` is for the job"""
    poll_interval_s: ClassVar[float] = 0.5
    poll_max_interval_s: ClassVar[float] = 2.0
    poll_settle_s: ClassVar[float] = 3.0
    """how long "there is no such job" is not believed, seconds"""

    async def _generate_image(self, request: GenerationRequest) -> Generated:
        call = current_call()
        job = call.resume
        if job is None:
            job = await self._submit(request)
            await call.job_submitted(job)
        try:
            return await self._collect(request, job)
        except ProviderError as exc:
            exc.job = exc.job or job
            raise

    async def _submit(self, request: GenerationRequest) -> ProviderJob:
        """Buy one picture; returns at once."""
        raise NotImplementedError

    async def _collect(self, request: GenerationRequest, job: ProviderJob) -> Generated:
        """Poll the job to its end and fetch the picture. Must never buy anything."""
        raise NotImplementedError

    async def _polled(
        self,
        ask: Callable[[], Awaitable[T | None]],
        job: ProviderJob,
        on_deadline: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """`http.poll` at this provider's pace, for as long as the configuration and the caller's deadline allow.

        What the service has pushed about the job goes before what it would answer.
        """
        delivered = current_call().delivered if self.webhook_url else None

        async def look() -> T | None:
            pushed = await delivered(self.name, job.id) if delivered is not None else None
            if pushed is None:
                return await ask()
            body = json.dumps(pushed).encode()
            ended: T | None = self._pushed(http.Response(200, {"content-type": "application/json"}, body, ""))
            return ended

        return await http.poll(
            look,
            job=job,
            timeout_s=self.poll_timeout_s,
            interval_s=self.poll_interval_s,
            max_interval_s=self.poll_max_interval_s,
            settle_s=self.poll_settle_s,
            on_deadline=on_deadline if current_call().looks_for_s is None else None,
        )

    def _pushed(self, answer: http.Response) -> Any:
        """What a pushed answer means, as if a poll had brought it. For adapters that set `webhook_url`."""
        raise NotImplementedError

    def _pushed_id(self, value: Any) -> str:
        """As `_job_id`, out of a message that the service has pushed: `WebhookRefused` when it is none."""
        try:
            return self._job_id(value)
        except BadResponse as exc:
            raise WebhookRefused(str(exc)) from None

    def _job_id(self, value: Any) -> str:
        """The id that the service gave a job, or `BadResponse` when it is none."""
        if not isinstance(value, str) or not _JOB_ID.fullmatch(value):
            raise BadResponse(
                f"took the job and named no id that it can be found again by ({self.quoted(value, 60)!r})."
            )
        return value


def _seed(request: GenerationRequest, generated: Generated) -> int | None:
    """The one that the service names, else the one that it was given."""
    if generated.seed is not None:
        return generated.seed
    return None if "seed" in generated.not_honoured else request.seed


def _rewritten(request: GenerationRequest, generated: Generated) -> dict[str, Any]:
    """An entry of the fit report when the service drew another prompt than the one that was asked for."""
    used = generated.metadata.get("revised_prompt")
    if not used or used == request.prompt:
        return {}
    return {"prompt": {"made": used, "why": "the service rewrote the prompt"}}


async def open_picture(
    content: bytes, width: int, height: int, *, cost: Decimal | None = None, picture: images.Picture | None = None
) -> tuple[bytes, images.Picture, dict[str, Any]]:
    """(bytes, what they are, entries of the fit report) after inspection and fitting; `BadResponse` when they are no
    picture.

    `picture` is what an inspection has found already, in `content` as that left it.
    """
    try:
        content, found = tidied(content) if picture is None else (content, picture)
    except NotAPicture as exc:
        raise BadResponse(f"answered without a usable picture: {exc}", cost=cost) from None
    made = (found.width, found.height)
    if made == (width, height):
        return content, found, found.fit_report
    size: dict[str, Any] = {"asked": [width, height], "made": list(made), "action": "kept"}
    if conf.get("FIT") == "resize":
        try:
            # Decoding and encoding is seconds of CPU for a large picture: not on the event loop.
            content, found, size["action"] = await asyncio.to_thread(images.fit, content, found, width, height)
        except NotAPicture as exc:  # its structure is whole, and it is paid: as it would be kept in the right size
            size["why"] = str(exc)
    return content, found, {**found.fit_report, "size": size}


def inspected(content: bytes) -> images.Picture:
    """The picture that `content` is, within the site's limits; otherwise `NotAPicture`."""
    return images.inspect(content, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES"))


def tidied(content: bytes) -> tuple[bytes, images.Picture]:
    """As `inspected`, without what can be left out (see `images.tidied`)."""
    return images.tidied(content, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES"))


def not_honoured(asked: Any, why: str) -> dict[str, Any]:
    """An entry of a fit report: what was asked, and why it was not done."""
    return {"asked": asked, "honoured": False, "why": why}
