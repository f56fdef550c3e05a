"""The vendors' tables of models, prices and ends: looked at, and made newer where a vendor has an API for it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from mediagen import conf, http
from mediagen.engine.database import in_database
from mediagen.engine.providers.entries import credential_state
from mediagen.errors import ConfigurationError, MediagenError
from mediagen.factory import build_adapter, chain_configs, runs_dry
from mediagen.models import ProviderConfig
from mediagen.models.clock import db_now
from mediagen.providers.data import MAX_AGE_DAYS, has_data, provider_data, write
from mediagen.providers.registry import adapter_class, settings_options

logger = logging.getLogger("mediagen.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReport:
    """What became of one adapter's table."""

    provider: str
    """name of the entry whose key was used"""
    adapter: str
    ok: bool
    asked: bool
    """False: its vendor has no API for it, or the entry runs dry or has no key"""
    detail: str


async def update_tables(names: list[str] | None = None, *, live: bool = False) -> list[TableReport]:
    """Ask the vendors behind these entries (None: all enabled ones) for their present tables, without cost, and keep
    them for this site. One that cannot be read leaves the old one in force. `InvalidRequest` for an entry that does not
    exist."""
    if not conf.get("PROVIDER_DATA_DIR"):
        raise ConfigurationError('Set MEDIAGEN["PROVIDER_DATA_DIR"] to a folder that all processes can read.')
    reports: dict[str, TableReport] = {}
    async with http.session():
        for config in await in_database(chain_configs, names):
            before = reports.get(config.adapter)
            if before is None or not before.asked:  # one key of a vendor is enough
                reports[config.adapter] = await _update(config, live)
    return list(reports.values())


async def _update(config: ProviderConfig, live: bool) -> TableReport:
    def report(detail: str, *, ok: bool = True, asked: bool = False) -> TableReport:
        return TableReport(provider=config.name, adapter=config.adapter, ok=ok, asked=asked, detail=detail)

    try:
        adapter = await in_database(build_adapter, config, dry_run=False if live else None)
    except ConfigurationError as exc:
        return report(str(exc), ok=False)
    has_own = has_data(config.adapter)
    kept = f"the table of {provider_data(config.adapter).checked_on} stays in force" if has_own else "it has no table"
    if not hasattr(adapter, "fetched_data"):
        return report(f"its vendor has no API for models and prices; {kept}")
    if runs_dry(adapter, config, False if live else None):
        return report(f"dry run: nothing was asked (--live asks); {kept}")
    if not adapter.is_configured:
        return report(f"no credential is set; {kept}")
    try:
        found = await adapter.fetched_data()
        path = write(found)
    except (MediagenError, OSError, ValueError) as exc:
        logger.warning("the table of %s could not be made newer: %s", config.adapter, exc)
        return report(f"could not be made newer ({exc}); {kept}", ok=False, asked=True)
    return report(f"{len(found.models)} models, {len(found.prices)} prices, in {path}", asked=True)


def doubts_about_settings() -> Iterator[tuple[str, str]]:
    """(id, what is doubtful) of the tables and models of providers that are live by settings and environment alone."""
    for name in conf.BUILT_IN_PROVIDERS:
        options = settings_options(name)
        dry_run = options.get("dry_run", conf.default_dry_run())
        if has_data(name) and not dry_run and credential_state(ProviderConfig(name=name, adapter=name)).source in LIVE:
            yield from _doubts(name, name, str(options.get("model") or adapter_class(name).default_model))


LIVE = frozenset({"environment", "settings", "stored", "connected"})


def doubts() -> list[tuple[str, str]]:
    """The same of every enabled entry that is live and has a key. One query."""
    found: dict[tuple[str, str], None] = {}
    for config in chain_configs():
        try:
            adapter: Any = build_adapter(config)
        except ConfigurationError:
            continue  # said elsewhere
        if has_data(config.adapter) and not adapter.runs_dry and adapter.is_configured:
            found.update(dict.fromkeys(_doubts(config.name, config.adapter, adapter.model)))
    return list(found)


def _doubts(name: str, adapter: str, model: str) -> Iterator[tuple[str, str]]:
    table, today = provider_data(adapter), db_now().date()
    if (age := table.age_days(today)) > MAX_AGE_DAYS:
        yield "W030", f"The prices and models of {adapter} were last confirmed {age} days ago ({table.checked_on})."
    end = table.ends.get(model)
    if end and date.fromisoformat(end) <= today:
        instead = table.successors.get(model)
        text = f"Provider '{name}' uses {model}, which its vendor ended on {end}."
        yield "W031", f"{text} Take {instead}." if instead else text
