"""The providers of the chain as the API shows them: what each can do, what it can be told, how it is doing. Never a
credential, nor an address that may hold one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mediagen.engine.providers.entries import ProviderState, states
from mediagen.errors import ConfigurationError
from mediagen.factory import build_adapter, chain_configs
from mediagen.foreign import lacks
from mediagen.providers.options import Option
from mediagen.providers.registry import adapter_class
from mediagen.types import ARE_BOUGHT
from mediagen.wording import translated

OPERATIONS = (*ARE_BOUGHT, "export_to_figma", "export_to_canva")
JSON_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "text": "string", "choice": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderDescription:
    """One provider that would be asked, in the order of the chain."""

    name: str
    label: str
    model: str
    operations: tuple[str, ...]
    options: dict[str, Any] | None
    """JSON Schema of the options that a request may have; None when the provider does not say"""
    is_live: bool
    """False: it answers locally (dry run)"""
    is_placeholder: bool
    is_configured: bool
    """it has the credential that it needs, and its settings can work"""
    health: str
    """"ok", "failing", "open", "waiting" or "probing": the worst of its operations; see docs/errors.md"""
    reopens_at: datetime | None


def descriptions() -> list[ProviderDescription]:
    """The enabled providers of the site's chain. A few queries; nobody is asked."""
    return [_description(state) for state in states(chain_configs())]


WORST_FIRST = ("open", "probing", "waiting", "failing")


def _description(state: ProviderState) -> ProviderDescription:
    try:
        cls: Any = adapter_class(state.config.adapter)
    except ConfigurationError:
        cls = None
    circuits = sorted(state.circuits, key=lambda circuit: WORST_FIRST.index(circuit.status))
    return ProviderDescription(
        name=state.config.name,
        label=state.label,
        model=state.model,
        operations=_operations(state, cls),
        options=options_schema(cls),
        is_live=state.is_live,
        is_placeholder=state.is_placeholder,
        is_configured=not state.problem and state.credential.source not in ("missing", "unreadable", "withheld"),
        health=circuits[0].status if circuits else "ok",
        reopens_at=circuits[0].reopens_at if circuits else None,
    )


def _operations(state: ProviderState, cls: Any) -> tuple[str, ...]:
    """What it can be asked for with its model and settings; where these cannot work, what its class has."""
    try:
        provider: Any = build_adapter(state.config)
    except ConfigurationError:
        return tuple(name for name in OPERATIONS if callable(getattr(cls, name, None)))
    return tuple(name for name in OPERATIONS if not lacks(provider, name))


def options_schema(cls: Any) -> dict[str, Any] | None:
    """JSON Schema of what a request's `options` may hold for this adapter."""
    declared = getattr(cls, "options", None)
    if not isinstance(declared, dict):
        return None
    properties = {
        name: _schema(one) for name, one in declared.items() if isinstance(one, Option) and not one.config_only
    }
    return {"type": "object", "properties": properties}


def _schema(option: Option) -> dict[str, Any]:
    found: dict[str, Any] = {"type": JSON_TYPES[option.kind]}
    if option.help:
        found["description"] = translated(option.help)
    if option.choices:
        found["enum"] = list(option.choices)
    for name, value in (("minimum", option.minimum), ("maximum", option.maximum), ("maxLength", option.max_length)):
        if value is not None:
            found[name] = value
    if option.pattern:
        found["pattern"] = f"^(?:{option.pattern})$"
    if option.only_models:
        found["x-only-models"] = list(option.only_models)
    return found
