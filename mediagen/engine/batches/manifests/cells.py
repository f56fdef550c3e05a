"""Cells of a CSV file that we write: quoted where they must be, and harmless in a spreadsheet.

A spreadsheet runs a cell that begins with = + - or @ as a formula. Such a cell is written with an apostrophe before
it, and one that already begins with apostrophes before such a character gets one more; so reading one back removes
exactly what was put there. Plain numbers are let be.
"""

from __future__ import annotations

import json
import re
from typing import Any

_DANGEROUS = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_PROTECTED = re.compile(r"'+[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NEEDS_QUOTES = re.compile(r'[",;\t\r\n]|^\s|\s$')


def protect(text: str) -> str:
    return f"'{text}" if _DANGEROUS.match(text) and not _NUMBER.fullmatch(text) else text


def unprotect(text: str) -> str:
    """What `protect` was given."""
    return text[1:] if text.startswith("'") and _PROTECTED.match(text) else text


def cell(value: Any) -> str:
    """A value, protected and quoted, ready to stand between two commas. None is an empty cell."""
    text = protect(as_text(value)).replace("\0", "\ufffd")
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def as_text(value: Any) -> str:
    """A value of a JSON manifest as one cell. A list of plain words with semicolons between them, else JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(word, str) and _is_plain(word) for word in value):
        return ";".join(value)
    return json.dumps(value, ensure_ascii=False)


def _is_plain(word: str) -> bool:
    return bool(word) and word == word.strip() and not re.search(r"[,;]", word) and not word.startswith("[")
