"""Rows, settings and environment become a chain. Here alone is decided who is in it, with what key, dry or live."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import IntegrityError, InterfaceError, OperationalError, connections
from django.urls import NoReverseMatch, reverse

from mediagen import conf
from mediagen.breaker import (
    BreakerKey,
    BreakerStore,
    Change,
    Circuit,
    CircuitState,
    after_health_check,
    after_success,
    probe_is_free,
)
from mediagen.chain import MediaGeneratorChain
from mediagen.connections import token_source
from mediagen.destinations import holds_a_key, withheld
from mediagen.errors import ConfigurationError, CredentialsUnreadable, InvalidRequest
from mediagen.foreign import name_of
from mediagen.models import ProviderConfig, ProviderHealth
from mediagen.models.clock import db_now, from_db, to_db
from mediagen.models.fields import webhook_secret
from mediagen.models.routing import atomic, connection
from mediagen.providers.registry import adapter_class, settings_options
from mediagen.secrets import Secret
from mediagen.types import utcnow

logger = logging.getLogger("mediagen.chain")

T = TypeVar("T")


def get_media_generator_chain(
    providers: Sequence[str] | str | None = None,
    dry_run: bool | None = None,
    *,
    breaker: BreakerStore | None = None,
) -> MediaGeneratorChain:
    """The site's chain, as the admin orders it now. Two queries.

    `providers` names the providers to use instead, in that order; `InvalidRequest` for one that does not exist or
    is disabled. `dry_run` overrides everything else; `breaker` is shared with other chains. `ConfigurationError` when
    an entry's settings cannot work.
    In a coroutine rather `await aget_media_generator_chain()`: this one makes the event loop wait for its queries.
    """
    if _in_event_loop():
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_in_own_connection, providers, dry_run, breaker).result()
    configs = chain_configs(providers)
    adapters = [build_adapter(config, dry_run=dry_run) for config in configs]
    # A class that knows nothing of dry runs cannot be told: the chain stands in for it.
    plain = [
        name_of(adapter)
        for adapter, config in zip(adapters, configs, strict=True)
        if not hasattr(adapter, "runs_dry") and runs_dry(adapter, config, dry_run)
    ]
    return MediaGeneratorChain(
        adapters,
        dry_run=dry_run is True,
        breaker=breaker or SharedBreaker.now(),
        strict=True,
        dry_providers=plain,
        first=conf.get("OPERATION_ORDER") if providers is None else None,
    )


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_own_connection(*arguments: Any) -> MediaGeneratorChain:
    providers, dry_run, breaker = arguments
    try:
        return get_media_generator_chain(providers, dry_run, breaker=breaker)
    finally:
        connections.close_all()  # this thread's own; nobody else will use them


aget_media_generator_chain = sync_to_async(get_media_generator_chain)


def runs_dry(adapter: Any, config: ProviderConfig, call: bool | None = None) -> bool:
    """Whether the adapter of this entry answers locally: the call's word, its own, the entry's, the site's."""
    if hasattr(adapter, "runs_dry"):
        return bool(adapter.dry_run) if call is None else call
    return _first_not_none(call, config.dry_run, conf.default_dry_run())


def chain_configs(names: Sequence[str] | str | None = None) -> list[ProviderConfig]:
    """The entries of the chain in order. One query.

    Adapters that settings add and that have no row yet come before the placeholder at the end, so that one line in
    settings is enough to have them asked.
    """
    rows = list(ProviderConfig.objects.in_chain_order())
    have = {row.adapter for row in rows} | {row.name for row in rows}
    # A site that has emptied the table has the default chain.
    unlisted = [name for name in (conf.get("PROVIDERS") if rows else conf.default_chain()) if name not in have]
    added = [ProviderConfig(name=name, adapter=name, position=0) for name in unlisted]
    end = len(rows)
    while end and getattr(adapter_class(rows[end - 1].adapter), "is_placeholder", False):
        end -= 1
    entries = rows[:end] + added + rows[end:]
    if names is None:
        return [entry for entry in entries if entry.enabled]
    return _named(entries, [names] if isinstance(names, str) else list(names))


def _named(entries: list[ProviderConfig], names: list[str]) -> list[ProviderConfig]:
    by_name = {entry.name: entry for entry in entries}
    for name in names:
        if name not in by_name:
            known = ", ".join(entry.name for entry in entries if entry.enabled)
            raise InvalidRequest(f"There is no provider {name!r:.60}. There are: {known}.", field="providers")
        if not by_name[name].enabled:
            raise InvalidRequest(f"Provider {name!r} is disabled. Enable it in the admin first.", field="providers")
    return [by_name[name] for name in dict.fromkeys(names)]


_instead: list[Callable[[ProviderConfig], Any]] = []


@contextmanager
def providers_instead(make: Callable[[ProviderConfig], Any]) -> Iterator[None]:
    """Entries that make pictures are stood in for by what `make` returns for them, in all threads. For tests."""
    _instead.append(make)
    try:
        yield
    finally:
        _instead.remove(make)


