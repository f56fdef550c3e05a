"""The database of our tables, which a site's routers may have put elsewhere than "default"."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from typing import Any, TypeVar

from django.db import connections, router, transaction

V = TypeVar("V", bound=Callable[..., Any])


def alias() -> str:
    """Alias in settings.DATABASES to which our rows are written. All our tables must be there together."""
    from mediagen.models.asset import MediaAsset

    return router.db_for_write(MediaAsset)


class atomic(ContextDecorator):
    """`transaction.atomic` on the database of our tables; as a block or a decorator, looked up when it begins."""

    def _recreate_cm(self) -> atomic:
        return atomic()

    def __enter__(self) -> None:
        self._inner = transaction.atomic(using=alias())
        self._inner.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._inner.__exit__(*error)


def outside_transactions(view: V) -> V:
    """Mark a view that no ATOMIC_REQUESTS of the site, on whichever database, may put into a transaction: what it buys
    must stay written, and Django refuses a coroutine there. `transaction.non_atomic_requests` means one database."""
    view._non_atomic_requests = set(connections)  # type: ignore[attr-defined]
    return view


def on_commit(call: Callable[[], Any]) -> None:
    """`transaction.on_commit` on the database of our tables."""
    transaction.on_commit(call, using=alias())


class _Connection:
    def __getattr__(self, name: str) -> Any:
        return getattr(connections[alias()], name)


connection: Any = _Connection()
"""`django.db.connection`, but of the database of our tables"""
