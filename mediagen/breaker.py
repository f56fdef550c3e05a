"""The circuit breaker's rules, without a clock of its own, a database or a provider's name.

A circuit is kept per provider, model and operation. A store keeps circuits: `MemoryBreakerStore` for one process;
the factory gives the chain one that all processes of a site share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from mediagen.errors import BreakerEffect, Outcome, ProviderError


class BreakerKey(NamedTuple):
    provider: str
    model: str
    operation: str


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Verdict(StrEnum):
    """Whether a request may go to the provider now."""

    ALLOW = "allow"
    PROBE = "probe"
    """only by whoever claims the probe"""
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """What is known of one provider x model x operation."""

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    """counted failures in a row"""
    openings: int = 0
    """times opened since the last success; lengthens the cooldown"""
    open_until: datetime | None = None
    """None while open: until the configuration changes"""
    probe_until: datetime | None = None
    """half open: until then the probe belongs to somebody"""
    outcome: str = ""
    http_status: int | None = None
    """of the answer that opened it; None when there was none"""
    reason: str = ""
    config_digest: str = ""
    last_failure_at: datetime | None = None

    @property
    def is_healthy(self) -> bool:
        """Closed, and the last counted attempt did not fail."""
        return self.state is CircuitState.CLOSED and self.failures == 0

    def verdict(self, now: datetime, config_digest: str) -> Verdict:
        if self.state is CircuitState.CLOSED:
            return Verdict.ALLOW
        if self.state is CircuitState.HALF_OPEN:
            return Verdict.PROBE if self.probe_until is None or self.probe_until <= now else Verdict.DENY
        if self.open_until is None:
            return Verdict.PROBE if config_digest != self.config_digest else Verdict.DENY
        return Verdict.PROBE if self.open_until <= now else Verdict.DENY

    def explain(self) -> str:
        until = (
            f"until {self.open_until:%Y-%m-%d %H:%M:%S} UTC" if self.open_until else "until its configuration changes"
        )
        return f"its breaker is open {until}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When circuits open and for how long, seconds."""

    failures: int = 5
    cooldown_s: float = 30.0
    max_cooldown_s: float = 600.0
    probe_s: float = 900.0
    """a prober that has not reported for so long is taken for dead"""

    def after_error(
        self,
        circuit: Circuit,
        *,
        error: ProviderError,
        now: datetime,
        config_digest: str,
        default_cooldown_s: float,
        at_once: int | None = None,
    ) -> Circuit:
        """The circuit after a failed attempt. `error.breaker` decides, never its text.

        `at_once`, where another provider can be asked: so many pictures are under way at this one. When as many tries
        have failed in a row none of them has brought anything, and no more is sent after them.
        """
        if error.breaker is BreakerEffect.NONE:
            # It answered, so a probe has found it alive; otherwise nothing is learned.
            return Circuit() if circuit.state is CircuitState.HALF_OPEN else circuit
        failed = replace(circuit, failures=circuit.failures + 1, last_failure_at=now, config_digest=config_digest)
        if error.breaker is BreakerEffect.OPENS_UNTIL_CHANGED:
            return self._opened(failed, None, error)
        if error.breaker is BreakerEffect.OPENS:
            wait_s = default_cooldown_s if error.retry_after_s is None else error.retry_after_s
            until = now + timedelta(seconds=wait_s)
            if circuit.state is CircuitState.OPEN and (circuit.open_until is None or circuit.open_until > until):
                return failed
            return self._opened(failed, until, error)
        if circuit.state is CircuitState.OPEN:
            return failed  # it was in flight when the circuit opened: the cooldown stays as it is
        opens_at = self.failures if at_once is None else min(self.failures, at_once)
        if circuit.state is CircuitState.CLOSED and failed.failures < opens_at:
            return replace(failed, outcome=error.outcome.value, http_status=error.http_status, reason=str(error))
        wait_s = min(self.cooldown_s * 2.0**circuit.openings, self.max_cooldown_s)
        return self._opened(failed, now + timedelta(seconds=wait_s), error)

    @staticmethod
    def _opened(circuit: Circuit, until: datetime | None, error: ProviderError) -> Circuit:
        # Answers to what was in flight when it opened open it once, however many they are.
        opens = circuit.state is not CircuitState.OPEN
        return replace(
            circuit,
            state=CircuitState.OPEN,
            openings=min(circuit.openings + opens, 30),
            open_until=until,
            probe_until=None,
            outcome=error.outcome.value,
            http_status=error.http_status,
            reason=str(error),
        )


