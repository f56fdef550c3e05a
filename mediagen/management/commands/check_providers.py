"""manage.py check_providers: is every provider configured, does it answer, and what is to be done when not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen import conf
from mediagen.engine import get_media_engine
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.management.base import MediagenCommand


class Command(MediagenCommand):
    help = (
        "Asks every provider of the chain by calls that cost nothing. Exit code 0: all enabled providers that have a "
        "credential can serve now; 1: one cannot (it is not healthy, or its breaker is open); 2: bad usage. Those in "
        "dry run are not asked unless --live is given."
    )
    examples = (
        "manage.py check_providers",
        "manage.py check_providers flux --live --close",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("providers", nargs="*", metavar="NAME", help="Only these. Default: all.")
        parser.add_argument("--live", action="store_true", help="Ask the services also of those that run dry.")
        parser.add_argument(
            "--close",
            action="store_true",
            help="Close all breakers of those that are healthy, also what such a call cannot prove: when you have set "
            "things right at the service.",
        )
        parser.add_argument("--json", action="store_true", help="One JSON object per provider.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reports = get_media_engine().check_providers_sync(
                options["providers"] or None, live=options["live"], close=options["close"]
            )
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
            for breaker in report.breakers:
                self.stdout.write(f"   {_told(breaker)}")
        if not options["json"] and (note := _about_dry_run(reports, options["live"])):
            self.stdout.write(note)
        enabled = [report for report in reports if report.enabled]
        # Most sites have a key for one or two: those without one are no alarm, as long as somebody has one.
        sick = [report.name for report in enabled if not report.healthy and report.configured]
        if sick:
            raise CommandError(f"not healthy: {', '.join(sick)}", returncode=1)
        waiting = [report.name for report in enabled if report.configured and not report.can_serve]
        if waiting:
            raise CommandError(f"healthy, but not asked now (breaker open): {', '.join(waiting)}", returncode=1)
        real = [report for report in enabled if not report.placeholder]
        if real and not any(report.healthy for report in real):
            raise CommandError("no enabled provider has a credential.", returncode=1)


def _told(breaker: Any) -> str:
    state = breaker.state.replace("_", " ")
    until = f" until {breaker.until}" if breaker.until else ""
    when = f" at {breaker.last_failure_at}" if breaker.last_failure_at else ""
    of_model = f" of {breaker.model}" if breaker.model else ""
    return (
        f"breaker of {breaker.operation}{of_model}: {state}{until}; last failure{when}: {breaker.outcome}: "
        f"{breaker.reason.rstrip('.')}; {breaker.next}."
    )


def _about_dry_run(reports: list[Any], is_live: bool) -> str:
    """What a check and a run of this site have to do with each other."""
    dry = [report.name for report in reports if report.enabled and report.dry_run and not report.placeholder]
    if dry:
        return (
            f"Dry run, so placeholders are made here and nobody was asked: {', '.join(dry)}. --live asks the services."
        )
    if is_live and conf.default_dry_run():
        return (
            "The services were asked because of --live. This site runs dry: it makes placeholders until "
            "DRY_RUN_MODE=false, MEDIAGEN['DRY_RUN'] or a provider says otherwise."
        )
    return ""


def _state(report: Any) -> str:
    if not report.enabled:
        return "disabled"
    if not report.configured and not report.dry_run:
        return "not configured"
    if not report.healthy:
        return "NOT HEALTHY"
    return "healthy" if report.can_serve else "BREAKER OPEN"
