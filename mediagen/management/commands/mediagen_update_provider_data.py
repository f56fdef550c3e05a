"""manage.py mediagen_update_provider_data: newer tables of models, prices and ends, from vendors that have an API."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import CommandError, CommandParser

from mediagen.engine.providers import update_tables
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.management.base import SOME_FAILED, USAGE, MediagenCommand


class Command(MediagenCommand):
    help = (
        "Asks vendors for their present models, prices and ends by calls that cost nothing, and keeps them in the "
        'folder MEDIAGEN["PROVIDER_DATA_DIR"]. A table that cannot be had leaves the old one in force. Exit code 0: '
        "whoever was asked answered; 1: one did not; 2: bad usage. Providers in dry run are not asked without --live."
    )
    examples = ("manage.py mediagen_update_provider_data openai_images gemini",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("providers", nargs="*", metavar="NAME", help="Only these. Default: all that are enabled.")
        parser.add_argument("--live", action="store_true", help="Ask the services also of those that run dry.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reports = async_to_sync(update_tables)(options["providers"] or None, live=options["live"])
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from None
        for report in reports:
            self.stdout.write(f"{report.adapter}: {report.detail}")
        if failed := [report.adapter for report in reports if not report.ok]:
            raise CommandError(f"no newer table of {', '.join(failed)}.", returncode=SOME_FAILED)
