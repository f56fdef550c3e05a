"""Lines become records: cells of CSV, objects of JSON lines, lines of text.

Each reader yields (first physical line, record, None) or (line, None, problem). Blank lines are no records.
CSV is read by code of our own because the `csv` module has a limit for cells that is global to the process, and
tells neither where an unclosed quotation mark stands nor stops at a size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mediagen.engine.batches.manifests.lines import decoded, too_long_problem
from mediagen.engine.batches.manifests.problems import Problem, shown

Lines = Iterable[tuple[int, bytes | None]]
CSVRecord = tuple[int, list[str] | None, Problem | None]
JSONRecord = tuple[int, dict[str, Any] | None, Problem | None]
TextRecord = tuple[int, str | None, Problem | None]

_UP_TO_CLOSING_QUOTE = re.compile(r'[^"]*(?:""[^"]*)*')
_SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=([,;\t|])"?\s*', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"?')


def separator_line(line: bytes) -> str | None:
    """The delimiter that a line names which says `sep=;` and nothing else, as spreadsheets write it; otherwise None."""
    found = _SEPARATOR_LINE.fullmatch(line.decode(errors="replace"))
    return found[1] if found else None


def delimiter_of(header: str) -> str:
    """The comma; the semicolon or the tab when the header has one of these and no comma outside quotation marks."""
    outside = _QUOTED.sub("", header)
    if "," in outside:
        return ","
    return max(";\t", key=outside.count) if re.search("[;\t]", outside) else ","


def csv_records(lines: Lines, delimiter: str, limit: int) -> Iterator[CSVRecord]:
    """Cells of each record as RFC 4180 has them; a quotation mark inside an unquoted cell is a plain character.

    After a record whose end is uncertain (an unclosed quotation mark, a line or record over `limit` bytes) nothing
    more is read; that problem, and text behind a closing quotation mark, are fatal.
    """
    source = iter(lines)
    for number, content in source:
        if content is None:
            yield number, None, too_long_problem(number, limit, fatal=True)
            return
        text, problem = decoded(number, content)
        body = text.rstrip("\r\n")
        if '"' not in body:
            if problem is not None:
                yield number, None, problem
            elif body and not body.isspace():
                yield number, body.split(delimiter), None
            continue
        cells, fault, is_last = _quoted_cells(source, number, text, delimiter, limit, len(content))
        problem = problem or fault
        if fault is not None and fault.fatal:
            problem = fault
        yield (number, None, problem) if problem is not None else (number, cells, None)
        if is_last:
            return


def _quoted_cells(
    source: Iterator[tuple[int, bytes | None]], first: int, text: str, delimiter: str, limit: int, size: int
) -> tuple[list[str], Problem | None, bool]:
    """(cells, problem, whether reading must end) of a record that begins with `text` in line `first`."""
    cells: list[str] = []
    problem: Problem | None = None
    number = first
    body = text.rstrip("\r\n")
    position = 0
    while True:
        if not body.startswith('"', position):
            end = body.find(delimiter, position)
            if end < 0:
                cells.append(body[position:])
                return cells, problem, False
            cells.append(body[position:end])
            position = end + 1
            continue
        opened_line, opened_at = number, position + 1
        parts: list[str] = []
        position += 1
        while (end := _UP_TO_CLOSING_QUOTE.match(body, position).end()) == len(body):  # type: ignore[union-attr]
            # Not closed in this line: its end belongs to the cell, and so does what follows.
            parts.append(text[position:])
            number, content = next(source, (number, b""))
            size += limit + 1 if content is None else len(content)
            if not content or size > limit:
                return cells, _unclosed(first, opened_line, opened_at, None if content == b"" else limit), True
            text, bad_bytes = decoded(number, content)
            problem = problem or bad_bytes
            body, position = text.rstrip("\r\n"), 0
        parts.append(body[position:end])
        cells.append("".join(parts).replace('""', '"'))
        position = end + 1
        if position == len(body):
            return cells, problem, False
        if body[position] != delimiter:
            return cells, _behind_quote(first, number, position, body[position:], delimiter), False
        position += 1


def _unclosed(first: int, line: int, character: int, limit: int | None) -> Problem:
    where = f"character {character}" if line == first else f"line {line}, character {character}"
    reached = "before the end of the file" if limit is None else f"within {limit:,} bytes"
    message = (
        f"the quotation mark at {where} is not closed {reached}. Close it, and write a quotation mark inside a "
        "quoted cell twice. What follows was not read."
    )
    return Problem(first, "", message, fatal=True)


def _behind_quote(first: int, line: int, position: int, rest: str, delimiter: str) -> Problem:
    where = f"character {position + 1}" if line == first else f"line {line}, character {position + 1}"
    separator = {"\t": "a tab", ";": "a semicolon"}.get(delimiter, "a comma")
    message = (
        f"{shown(rest)} follows a closing quotation mark at {where}, where {separator} or the end of the line "
        "belongs. Write a quotation mark inside a quoted cell twice."
    )
    return Problem(first, "", message, fatal=True)


class _RepeatedKey(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKey(f"the key {shown(twice)} stands there twice. Keep one.")
    return found


def _no_number(word: str) -> Any:
    raise _RepeatedKey(f"{word} is no JSON. Leave the key out instead.")


_JSON = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number)


def jsonl_records(lines: Lines, limit: int) -> Iterator[JSONRecord]:
    """The object of each line that is not blank."""
    for number, content in lines:
        if content is None:
            yield number, None, too_long_problem(number, limit)
            continue
        if not content.strip():
            continue
        text, problem = decoded(number, content)
        if problem is not None:
            yield number, None, problem
            continue
        try:
            value = _JSON.decode(text.rstrip("\r\n"))
        except _RepeatedKey as exc:
            yield number, None, Problem(number, "", str(exc))
        except json.JSONDecodeError as exc:
            message = f"is no JSON: {exc.msg} at character {exc.colno}. Each line must be one whole JSON object."
            yield number, None, Problem(number, "", message)
        except (ValueError, RecursionError):
            message = "is no JSON that can be read: a number is too long, or it is nested too deeply."
            yield number, None, Problem(number, "", message)
        else:
            if isinstance(value, dict):
                yield number, value, None
            else:
                kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a bare value")
                message = f'is {kind}, no JSON object. Write one object per line, such as {{"prompt": "a fox"}}.'
                yield number, None, Problem(number, "", message)


def text_records(lines: Lines, limit: int) -> Iterator[TextRecord]:
    """Each line that is not blank, without space around it."""
    for number, content in lines:
        if content is None:
            yield number, None, too_long_problem(number, limit)
            continue
        text, problem = decoded(number, content)
        if problem is not None:
            yield number, None, problem
        elif text := text.strip():
            yield number, text, None
