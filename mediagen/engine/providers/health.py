"""Whether the providers are there: asked without cost, and what an operator should do when one is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediagen import http
from mediagen.breaker import BreakerKey, Circuit, CircuitState, Verdict
from mediagen.circuits import circuits_of, note_health, reset_breakers
from mediagen.engine.database import in_database
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.factory import build_adapter, chain_configs, runs_dry
from mediagen.models import ProviderConfig
from mediagen.types import near, utcnow
from mediagen.wording import say as _


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerReport:
    """A breaker that is not closed, or whose last attempt failed. Times are ISO 8601, UTC."""

    operation: str
    model: str
    state: str
    until: str | None
    """when it lets the next one through; None: it does already, or not by itself"""
    last_failure_at: str | None
    outcome: str
    reason: str
    next: str
    """what will happen"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """One provider as `check_providers` found it. `detail` is scrubbed and says what to do when it is not healthy."""

    name: str
    adapter: str
    position: int
    enabled: bool
    configured: bool
    dry_run: bool
    healthy: bool
    placeholder: bool
    """its pictures stand in for real ones"""
    model: str
    detail: str
    breakers: list[BreakerReport]
    can_serve: bool
    """whether it would be asked for a picture now: healthy, and no breaker of its model is in the way"""


async def check_providers(
    names: list[str] | None = None, *, live: bool = False, close: bool = False
) -> list[ProviderReport]:
    """Reports in chain order; all at once, so it takes as long as the slowest. `live` asks the services also of
    providers that run dry. Of one that answers, breakers are closed that this proves wrong (`after_health_check`), with
    `close` all of them. `InvalidRequest` for a name that does not exist."""
    configs = await in_database(_all_configs, names)
    async with http.session():
        return list(
            await asyncio.gather(*(_check(place, config, live, close) for place, config in enumerate(configs, start=1)))
        )


def _all_configs(names: list[str] | None) -> list[ProviderConfig]:
    enabled = {config.name: config for config in chain_configs()}
    disabled = [config for config in ProviderConfig.objects.in_chain_order() if not config.enabled]
    entries = [*enabled.values(), *disabled]
    known = [entry.name for entry in entries]
    for name in names or ():
        if name not in known:
            raise InvalidRequest(
                _("There is no provider %(name)s. %(near)s", name=f"{name!r:.60}", near=near(name, known))
            )
    return [entry for entry in entries if names is None or entry.name in names]


async def _check(place: int, config: ProviderConfig, live: bool, close: bool) -> ProviderReport:
    try:
        adapter = build_adapter(config, dry_run=False if live else None)
    except ConfigurationError as exc:
        return _report(place, config, healthy=False, configured=False, detail=str(exc))
    is_dry = runs_dry(adapter, config, False if live else None)
    if is_dry and not hasattr(adapter, "runs_dry"):
        healthy, detail = True, "dry run: nothing was asked"
    else:
        healthy, detail = await _probe(adapter)
    if healthy and not is_dry:
        await in_database(reset_breakers if close else note_health, config.name)
    circuits = {} if is_dry else await in_database(circuits_of, config.name)
    now, digest, model = utcnow(), str(getattr(adapter, "config_digest", "")), str(getattr(adapter, "model", ""))
    denied = [key for key, circuit in circuits.items() if circuit.verdict(now, digest) is Verdict.DENY]
    return _report(
        place,
        config,
        healthy=healthy,
        configured=bool(getattr(adapter, "is_configured", True)),
        dry_run=is_dry,
        placeholder=bool(getattr(adapter, "is_placeholder", False)),
        model=model,
        breakers=[_breaker(key, circuit, now, digest) for key, circuit in sorted(circuits.items())],
        can_serve=config.enabled and healthy and not any(key.model == model for key in denied),
        detail=detail if getattr(adapter, "is_configured", True) else _unconfigured(adapter, detail),
    )


def _breaker(key: BreakerKey, circuit: Circuit, now: datetime, digest: str) -> BreakerReport:
    until = None
    if circuit.verdict(now, digest) is not Verdict.DENY:
        what = (
            "the next picture is tried there" if circuit.state is not CircuitState.CLOSED else "it is asked as always"
        )
    elif circuit.state is CircuitState.HALF_OPEN:
        what = "one picture is being tried there now"
    elif circuit.open_until is None:
        what = "it is not asked until its configuration changes, or its breaker is closed by --close or in the admin"
    else:
        until = circuit.open_until
        what = "then one picture is tried there"
    return BreakerReport(
        operation=key.operation,
        model=key.model,
        state=circuit.state.value,
        until=_iso(until),
        last_failure_at=_iso(circuit.last_failure_at),
        outcome=circuit.outcome,
        reason=circuit.reason,
        next=what,
    )


def _iso(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


async def _probe(adapter: Any) -> tuple[bool, str]:
    probe = getattr(adapter, "probe", None)
    try:
        if probe is not None:
            report = await probe()
            return report.ok, report.detail
        return bool(await adapter.check_health()), ""
    except Exception as exc:
        return False, f"its check raised {type(exc).__name__}."


def _unconfigured(adapter: Any, detail: str) -> str:
    hint = f"to go live, {adapter.credential_hint}" if getattr(adapter, "dry_run", False) else ""
    if hint and adapter.credential_hint in detail:  # a check that answers without asking has said it already
        return detail
    return "; ".join(part for part in (detail, hint) if part)


def _report(place: int, config: ProviderConfig, **found: Any) -> ProviderReport:
    values: dict[str, Any] = {"dry_run": False, "placeholder": False, "model": config.model, "detail": ""}
    values |= {"breakers": [], "can_serve": False, **found}
    return ProviderReport(name=config.name, adapter=config.adapter, position=place, enabled=config.enabled, **values)
