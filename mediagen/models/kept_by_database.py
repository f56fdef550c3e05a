"""What the database keeps of the assets by itself, so that every write is in it, whoever makes it: what each library
holds, and an index of the words in prompts, names and descriptions.

Made after every `migrate`, where something of it is missing: on SQLite a table that is altered loses its triggers.
MariaDB has neither: there it is counted, and words are looked for row by row.
"""

from __future__ import annotations

import logging
from typing import Any

from django.apps import AppConfig
from django.db import DatabaseError, connections, transaction

logger = logging.getLogger("mediagen")

ASSETS, TALLIES = "mediagen_mediaasset", "mediagen_librarytally"
WORDS, NUMBERS, WORDS_INDEX = "mediagen_words", "mediagen_words_assets", "mediagen_asset_words"
COUNTED = "{0}.generation_state = 'ready' AND {0}.status <> 'deleted'"
TEXT = "{0}prompt || chr(10) || {0}name || chr(10) || {0}description || chr(10) || {0}alt_text"
KEEPS_TALLIES = ("sqlite", "postgresql")


def keep(app_config: AppConfig, using: str, **_: Any) -> None:
    """After `migrate`."""
    connection = connections[using]
    if TALLIES not in connection.introspection.table_names():
        return  # migrated back to before there were any
    if connection.vendor == "sqlite":
        _on_sqlite(connection)
    elif connection.vendor == "postgresql":
        _on_postgresql(connection)


def forget(connection: Any) -> None:
    """Take all of it away."""
    connection.mediagen_has_words = False
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in _TALLY_TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS mediagen_tally_{name}")
                cursor.execute(f"DROP TRIGGER IF EXISTS {WORDS}_{name}")
        elif connection.vendor == "postgresql":
            cursor.execute(f"DROP TRIGGER IF EXISTS mediagen_tally ON {ASSETS}")
            cursor.execute("DROP FUNCTION IF EXISTS mediagen_tally")
            cursor.execute(f"DROP INDEX IF EXISTS {WORDS_INDEX}")


def has_words(connection: Any) -> bool:
    """Whether there is an index of words to be asked. Asked once a connection, when there is."""
    if getattr(connection, "mediagen_has_words", False):
        return True
    if connection.vendor == "sqlite":
        asked = f"SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = '{WORDS}_insert'"
    elif connection.vendor == "postgresql":
        asked = f"SELECT 1 FROM pg_class WHERE relname = '{WORDS_INDEX}'"
    else:
        return False
    with connection.cursor() as cursor:
        connection.mediagen_has_words = _exists(cursor, asked)
    return bool(connection.mediagen_has_words)


def with_words(connection: Any, words: list[str], most: int) -> list[Any]:
    """Ids of assets in whose texts all these words are, in whichever case, at most so many. Only where `has_words`;
    words of three characters and more."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            wanted = " AND ".join('"' + word.replace('"', '""') + '"' for word in words)
            cursor.execute(
                f"SELECT n.asset_id FROM {WORDS} w JOIN {NUMBERS} n ON n.id = w.rowid WHERE {WORDS} MATCH %s LIMIT %s",
                [wanted, most],
            )
        else:
            text = f"upper({TEXT.format('')})"
            patterns = [f"%{word}%" for word in (connection.ops.prep_for_like_query(word) for word in words)]
            like = " AND ".join([f"{text} LIKE upper(%s)"] * len(patterns))
            cursor.execute(f"SELECT id FROM {ASSETS} WHERE {like} LIMIT %s", [*patterns, most])
        return [row[0] for row in cursor.fetchall()]


def recount(connection: Any) -> None:
    """Count what the libraries hold anew."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"LOCK TABLE {ASSETS} IN SHARE MODE")
        cursor.execute(f"DELETE FROM {TALLIES}")
        cursor.execute(
            f"INSERT INTO {TALLIES} (library_id, slot, assets, bytes) SELECT a.library_id, 0, COUNT(*), "
            f"SUM(a.file_size) FROM {ASSETS} a WHERE {COUNTED.format('a')} GROUP BY a.library_id"
        )


def _exists(cursor: Any, query: str) -> bool:
    cursor.execute(query)
    return cursor.fetchone() is not None


# ---------------------------------------------------------------------- SQLite

