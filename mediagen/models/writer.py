"""Our rows are read where they are written, whatever a site's routers say of reads.

What we read decides: who has a row, what a budget leaves, whether something was bought before. A replica that lags by
a second would have it bought twice.
"""

from __future__ import annotations

from typing import Any, Self, TypeVar

from django.db import connections, models, router

M = TypeVar("M", bound=models.Model)


class WriterQuerySet(models.QuerySet[M]):
    """Reads from the database that is written to, unless `using` says otherwise."""

    @property
    def db(self) -> str:
        hints: dict[str, Any] = getattr(self, "_hints", {})
        return self._db or router.db_for_write(self.model, **hints)  # type: ignore[attr-defined]

    def locked(self, *, skip: bool = False) -> Self:
        """`select_for_update` of these rows alone; `skip`: without those that somebody else has locked, where the
        database can. MariaDB locks those of joined tables too."""
        features = connections[self.db].features
        of = ("self",) if features.has_select_for_update_of else ()
        return self.select_for_update(of=of, skip_locked=skip and features.has_select_for_update_skip_locked)


def read_relations_from_writer(model: type[models.Model]) -> None:
    """Have rows that others point at, rows that are read again (`refresh_from_db`) and tables between two others read
    in the same way."""
    # Cached properties of Options, filled before they are asked. `Meta.base_manager_name` would put it into migrations.
    for name in ("base_manager", "default_manager") if model._meta.auto_created else ("base_manager",):
        manager: Any = models.Manager.from_queryset(WriterQuerySet)()
        manager.name, manager.model, manager.auto_created = f"_{name}", model, True
        vars(model._meta)[name] = manager
