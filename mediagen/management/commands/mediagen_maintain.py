"""manage.py mediagen_maintain: sets right what crashes leave. Run it from cron, or with --every."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.maintenance import sweep
from mediagen.management.base import DISK_IS_FULL, STOPPED, MediagenCommand

SENTENCES = {
    "requeued": "assets of workers that are gone wait again",
    "pictures_kept": "stored pictures got their rows",
    "jobs_fetched": "pictures that were bought were fetched",
    "files_removed": "files that no asset knows were removed",
    "attempts_closed": "attempts that nobody will end were marked unknown",
    "accounts_corrected": "accounts were corrected",
    "batches_finished": "batches are finished",
    "deleted_purged": "assets deleted long ago were removed with their files",
    "webhooks_sent": "webhooks were sent",
    "job_files_removed": "zips that were too old were removed",
    "answers_removed": "kept answers that were too old were removed",
    "originals_removed": "files as they came that were too old were removed",
    "looked_at": "pictures of an earlier version were looked at, so that near ones are found",
    "kicked": "assets were told to the task engine",
    "exports_ended": "exports that waited too long were ended",
    "alerts_open": "open alerts; manage.py mediagen_doctor says which",
    "exports_told": "waiting exports were told to the task engine",
}


class Command(MediagenCommand):
    help = (
        "Puts stale work back to waiting, keeps pictures that were stored and not recorded, removes files nobody "
        "knows, ends what no process will end, and tells the task engine of waiting work. Safe at any time."
    )
    examples = (
        "manage.py mediagen_maintain",
        "manage.py mediagen_maintain --every 300",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=float, metavar="SECONDS", help="Again and again, until it is stopped.")
        parser.add_argument("--json", action="store_true", help="One JSON object per run.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["every"] is not None and options["every"] <= 0:
            raise CommandError("--every must be more than 0 seconds.", returncode=2)
        self.needs_our_tables()
        while True:
            report = asdict(sweep.maintain())
            if options["json"]:
                self.stdout.write(json.dumps(report))
            else:
                done = [f"{report[name]:,} {text}." for name, text in SENTENCES.items() if report[name]]
                done += [f"  {correction}" for correction in report["corrections"]]
                self.stdout.write("\n".join(done) or "Nothing was to be done.")
            failed = "; ".join(report["failed"])
            if options["every"] is None:
                if failed:
                    if report["disk_is_full"]:
                        raise CommandError(f"{DISK_IS_FULL} Not done: {failed}.", returncode=STOPPED)
                    raise CommandError(f"Not everything could be done ({failed}). The log says why.")
                return
            if failed:
                self.stderr.write(f"Not everything could be done ({failed}). The log says why.")
            try:
                time.sleep(options["every"])
            except KeyboardInterrupt:
                return
