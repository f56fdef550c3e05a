"""The entries of the chain, for those who run a site: their order, what they are set to, and what they can do now."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from mediagen.breaker import BreakerKey, Circuit, CircuitState, Verdict
from mediagen.circuits import SharedBreaker, reset_breakers
from mediagen.connections import connection_of
from mediagen.destinations import (
    MAY_BE_A_CREDENTIAL,
    destination,
    elsewhere,
    holds_a_key,
    is_of_the_settings,
    key_rule,
    withheld,
)
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.factory import build_adapter, chain_configs
from mediagen.models import ProviderConfig, ProviderHealth
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.providers.registry import adapter_class, settings_options
from mediagen.secrets import Secret
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

# ---------------------------------------------------------------------- order


def move(
    config: ProviderConfig, *, before: ProviderConfig | None = None, after: ProviderConfig | None = None
) -> list[ProviderConfig]:
    """Put `config` directly before or after another entry. All entries in their new order, numbered from 1.

    `InvalidRequest` when neither or both are given, or one of the entries is gone.
    """
    anchor = before or after
    if anchor is None or (before is not None and after is not None):
        raise InvalidRequest(_("Name one other provider: before which, or after which."))
    with atomic():
        rows = _locked()
        if anchor.pk != config.pk:
            moved = _take(rows, config)
            rows.insert(rows.index(_find(rows, anchor)) + (before is None), moved)
        return _number(rows)


def shift(config: ProviderConfig, places: int) -> list[ProviderConfig]:
    """Move an entry so many places: -1 is one up. It stops at the ends. All entries in their new order."""
    with atomic():
        rows = _locked()
        place = rows.index(_find(rows, config)) + places
        moved = _take(rows, config)
        rows.insert(max(0, place), moved)
        return _number(rows)


def arrange(order: Sequence[ProviderConfig]) -> list[ProviderConfig]:
    """All entries in this order, numbered from 1. One that is gone is left out; one that is not named stands behind."""
    places = {config.pk: place for place, config in enumerate(order)}
    with atomic():
        return _number(sorted(_locked(), key=lambda row: places.get(row.pk, len(places))))


def add(config: ProviderConfig) -> None:
    """Save a new entry at the end of the chain, before the placeholders: what stands behind one is never asked."""
    with atomic():
        rows = _locked()
        end = len(rows)
        while end and not _is_placeholder(config) and _is_placeholder(rows[end - 1]):
            end -= 1
        config.position = end + 1
        config.save()
        rows.insert(end, config)
        _number(rows)


def change(config: ProviderConfig, fields: Iterable[str]) -> None:
    """Save these fields only, so that the order, which others may change meanwhile, stays as it is."""
    if names := sorted(set(fields)):
        config.save(update_fields=[*names, "updated_at"])


def _locked() -> list[ProviderConfig]:
    """All entries in order. Locked by primary key, so that two who order at once do not wait for each other."""
    rows = {row.pk: row for row in ProviderConfig.objects.select_for_update().defer("credentials").order_by("pk")}
    return [rows[pk] for pk in ProviderConfig.objects.in_chain_order().values_list("pk", flat=True) if pk in rows]


def _find(rows: Sequence[ProviderConfig], config: ProviderConfig) -> ProviderConfig:
    for row in rows:
        if row.pk == config.pk:
            return row
    raise InvalidRequest(_("Provider '%(config)s' is no longer there. Load the page again.", config=config))


def _take(rows: list[ProviderConfig], config: ProviderConfig) -> ProviderConfig:
    row = _find(rows, config)
    rows.remove(row)
    return row


def _number(rows: list[ProviderConfig]) -> list[ProviderConfig]:
    now = db_now()
    changed = []
    for position, row in enumerate(rows, start=1):
        if row.position != position:
            row.position, row.updated_at = position, now
            changed.append(row)
    ProviderConfig.objects.bulk_update(changed, ["position", "updated_at"])
    return rows


def makes_pictures(config: ProviderConfig) -> bool:
    """Whether the entry can be rehearsed and tried: it has `generate_image`, and is no placeholder."""
    try:
        return hasattr(adapter_class(config.adapter), "generate_image") and not _is_placeholder(config)
    except ConfigurationError:
        return False


def _is_placeholder(config: ProviderConfig) -> bool:
    try:
        return bool(getattr(adapter_class(config.adapter), "is_placeholder", False))
    except ConfigurationError:
        return False


# ---------------------------------------------------------------------- settings

# In the order in which they are tried: what an option may be depends on the model.
PARTS = ("base_url", "model", "timeout_s", "prices", "price_when_unknown", "options")


def problems(config: ProviderConfig) -> dict[str, str]:
    """What the adapter refuses, by the field at fault; {} when it can be set up. Asks nobody, costs nothing.

    The fields are added one by one: the first that makes the adapter refuse is at fault, and is left out from there.
    """
    found: dict[str, str] = {}
    trial = ProviderConfig(
        name=config.name,
        adapter=config.adapter,
        after_unknown=config.after_unknown,
        after_refusal=config.after_refusal,
    )
    if problem := _setup(trial)[1]:
        return {"adapter": problem}
    if problem := _misplaced(config):
        found["options"] = problem
    for name in PARTS:
        value = getattr(config, name)
        if value in (None, "", {}) or name in found:
            continue
        empty = getattr(trial, name)
        setattr(trial, name, value)
        if problem := _setup(trial)[1]:
            found[name] = problem
            setattr(trial, name, empty)
    return found


def _misplaced(config: ProviderConfig) -> str:
    """Why an option must not stand in the options, which everybody who may see the entry can read."""
    cls = adapter_class(config.adapter)
    declared = getattr(cls, "options", None)
    names = sorted(config.options or {})
    if isinstance(declared, Mapping):
        if unknown := [name for name in names if name not in declared]:
            return f"There is no option {', '.join(unknown)}. There are: {', '.join(sorted(declared)) or 'none'}."
        return ""
    if secret := [name for name in names if MAY_BE_A_CREDENTIAL.search(name)]:
        return (
            f"Options are not encrypted: {', '.join(secret)} must not stand here. "
            f"Set MEDIAGEN['PROVIDERS'][{config.adapter!r}]['OPTIONS'] from the environment instead."
        )
    return ""


def keep_key(config: ProviderConfig, key: Secret | str) -> None:
    """Set the entry's own key, for the address that the entry has now, or take it away. Saves nothing."""
    config.credentials = key
    config.credentials_for = destination(config) if key else ""


