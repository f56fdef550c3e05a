"""What is wrong with a manifest, said with the line and with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mediagen.errors import InvalidRequest

SHOWN = 20
"""problems in the text of a `ManifestError`; all that were kept are in `problems`"""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. `line` is physical, 1-based, the first one of the row; 0 when the whole file is meant."""

    line: int
    column: str
    """name of the column or key; empty when the line as a whole is meant"""
    message: str
    fatal: bool = False
    """it is uncertain what the other rows are, so no row may be started, also when invalid rows are to be skipped"""

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [f"column {self.column}"] if self.column else []
        return f"{', '.join(where)}: {self.message}" if where else self.message


class ManifestError(InvalidRequest):
    """A manifest cannot be used. `problems` says why; the text shows the first of them."""

    def __init__(
        self, problems: Sequence[Problem] | Problem | str, *, name: str = "", total: int | None = None
    ) -> None:
        """`total` when there are more problems than were kept."""
        if isinstance(problems, str):
            problems = Problem(0, "", problems)
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        self.name = name
        count = len(self.problems) if total is None else total
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if count > len(lines):
            lines.append(f"... and {count - len(lines):,} more problems.")
        prefix = f"{name}: " if name else ""
        if len(lines) == 1:
            text = prefix + lines[0]
        else:
            text = "\n".join([f"{prefix}{count:,} problems:", *(f"  {line}" for line in lines)])
        super().__init__(text, field="manifest")


def shown(value: object) -> str:
    """A value as a message may quote it: on one line, at most 40 characters."""
    text = repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 40 else f"{text[:36]}...{text[0]}" if text[0] in "'\"" else f"{text[:37]}..."
