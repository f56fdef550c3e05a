"""manage.py check_providers: is every provider configured, does it answer, and what is to be done when not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine import get_media_engine
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.management.base import MediagenCommand


class Command(MediagenCommand):
    help = (
        "Asks every provider of the chain by calls that cost nothing. Exit code 0: all enabled providers that have a "
        "credential are healthy; 1: one is not; 2: bad usage. Those in dry run are not asked unless --live is given."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("providers", nargs="*", metavar="NAME", help="Only these. Default: all.")
        parser.add_argument("--live", action="store_true", help="Ask the services also of those that run dry.")
        parser.add_argument("--json", action="store_true", help="One JSON object per provider.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reports = get_media_engine().check_providers_sync(options["providers"] or None, live=options["live"])
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=2) from None
        for report in reports:
            if options["json"]:
                self.stdout.write(json.dumps(asdict(report)))
                continue
            self.stdout.write(
                f"{report.position}. {report.name:<16} {_state(report):<15} "
                f"{'dry run' if report.dry_run else 'live':<8} {report.model}"
            )
            if report.detail:
                self.stdout.write(f"   {report.detail}")
        enabled = [report for report in reports if report.enabled]
        # Most sites have a key for one or two: those without one are no alarm, as long as somebody has one.
        sick = [report.name for report in enabled if not report.healthy and report.configured]
        if sick:
            raise CommandError(f"not healthy: {', '.join(sick)}", returncode=1)
        real = [report for report in enabled if not report.placeholder]
        if real and not any(report.healthy for report in real):
            raise CommandError("no enabled provider has a credential.", returncode=1)


def _state(report: Any) -> str:
    if not report.enabled:
        return "disabled"
    if not report.configured and not report.dry_run:
        return "not configured"
    return "healthy" if report.healthy else "NOT HEALTHY"
