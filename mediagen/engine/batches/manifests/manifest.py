"""A manifest: a file of prompts, read row by row as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Self

from mediagen.engine.batches.manifests.columns import KEYS, canonical, option_name
from mediagen.engine.batches.manifests.lines import MAX_RECORD_BYTES, physical_lines
from mediagen.engine.batches.manifests.problems import ManifestError, Problem, shown
from mediagen.engine.batches.manifests.records import (
    csv_records,
    delimiter_of,
    jsonl_records,
    separator_line,
    text_records,
)
from mediagen.engine.batches.manifests.rows import PROMPT_AND_TEMPLATE, Entry, EntryReader, ManifestRow, shown_name
from mediagen.engine.batches.manifests.source import Source, file_source, stdin_source
from mediagen.engine.batches.manifests.template import Template

_FORMATS = {"csv": "csv", "tsv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "txt": "txt", "text": "txt"}
FORMATS = tuple(_FORMATS)
"""what `format` may say; "tsv" is "csv", whose delimiter is seen in the header"""
MAX_COLUMNS = 1000


def open_manifest(
    path_or_dash: str | Path,
    *,
    template: str | None = None,
    format: str | None = None,
    stdin: IO[Any] | None = None,
    max_record_bytes: int = MAX_RECORD_BYTES,
) -> Manifest:
    """The manifest in a file, or in standard input for "-" (or in `stdin`, a binary stream, when that is given).

    `template` makes the prompts from columns. `format` is one of `FORMATS`; without it the file's name says it, and
    for a pipe its beginning. `max_record_bytes` is the longest row. Reads the file once, for its digest, and the
    header; `ManifestError` for what is wrong up to there. Close it, or use it in a `with`, so that the temporary copy
    of a pipe goes at once.
    """
    pattern = Template.parse(template) if template is not None else None
    if format is not None and format.lower() not in _FORMATS:
        raise ManifestError(f"There is no manifest format {shown(format)}. Formats: {', '.join(FORMATS)}.")
    source = stdin_source(stdin) if str(path_or_dash) == "-" else file_source(path_or_dash)
    try:
        sniffed = False
        if format is not None:
            kind = _FORMATS[format.lower()]
        elif source.is_temporary:
            kind, sniffed = _sniffed(source.head, pattern), True
        else:
            kind = _format_of(source)
        return Manifest(source, kind, pattern, max_record_bytes, sniffed=sniffed)
    except BaseException:
        source.remove()
        raise


def _format_of(source: Source) -> str:
    suffix = source.path.suffix.lower()
    if (kind := _FORMATS.get(suffix.removeprefix("."))) is not None:
        return kind
    if suffix == ".json":
        message = (
            "A .json file is one document. Write one object per line instead (jq -c '.[]' does) and name it .jsonl."
        )
    else:
        message = (
            "Its name does not say what is in the file. Name it .csv, .jsonl or .txt, or say it with --format "
            "(csv, jsonl, txt)."
        )
    raise ManifestError(message, name=source.name)


def _sniffed(head: bytes, template: Template | None) -> str:
    """JSON lines if it begins with "{"; CSV if the first line has a column `prompt`, or several of which one is
    known; else text."""
    lines = head.lstrip().splitlines()
    if lines and separator_line(lines[0]):
        return "csv"
    first = lines[0].decode(errors="replace") if lines else ""
    if first.startswith("{"):
        return "jsonl"
    names = [canonical(cell.strip().strip('"')) for cell in first.split(delimiter_of(first))]
    known = {*KEYS, *(template.fields if template else ())}
    is_csv = "prompt" in names or (len(names) > 1 and not known.isdisjoint(names))
    return "csv" if is_csv else "txt"


class Manifest:
    """Rows of one file. Get it from `open_manifest`."""

    def __init__(
        self, source: Source, format: str, template: Template | None, max_record_bytes: int, *, sniffed: bool = False
    ) -> None:
        self._source = source
        self.format = format
        """ "csv", "jsonl" or "txt" """
        self.template = template
        self._limit = max_record_bytes
        self._delimiter = ","
        self._reader = EntryReader(template)
        self.columns: tuple[str, ...] = ()
        """names of the columns that are read, in order; empty for JSON lines, where every row has its own"""
        self.header_line = 0
        if format == "csv":
            try:
                self._read_header()
            except ManifestError as exc:
                if sniffed:
                    note = "The input was taken for CSV by its first line; --format txt says it is text."
                    raise ManifestError([*exc.problems, Problem(0, "", note)], name=self.name) from None
                raise
        elif format == "txt":
            self.columns = ("prompt",)
            self._check_template(("prompt",), 0)

    @property
    def name(self) -> str:
        """The file's name; "stdin" for standard input."""
        return self._source.name

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, hex."""
        return self._source.digest

    @property
    def size_bytes(self) -> int:
        return self._source.size_bytes

    def rows(self, defaults: Mapping[str, Any] | None = None) -> Iterator[ManifestRow | Problem]:
        """One `ManifestRow` per picture, and the problems in their places. Can be called again and again.

        A row with a problem does not come, and after a fatal problem no row does. `defaults` are arguments for rows
        that do not have them. `ManifestError` when the file cannot be read or was changed. Whether keys are unique,
        and whatever needs the site's knowledge, `validate` says.
        """
        halted = False
        for entry in self.entries():
            if entry.problems:
                halted = halted or any(problem.fatal for problem in entry.problems)
                yield from entry.problems
            elif not halted:
                yield from entry.rows(defaults)

    def entries(self) -> Iterator[Entry]:
        """Every row as it is read, right or wrong."""
        reader = self._reader
        with self._source.opened() as file:
            if self.format == "csv":
                records = self._csv_records(file)
                next(records)  # the header
                for line, cells, problem in records:
                    if cells is None:
                        yield _broken(line, problem)
                    elif (entry := reader.from_cells(line, cells)) is not None:
                        yield entry
            elif self.format == "jsonl":
                for line, record, problem in jsonl_records(physical_lines(file, self._limit), self._limit):
                    yield _broken(line, problem) if record is None else reader.from_object(line, record)
            else:
                for line, prompt, problem in text_records(physical_lines(file, self._limit), self._limit):
                    yield _broken(line, problem) if prompt is None else reader.from_text(line, prompt)

    def close(self) -> None:
        """Remove the temporary copy of a pipe. A file stays."""
        self._source.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _csv_records(self, file: BinaryIO) -> Iterator[tuple[int, list[str] | None, Problem | None]]:
        lines = physical_lines(file, self._limit)
        if self._names_separator:
            # No header, and no record. What follows keeps the numbers of its lines.
            next(line for _, line in lines if line is None or line.strip())
        return csv_records(lines, self._delimiter, self._limit)

    def _read_header(self) -> None:
        first = next((line for line in self._source.head.splitlines() if line.strip()), b"")
        named = separator_line(first)
        self._names_separator = named is not None
        self._delimiter = named or delimiter_of(first.decode(errors="replace"))
        with self._source.opened() as file:
            line, cells, problem = next(self._csv_records(file), (0, None, None))
        if cells is None:
            raise ManifestError(problem or "There is no row in the file, only blank lines.", name=self.name)
        if len(cells) > MAX_COLUMNS:
            raise ManifestError(
                Problem(line, "", f"the header has {len(cells):,} columns; at most {MAX_COLUMNS:,} can be read."),
                name=self.name,
            )
        names = [canonical(cell) for cell in cells]
        self._reader = EntryReader(self.template, names)
        self.columns = self._reader.columns
        self.header_line = line
        problems = [
            Problem(line, shown_name(name), "stands in the header twice. Keep one of the columns.", fatal=True)
            for name in dict.fromkeys(names)
            if name and names.count(name) > 1
        ]
        self._check_template(self.columns, line, problems)

    def _check_template(self, columns: tuple[str, ...], line: int, problems: list[Problem] | None = None) -> None:
        """`ManifestError` if the header and the template do not fit together, or a column can be nothing."""
        problems = problems if problems is not None else []
        used = self.template.fields if self.template else ()
        if self.template is None:
            if "prompt" not in columns:
                message = (
                    f"there is no column prompt. The header has: {_listed(columns)}. Name a column prompt, or make the "
                    "prompts with --template."
                )
                problems.append(Problem(line, "", message, fatal=True))
        elif "prompt" in columns and "prompt" not in used:
            problems.append(Problem(line, "prompt", PROMPT_AND_TEMPLATE, fatal=True))
        for name in used:
            if name not in columns:
                message = f"the template uses {{{name}}}, and there is no such column. There are: {_listed(columns)}."
                problems.append(Problem(line, "", message, fatal=True))
        for name in columns:
            if name and name not in KEYS and name not in used:
                try:
                    option_name(name)
                except ValueError as exc:
                    problems.append(Problem(line, shown_name(name), str(exc), fatal=True))
        if problems:
            raise ManifestError(problems, name=self.name)

    def option_columns(self) -> dict[str, str]:
        """Column of the header to the provider option it stands for; empty for formats without a header."""
        used = self.template.fields if self.template else ()
        return {name: option_name(name) for name in self.columns if name not in KEYS and name not in used}


def _broken(line: int, problem: Problem | None) -> Entry:
    return Entry(line=line, problems=[problem] if problem else [])


def _listed(columns: tuple[str, ...]) -> str:
    return ", ".join(shown_name(name) for name in columns[:50]) or "nothing"
