"""Whether this process can serve now, for load balancers: a word for each part, and no reasons."""

from __future__ import annotations

import threading
import time

from django.db import Error, connections

from mediagen.engine.files import probe
from mediagen.engine.providers import ProviderState, states
from mediagen.errors import ConfigurationError
from mediagen.factory import chain_configs
from mediagen.models.routing import alias

KEEP_S = 15.0
"""a file is written for it: not each time that a balancer asks"""
PATIENCE_S = 5.0
"""for a storage that hangs"""
OK, FAILING = "ok", "failing"


def parts() -> dict[str, str]:
    """{"database", "storage", "providers": "ok" or "failing"}. Asks no provider; two queries. A database that does not
    answer fails the providers too, of which nothing is known then."""
    try:
        connections[alias()].ensure_connection()
        providers = _is_somebody_there()
        database = True
    except Error:
        database = providers = False
    found = {"database": database, "storage": _storage.takes_files(), "providers": providers}
    return {name: OK if is_well else FAILING for name, is_well in found.items()}


def _is_somebody_there() -> bool:
    """At least one provider that is not refused, broken or without a key; those that run dry count, as they answer.
    Where all are live, a placeholder's maker alone does not."""
    try:
        entries = states(config for config in chain_configs() if config.enabled)
    except ConfigurationError:
        return False
    real = [state for state in entries if not state.is_placeholder]
    return any(_is_there(state) for state in real or entries)


def _is_there(state: ProviderState) -> bool:
    is_refused = any(circuit.status == "open" and circuit.reopens_at is None for circuit in state.circuits)
    return state.health not in ("broken", "no key") and not is_refused


class _Storage:
    """What the last try has shown, for a while. One try at a time: a storage that hangs holds one thread, not all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._takes = False
        self._trial: threading.Thread | None = None

    def takes_files(self) -> bool:
        with self._lock:
            if time.monotonic() < self._until:
                return self._takes
            if self._trial is None or not self._trial.is_alive():
                self._takes = False
                # A daemon: the process may end while the storage hangs.
                self._trial = threading.Thread(target=self._try, name="mediagen-probe", daemon=True)
                self._trial.start()
            self._trial.join(PATIENCE_S)
            self._until = time.monotonic() + KEEP_S
            return self._takes

    def _try(self) -> None:
        self._takes = not probe.why_not()

    def forget(self) -> None:
        """For tests."""
        self._until = 0.0


_storage = _Storage()
