"""Statements that run for each picture: their text is made once, where the ORM would make it anew each time, which
costs more than running it. For plain values of a model's own columns; no signals are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

from django.db import connections, models
from django.db.models.constants import OnConflict

from mediagen.models.routing import alias

Field: TypeAlias = "models.Field[Any, Any]"


def update_where(model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """`model.objects.filter(**where).update(**values)`; rows changed."""
    database = connections[alias()]
    statement, fields = _update(database.vendor, model, tuple(values), tuple(where))
    given = (*values.values(), *where.values())
    with database.cursor() as cursor:
        cursor.execute(statement, [_parameter(f, v, database) for f, v in zip(fields, given, strict=True)])
        return int(cursor.rowcount)


def update_rows(rows: Sequence[models.Model], names: Sequence[str]) -> int:
    """These fields of these rows of one model, by primary key; rows changed, as far as the database counts them."""
    database = connections[alias()]
    statement, fields = _update(database.vendor, type(rows[0]), tuple(names), (_key(type(rows[0])),))
    values = [[_parameter(f, getattr(row, f.attname), database) for f in fields] for row in rows]
    return _many(database, statement, values)


def insert_rows(rows: Sequence[models.Model], *, or_update: Sequence[str] = ()) -> None:
    """New rows of one model, with their primary keys; of those that are there already these fields are written."""
    database = connections[alias()]
    statement, columns = _insert(database.vendor, type(rows[0]), tuple(or_update))
    _many(database, statement, [[_prepared(row, column, database) for column in columns] for row in rows])
    for row in rows:
        row._state.adding, row._state.db = False, database.alias


def insert_missing(model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows with these fields alone; those that are there already, by a unique constraint, stay as they are."""
    database = connections[alias()]
    statement, fields = _insert_missing(database.vendor, model, tuple(names))
    _many(database, statement, [[_parameter(f, v, database) for f, v in zip(fields, row, strict=True)] for row in rows])


def rows_where(model: type[models.Model], names: Sequence[str], where: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """These columns of the rows that match, as the driver gives them: to be compared, or for columns of text."""
    database = connections[alias()]
    statement, fields = _select(database.vendor, model, tuple(names), tuple(where))
    with database.cursor() as cursor:
        cursor.execute(statement, [_parameter(f, v, database) for f, v in zip(fields, where.values(), strict=True)])
        return list(cursor.fetchall())


def rows_of(make: Callable[[], models.QuerySet[Any]]) -> list[tuple[Any, ...]]:
    """The rows of a query without parameters of its own, as the driver gives them: to be compared."""
    database = connections[alias()]
    statement, parameters = _query(database.vendor, make)
    with database.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def _many(database: Any, statement: str, values: list[list[Any]]) -> int:
    with database.cursor() as cursor:
        if len(values) == 1:
            cursor.execute(statement, values[0])
        else:
            cursor.executemany(statement, values)
        return int(cursor.rowcount)


def _prepared(row: models.Model, column: tuple[Field, Any, Any], database: Any) -> Any:
    field, default, prepared = column
    if getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False):
        value = field.pre_save(row, True)
    else:
        value = vars(row)[field.attname]
        # Most columns of a new row hold their default.
        if value == default and type(value) is type(default):
            return prepared
    return _parameter(field, value, database)


_AS_THEY_ARE: dict[type[Any], type[Any]] = {models.CharField: str, models.TextField: str, models.FloatField: float}


def _parameter(field: Field, value: Any, database: Any) -> Any:
    if _AS_THEY_ARE.get(type(field)) is type(value):
        return value
    return field.get_db_prep_save(value, database)


@cache
def _insert(
    vendor: str, model: type[models.Model], or_update: tuple[str, ...]
) -> tuple[str, list[tuple[Field, Any, Any]]]:
    """(text, (field, its default, that as a parameter) of each column)."""
    quote, database = _quote(), connections[alias()]
    fields = model._meta.concrete_fields
    columns = [(f, default := f.get_default(), f.get_db_prep_save(default, database)) for f in fields]
    names = ", ".join(quote(str(f.column)) for f in fields)
    marks = ", ".join(["%s"] * len(fields))
    text = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({marks})"  # noqa: S608 - our own names
    if or_update:
        updated = [str(_columns(model)[name].column) for name in or_update]
        text += " " + database.ops.on_conflict_suffix_sql(
            fields, OnConflict.UPDATE, updated, [str(_columns(model)[_key(model)].column)]
        )
    return text, columns


@cache
def _insert_missing(vendor: str, model: type[models.Model], names: tuple[str, ...]) -> tuple[str, list[Field]]:
    quote, ops = _quote(), connections[alias()].ops
    fields = [_columns(model)[name] for name in names]
    columns = ", ".join(quote(str(f.column)) for f in fields)
    marks = ", ".join(["%s"] * len(fields))
    begin, end = ops.insert_statement(OnConflict.IGNORE), ops.on_conflict_suffix_sql(fields, OnConflict.IGNORE, [], [])
    return f"{begin} {quote(model._meta.db_table)} ({columns}) VALUES ({marks}) {end}".rstrip(), fields


@cache
def _update(
    vendor: str, model: type[models.Model], values: tuple[str, ...], where: tuple[str, ...]
) -> tuple[str, list[Field]]:
    """The text in the words of the database `vendor`, and the fields of its parameters in their order."""
    quote, columns = _quote(), _columns(model)
    assigned = ", ".join(f"{quote(str(columns[name].column))} = %s" for name in values)
    text = f"UPDATE {quote(model._meta.db_table)} SET {assigned}{_matching(model, where)}"  # noqa: S608 - our own names
    return text, [columns[name] for name in (*values, *where)]


@cache
def _select(
    vendor: str, model: type[models.Model], names: tuple[str, ...], where: tuple[str, ...]
) -> tuple[str, list[Field]]:
    quote, columns = _quote(), _columns(model)
    wanted = ", ".join(quote(str(columns[name].column)) for name in names)
    text = f"SELECT {wanted} FROM {quote(model._meta.db_table)}{_matching(model, where)}"  # noqa: S608 - our own names
    return text, [columns[name] for name in where]


@cache
def _query(vendor: str, make: Callable[[], models.QuerySet[Any]]) -> tuple[str, tuple[Any, ...]]:
    statement, parameters = make().query.get_compiler(connection=connections[alias()]).as_sql()
    return statement, tuple(parameters)


def _matching(model: type[models.Model], where: tuple[str, ...]) -> str:
    quote, columns = _quote(), _columns(model)
    return " WHERE " + " AND ".join(f"{quote(str(columns[name].column))} = %s" for name in where) if where else ""


def _columns(model: type[models.Model]) -> dict[str, Field]:
    return {field.name: field for field in model._meta.concrete_fields}


def _key(model: type[models.Model]) -> str:
    return str(model._meta.pk.name)


def _quote() -> Callable[[str], str]:
    return connections[alias()].ops.quote_name
