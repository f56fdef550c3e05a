"""What a command shows: bars on a terminal (with rich), plain lines in a log, JSON lines for machines."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
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
    def done(self, result: Result) -> None: ...
    def summary(self, results: list[Result]) -> None: ...


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

    def done(self, result: Result) -> None:
        # By name: `asdict` would take the cost apart.
        facts = {one.name: getattr(result, one.name) for one in fields(result)}
        self.out.write(json.dumps({"event": "asset", **facts, **result.cost.facts()}))

    def summary(self, results: list[Result]) -> None:
        made = sum(result.made for result in results)
        totals = {"made": made, "failed": len(results) - made, **total_cost(results).facts()}
        self.out.write(json.dumps({"event": "summary", **totals}))


class PlainReporter(_Base):
    """A line per asset, then a table."""

    def __init__(self, out: OutputWrapper, total: int, *, quiet: bool = False) -> None:
        super().__init__(out)
        self.quiet = quiet
        self.total = total
        self.count = 0

    def done(self, result: Result) -> None:
        self.count += 1
        if self.quiet:
            return
        what = f"ready by {result.provider}" if result.made else "FAILED"
        self.out.write(f"[{self.count}/{self.total}] {what} in {result.seconds:.2f} s: {one_line(result.prompt, 60)}")
        if result.error:
            self.out.write(result.error)

    def summary(self, results: list[Result]) -> None:
        rows = [HEADINGS, *(cells(result) for result in results)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        self.out.write("")
        for row in rows:
            self.out.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        self.out.write("")
        for line in closing_lines(results):
            self.out.write(line)


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


def closing_lines(results: list[Result]) -> list[str]:
    made = [result for result in results if result.made]
    cost = total_cost(results)
    lines = [f"{len(made)} made, {len(results) - len(made)} failed, cost {cost}."]
    if cost.unsettled:
        lines.append(TO_SETTLE.format(number=f"{cost.unsettled:,}"))
    if stood_in := sum(result.placeholder and not result.dry_run for result in made):
        lines.append(
            f"{stood_in} are placeholders: no provider delivered a real picture. "
            "manage.py check_providers --live says why."
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
