"""What the chain would do if a provider failed: the real chain, with actors for providers and a clock that waits for
nobody. Nothing leaves this machine, no row is written, and no breaker of the site moves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from asgiref.sync import async_to_sync

import mediagen.engine.insight.statistics as statistics
from mediagen import conf
from mediagen.breaker import Circuit, CircuitState, MemoryBreakerStore
from mediagen.chain import MediaGeneratorChain
from mediagen.clock import Clock
from mediagen.engine.providers import credential_state
from mediagen.errors import (
    CredentialsRefused,
    InvalidRequest,
    MediagenError,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
)
from mediagen.factory import build_adapter, chain_configs
from mediagen.foreign import name_of
from mediagen.models import ProviderConfig
from mediagen.providers.base import open_picture
from mediagen.types import AttemptState, GeneratedImage, utcnow
from mediagen.wording import say as _

BEHAVIOURS = ("well", "down", "busy", "hangs", "lost", "limited", "refuses", "corrupt", "bad_key")
"""delivers; cannot be reached; answers 503; takes the request and never answers; breaks off after the request was
sent; 429 for the first minute; moderation refuses; answers with damaged bytes; refuses the key"""

SCENARIOS = (*(f"first_{behaviour}" for behaviour in BEHAVIOURS[1:]), "all_well", "all_down")
"""the first provider of the chain behaves so and the others deliver; or all alike (placeholders always deliver)"""

LIMITED_FOR_S = 60.0
USUAL_S = 8.0
"""how long a provider takes of which nothing is known"""
MOST_PICTURES = 50
ZERO = Decimal(0)


# ---------------------------------------------------------------------- what comes of it


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedAttempt:
    provider: str
    outcome: str
    message: str
    begins_s: float
    """after the picture was asked for"""
    took_s: float
    was_asked: bool
    """False when it was skipped: its breaker was open, or it has no pictures"""
    cost: Decimal
    possible: Decimal
    """what it may cost beside, USD: nobody knows whether the picture was made"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedPicture:
    number: int
    asked_at_s: float
    """after the beginning"""
    took_s: float
    served_by: str
    """"" when no provider delivered"""
    is_placeholder: bool
    attempts: tuple[RehearsedAttempt, ...]

    @property
    def cost(self) -> Decimal:
        return sum((attempt.cost for attempt in self.attempts), ZERO)

    @property
    def possible(self) -> Decimal:
        return sum((attempt.possible for attempt in self.attempts), ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsedProvider:
    """One entry of the chain, and how it stood at the end."""

    name: str
    behaviour: str
    """"" for one that makes no pictures"""
    price: Decimal | None
    """USD a picture; None when it is not known, and then it counts for nothing here"""
    usual_s: float
    is_measured: bool
    """`usual_s` is the half of its last 30 days; False: assumed"""
    needs_key: bool
    """it has none: live it would be skipped until it gets one"""
    is_placeholder: bool
    asked: int
    breaker: str
    """"closed", "open" or "half_open" """
    reopens_in_s: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    pictures: tuple[RehearsedPicture, ...]
    providers: tuple[RehearsedProvider, ...]
    took_s: float

    @property
    def served(self) -> int:
        """Real pictures."""
        return sum(bool(picture.served_by) and not picture.is_placeholder for picture in self.pictures)

    @property
    def placeholders(self) -> int:
        return sum(picture.is_placeholder for picture in self.pictures)

    @property
    def failed(self) -> int:
        return sum(not picture.served_by for picture in self.pictures)

    @property
    def cost(self) -> Decimal:
        return sum((picture.cost for picture in self.pictures), ZERO)

    @property
    def possible(self) -> Decimal:
        return sum((picture.possible for picture in self.pictures), ZERO)

    @property
    def longest_s(self) -> float:
        return max((picture.took_s for picture in self.pictures), default=0.0)

    @property
    def without_price(self) -> tuple[str, ...]:
        """Providers that served and whose price is not known: the cost is at least what is said."""
        served = {picture.served_by for picture in self.pictures}
        return tuple(provider.name for provider in self.providers if provider.price is None and provider.name in served)


def rehearse(
    scenario: str = "first_down",
    *,
    behaviours: Mapping[str, str] | None = None,
    pictures: int = 8,
    every_s: float = 10.0,
    width: int = 1024,
    height: int = 1024,
) -> Rehearsal:
    """Ask the present chain for so many pictures, one every `every_s` seconds or as soon as the one before is there.

    `behaviours` says for single providers, by name, how they behave; the scenario for all others. Providers are taken
    for live and configured, as they are meant to be; whoever has no key yet is marked. Three queries. `InvalidRequest`
    names the argument that cannot be, `ConfigurationError` an entry that cannot be set up.
    """
    _check(scenario, behaviours or {}, pictures, every_s)
    clock = SimulatedClock()
    configs = chain_configs()
    actors = _actors(configs, clock)
    _cast(actors, scenario, behaviours or {})
    breaker = MemoryBreakerStore()
    chain = MediaGeneratorChain(actors, breaker=breaker, clock=clock)
    request = {"prompt": "a rehearsal", "width": width, "height": height}
    for actor in actors:
        if isinstance(actor, Actor):
            actor.estimate(**request)
    asked = async_to_sync(_all)(chain, clock, request, pictures, every_s)
    return Rehearsal(
        pictures=tuple(asked),
        providers=tuple(
            _report(actor, config, breaker, clock, asked) for actor, config in zip(actors, configs, strict=True)
        ),
        took_s=clock.monotonic(),
    )


def _check(scenario: str, behaviours: Mapping[str, str], pictures: int, every_s: float) -> None:
    if scenario not in SCENARIOS:
        raise InvalidRequest(
            _(
                "There is no scenario %(scenario)s. There are: %(scenarios)s.",
                scenario=f"{scenario!r:.40}",
                scenarios=", ".join(SCENARIOS),
            ),
            field="scenario",
        )
    for name, behaviour in behaviours.items():
        if behaviour not in BEHAVIOURS:
            raise InvalidRequest(
                _(
                    "%(name)s cannot behave %(behaviour)s. It can: %(behaviours)s.",
                    name=f"{name:.40}",
                    behaviour=f"{behaviour!r:.40}",
                    behaviours=", ".join(BEHAVIOURS),
                ),
                field="behaviours",
            )
    if not 1 <= pictures <= MOST_PICTURES:
        raise InvalidRequest(_("Ask for 1 to %(most)s pictures.", most=MOST_PICTURES), field="pictures")
    if not 0 <= every_s <= 3600:
        raise InvalidRequest(_("A picture every 0 to 3600 seconds."), field="every_s")


async def _all(
    chain: MediaGeneratorChain, clock: SimulatedClock, request: dict[str, Any], pictures: int, every_s: float
) -> list[RehearsedPicture]:
    made = []
    for number in range(1, pictures + 1):
        if (early_s := (number - 1) * every_s - clock.monotonic()) > 0:
            await clock.sleep(early_s)
        made.append(await _one(chain, clock, request, number))
    return made


async def _one(
    chain: MediaGeneratorChain, clock: SimulatedClock, request: dict[str, Any], number: int
) -> RehearsedPicture:
    began_s, began = clock.monotonic(), clock.now()
    outcome = await chain.execute("generate_image", **request)
    return RehearsedPicture(
        number=number,
        asked_at_s=began_s,
        took_s=clock.monotonic() - began_s,
        served_by=outcome.served_by,
        is_placeholder=bool(getattr(outcome.result, "is_placeholder", False)),
        attempts=tuple(_attempt(attempt, began) for attempt in outcome.attempts),
    )


def _attempt(attempt: Any, began: datetime) -> RehearsedAttempt:
    is_unknown = attempt.state is AttemptState.UNKNOWN
    return RehearsedAttempt(
        provider=attempt.provider_name,
        outcome=str(attempt.outcome or attempt.state),
        message=attempt.message,
        begins_s=(attempt.started_at - began).total_seconds(),
        took_s=attempt.latency_s or 0.0,
        was_asked=attempt.state is not AttemptState.SKIPPED,
        cost=attempt.cost or ZERO,
        possible=(attempt.price or ZERO) if is_unknown else ZERO,
    )


def _report(
    actor: Any, config: ProviderConfig, breaker: MemoryBreakerStore, clock: Clock, pictures: list[RehearsedPicture]
) -> RehearsedProvider:
    name = name_of(actor)
    circuits = [circuit for key, circuit in breaker.known().items() if key.provider == name]
    circuit = circuits[0] if circuits else Circuit()
    is_open = circuit.state is not CircuitState.CLOSED
    left_s = (circuit.open_until - clock.now()).total_seconds() if is_open and circuit.open_until else None
    attempts = [attempt for picture in pictures for attempt in picture.attempts if attempt.provider == name]
    return RehearsedProvider(
        name=name,
        behaviour=getattr(actor, "behaviour", ""),
        price=getattr(actor, "price", None),
        usual_s=getattr(actor, "usual_s", 0.0),
        is_measured=getattr(actor, "is_measured", False),
        needs_key=credential_state(config).source in ("missing", "unreadable", "withheld"),
        is_placeholder=bool(getattr(actor, "is_placeholder", False)),
        asked=sum(attempt.was_asked for attempt in attempts),
        breaker=circuit.state.value,
        reopens_in_s=None if left_s is None else max(0.0, left_s),
        reason=circuit.reason if is_open else "",
    )


# ---------------------------------------------------------------------- the clock


class SimulatedClock(Clock):
    """Begins at 0 and moves when somebody waits. For one thing after the other."""

    is_simulated = True

    def __init__(self) -> None:
        self._seconds = 0.0
        self._began = utcnow()
        self._limit: float | None = None

    def monotonic(self) -> float:
        return self._seconds

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self._seconds)

    async def sleep(self, seconds: float) -> None:
        """TimeoutError at the limit that `until` has set, as an awaited task would get it."""
        wakes_at = self._seconds + max(0.0, seconds)
        if self._limit is not None and wakes_at > self._limit:
            self._seconds = max(self._seconds, self._limit)
            raise TimeoutError
        self._seconds = wakes_at

    @asynccontextmanager
    async def until(self, deadline: float) -> AsyncIterator[None]:
        before, self._limit = self._limit, deadline
        try:
            yield
        finally:
            self._limit = before


