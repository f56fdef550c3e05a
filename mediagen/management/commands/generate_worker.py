"""manage.py generate_worker: works off waiting assets until it is told to stop."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.batches import lifecycle
from mediagen.engine.events import delivery
from mediagen.engine.exports import sending
from mediagen.engine.insight import alerts
from mediagen.engine.work import Event, Until, Worker, jobs, presence
from mediagen.errors import InvalidRequest
from mediagen.management.base import MediagenCommand
from mediagen.management.output import one_line
from mediagen.management.signals import run_until_told


class Command(MediagenCommand):
    help = (
        "Fills waiting assets, many at once, until SIGTERM, SIGHUP or Ctrl-C; then what is under way ends and it "
        "leaves with exit code 0. A second signal stops at once. Run as many as you like, on as many machines as you "
        "like."
    )
    examples = ("manage.py generate_worker --concurrency 32",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--concurrency", type=int, default=32, metavar="N", help="Pictures at once. Default: 32.")
        parser.add_argument("--batch", metavar="ID", help="Only this batch (id or name).")
        parser.add_argument("--until-done", action="store_true", help="Leave when nothing is left to do.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["concurrency"] < 1:
            raise CommandError("--concurrency must be 1 or more.", returncode=2)
        self.needs_our_tables()
        try:
            batch = lifecycle.get_batch(options["batch"]) if options["batch"] else None
        except InvalidRequest as exc:
            raise CommandError(str(exc), returncode=2) from None
        worker = Worker(batch_id=batch.pk if batch else None, concurrency=options["concurrency"], watch=self.note)
        self.stdout.write(f"{worker.name}: up to {options['concurrency']} pictures at once.")
        until = Until.DONE if options["until_done"] else Until.STOPPED
        chores = [
            delivery.keep_delivering,
            jobs.keep_working,
            sending.keep_sending,
            alerts.keep_looking,
            presence.keep_saying(worker.name),
        ]
        run_until_told(worker, until, self.stdout.write, chores=chores)
        if until is Until.DONE:
            jobs.work_off()
        self.stdout.write(f"{worker.name}: {worker.begun:,} begun, done.")

    def note(self, event: Event) -> None:
        if event.kind == "failed":
            self.stderr.write(f"{event.asset.asset_id} failed: {one_line(event.message, 300)}")