def build_adapter(config: ProviderConfig, *, dry_run: bool | None = None) -> Any:
    """The adapter an entry describes. What the entry leaves empty comes from settings, then from the environment."""
    cls = adapter_class(config.adapter)
    if _instead and hasattr(cls, "generate_image"):
        return _instead[-1](config)
    arguments: dict[str, Any] = settings_options(config.adapter)
    if getattr(cls, "credential_argument", "") in (config.options or {}):
        raise ConfigurationError(
            f"Provider '{config.name}': its options hold {cls.credential_argument}, where it would be stored as plain "
            "text. Move it to the credential."
        )
    arguments.update(config.options or {})
    for name in ("base_url", "model", "timeout_s"):
        if getattr(config, name):
            arguments[name] = getattr(config, name)
    if not hasattr(cls, "credential_env"):  # not on our base class: it gets what was configured, nothing more
        why = withheld(config, stored=False)
        if why and holds_a_key(settings_options(config.adapter)):
            raise ConfigurationError(f"Provider '{config.name}': {why}")
        return _build(cls, config, arguments)
    if config.prices:
        arguments["prices"] = config.prices
    if config.price_when_unknown is not None:
        arguments["price_when_unknown"] = config.price_when_unknown
    arguments["dry_run"] = _first_not_none(dry_run, config.dry_run, arguments.get("dry_run"), conf.default_dry_run())
    arguments.update(name=config.name, after_unknown=config.after_unknown, after_refusal=config.after_refusal)
    problem = ""
    try:
        secret = credential_of(config, cls)
    except CredentialsUnreadable as exc:
        secret, problem = Secret(""), str(exc)
    if (secret or arguments.get(cls.credential_argument)) and not problem:
        problem = withheld(config, stored=bool(config.credentials))
    if secret or problem:
        arguments[cls.credential_argument] = Secret("") if problem else secret
    adapter = _build(cls, config, arguments)
    adapter.credential_problem = problem
    if getattr(cls, "connects_by_oauth", False):
        adapter.token_source = token_source(config, adapter)
    if base_url := conf.get("WEBHOOK_BASE_URL"):
        _expect_webhooks(adapter, config, str(base_url))
    adapter.limits = (config.max_concurrency, config.rate_per_minute)
    adapter.budget = (config.budget_limit, config.budget_period)
    return adapter


def _expect_webhooks(adapter: Any, config: ProviderConfig, base_url: str) -> None:
    """Have the service push its results to this site, if it can."""
    if not hasattr(adapter, "read_webhook"):
        return
    try:
        path = reverse("mediagen:webhook", args=[config.name])
    except NoReverseMatch:
        raise ConfigurationError(
            'MEDIAGEN["WEBHOOK_BASE_URL"] is set, and the site\'s URLs do not include mediagen.urls: '
            'add path("media-library/", include("mediagen.urls")).'
        ) from None
    adapter.webhook_url = base_url.rstrip("/") + path
    adapter.webhook_secret = webhook_secret(config.name)


def _build(cls: type[Any], config: ProviderConfig, arguments: Mapping[str, Any]) -> Any:
    try:
        return cls(**arguments)
    except ConfigurationError:
        raise
    except (TypeError, ValueError) as exc:
        # The text of a foreign constructor's error may quote its arguments, the key among them.
        raise ConfigurationError(
            f"Provider '{config.name}' cannot be set up: {cls.__name__} refused its settings ({type(exc).__name__}). "
            f"It was given: {', '.join(sorted(arguments)) or 'nothing'}."
        ) from None


def credential_of(config: ProviderConfig, cls: type[Any]) -> Secret:
    """The entry's own credential, or the environment's. `CredentialsUnreadable` when it cannot be decrypted."""
    if config.credentials:
        secret: Secret = config.credentials.reveal()
        return secret
    return Secret(os.environ.get(cls.credential_env, "").strip() if cls.credential_env else "")


def _first_not_none(*values: bool | None) -> bool:
    return bool(next(value for value in values if value is not None))


CIRCUIT_FIELDS = tuple(asdict(Circuit()))
CIRCUIT_TIMES = ("open_until", "probe_until", "last_failure_at")
MAX_AGE_S = 1.0


