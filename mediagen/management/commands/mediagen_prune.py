"""manage.py mediagen_prune: old rows go, their money stays in sums."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.maintenance import pruning
from mediagen.errors import InvalidRequest
from mediagen.management.base import STOPPED, USAGE, MediagenCommand

DAYS = {"d": 1, "w": 7, "y": 365}


class Command(MediagenCommand):
    help = (
        "Takes rows away that are older than so many days: attempts whose cost is known, webhook messages, background "
        "jobs and alerts that are over. Budgets, batches and statistics keep their sums. Pictures and their assets "
        "stay. Asks first; by chunks, so that it can be stopped and run again. Exit code 2: bad usage; 3: stopped, or "
        "not confirmed."
    )
    examples = (
        "manage.py mediagen_prune --older-than 180d --dry-run",
        "manage.py mediagen_prune --older-than 2y --yes",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            required=True,
            metavar="AGE",
            help=f"180d, 26w or 2y; at least {pruning.FEWEST_DAYS}d.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say how many there are.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")
        parser.add_argument(
            "--chunk", type=int, default=pruning.CHUNK, metavar="N", help="Rows at once. Default: 1000."
        )
        parser.add_argument("--json", action="store_true", help="One JSON object at the end.")

    def handle(self, *args: Any, **options: Any) -> None:
        at = self._before(options["older_than"])
        if options["chunk"] < 1:
            raise CommandError("--chunk is a number of rows, at least 1.", returncode=USAGE)
        found = pruning.counts(at)
        if options["dry_run"]:
            self._say(found, "could go", options["json"])
            return
        if any(found.values()) and not options["yes"]:
            self._ask(found)
        removed = dict.fromkeys(found, 0)
        try:
            for kind in pruning.KINDS:
                last: Any = None
                while True:
                    number, last = pruning.prune_chunk(kind, at, last, options["chunk"])
                    removed[kind.name] += number
                    if last is None:
                        break
        except KeyboardInterrupt:
            self._say(removed, "gone", options["json"])
            raise CommandError("Stopped. The same command goes on.", returncode=STOPPED) from None
        self._say(removed, "gone", options["json"])

    @staticmethod
    def _before(text: str) -> Any:
        match = re.fullmatch(r"(\d{1,5})([dwy])", text.strip().lower())
        if match is None:
            raise CommandError(f"--older-than is 180d, 26w or 2y; not {text!r:.40}.", returncode=USAGE)
        try:
            return pruning.before(timedelta(days=int(match[1]) * DAYS[match[2]]))
        except (InvalidRequest, OverflowError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from None

    def _ask(self, found: dict[str, int]) -> None:
        if not sys.stdin or not sys.stdin.isatty():
            self._say(found, "would go", as_json=False)
            raise CommandError("Nobody is there to be asked. Add --yes.", returncode=STOPPED)
        self._say(found, "go for good", as_json=False)
        if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was taken away.", returncode=STOPPED)

    def _say(self, numbers: dict[str, int], what: str, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"event": what.replace(" ", "_"), **numbers}))
            return
        self.stdout.write(f"{', '.join(f'{number:,} {name}' for name, number in numbers.items())} {what}.")
