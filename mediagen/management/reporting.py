"""Which way of telling fits where the output goes: lines, JSON, or live bars where rich is installed."""

from __future__ import annotations

from typing import Any

from django.core.management.base import OutputWrapper

from mediagen.engine.work import Worker
from mediagen.management.batch_output import JSONProgress, PlainProgress, Progress
from mediagen.management.output import JSONReporter, PlainReporter, Reporter
from mediagen.models import GenerationBatch


def reporter(out: OutputWrapper, total: int, options: dict[str, Any]) -> Reporter:
    """The right one for where the output goes and what was asked."""
    if options["json"]:
        return JSONReporter(out)
    if options["progress"] == "auto" and out.isatty():
        try:
            from mediagen.management.rich_output import RichReporter
        except ImportError:
            return PlainReporter(out, total)
        return RichReporter(out, total, no_color=bool(options.get("no_color")))
    return PlainReporter(out, total, quiet=options["progress"] == "none")


def progress_for(out: OutputWrapper, batch: GenerationBatch, worker: Worker, options: dict[str, Any]) -> Progress:
    """The right one for where the output goes and what was asked."""
    if options["json"]:
        return JSONProgress(out, batch, worker)
    if options["progress"] == "none":
        return Progress(out, batch, worker)
    if options["progress"] == "auto" and out.isatty():
        try:
            from mediagen.management.rich_output import RichProgress
        except ImportError:
            return PlainProgress(out, batch, worker)
        return RichProgress(out, batch, worker, no_color=bool(options.get("no_color")))
    return PlainProgress(out, batch, worker)