def consent(config: ProviderConfig, by: Any) -> None:
    """Let the entry's key be sent to the address that it has now, although it is another's. Saves nothing.

    `by` is the user who says so; whether he may is for the caller to know. It ends when the address changes.
    """
    config.key_consent, config.key_consent_by, config.key_consent_at = destination(config), by, db_now()


def end_consent(config: ProviderConfig) -> None:
    """Take a consent back. Saves nothing."""
    config.key_consent, config.key_consent_by, config.key_consent_at = "", None, None


def is_consented(config: ProviderConfig) -> bool:
    """Whether somebody has consented to where the key would go now."""
    return bool(elsewhere(config)) and config.key_consent == destination(config)


def keys_elsewhere() -> list[str]:
    """A sentence on each entry with an address that is not the vendor's: why its key is not sent there, or who allowed
    it. One query."""
    found = []
    for config in ProviderConfig.objects.in_chain_order().select_related("key_consent_by"):
        source = credential_state(config).source
        if source == "withheld":
            found.append(f"provider '{config.name}': {withheld(config, stored=bool(config.credentials))}")
        elif is_consented(config) and source not in ("missing", "not needed"):
            by = config.key_consent_by.get_username() if config.key_consent_by else "somebody who is gone"
            day = f" on {config.key_consent_at:%Y-%m-%d}" if config.key_consent_at else ""
            found.append(f"provider '{config.name}': a key is sent to {elsewhere(config)}, as {by} allowed{day}.")
    return found


