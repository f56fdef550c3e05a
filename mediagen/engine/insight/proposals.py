"""In which order the providers of a site might be asked: what has a key first, the cheap before the dear, the quick
before the slow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

import mediagen.engine.insight.statistics as statistics
from mediagen.destinations import key_rule
from mediagen.engine.providers import ModelEnd, ProviderState, arrange, makes_pictures, states
from mediagen.errors import ConfigurationError, ProviderError
from mediagen.factory import build_adapter
from mediagen.models import ProviderConfig
from mediagen.providers.registry import adapter_class
from mediagen.providers.service import ServiceProvider

HAS_A_KEY = frozenset({"connected", "stored", "environment", "settings", "not needed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One entry of the chain at its proposed place."""

    config: ProviderConfig
    model: str
    key: str
    """where its key comes from, as `CredentialState.source`"""
    is_ready: bool
    """it makes pictures, is enabled, can be set up and has a key"""
    is_live: bool
    """it would be asked for real pictures, not for placeholders"""
    usd: Decimal | None
    """the most that a picture of the size may cost; None: not known, or it makes none"""
    seconds: float | None
    """half of its pictures of the last 30 days took no longer; None: it made none"""
    model_end: ModelEnd | None
    problem: str
    why: str
    """why it stands where it does"""


def propose(width: int = 1024, height: int = 1024) -> list[Proposal]:
    """All entries in the proposed order. Nothing is written, nobody is asked; three queries.

    Those that are ready come first, by price and then by time; then those that make pictures and are not, as they
    stand now; then those that only take pictures; then the placeholders, behind which nobody is asked.
    """
    figures = statistics.by_provider(("30d",))
    found = states(ProviderConfig.objects.in_chain_order())
    rows = [_proposal(state, figures.get(state.config.name, {}).get("30d"), width, height) for state in found]
    places = {row.config.pk: _place(row, state) for row, state in zip(rows, found, strict=True)}
    return sorted(rows, key=lambda row: places[row.config.pk])  # stable: what is equal stays as it is


def write(order: Sequence[Proposal]) -> None:
    """Make it the order of the chain. Entries that came meanwhile stand behind."""
    arrange([row.config for row in order])


def makes_real_pictures(known: Iterable[ProviderState] | None = None) -> bool:
    """Whether any of these, by default of all, is live and ready to make pictures. One query for all; nobody is
    asked."""
    found = states(ProviderConfig.objects.in_chain_order()) if known is None else known
    return any(state.is_live and _is_ready(state) for state in found)


def _is_ready(state: ProviderState) -> bool:
    config = state.config
    has_key = state.credential.source in HAS_A_KEY
    return makes_pictures(config) and config.enabled and has_key and not state.problem


def _place(row: Proposal, state: ProviderState) -> tuple[Any, ...]:
    if state.is_placeholder:
        return (3,)
    if not makes_pictures(row.config):
        return (2,)
    if not row.is_ready:
        return (1,)
    cheap = (row.usd is None, row.usd or Decimal(0))
    quick = (row.seconds is None, row.seconds or 0.0)
    return (0, row.model_end is not None and row.model_end.is_over, *cheap, *quick)


def _proposal(state: ProviderState, figures: Any, width: int, height: int) -> Proposal:
    config, makes = state.config, makes_pictures(state.config)
    has_key = state.credential.source in HAS_A_KEY
    is_ready = _is_ready(state)
    usd = _usd(config, width, height) if makes else None
    seconds = figures.p50_s if figures is not None else None
    return Proposal(
        config=config,
        model=state.model,
        key=state.credential.source,
        is_ready=is_ready,
        is_live=state.is_live,
        usd=usd,
        seconds=seconds,
        model_end=state.model_end,
        problem=state.problem,
        why=_why(state, makes=makes, has_key=has_key, usd=usd),
    )


def _why(state: ProviderState, *, makes: bool, has_key: bool, usd: Decimal | None) -> str:
    if state.is_placeholder:
        return _("stands in when nobody delivers")
    if not makes:
        return _("only takes pictures")
    if state.problem:
        return _("cannot be set up")
    if not state.config.enabled:
        return _("disabled")
    if state.credential.source == "missing":
        cls = adapter_class(state.config.adapter)
        lacks, variable = getattr(cls, "lacks", ServiceProvider.lacks), key_rule(state.config).variable
        return f"{lacks} ({variable})" if variable and lacks == ServiceProvider.lacks else str(lacks)
    if not has_key:
        return _("its key cannot be used")
    return _("its price is not known") if usd is None else _("by price")


def _usd(config: ProviderConfig, width: int, height: int) -> Decimal | None:
    try:
        estimate = getattr(build_adapter(config), "estimate", None)
        found: Decimal | None = estimate(prompt="x", width=width, height=height) if estimate is not None else None
    except (ConfigurationError, ProviderError):
        return None
    return found