# ---------------------------------------------------------------------- the actors


def _actors(configs: list[ProviderConfig], clock: SimulatedClock) -> list[Any]:
    known = statistics.by_provider(("30d",))
    actors: list[Any] = []
    for config in configs:
        adapter = build_adapter(config, dry_run=True)
        if not hasattr(adapter, "generate_image"):
            actors.append(adapter)  # the chain passes it over, as it always does
            continue
        figures = known.get(config.name, {}).get("30d")
        actors.append(Actor(adapter, clock, figures.p50_s if figures else None))
    return actors


def _cast(actors: list[Any], scenario: str, behaviours: Mapping[str, str]) -> None:
    real = [actor for actor in actors if isinstance(actor, Actor) and not actor.is_placeholder]
    whom, _, behaviour = scenario.partition("_")
    for actor in real if whom == "all" else real[:1]:
        actor.behaviour = behaviour
    for actor in real:
        actor.behaviour = behaviours.get(actor.name, actor.behaviour)


class Actor:
    """Plays a provider: its name, rules and price, and what it is told to do."""

    is_configured = True

    def __init__(self, adapter: Any, clock: SimulatedClock, usual_s: float | None) -> None:
        self.adapter = adapter
        self.clock = clock
        self.behaviour = "well"
        self.name = name_of(adapter)
        self.model = str(getattr(adapter, "model", "") or "")
        self.is_placeholder = bool(getattr(adapter, "is_placeholder", False))
        self.after_unknown = getattr(adapter, "after_unknown", "next")
        self.after_refusal = getattr(adapter, "after_refusal", "stop")
        self.default_cooldown_s = float(getattr(adapter, "default_cooldown_s", conf.get("BREAKER_COOLDOWN_S")))
        self.timeout_s = float(getattr(adapter, "timeout_s", 180.0))
        self.is_measured = usual_s is not None
        self.usual_s = 0.0 if self.is_placeholder else USUAL_S if usual_s is None else usual_s
        self.price: Decimal | None = None

    def get_name(self) -> str:
        return self.name

    async def check_health(self) -> bool:
        return True

    def estimate(self, **request: Any) -> Decimal | None:
        """USD, as the adapter itself would say."""
        if self.is_placeholder:
            self.price = ZERO
        elif hasattr(self.adapter, "estimate"):
            try:
                self.price = self.adapter.estimate(**request)
            except MediagenError:
                self.price = None  # it would refuse this request when it is asked
        return self.price

    async def generate_image(self, prompt: str, width: int, height: int, **options: Any) -> GeneratedImage:
        price = self.estimate(prompt=prompt, width=width, height=height, **options)
        await getattr(self, f"_{self.behaviour}")(width, height)
        await self.clock.sleep(self.usual_s)
        return GeneratedImage(
            content=b"",
            format="png",
            width=width,
            height=height,
            provider_name=self.name,
            model_name=self.model,
            cost=price,
            is_placeholder=self.is_placeholder,
            sha256="rehearsed",  # so that nobody opens what is no picture
        )

    async def _well(self, width: int, height: int) -> None: ...

    async def _down(self, width: int, height: int) -> None:
        raise Unavailable(f"{self.name}: the connection was refused.")

    async def _busy(self, width: int, height: int) -> None:
        await self.clock.sleep(0.3)
        raise Unavailable(f"{self.name}: answered 503.", http_status=503)

    async def _hangs(self, width: int, height: int) -> None:
        await self.clock.sleep(self.timeout_s)
        raise OutcomeUnknown(f"{self.name}: took the request and did not answer within {self.timeout_s:g} s.")

    async def _lost(self, width: int, height: int) -> None:
        await self.clock.sleep(1.0)
        raise OutcomeUnknown(f"{self.name}: the connection broke off after the request was sent.")

    async def _limited(self, width: int, height: int) -> None:
        left_s = LIMITED_FOR_S - self.clock.monotonic()
        if left_s > 0:
            text = f"{self.name}: answered 429: too many requests, again in {left_s:.0f} s."
            raise RateLimited(text, http_status=429, retry_after_s=left_s)

    async def _refuses(self, width: int, height: int) -> None:
        await self.clock.sleep(1.0)
        raise Refused(f"{self.name}: its moderation refused the prompt.", http_status=400)

    async def _corrupt(self, width: int, height: int) -> None:
        await self.clock.sleep(self.usual_s)
        await open_picture(b"\x89PNG\r\n\x1a\n cut off", width, height, cost=self.price)

    async def _bad_key(self, width: int, height: int) -> None:
        await self.clock.sleep(0.3)
        raise CredentialsRefused(f"{self.name}: refused the key (401).", http_status=401)
