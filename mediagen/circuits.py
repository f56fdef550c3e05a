"""Breakers that all processes of a site share: circuits in rows, and what this process knows of them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import reduce
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.db import IntegrityError, InterfaceError, OperationalError

from mediagen.breaker import (
    BreakerKey,
    Change,
    Circuit,
    CircuitState,
    after_health_check,
    after_success,
    probe_is_free,
)
from mediagen.models import ProviderHealth
from mediagen.models.clock import db_now, from_db, to_db
from mediagen.models.routing import atomic, connection
from mediagen.types import utcnow

logger = logging.getLogger("mediagen.chain")

T = TypeVar("T")

CIRCUIT_FIELDS = tuple(asdict(Circuit()))
CIRCUIT_TIMES = ("open_until", "probe_until", "last_failure_at")
MAX_AGE_S = 1.0
AWAY = "the breakers cannot be read or written (%s); going by what is known"


class SharedBreaker:
    """Circuits in the table `ProviderHealth`, the same for all processes.

    Reads are at most a second old; every change is one conditional UPDATE on the row's version. While nothing
    fails nothing is written. What fails counts here before it is written: the next request must not wait for that.
    """

    def __init__(self, circuits: Mapping[BreakerKey, Circuit] | None = None) -> None:
        self._circuits = dict(circuits or {})
        """as the table has them, as far as is known"""
        self._unwritten: dict[BreakerKey, list[Change]] = {}
        self._changes = 0
        """so many times something was written: what was read meanwhile may be older than that"""
        self._read_at = time.monotonic() if circuits is not None else -MAX_AGE_S

    @classmethod
    def now(cls) -> SharedBreaker:
        """With the circuits read. One query."""
        return cls(_read_circuits())

    def look(self) -> None:
        """Read the circuits now, if the database lets us. One query; not in an event loop."""
        before = self._changes
        try:
            self._learn(_or_closed(_read_circuits), before)
        except (OperationalError, InterfaceError) as exc:
            logger.warning(AWAY, type(exc).__name__)

    async def load(self, keys: Iterable[BreakerKey]) -> Mapping[BreakerKey, Circuit]:
        if time.monotonic() - self._read_at >= MAX_AGE_S:
            self._read_at = time.monotonic()  # first, so that others do not all read at once
            before = self._changes
            self._learn(await _in_table(_read_circuits, lambda: self._circuits), before)
        known = self.known()
        return {key: known[key] for key in keys if key in known}

    def _learn(self, circuits: dict[BreakerKey, Circuit], before: int) -> None:
        if before == self._changes:
            self._circuits, self._read_at = circuits, time.monotonic()

    async def claim_probe(self, key: BreakerKey, *, now: datetime, until: datetime, config_digest: str) -> bool:
        claimed, circuit = await _in_table(
            lambda: _claim_probe(key, now, until, config_digest), lambda: (False, self._known(key))
        )
        self._note(key, circuit)
        return claimed

    async def failed(self, key: BreakerKey, change: Change) -> Circuit:
        known = self._known(key)
        if change(known) == known:
            return known  # it does not count: nothing to write
        await self._write(key, change)
        return self._known(key)

    async def succeeded(self, key: BreakerKey, *, was_probe: bool) -> None:
        known = self.known().get(key)
        if known is None or (not was_probe and after_success(known, was_probe=False) == known):
            return

        def apply(circuit: Circuit) -> Circuit:
            return after_success(circuit, was_probe=was_probe)

        await self._write(key, apply, last_success_at=db_now())

    async def _write(self, key: BreakerKey, change: Change, **also: Any) -> None:
        unwritten = self._unwritten.setdefault(key, [])
        unwritten.append(change)
        try:
            written = await _in_table(lambda: _change(key, change, **also), lambda: change(self._written(key)))
        finally:
            unwritten.remove(change)
            if not unwritten:
                self._unwritten.pop(key, None)
        self._note(key, written)

    def _note(self, key: BreakerKey, circuit: Circuit) -> None:
        self._circuits = {**self._circuits, key: circuit}
        self._changes += 1

    def _known(self, key: BreakerKey) -> Circuit:
        return reduce(lambda circuit, change: change(circuit), tuple(self._unwritten.get(key, ())), self._written(key))

    def _written(self, key: BreakerKey) -> Circuit:
        return self._circuits.get(key, Circuit())

    def known(self) -> Mapping[BreakerKey, Circuit]:
        # Another thread may write meanwhile. Who is told of a success here has a picture that is paid for.
        return {**self._circuits, **{key: self._known(key) for key in tuple(self._unwritten)}}


_breaker = SharedBreaker()


def of_this_process() -> SharedBreaker:
    """The one that all pictures of this process share, in all its event loops."""
    return _breaker


def forget() -> None:
    """What this process knows: it is read anew."""
    global _breaker
    _breaker = SharedBreaker()


os.register_at_fork(after_in_child=forget)


async def _in_table(work: Callable[[], T], otherwise: Callable[[], T]) -> T:
    """What `work` returns; `otherwise()` while the database is away. A breaker is a help: the answer of a provider,
    which may be paid for, must not be lost for its sake."""
    try:
        return await sync_to_async(_or_closed)(work)
    except (OperationalError, InterfaceError) as exc:
        logger.warning(AWAY, type(exc).__name__)
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
