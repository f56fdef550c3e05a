"""What a command shows: bars on a terminal (with rich), plain lines in a log, JSON lines for machines."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol

from django.core.management.base import OutputWrapper

from mediagen.models.costs import NOTHING, Cost

TO_SETTLE = (
    "{number} attempts may have been billed, and nobody knows what. manage.py mediagen_settle lists them, says where "
    "to look at the provider, and takes your word."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One asset that was made, or was not."""

    prompt: str
    asset_id: str
    made: bool
    provider: str
    model: str
    placeholder: bool
    dry_run: bool
    attempts: int
    """providers that were really asked, retries included"""
    cost: Cost
    """what was billed for it, all attempts together, and what may have been"""
    seconds: float
    file: str
    error: str


class Reporter(AbstractContextManager["Reporter"], Protocol):
    def say(self, text: str) -> None:
        """What a signal has just done."""

    def found(self, waiting: int, made: int, bought: int, begun_at: datetime | None) -> None:
        """An earlier run: so many pictures of it wait, the jobs of so many of those are bought, so many are made."""

    def done(self, result: Result) -> None: ...

    def summary(self, results: list[Result], *, earlier: int, waiting: int) -> None:
        """The results of this run; so many were made earlier, and so many wait."""


class _Base:
    def __init__(self, out: OutputWrapper) -> None:
        self.out = out

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class JSONReporter(_Base):
    """{"event": "asset", ...} as each ends, then {"event": "summary", ...}."""

    def say(self, text: str) -> None:
        self._tell("stopping")

    def found(self, waiting: int, made: int, bought: int, begun_at: datetime | None) -> None:
        self._tell("resumed", waiting=waiting, made=made, bought=bought, begun_at=begun_at)

    def done(self, result: Result) -> None:
        # By name: `asdict` would take the cost apart.
        facts = {one.name: getattr(result, one.name) for one in fields(result)}
        self._tell("asset", **facts | result.cost.facts())

    def summary(self, results: list[Result], *, earlier: int, waiting: int) -> None:
        made = sum(result.made for result in results)
        self._tell(
            "summary",
            made=made,
            failed=len(results) - made,
            earlier=earlier,
            waiting=waiting,
            **total_cost(results).facts(),
        )

    def _tell(self, event: str, **values: Any) -> None:
        self.out.write(json.dumps({"event": event, **values}, default=str))


class PlainReporter(_Base):
    """A line per asset, then a table."""

    def __init__(self, out: OutputWrapper, total: int, *, quiet: bool = False) -> None:
        super().__init__(out)
        self.quiet = quiet
        self.total = total
        self.count = 0

    def say(self, text: str) -> None:
        self.out.write(text)

    def found(self, waiting: int, made: int, bought: int, begun_at: datetime | None) -> None:
        self.total -= made
        self.out.write(found_text(waiting, made, bought, begun_at))

    def done(self, result: Result) -> None:
        self.count += 1
        if self.quiet:
            return
        what = f"ready by {result.provider}" if result.made else "FAILED"
        self.out.write(f"[{self.count}/{self.total}] {what} in {result.seconds:.2f} s: {one_line(result.prompt, 60)}")
        if result.error:
            self.out.write(result.error)

    def summary(self, results: list[Result], *, earlier: int, waiting: int) -> None:
        rows = [HEADINGS, *(cells(result) for result in results)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        self.out.write("")
        for row in rows:
            self.out.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        self.out.write("")
        for line in closing_lines(results, earlier, waiting):
            self.out.write(line)


def found_text(waiting: int, made: int, bought: int, begun_at: datetime | None) -> str:
    """ "2 pictures of an earlier run, begun 2026-11-29 10:02 UTC, wait, ..." """
    begun = f", begun {begun_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC," if begun_at else ""
    text = f"{waiting} of these pictures wait from an earlier run{begun} and are taken first"
    if bought:
        text += f"; the jobs of {bought} are bought already"
    if made:
        text += f"; {made} of that run are made"
    return f"{text}. --again leaves them and makes all anew."


HEADINGS = ("asset", "provider", "attempts", "cost", "seconds", "prompt")


def cells(result: Result) -> tuple[str, ...]:
    provider = f"{result.provider or '-'}{' (placeholder)' if result.placeholder else ''}"
    return (
        result.asset_id or "-",
        provider if result.made else "FAILED",
        str(result.attempts),
        str(result.cost),
        f"{result.seconds:.2f}",
        one_line(result.prompt, 40),
    )


def closing_lines(results: list[Result], earlier: int, waiting: int) -> list[str]:
    made = [result for result in results if result.made]
    cost = total_cost(results)
    counted = [f"{len(made)} made", f"{len(results) - len(made)} failed"]
    if earlier:
        counted.append(f"{earlier} made earlier")
    if waiting:
        counted.append(f"{waiting} wait")
    lines = [f"{', '.join(counted)}, cost {cost}."]
    if cost.unsettled:
        lines.append(TO_SETTLE.format(number=f"{cost.unsettled:,}"))
    if stood_in := sum(result.placeholder and not result.dry_run for result in made):
        what = "is a placeholder" if stood_in == 1 else "are placeholders"
        lines.append(
            f"{stood_in} {what}: no provider delivered a real picture. manage.py check_providers --live says why."
        )
    if files := [result.file for result in made if result.file]:
        lines.append("Files:")
        lines += [f"  {name}" for name in files[:10]]
        if len(files) > 10:
            lines.append(f"  ... and {len(files) - 10} more")
    return lines


def total_cost(results: list[Result]) -> Cost:
    return sum((result.cost for result in results), NOTHING)


def one_line(text: str, length: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 3] + "..."
