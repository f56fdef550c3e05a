"""Rows, settings and environment become a chain. Here alone is decided who is in it, with what key, dry or live."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.urls import NoReverseMatch, reverse

from mediagen import circuits, conf
from mediagen.breaker import BreakerStore
from mediagen.chain import MediaGeneratorChain
from mediagen.circuits import SharedBreaker
from mediagen.circuits import reset_breakers as reset_breakers
from mediagen.connections import token_source
from mediagen.destinations import holds_a_key, is_of_the_settings, key_rule, withheld
from mediagen.errors import ConfigurationError, CredentialsUnreadable, InvalidRequest
from mediagen.foreign import name_of
from mediagen.models import ProviderConfig
from mediagen.models.fields import webhook_secret
from mediagen.models.routing import connection
from mediagen.models.statements import rows_of
from mediagen.providers.registry import adapter_class, settings_options
from mediagen.secrets import Secret
from mediagen.types import near

logger = logging.getLogger("mediagen.chain")

KEPT_S = 1.0


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


class ChainsNow:
    """Chains as `get_media_generator_chain` makes them, of what stands in the tables now. They are made once for as
    long as that stays the same, for a second at most; keys are decrypted once. One statement and one for the breakers,
    whatever number of chains is asked for; not in an event loop.

    Inside a transaction nothing is kept: what is read there may never be committed, and nobody else knows it.
    """

    _lock = threading.Lock()
    _seen: Any = None
    _made_at = 0.0
    _chains: dict[tuple[tuple[str, ...], bool | None], MediaGeneratorChain] = {}

    def __init__(self) -> None:
        self._in_transaction = connection.in_atomic_block
        if self._in_transaction:
            return
        circuits.of_this_process().look()
        seen = (rows_of(ProviderConfig.objects.in_chain_order), hash(repr(conf.user_settings())), list(_instead))
        with self._lock:
            is_old = time.monotonic() - ChainsNow._made_at > KEPT_S  # what the environment says may be another by now
            if is_old or seen != ChainsNow._seen:
                ChainsNow._seen, ChainsNow._chains, ChainsNow._made_at = seen, {}, time.monotonic()
            self._kept = ChainsNow._chains

    def of(
        self, providers: Sequence[str] = (), dry_run: bool | None = None, *, breaker: BreakerStore | None = None
    ) -> MediaGeneratorChain:
        """Errors of `get_media_generator_chain`. `breaker`: where none of this process may be used."""
        if self._in_transaction:
            return get_media_generator_chain(providers or None, dry_run, breaker=breaker)
        key = (tuple(providers), dry_run)
        chain = self._kept.get(key)
        if chain is None:
            if len(self._kept) > 100:
                self._kept.clear()
            shared = circuits.of_this_process()
            chain = self._kept[key] = get_media_generator_chain(providers or None, dry_run, breaker=shared)
        return chain

    @classmethod
    def forget(cls) -> None:
        """Whatever is kept, in this process. In a forked child the lock may be held by a thread that stayed behind, and
        the breaker of the kept chains is the parent's."""
        cls._lock, cls._seen = threading.Lock(), None


os.register_at_fork(after_in_child=ChainsNow.forget)


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
            known = near(name, (entry.name for entry in entries if entry.enabled))
            raise InvalidRequest(f"There is no provider {name!r:.60}. {known}", field="providers")
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
    if not is_of_the_settings(config):
        arguments.pop(cls.credential_argument, None)  # another vendor's
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
        secret = credential_of(config)
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


def credential_of(config: ProviderConfig) -> Secret:
    """The entry's own credential, or the environment's. `CredentialsUnreadable` when it cannot be decrypted."""
    if config.credentials:
        secret: Secret = config.credentials.reveal()
        return secret
    variable = key_rule(config).variable
    return Secret(os.environ.get(variable, "").strip() if variable else "")


def _first_not_none(*values: bool | None) -> bool:
    return bool(next(value for value in values if value is not None))
