"""The chain: ordered providers with the rules for going on, waiting and stopping.

It knows no ORM and no provider by name. An operation is a method that a provider has or has not; an error's class
says what happens next; a recorder is told of every attempt before it leaves and when it has ended. What happens in
one run is in `mediagen.execution`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from mediagen import conf, http, purchases, steps
from mediagen.breaker import BreakerKey, BreakerRules, BreakerStore, MemoryBreakerStore, Verdict, health_of
from mediagen.clock import REAL, Clock
from mediagen.descriptions import ALT_TEXT_CHARS, DescribeRequest
from mediagen.execution import ChainOutcome, Execution, key_of
from mediagen.foreign import lacks, name_of
from mediagen.operations import DESCRIBE, GENERATE, OPERATIONS, EditRequest
from mediagen.types import (
    Attempt,
    FigmaExportResult,
    GeneratedImage,
    GenerationRequest,
    ImageDescription,
    ProviderJob,
    Recorder,
)

__all__ = ["ChainOutcome", "MediaGeneratorChain"]


class _NullRecorder:
    async def started(self, attempt: Attempt) -> None: ...
    async def job_submitted(self, attempt: Attempt) -> None: ...
    async def finished(self, attempt: Attempt) -> None: ...


class MediaGeneratorChain:
    """Providers in order, tried until one delivers.

    `providers` are instances with `get_name()` and the operations they have; ours or anybody's. `dry_run` True makes
    every provider answer locally. `breaker` keeps the circuits (default: in this chain object). A chain from the
    factory has `strict` set: bytes from a foreign provider that are no picture we know count as a bad response; a
    bare chain hands such bytes on with `metadata["verified"]` False. `first` has by operation who is asked before the
    others, by name.
    """

    def __init__(
        self,
        providers: Iterable[Any],
        dry_run: bool = False,
        *,
        breaker: BreakerStore | None = None,
        rules: BreakerRules | None = None,
        strict: bool = False,
        dry_providers: Collection[str] = (),
        clock: Clock = REAL,
        first: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.providers = list(providers)
        self.dry_run = dry_run
        self.strict = strict
        self._first = dict(first or {})
        self._dry_providers = frozenset(dry_providers)
        self._clock = clock
        self._seen: dict[str, bool] = {}
        """what was last seen of each provider that was asked by this chain, by name; also of dry ones"""
        self._under_way: Counter[BreakerKey] = Counter()
        self._breaker: BreakerStore = breaker if breaker is not None else MemoryBreakerStore()
        self._rules = rules or BreakerRules(
            failures=conf.get("BREAKER_FAILURES"),
            cooldown_s=conf.get("BREAKER_COOLDOWN_S"),
            max_cooldown_s=conf.get("BREAKER_MAX_COOLDOWN_S"),
        )

    def __repr__(self) -> str:
        return f"<MediaGeneratorChain {' > '.join(name_of(p) for p in self.providers)}>"

    async def execute_generate_image(
        self, prompt: str, width: int = 1024, height: int = 1024, **options: Any
    ) -> GeneratedImage | None:
        """The first picture that a provider delivers, None when none does. Pixels; `InvalidRequest` for nonsense."""
        outcome = await self.execute("generate_image", prompt=prompt, width=width, height=height, **options)
        return outcome.result  # type: ignore[no-any-return]

    async def execute_describe_image(
        self, image: GeneratedImage, language: str = "en", max_chars: int = ALT_TEXT_CHARS, **options: Any
    ) -> ImageDescription | None:
        """What the picture shows, by the first provider that says it, None when none does."""
        outcome = await self.execute(DESCRIBE, image=image, language=language, max_chars=max_chars, **options)
        return outcome.result  # type: ignore[no-any-return]

    async def execute_export_figma(
        self, image: GeneratedImage, file_key: str, page_id: str | None = None, **options: Any
    ) -> FigmaExportResult | None:
        """Send a picture to a Figma file by the first provider that can, None when none can."""
        outcome = await self.execute("export_to_figma", image=image, file_key=file_key, page_id=page_id, **options)
        return outcome.result  # type: ignore[no-any-return]

    async def execute(
        self,
        operation: str,
        *,
        recorder: Recorder | None = None,
        deadline_s: float | None = None,
        dry_run: bool | None = None,
        resume: Mapping[str, ProviderJob] | None = None,
        keys: Mapping[str, str] | None = None,
        avoid: Collection[str] = (),
        stop_for: Collection[str] = (),
        stop_unless_asked: Collection[str] = (),
        fetch_for_s: float | None = None,
        patient: bool = False,
        delivered: Callable[[str, str], Awaitable[dict[str, Any] | None]] | None = None,
        **kwargs: Any,
    ) -> ChainOutcome:
        """Run any operation through the chain.

        `recorder` is told of every attempt; `deadline_s` bounds the whole in seconds; `dry_run` overrides the chain;
        `resume` has jobs already bought, by provider name, which are fetched instead of bought again;
        `keys` purchase keys of earlier attempts whose answers nobody saw, for providers that can say what became of
        them (`purchases_resolved_for_s`): they are asked for that, before anybody else is asked. Providers in
        `avoid` may have been paid for this already: they are asked after all others. When the `after_unknown` of one
        is "stop", or one is named in `stop_for`, what is bought is fetched and nobody else is asked. So it is for those
        in `stop_unless_asked`, of whom there is something in `resume` or `keys`, when they cannot be asked for it: they
        are gone from the chain, or without a credential. `fetch_for_s`: the jobs in `resume` are asked for, for so many
        seconds at most; nothing is bought, and of a job that has not ended the recorder is not told. `patient` says
        that the caller can come back later: no placeholder then stands in for what waiting may bring. `delivered` is
        asked what a provider has pushed about a job (see `Call`). Raises
        `InvalidRequest` before anything is tried; never raises for what a provider does.
        """
        if operation == GENERATE:
            GenerationRequest.checked(**kwargs)
        elif operation in OPERATIONS:
            EditRequest.of(operation, **kwargs)
        elif operation == DESCRIBE:
            DescribeRequest.checked(**kwargs)
        seconds = conf.get("DEADLINE_S") if deadline_s is None else deadline_s
        run = Execution(
            self.ordered(operation),
            operation,
            kwargs,
            breaker=self._breaker,
            rules=self._rules,
            strict=self.strict,
            dry_providers=self._dry_providers,
            recorder=recorder or _NullRecorder(),
            deadline=self._clock.monotonic() + seconds,
            dry_run=True if self.dry_run and dry_run is None else dry_run,
            resume=dict(resume or {}),
            keys=dict(keys or {}),
            avoid=frozenset(avoid),
            stop_for=frozenset(stop_for),
            stop_unless_asked=frozenset(stop_unless_asked),
            fetch_for_s=fetch_for_s,
            patient=patient,
            delivered=delivered,
            clock=self._clock,
            seen=self._seen,
            under_way=self._under_way,
        )
        async with steps.step("chain", operation=operation) as seen, http.session():
            outcome = await run.through()
            seen.set(served_by=outcome.served_by, attempts=len(outcome.attempts))
            return outcome

    def ordered(self, operation: str) -> list[Any]:
        """The providers in the order in which they are asked for this operation."""
        turns = {name: turn for turn, name in enumerate(self._first.get(operation, ()))}
        last = len(turns)
        return (
            sorted(
                self.providers,
                key=lambda one: last + 1 if getattr(one, "is_placeholder", False) else turns.get(name_of(one), last),
            )
            if turns
            else self.providers
        )

    def is_dry(self, provider: Any) -> bool:
        """Whether the provider answers locally in this chain, unless the call says otherwise."""
        return self.dry_run or bool(getattr(provider, "dry_run", False)) or name_of(provider) in self._dry_providers

    def purchases_resolved_for_s(self, *, by_looking: bool = False) -> dict[str, float]:
        """Seconds after which a provider can no longer say what became of a purchase whose answer was lost, by the
        names of those that can; `by_looking`: of those that surely buy nothing when they are asked."""
        live = [provider for provider in self.providers if not self.is_dry(provider)]
        seconds = {name_of(p): purchases.resolved_for_s(p, by_looking=by_looking) for p in live}
        return {name: s for name, s in seconds.items() if s > 0}

    def cooling_down_s(self, operation: str) -> float | None:
        """Seconds until the first provider may be asked again, when all that could be asked are cooling down by what
        this process knows; None when one can be asked now, or none ever could."""
        waits = []
        known, now = self._breaker.known(), self._clock.now()
        for provider in self.providers:
            if lacks(provider, operation) or getattr(provider, "is_placeholder", False):
                continue
            if self.is_dry(provider):
                return None
            if not getattr(provider, "is_configured", True):
                continue
            circuit = known.get(key_of(provider, operation))
            if circuit is None or circuit.verdict(now, str(getattr(provider, "config_digest", ""))) is not Verdict.DENY:
                return None
            if (until := circuit.open_until or circuit.probe_until) is not None:
                waits.append(max(0.0, (until - now).total_seconds()))
        return min(waits, default=None)

    def get_provider_health(self) -> dict[str, bool]:
        """{"sdxl": True, "openai_images": False}: what was last seen of each; nobody is asked.

        False after one failure already: the breaker may still be closed.
        """
        health = health_of((name_of(p) for p in self.providers), self._breaker.known())
        health = {name: is_well and self._seen.get(name, True) for name, is_well in health.items()}
        for provider in self.providers:
            if not getattr(provider, "is_configured", True) and not self.is_dry(provider):
                health[name_of(provider)] = False
        return health
