"""Row keys are unique: seen to exactly, in memory that does not grow with the manifest."""

from __future__ import annotations

import re
import sqlite3
from types import TracebackType
from typing import Self

from mediagen.engine.batches.manifests.problems import ManifestError, shown

_COPY = re.compile(r"(.*)#[1-9][0-9]*", re.DOTALL)
_LINE = re.compile(r"[1-9][0-9]{0,11}")


class KeyLedger:
    """The keys of a manifest so far.

    Keys that rows name are kept in a temporary SQLite database, which lives on disk once it is large; rows without a
    key cost one bit each, and a manifest without keys nothing more.
    """

    def __init__(self) -> None:
        # "" is a private file that SQLite deletes by itself. A generator may be moved from thread to thread.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE named (name TEXT PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID",
            # What keys made with a count begin with (made = 1), and what keys written as "<key>#<n>" begin with.
            "CREATE TABLE copies (name TEXT PRIMARY KEY, line INTEGER NOT NULL, made INTEGER NOT NULL) WITHOUT ROWID",
            "BEGIN",
        ):
            self._db.execute(statement)
        self._unnamed = bytearray()
        self._line_numbers_named = False

    def __del__(self) -> None:
        # A checker that its arguments stop half-made is never closed by anybody.
        if (db := getattr(self, "_db", None)) is not None:
            db.close()

    def add(self, line: int, key: str | None, copies: int) -> str | None:
        """Take the key of the row in `line`, or its line number when `key` is None. What is wrong with it, or None."""
        try:
            return self._add_unnamed(line, copies) if key is None else self._add_named(line, key, copies)
        except sqlite3.Error as exc:
            raise ManifestError(
                f"The keys could not be compared ({exc}). Is the disk with temporary files full? TMPDIR names another."
            ) from None

    def _add_unnamed(self, line: int, copies: int) -> str | None:
        byte = line >> 3
        if byte >= len(self._unnamed):
            self._unnamed.extend(bytes(max(byte + 1 - len(self._unnamed), len(self._unnamed) // 4)))
        self._unnamed[byte] |= 1 << (line & 7)
        if not self._line_numbers_named:
            return None
        taken = self._line_of("SELECT line FROM named WHERE name = ?", str(line))
        if taken is None and copies > 1:
            taken = self._line_of("SELECT line FROM copies WHERE name = ? AND made = 0", str(line))
        if taken is None:
            return None
        return (
            f"the row has no key, so its line number is its key, but line {taken} has taken that as its own. "
            "Give this row a key."
        )

    def _add_named(self, line: int, key: str, copies: int) -> str | None:
        if not self._db.execute("INSERT OR IGNORE INTO named VALUES (?, ?)", (key, line)).rowcount:
            first = self._line_of("SELECT line FROM named WHERE name = ?", key)
            return f"{shown(key)} is the key of line {first} already. Give every row a key of its own."
        if _LINE.fullmatch(key):
            self._line_numbers_named = True
            if self._is_unnamed(int(key)):
                return (
                    f"{shown(key)} is the key of line {key} already: that row has none, so its line number is its "
                    "key. Give it a key, or this row another one."
                )
        if copies > 1 and (other := self._other_copies(line, key, made=True)) is not None:
            return f"with count the keys {shown(key + '#1')} and so on come to be; line {other} has one like these."
        if match := _COPY.fullmatch(key):
            stem = match[1]
            other = self._other_copies(line, stem, made=False)
            if _LINE.fullmatch(stem):
                self._line_numbers_named = True
                if self._is_unnamed(int(stem)):
                    other = int(stem)
            if other is not None:
                return f"{shown(key)} is how the pictures of line {other} are called. Give this row another key."
        return None

    def _other_copies(self, line: int, stem: str, *, made: bool) -> int | None:
        """Note the stem; the line that uses it in the other way, if one does."""
        self._db.execute("INSERT OR IGNORE INTO copies VALUES (?, ?, ?)", (stem, line, made))
        return self._line_of("SELECT line FROM copies WHERE name = ? AND made = ?", stem, not made)

    def _is_unnamed(self, line: int) -> bool:
        byte = line >> 3
        return byte < len(self._unnamed) and bool(self._unnamed[byte] >> (line & 7) & 1)

    def _line_of(self, query: str, *values: object) -> int | None:
        found = self._db.execute(query, values).fetchone()
        return int(found[0]) if found else None

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
