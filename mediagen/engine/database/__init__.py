"""The database from coroutines: hops to its thread, work that is written together, ids as people give them.

Keeps: one hop for what belongs together, patience with a database that is away for a moment, and no transaction that
spans a provider's call. `hops`, `grouping`, `patience`, `durability`, `counting`, `sync`, `loop_thread`, `ids`, `times`
(how often something happened lately). Knows no other room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.database.counting import counted_to
    from mediagen.engine.database.durability import durable
    from mediagen.engine.database.grouping import grouped, prepared_by
    from mediagen.engine.database.hops import (
        close_own_connections,
        few_at_once,
        hold_no_thread,
        in_database,
        to_the_end,
        together,
    )
    from mediagen.engine.database.ids import as_uuid
    from mediagen.engine.database.patience import is_full, may_pass, patiently
    from mediagen.engine.database.sync import run_sync

__getattr__ = names_from(
    __name__,
    {
        "counting": "counted_to",
        "durability": "durable",
        "grouping": "grouped prepared_by",
        "hops": "close_own_connections few_at_once hold_no_thread in_database to_the_end together",
        "ids": "as_uuid",
        "patience": "is_full may_pass patiently",
        "sync": "run_sync",
    },
)