def connects_by_oauth(adapter: str) -> bool:
    """Whether accounts can be connected to it in the admin."""
    try:
        return bool(getattr(adapter_class(adapter), "connects_by_oauth", False))
    except ConfigurationError:
        return False


def takes_credential(adapter: str) -> bool:
    """Whether a credential that is stored with an entry reaches this adapter."""
    try:
        return hasattr(adapter_class(adapter), "credential_env")
    except ConfigurationError:
        return True


def takes_account(adapter: str) -> bool:
    """Whether its credential may be the JSON file of a service account."""
    try:
        return bool(getattr(adapter_class(adapter), "takes_account", False))
    except ConfigurationError:
        return False


def _setup(config: ProviderConfig, dry_run: bool | None = True) -> tuple[Any, str]:
    """(adapter, "") or (None, why it cannot be set up)."""
    try:
        return build_adapter(config, dry_run=dry_run), ""
    except ConfigurationError as exc:
        return None, str(exc)
    except Exception as exc:
        # A foreign constructor may raise anything, and its text may hold what it was given.
        logger.error("provider %s cannot be set up: its adapter raised %s", config.name, type(exc).__name__)
        return None, f"Its adapter '{config.adapter}' raised {type(exc).__name__} when it was set up."


# ---------------------------------------------------------------------- state


@dataclass(frozen=True, slots=True)
class CredentialState:
    """Where a provider's key comes from; never the key."""

    source: str
    """"connected", "broken" (accounts connected by OAuth), "stored", "unreadable", "environment", "settings",
    "withheld" (there is one, and it is not for the entry's address), "missing" or "not needed" """
    ending: str = ""
    """of a stored one: its last four characters, where it is long enough to show them"""


@dataclass(frozen=True, slots=True)
class CircuitReport:
    """One breaker as a person wants to know it."""

    operation: str
    status: str
    """"failing" (closed, the last one failed), "open", "waiting" (the next request probes) or "probing" """
    reason: str
    failures: int
    reopens_at: datetime | None
    """None while open: until the configuration changes"""


@dataclass(frozen=True, slots=True)
class ModelEnd:
    """That the vendor ends the model in use."""

    model: str
    day: date | None
    """None: it is called deprecated, and no day is named"""

    @property
    def is_over(self) -> bool:
        return self.day is not None and self.day <= db_now().date()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """What an entry of the chain comes to."""

    config: ProviderConfig
    label: str
    model: str
    """the model in use, the adapter's default included"""
    is_live: bool
    is_placeholder: bool
    credential: CredentialState
    problem: str
    """why it cannot be set up; "" when it can"""
    circuits: tuple[CircuitReport, ...]
    """those that are not simply closed"""
    model_end: ModelEnd | None = None

    @property
    def health(self) -> str:
        """ "broken" (cannot be set up, or its key cannot be decrypted), "no key", "down" (a breaker is open),
        "failing" (the last attempt failed, or a breaker is being tried) or "well"."""
        if self.problem or self.credential.source == "unreadable":
            return "broken"
        if self.is_live and self.credential.source in ("missing", "withheld"):
            return "no key"
        statuses = {circuit.status for circuit in self.circuits}
        if "open" in statuses:
            return "down"
        return "failing" if statuses else "well"


def states(configs: Iterable[ProviderConfig]) -> list[ProviderState]:
    """What these entries come to, in their order. One query; nobody is asked."""
    circuits = SharedBreaker.now().known()
    now = db_now()
    return [_state(config, circuits, now) for config in configs]