Change = Callable[[Circuit], Circuit]
"""what an attempt has done to a circuit: `BreakerRules.after_error` with all but the circuit given"""


class BreakerStore(Protocol):
    """Where circuits live. `update` must be atomic for one key."""

    async def load(self, keys: Iterable[BreakerKey]) -> Mapping[BreakerKey, Circuit]:
        """Circuits of these keys; a key that is missing is closed. May be up to a second old."""

    async def claim_probe(self, key: BreakerKey, *, now: datetime, until: datetime, config_digest: str) -> bool:
        """Half-open the circuit for the caller alone. False when somebody else was quicker."""

    async def failed(self, key: BreakerKey, change: Change) -> Circuit:
        """Apply the change, which may run more than once; keep and return the outcome."""

    async def succeeded(self, key: BreakerKey, *, was_probe: bool) -> None:
        """A request was served. Closes a half-open circuit; forgets failures of a closed one."""

    def known(self) -> Mapping[BreakerKey, Circuit]:
        """What this process knows, without asking anybody."""


def after_success(circuit: Circuit, *, was_probe: bool) -> Circuit:
    """A success closes what it probed. One that was in flight when the circuit opened leaves it open."""
    return Circuit() if was_probe or circuit.state is CircuitState.CLOSED else circuit


def after_health_check(circuit: Circuit, now: datetime) -> Circuit:
    """The circuit when the service has answered a call that buys nothing.

    That proves that the service can be reached: what opened because it could not is closed. Of an outage while it was
    asked for pictures it proves less: the wait ends, and the next picture tries it. Of a rate limit, a refused key or
    model and unusable answers it proves nothing.
    """
    if circuit.state is not CircuitState.OPEN or circuit.open_until is None:
        return circuit
    if circuit.outcome == Outcome.UNAVAILABLE and circuit.http_status is None:
        return Circuit()
    if circuit.outcome in (Outcome.UNAVAILABLE, Outcome.UNKNOWN):
        return replace(circuit, open_until=min(circuit.open_until, now))
    return circuit


def probe_is_free(circuit: Circuit, now: datetime, config_digest: str) -> bool:
    return circuit.verdict(now, config_digest) is Verdict.PROBE


class MemoryBreakerStore:
    """Circuits of one process."""

    def __init__(self) -> None:
        self._circuits: dict[BreakerKey, Circuit] = {}

    async def load(self, keys: Iterable[BreakerKey]) -> Mapping[BreakerKey, Circuit]:
        return {key: self._circuits[key] for key in keys if key in self._circuits}

    async def claim_probe(self, key: BreakerKey, *, now: datetime, until: datetime, config_digest: str) -> bool:
        circuit = self._circuits.get(key, Circuit())
        if not probe_is_free(circuit, now, config_digest):
            return False
        self._circuits[key] = replace(circuit, state=CircuitState.HALF_OPEN, probe_until=until)
        return True

    async def failed(self, key: BreakerKey, change: Change) -> Circuit:
        self._circuits[key] = circuit = change(self._circuits.get(key, Circuit()))
        return circuit

    async def succeeded(self, key: BreakerKey, *, was_probe: bool) -> None:
        if key in self._circuits:
            self._circuits[key] = after_success(self._circuits[key], was_probe=was_probe)

    def known(self) -> Mapping[BreakerKey, Circuit]:
        return dict(self._circuits)


def health_of(names: Iterable[str], circuits: Mapping[BreakerKey, Circuit]) -> dict[str, bool]:
    """{"sdxl": True, ...}: False when a circuit of the provider is open or its last counted attempt failed."""
    sick = {key.provider for key, circuit in circuits.items() if not circuit.is_healthy}
    return {name: name not in sick for name in names}
