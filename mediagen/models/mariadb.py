"""What MariaDB does otherwise than the other databases, and how our tables come to behave there as everywhere else.

- Its text compares by the collation of each column, and most let "key", "KEY" and "key " be one. After `migrate` every
  text of our own tables has `EXACT`, so that keys, tags and names are apart where they are on other databases.
- Lookups that mean any case ("icontains") go by the collation alone there: our fields name `ANY_CASE` in them.
- Rows are locked in all tables of a query: see `WriterQuerySet.locked`.

Django does the rest: read committed, microseconds, conditional indexes without their condition.
"""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections, models
from django.db.models import lookups

EXACT = "utf8mb4_nopad_bin"
ANY_CASE = "utf8mb4_uca1400_as_ci"
OLDEST = (10, 11)
"""the first release on which the suite passes; it has `ANY_CASE` and a type for UUIDs"""


class _AnyCase:
    def process_lhs(self, compiler: Any, connection: Any, lhs: Any = None) -> Any:
        sql, params = super().process_lhs(compiler, connection, lhs)  # type: ignore[misc]
        return (f"{sql} COLLATE {ANY_CASE}" if connection.vendor == "mysql" else sql), params


_LOOKUPS = [
    type(lookup.__name__, (_AnyCase, lookup), {})
    for lookup in (lookups.IExact, lookups.IContains, lookups.IStartsWith, lookups.IEndsWith)
]


def let_any_case_be_found(model: type[models.Model]) -> None:
    """Have lookups that mean any case find it in the model's texts."""
    for field in model._meta.local_fields:
        if isinstance(field, models.CharField | models.TextField):
            for lookup in _LOOKUPS:
                field.register_lookup(lookup)


def tell_texts_apart(app_config: AppConfig, using: str, **_: Any) -> None:
    """After `migrate`: give every text of our tables the collation `EXACT`, where it has another one."""
    connection = connections[using]
    if connection.vendor != "mysql":
        return
    tables = {model._meta.db_table for model in app_config.get_models(include_auto_created=True)}
    with connection.cursor() as cursor:
        cursor.execute(_OTHER_TEXTS, [EXACT])
        changes: dict[str, list[str]] = {}
        for table, column, kind, is_nullable in cursor.fetchall():
            if table in tables:
                null = "NULL" if is_nullable == "YES" else "NOT NULL"
                name = connection.ops.quote_name(column)
                changes.setdefault(table, []).append(f"MODIFY {name} {kind} COLLATE {EXACT} {null}")
        for table, columns in changes.items():
            cursor.execute(f"ALTER TABLE {connection.ops.quote_name(table)} {', '.join(columns)}")


# A column that points at another table keeps that one's; JSON has a collation of its own.
_OTHER_TEXTS = """
    SELECT c.table_name, c.column_name, c.column_type, c.is_nullable FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND c.collation_name <> %s AND c.collation_name NOT LIKE '%%\\_bin'
        AND NOT EXISTS (
            SELECT 1 FROM information_schema.key_column_usage k
            WHERE k.table_schema = c.table_schema AND k.table_name = c.table_name AND k.column_name = c.column_name
                AND k.referenced_table_name IS NOT NULL)
    ORDER BY c.table_name, c.ordinal_position
"""
