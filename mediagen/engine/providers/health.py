"""Whether the providers are there: asked without cost, and what an operator should do when one is not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from mediagen import http
from mediagen.engine.database import in_database
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.factory import build_adapter, chain_configs, reset_breakers, runs_dry
from mediagen.models import ProviderConfig


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


async def check_providers(names: list[str] | None = None, *, live: bool = False) -> list[ProviderReport]:
    """Reports in chain order; all at once, so it takes as long as the slowest. `live` asks the services also of
    providers that run dry. Closes the breakers of one that answers. `InvalidRequest` for a name that does not exist."""
    configs = await in_database(_all_configs, names)
    async with http.session():
        return list(
            await asyncio.gather(*(_check(place, config, live) for place, config in enumerate(configs, start=1)))
        )


def _all_configs(names: list[str] | None) -> list[ProviderConfig]:
    enabled = {config.name: config for config in chain_configs()}
    disabled = [config for config in ProviderConfig.objects.in_chain_order() if not config.enabled]
    entries = [*enabled.values(), *disabled]
    unknown = set(names or ()) - {entry.name for entry in entries}
    if unknown:
        known = ", ".join(entry.name for entry in entries)
        raise InvalidRequest(f"There is no provider {', '.join(sorted(unknown))}. There are: {known}.")
    return [entry for entry in entries if names is None or entry.name in names]


async def _check(place: int, config: ProviderConfig, live: bool) -> ProviderReport:
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
        await in_database(reset_breakers, config.name)
    return _report(
        place,
        config,
        healthy=healthy,
        configured=bool(getattr(adapter, "is_configured", True)),
        dry_run=is_dry,
        placeholder=bool(getattr(adapter, "is_placeholder", False)),
        model=str(getattr(adapter, "model", "")),
        detail=detail if getattr(adapter, "is_configured", True) else _unconfigured(adapter, detail),
    )


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
    return "; ".join(part for part in (detail, hint) if part)


def _report(place: int, config: ProviderConfig, **found: Any) -> ProviderReport:
    values = {"dry_run": False, "placeholder": False, "model": config.model, "detail": "", **found}
    return ProviderReport(name=config.name, adapter=config.adapter, position=place, enabled=config.enabled, **values)