class SharedBreaker:
    """Circuits in the table `ProviderHealth`, the same for all processes.

    Reads are at most a second old; every change is one conditional UPDATE on the row's version. While nothing
    fails nothing is written.
    """

    def __init__(self, circuits: Mapping[BreakerKey, Circuit] | None = None) -> None:
        self._circuits = dict(circuits or {})
        self._read_at = time.monotonic() if circuits is not None else -MAX_AGE_S

    @classmethod
    def now(cls) -> SharedBreaker:
        """With the circuits read. One query."""
        return cls(_read_circuits())

    async def load(self, keys: Iterable[BreakerKey]) -> Mapping[BreakerKey, Circuit]:
        if time.monotonic() - self._read_at >= MAX_AGE_S:
            self._read_at = time.monotonic()  # first, so that others do not all read at once
            self._circuits = await _in_table(_read_circuits, lambda: self._circuits)
        return {key: self._circuits[key] for key in keys if key in self._circuits}

    async def claim_probe(self, key: BreakerKey, *, now: datetime, until: datetime, config_digest: str) -> bool:
        claimed, circuit = await _in_table(
            lambda: _claim_probe(key, now, until, config_digest), lambda: (False, self._circuits.get(key, Circuit()))
        )
        self._circuits[key] = circuit
        return claimed

    async def failed(self, key: BreakerKey, change: Change) -> Circuit:
        if change(known := self._circuits.get(key, Circuit())) == known:
            return known  # it does not count: nothing to write
        circuit = await _in_table(lambda: _change(key, change), lambda: change(known))
        self._circuits[key] = circuit
        return circuit

    async def succeeded(self, key: BreakerKey, *, was_probe: bool) -> None:
        known = self._circuits.get(key)
        if known is None or (not was_probe and after_success(known, was_probe=False) == known):
            return

        def apply(circuit: Circuit) -> Circuit:
            return after_success(circuit, was_probe=was_probe)

        self._circuits[key] = await _in_table(
            lambda: _change(key, apply, last_success_at=db_now()), lambda: apply(known)
        )

    def known(self) -> Mapping[BreakerKey, Circuit]:
        return dict(self._circuits)


async def _in_table(work: Callable[[], T], otherwise: Callable[[], T]) -> T:
    """What `work` returns; `otherwise()` while the database is away. A breaker is a help: the answer of a provider,
    which may be paid for, must not be lost for its sake."""
    try:
        return await sync_to_async(_or_closed)(work)
    except (OperationalError, InterfaceError) as exc:
        logger.warning("the breakers cannot be read or written (%s); going by what is known", type(exc).__name__)
        return otherwise()


def _or_closed(work: Callable[[], T]) -> T:
    try:
        return work()
    except (OperationalError, InterfaceError):
        if not connection.in_atomic_block:
            connection.close()  # a broken connection stays broken; the next query makes another
        raise


def _read_circuits() -> dict[BreakerKey, Circuit]:
    return {_key(row): _circuit(row) for row in ProviderHealth.objects.all()}


def _key(row: ProviderHealth) -> BreakerKey:
    return BreakerKey(row.provider_name, row.model_name, row.operation)


def _circuit(row: ProviderHealth) -> Circuit:
    values = {name: getattr(row, name) for name in CIRCUIT_FIELDS}
    values.update({name: from_db(values[name]) for name in CIRCUIT_TIMES})
    return Circuit(**{**values, "state": CircuitState(row.state)})


def _row(key: BreakerKey) -> ProviderHealth:
    row, _ = ProviderHealth.objects.get_or_create(
        provider_name=key.provider, model_name=key.model[:200], operation=key.operation
    )
    return row


def _change(key: BreakerKey, apply: Any, **also: Any) -> Circuit:
    """Apply a pure function to the row's circuit, again if another process was quicker."""
    while True:
        try:
            with atomic():
                row = _row(key)
        except IntegrityError:
            continue
        before = _circuit(row)
        after: Circuit = apply(before)
        if after == before and not also:
            return after
        if _save(row, after, **also):
            return after


def _save(row: ProviderHealth, circuit: Circuit, **also: Any) -> bool:
    values = {**asdict(circuit), "state": circuit.state.value, **also}
    values.update({name: to_db(values[name]) for name in CIRCUIT_TIMES})
    return bool(
        ProviderHealth.objects.filter(pk=row.pk, version=row.version).update(
            **values, version=row.version + 1, updated_at=db_now()
        )
    )


def _claim_probe(key: BreakerKey, now: datetime, until: datetime, config_digest: str) -> tuple[bool, Circuit]:
    row = _row(key)
    circuit = _circuit(row)
    if not probe_is_free(circuit, now, config_digest):
        return False, circuit
    probing = Circuit(**{**asdict(circuit), "state": CircuitState.HALF_OPEN, "probe_until": until})
    return (True, probing) if _save(row, probing) else (False, circuit)


def note_health(provider: str) -> None:
    """The provider has answered a call that buys nothing: its breakers become what that proves."""
    now = utcnow()
    for key in [key for key in _read_circuits() if key.provider == provider]:
        _change(key, lambda circuit: after_health_check(circuit, now))


def circuits_of(provider: str) -> dict[BreakerKey, Circuit]:
    """What all processes know of a provider; closed circuits without a failure left out."""
    return {
        key: circuit for key, circuit in _read_circuits().items() if key.provider == provider and not circuit.is_healthy
    }


def reset_breakers(provider: str) -> int:
    """Close every circuit of a provider; how many there were."""
    return ProviderHealth.objects.filter(provider_name=provider).exclude(state="closed", failures=0).delete()[0]
