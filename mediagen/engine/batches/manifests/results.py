"""The manifest at the end of a run: every row with what became of it. It is a manifest itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mediagen.engine.batches.manifests.cells import cell
from mediagen.engine.batches.manifests.columns import RESULT_COLUMNS, RESULT_PREFIX
from mediagen.engine.batches.manifests.problems import ManifestError, shown
from mediagen.engine.batches.manifests.rows import ManifestRow
from mediagen.engine.batches.manifests.validation import InvalidRow

INVALID = "invalid"
"""`state` of a row that was skipped because it could not be understood"""


class ResultWriter:
    """Writes one line per picture: the row's cells, and the columns of `RESULT_COLUMNS`.

    A row that asked for several pictures comes once for each, with `count` 1, the seed and the key of that picture;
    so the file can be read as a manifest again, with the same template. In CSV a cell that a spreadsheet would run
    as a formula has an apostrophe before it (see `mediagen.engine.batches.manifests.cells`), which reading takes away.
    A file gets its name only when it is complete; an exception inside the `with` leaves what was there before.
    """

    def __init__(self, target: str | Path | IO[str], format: str | None = None, *, columns: Sequence[str] = ()) -> None:
        """`target` is a path or a text stream, which stays open. `format` is "csv" or "jsonl"; without it a path's
        ending says it. CSV needs `columns`: those of the manifest, or of the `ValidationReport` for JSON lines."""
        self.format = format or _format_of(target)
        if self.format not in ("csv", "jsonl"):
            raise ManifestError(f"A result manifest is csv or jsonl, not {shown(self.format)}.")
        self._columns = tuple(name for name in columns if name)
        self._path: Path | None = None
        self._temporary = Path()
        if isinstance(target, str | Path):
            self._path = Path(target)
            self._stream = self._new_file(self._path)
        else:
            self._stream = target
        if self.format == "csv":
            header = [*self._columns, *(_result_name(name, self._columns) for name in RESULT_COLUMNS)]
            self._put(",".join(map(cell, header)) + "\n")

    def write(
        self,
        row: ManifestRow | InvalidRow,
        *,
        asset_id: str = "",
        state: str = "",
        file: str = "",
        provider_name: str = "",
        model_name: str = "",
        cost: Decimal | None = None,
        error: str = "",
    ) -> None:
        """What became of a row. `cost` in USD; None when it is not known, which is an empty cell. Of an `InvalidRow`
        state and error are known without being said."""
        values = dict(row.values)
        if isinstance(row, InvalidRow):
            state = state or INVALID
            error = error or " ".join(str(problem) for problem in row.problems)
        else:
            if row.copies > 1:
                for name, value in (("count", 1), ("seed", row.arguments.get("seed"))):
                    if name in values:
                        values[name] = value
            # Also where the row had none, whose line number may be another one in this file.
            if "key" in values or "key" in self._columns:
                values["key"] = row.row_key
        result = {
            "row_key": row.row_key,
            "asset_id": asset_id,
            "state": state,
            "file": file,
            "provider_name": provider_name,
            "model_name": model_name,
            "cost": None if cost is None else f"{cost:f}",
            "error": error,
        }
        if self.format == "jsonl":
            line = values | {_result_name(name, values): value for name, value in result.items()}
            self._put(json.dumps(line, ensure_ascii=False) + "\n")
            return
        if not values.keys() <= set(self._columns):
            missing = ", ".join(sorted(values.keys() - set(self._columns)))
            raise ValueError(f"columns of the row in line {row.line} are not in the header: {missing}")
        cells = [cell(values.get(name)) for name in self._columns]
        self._put(",".join([*cells, *map(cell, result.values())]) + "\n")

    def close(self, *, discard: bool = False) -> None:
        """Give the file its name, or throw it away. A stream is only flushed."""
        if self._path is None:
            self._stream.flush()
            return
        if self._stream.closed:
            return
        with _reported(self._path):
            try:
                self._stream.close()
                if not discard:
                    self._temporary.replace(self._path)
            finally:
                self._temporary.unlink(missing_ok=True)

    def _new_file(self, path: Path) -> IO[str]:
        if path.is_dir():
            raise ManifestError(f"{shown(str(path))} is a directory. Name a file for the result manifest.")
        self._temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:12]}")
        with _reported(path):
            return self._temporary.open("x", encoding="utf-8", newline="")

    def _put(self, line: str) -> None:
        # A row that was refused may hold half a character, which no file can.
        line = line.encode(errors="backslashreplace").decode()
        if self._path is None:
            self._stream.write(line)
            return
        with _reported(self._path):
            self._stream.write(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(discard=kind is not None)


def _format_of(target: str | Path | IO[str]) -> str:
    suffix = Path(target).suffix.lower() if isinstance(target, str | Path) else ""
    kind = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}.get(suffix)
    if kind is None:
        raise ManifestError("The name of a result manifest must end in .csv or .jsonl, or say the format.")
    return kind


def _result_name(name: str, taken: Collection[str]) -> str:
    """The column of a result, beside input columns of these names: only a template can have used one."""
    return RESULT_PREFIX + name if name in taken else name


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ManifestError(
            f"The result manifest {shown(str(path))} cannot be written: {exc.strerror or exc}. Check the folder, its "
            "rights and the space on the disk."
        ) from None
