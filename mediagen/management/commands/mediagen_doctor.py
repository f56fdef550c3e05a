"""manage.py mediagen_doctor: everything that is wrong or will be, each with the next step and its command."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.insight import ORDER, Finding, Level, doctor
from mediagen.management.base import MediagenCommand

SIGNS = {Level.ERROR: "ERROR  ", Level.WARNING: "WARNING", Level.NOTE: "note   "}


class Command(MediagenCommand):
    help = (
        "Says everything that is wrong on this site or will be, each with the next step and a command: database, "
        "migrations, settings, storage, providers, keys, breakers, budgets, unknown outcomes, batches, workers, task "
        "engine, webhooks, price tables, and what runs dry and why. Nothing that is billed is asked for. Exit code 0: "
        "no error; 1: there are errors; 2: bad usage."
    )
    examples = ("manage.py mediagen_doctor", "manage.py mediagen_doctor --json --fail-level warning")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--offline",
            action="store_true",
            help="Ask nobody: no provider, no task engine, no file in the storage. Only what rows and settings show.",
        )
        parser.add_argument(
            "--fail-level",
            choices=("error", "warning"),
            default="error",
            help="From which level on the exit code is 1. Default: error.",
        )
        parser.add_argument("--json", action="store_true", help="One JSON object per finding, then a summary.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = doctor.examine(ask=not options["offline"])
        counts = Counter(finding.level for finding in found)
        if options["json"]:
            for finding in found:
                self.stdout.write(json.dumps({"event": "finding", **asdict(finding)}))
            numbers = {f"{level.value}s": counts[level] for level in Level}
            self.stdout.write(json.dumps({"event": "summary", **numbers}))
        else:
            for finding in found:
                self._say(finding)
            self.stdout.write(_summary(counts))
        if counts[Level.ERROR] or (options["fail_level"] == "warning" and counts[Level.WARNING]):
            raise CommandError(_summary(counts).rstrip("."), returncode=1)

    def _say(self, finding: Finding) -> None:
        style = {Level.ERROR: self.style.ERROR, Level.WARNING: self.style.WARNING}.get(finding.level, str)
        self.stdout.write(f"{style(SIGNS[finding.level])} {finding.what} ({finding.code})")
        if finding.next_step:
            self.stdout.write(f"        {finding.next_step}")
        if finding.command:
            self.stdout.write(f"        $ {finding.command}")


def _summary(counts: Counter[Level]) -> str:
    if not counts[Level.ERROR] and not counts[Level.WARNING]:
        return "Nothing is wrong."
    return ", ".join(f"{counts[level]} {level.value}{'s' * (counts[level] != 1)}" for level in ORDER[:2]) + "."
