"""Bars and a table on a terminal. Imported only when rich is installed and somebody is looking."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Any, Self

from django.core.management.base import OutputWrapper
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mediagen.engine.work import Event, Worker
from mediagen.management.batch_output import Progress as BatchProgress
from mediagen.management.output import HEADINGS, Result, cells, closing_lines, found_text, one_line
from mediagen.models import GenerationBatch

NEEDS_COLUMNS = 100
"""for the table: an id has 36"""


class RichReporter:
    def __init__(self, out: OutputWrapper, total: int, *, no_color: bool) -> None:
        stream: Any = out._out
        self.console = Console(file=stream, no_color=no_color or None, highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.task = self.progress.add_task("pictures", total=total)
        self.total = total
        self.failed = 0

    def __enter__(self) -> RichReporter:
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def say(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=True)

    def found(self, waiting: int, made: int, bought: int, begun_at: datetime | None) -> None:
        self.progress.update(self.task, total=self.total - made)
        self.console.print(Text(found_text(waiting, made, bought, begun_at)))

    def done(self, result: Result) -> None:
        if not result.made:
            self.failed += 1
            self.progress.console.print(Text(result.error, style="red"))
        note = f", {self.failed} failed" if self.failed else ""
        self.progress.update(self.task, advance=1, description=f"pictures{note}")

    def summary(self, results: list[Result], *, earlier: int, waiting: int) -> None:
        if self.console.width >= NEEDS_COLUMNS:
            table = Table(*HEADINGS)
            table.columns[0].no_wrap = True
            for result in results:
                # Text, not str: a prompt with [brackets] is no markup.
                table.add_row(*(Text(cell) for cell in cells(result)), style=None if result.made else "red")
            self.console.print(table)
        else:
            for result in results:
                asset_id, *facts, prompt = cells(result)
                self._line(asset_id, None if result.made else "red")
                self._line(f"  {', '.join(facts)} s: {prompt}", None if result.made else "red")
        for line in closing_lines(results, earlier, waiting):
            self._line(line)

    def _line(self, text: str, style: str | None = None) -> None:
        """Whole: an id or a path that is cut or broken cannot be copied."""
        self.console.print(Text(text), style=style, soft_wrap=True)


class RichProgress(BatchProgress):
    """One bar, a line of numbers and a line per provider, drawn anew four times a second."""

    def __init__(self, out: OutputWrapper, batch: GenerationBatch, worker: Worker, *, no_color: bool) -> None:
        super().__init__(out, batch, worker)
        stream: Any = out._out
        self.console = Console(file=stream, no_color=no_color or None, highlight=False)
        self.live = Live(get_renderable=self.draw, console=self.console, refresh_per_second=4)

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def draw(self) -> RenderableType:
        bar = ProgressBar(total=max(self.numbers.total, 1), completed=self.numbers.done)
        lines = [Text(f"{name}: {count:,}, breaker {state}") for name, count, state in self.providers()]
        return Group(bar, Text(self.line()), *lines)

    def show(self, event: Event) -> None:
        if event.kind == "failed":
            text = Text(f"{event.asset.row_key}: {one_line(event.message, 300)}", style="red")
            self.console.print(text, soft_wrap=True)