def _state(config: ProviderConfig, circuits: Mapping[BreakerKey, Circuit], now: datetime) -> ProviderState:
    adapter, problem = _setup(config, dry_run=None)
    model = str(getattr(adapter, "model", "") or config.model)
    digest = str(getattr(adapter, "config_digest", ""))
    mine = [
        (key, circuit)
        for key, circuit in sorted(circuits.items())
        # Breakers of a model that was in use before concern nobody now.
        if key.provider == config.name and (adapter is None or key.model == model)
    ]
    return ProviderState(
        config=config,
        label=str(getattr(adapter, "label", "")) or config.adapter,
        model=model,
        is_live=not getattr(adapter, "dry_run", False),
        is_placeholder=bool(getattr(adapter, "is_placeholder", False)),
        credential=_credential_in_use(config, adapter),
        problem=problem,
        circuits=tuple(_report(key, circuit, now, digest) for key, circuit in mine if not circuit.is_healthy),
        model_end=model_end(config.adapter, model),
    )


def model_end(adapter: str, model: str) -> ModelEnd | None:
    """What the vendor of this adapter has announced about the end of a model; None when nothing."""
    try:
        ends = getattr(adapter_class(adapter), "announced_ends", {})
    except ConfigurationError:
        return None
    if model not in ends:
        return None
    return ModelEnd(model, date.fromisoformat(ends[model]) if ends[model] else None)


def _report(key: BreakerKey, circuit: Circuit, now: datetime, digest: str) -> CircuitReport:
    verdict = circuit.verdict(now, digest)
    if circuit.state is CircuitState.CLOSED:
        status = "failing"
    elif verdict is Verdict.PROBE:
        status = "waiting"
    else:
        status = "probing" if circuit.state is CircuitState.HALF_OPEN else "open"
    return CircuitReport(key.operation, status, circuit.reason, circuit.failures, circuit.open_until)


def _credential_in_use(config: ProviderConfig, adapter: Any) -> CredentialState:
    """As `credential_state`; of an adapter that its settings make do without a key (a server of one's own), none is
    missing."""
    found = _credential(config)
    does_without = adapter is not None and getattr(adapter, "is_configured", False)
    return CredentialState("not needed") if found.source == "missing" and does_without else found


def credential_state(config: ProviderConfig) -> CredentialState:
    """Where the entry's key comes from: its own, the environment's or the settings', as the factory takes it."""
    return _credential(config)


def _credential(config: ProviderConfig) -> CredentialState:
    if connects_by_oauth(config.adapter) and (row := connection_of(config)) is not None and row.is_connected:
        return CredentialState("broken" if row.broken else "connected")
    if config.credentials:
        described: str = config.credentials.describe()
        source = "stored" if described.startswith("set") else "unreadable"
        if source == "stored" and withheld(config, stored=True):
            return CredentialState("withheld")
        return CredentialState(source, described.partition(", ends in ")[2])
    try:
        cls = adapter_class(config.adapter)
    except ConfigurationError:
        return CredentialState("missing")
    variable = key_rule(config).variable
    source = "missing" if variable else "not needed"
    if variable and os.environ.get(variable, "").strip():
        source = "environment"
    elif is_of_the_settings(config) and _settings_hold_a_key(cls, settings_options(config.adapter)):
        source = "settings"
    if source in ("environment", "settings") and withheld(config, stored=False):
        source = "withheld"
    return CredentialState(source)


def _settings_hold_a_key(cls: type[Any], options: Mapping[str, Any]) -> bool:
    if hasattr(cls, "credential_argument"):
        return bool(options.get(cls.credential_argument))
    return holds_a_key(options)


def unlisted() -> tuple[list[str], str]:
    """(adapters that settings put into the chain and that have no entry, why no chain can be made now or "")."""
    try:
        return [config.name for config in chain_configs() if config._state.adding], ""
    except ConfigurationError as exc:
        return [], str(exc)


# ---------------------------------------------------------------------- breakers


def reset(configs: Iterable[ProviderConfig]) -> int:
    """Close every breaker of these providers; how many there were."""
    return sum(reset_breakers(config.name) for config in configs)


def reset_circuits(pks: Iterable[Any]) -> int:
    """Close these breakers; how many there were."""
    return ProviderHealth.objects.filter(pk__in=list(pks)).delete()[0]
