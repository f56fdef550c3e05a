"""manage.py mediagen_batches: what batches there are, and pause, resume, cancel or retry them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.batches import lifecycle
from mediagen.engine.dispatch import task_engine
from mediagen.errors import InvalidRequest
from mediagen.management.base import MediagenCommand
from mediagen.management.output import one_line
from mediagen.models import GenerationBatch
from mediagen.models.costs import Cost


def _resume(batch: GenerationBatch) -> str:
    lifecycle.start(batch)
    task_engine.kick_waiting(batch.pk)
    return f"is {batch.state}"


def _retry(batch: GenerationBatch) -> str:
    count = lifecycle.retry_failed(batch)
    task_engine.kick_waiting(batch.pk)
    return f"{count:,} rows are made again by whoever works on it"


ACTIONS: dict[str, Callable[[GenerationBatch], str]] = {
    "pause": lambda batch: (
        "is paused" if lifecycle.pause(batch, lifecycle.BY_HAND) else f"was {batch.state}, not running"
    ),
    "resume": _resume,
    "cancel": lambda batch: f"{lifecycle.cancel(batch):,} rows were cancelled; what is under way ends",
    "retry": _retry,
}


class Command(MediagenCommand):
    help = "Lists batches; pauses, resumes, cancels or retries one, several, or all unfinished ones."
    examples = (
        "manage.py mediagen_batches",
        "manage.py mediagen_batches resume prompts.csv",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", default="list", choices=("list", *ACTIONS))
        parser.add_argument("batch", nargs="*", metavar="ID", help="Id or name.")
        parser.add_argument("--all", action="store_true", help="Every unfinished batch; with list: finished ones too.")
        parser.add_argument("--json", action="store_true", help="One JSON object per batch.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            self._list(options)
            return
        try:
            chosen = [lifecycle.get_batch(word) for word in options["batch"]]
            if options["all"]:
                chosen += list(GenerationBatch.objects.unfinished())
            if not chosen and not options["all"]:
                raise InvalidRequest("Name a batch, or say --all.")
            for batch in chosen:
                said = ACTIONS[options["action"]](batch)
                self.stdout.write(f"{batch.pk} {batch.name}: {said}.")
        except InvalidRequest as exc:
            raise CommandError(str(exc), returncode=2) from None

    def _list(self, options: dict[str, Any]) -> None:
        shown = GenerationBatch.objects.with_counts().order_by("-id")
        if options["batch"]:
            try:
                shown = shown.filter(pk__in=[lifecycle.get_batch(word).pk for word in options["batch"]])
            except InvalidRequest as exc:
                raise CommandError(str(exc), returncode=2) from None
        elif not options["all"]:
            shown = shown[:20]
        batches = list(shown)
        costs = GenerationBatch.costs(batches)
        for batch in batches:
            cost = costs[batch.pk]
            self.stdout.write(json.dumps(_facts(batch, cost)) if options["json"] else _line(batch, cost))
        if not batches and not options["json"]:
            self.stdout.write("There are no batches. manage.py generate_assets --from FILE makes one.")


def _facts(batch: Any, cost: Cost) -> dict[str, Any]:
    return {
        "batch": str(batch.pk),
        "name": batch.name,
        "state": batch.state,
        "reason": batch.state_reason,
        "total": batch.total,
        "ready": batch.ready,
        "placeholders": batch.placeholders,
        "failed": batch.failed,
        "running": batch.running,
        "pending": batch.pending,
        "cancelled": batch.cancelled,
        **cost.facts(),
        "max_cost": batch.options.get("max_cost"),
        "created_at": batch.created_at.isoformat(),
    }


def _line(batch: Any, cost: Cost) -> str:
    limit = f" of at most ${batch.options['max_cost']}" if batch.options.get("max_cost") else ""
    text = (
        f"{batch.pk}  {batch.state:<9}  {batch.ready:,}/{batch.total:,} made, {batch.failed:,} failed, "
        f"{batch.running:,} running, {batch.pending:,} waiting, {cost}{limit}  {batch.name}"
    )
    return f"{text}\n    {one_line(batch.state_reason, 200)}" if batch.state_reason else text