_ADD = (
    f"INSERT INTO {TALLIES} (library_id, slot, assets, bytes) SELECT NEW.library_id, 0, 1, NEW.file_size "
    f"WHERE {COUNTED.format('NEW')} "
    "ON CONFLICT (library_id, slot) DO UPDATE SET assets = assets + 1, bytes = bytes + excluded.bytes;"
)
_TAKE = (
    f"UPDATE {TALLIES} SET assets = assets - 1, bytes = bytes - OLD.file_size "
    f"WHERE library_id = OLD.library_id AND slot = 0 AND {COUNTED.format('OLD')};"
)
_TALLY_TRIGGERS = {
    "insert": f"AFTER INSERT ON {ASSETS} BEGIN {_ADD} END",
    "update": f"AFTER UPDATE OF generation_state, status, library_id, file_size ON {ASSETS} BEGIN {_TAKE} {_ADD} END",
    "delete": f"AFTER DELETE ON {ASSETS} BEGIN {_TAKE} END",
}
_NEW_TEXT = TEXT.format("NEW.").replace("chr", "char")
_NUMBER = f"(SELECT id FROM {NUMBERS} WHERE asset_id = {{0}}.id)"
_WORD_TRIGGERS = {
    "insert": f"""AFTER INSERT ON {ASSETS} BEGIN
        INSERT INTO {NUMBERS} (asset_id) VALUES (NEW.id);
        INSERT INTO {WORDS} (rowid, text) VALUES ({_NUMBER.format("NEW")}, {_NEW_TEXT}); END""",
    "update": f"""AFTER UPDATE OF prompt, name, description, alt_text ON {ASSETS} BEGIN
        UPDATE {WORDS} SET text = {_NEW_TEXT} WHERE rowid = {_NUMBER.format("NEW")}; END""",
    "delete": f"""AFTER DELETE ON {ASSETS} BEGIN
        DELETE FROM {WORDS} WHERE rowid = {_NUMBER.format("OLD")};
        DELETE FROM {NUMBERS} WHERE asset_id = OLD.id; END""",
}


def _on_sqlite(connection: Any) -> None:
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if not _exists(cursor, "SELECT 1 FROM sqlite_master WHERE name = 'mediagen_tally_delete'"):
            for name, trigger in _TALLY_TRIGGERS.items():
                cursor.execute(f"DROP TRIGGER IF EXISTS mediagen_tally_{name}")
                cursor.execute(f"CREATE TRIGGER mediagen_tally_{name} {trigger}")
            recount(connection)
        if _exists(cursor, f"SELECT 1 FROM sqlite_master WHERE name = '{WORDS}_delete'"):
            return
        try:
            with transaction.atomic(using=connection.alias):
                cursor.execute(f"DROP TABLE IF EXISTS {WORDS}")
                cursor.execute(f"CREATE VIRTUAL TABLE {WORDS} USING fts5(text, tokenize = 'trigram')")
        except DatabaseError as exc:  # built without it, or before 3.34
            logger.info("this SQLite makes no index of words (%s): searches read all rows", exc)
            return
        # The rows' own numbers change when the file is vacuumed.
        cursor.execute(f"DROP TABLE IF EXISTS {NUMBERS}")
        cursor.execute(f"CREATE TABLE {NUMBERS} (id INTEGER PRIMARY KEY, asset_id char(32) NOT NULL UNIQUE)")
        cursor.execute(f"INSERT INTO {NUMBERS} (asset_id) SELECT id FROM {ASSETS}")
        text = TEXT.format("a.").replace("chr", "char")
        cursor.execute(
            f"INSERT INTO {WORDS} (rowid, text) SELECT n.id, {text} "
            f"FROM {NUMBERS} n JOIN {ASSETS} a ON a.id = n.asset_id"
        )
        for name, trigger in _WORD_TRIGGERS.items():
            cursor.execute(f"CREATE TRIGGER {WORDS}_{name} {trigger}")


# ---------------------------------------------------------------------- PostgreSQL

SLOTS = 16
_CHANGE = f"""
    INSERT INTO {TALLIES} AS t (library_id, slot, assets, bytes)
    VALUES ({{0}}.library_id, mine, {{1}}1, {{1}}{{0}}.file_size)
    ON CONFLICT (library_id, slot)
    DO UPDATE SET assets = t.assets + excluded.assets, bytes = t.bytes + excluded.bytes;"""
_FUNCTION = f"""
CREATE OR REPLACE FUNCTION mediagen_tally() RETURNS trigger LANGUAGE plpgsql AS $body$
DECLARE
    mine integer := pg_backend_pid() % {SLOTS};
    was boolean := TG_OP <> 'INSERT' AND {COUNTED.format("OLD")};
    is_now boolean := TG_OP <> 'DELETE' AND {COUNTED.format("NEW")};
BEGIN
    IF was AND is_now AND OLD.library_id = NEW.library_id AND OLD.file_size = NEW.file_size THEN RETURN NULL; END IF;
    IF was THEN {_CHANGE.format("OLD", "-")} END IF;
    IF is_now THEN {_CHANGE.format("NEW", "")} END IF;
    RETURN NULL;
END $body$"""


def _on_postgresql(connection: Any) -> None:
    # No condition and no columns: PostgreSQL would refuse to alter those that a trigger names.
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(_FUNCTION)
        if not _exists(cursor, "SELECT 1 FROM pg_trigger WHERE tgname = 'mediagen_tally'"):
            cursor.execute(
                f"CREATE TRIGGER mediagen_tally AFTER INSERT OR UPDATE OR DELETE ON {ASSETS} "
                "FOR EACH ROW EXECUTE FUNCTION mediagen_tally()"
            )
            recount(connection)
    if has_words(connection):
        return
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            cursor.execute(f"CREATE INDEX {WORDS_INDEX} ON {ASSETS} USING gin (upper({TEXT.format('')}) gin_trgm_ops)")
    except DatabaseError as exc:  # it is not installed there, or who migrates may not make it
        logger.info("PostgreSQL makes no index of words (%s): searches read all rows", str(exc).splitlines()[0])
