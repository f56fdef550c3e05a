"""manage.py mediagen_rehearse: what the chain would do if a provider failed, in a second and for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.insight import MOST_PICTURES, Rehearsal, RehearsedPicture, rehearse
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.management.base import USAGE, MediagenCommand
from mediagen.models.costs import usd


class Command(MediagenCommand):
    help = (
        "The chain as it is ordered now, asked for pictures while providers fail as you choose: by the chain's own "
        "rules, with actors for the providers. Nothing leaves this site, nothing is stored, and no breaker moves. Exit "
        "code 0: every picture came; 1: one did not, or is a placeholder; 2: bad usage."
    )
    examples = (
        "manage.py mediagen_rehearse",
        "manage.py mediagen_rehearse first_limited --pictures 5 --every 20",
        "manage.py mediagen_rehearse all_well --provider flux=hangs --json",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "scenario",
            nargs="?",
            default="first_down",
            help="Default: first_down. A wrong one lists all.",
        )
        parser.add_argument("--pictures", type=int, default=3, metavar="N", help=f"1 to {MOST_PICTURES}. Default: 3.")
        parser.add_argument("--every", type=float, default=10.0, metavar="SECONDS", help="One so often. Default: 10.")
        parser.add_argument(
            "--provider", action="append", default=[], metavar="NAME=BEHAVIOUR", help="How a single one behaves."
        )
        parser.add_argument("--json", action="store_true", help="One JSON object per picture, then a summary.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            found = rehearse(
                options["scenario"],
                behaviours=dict(_pairs(options["provider"])),
                pictures=options["pictures"],
                every_s=options["every"],
            )
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from None
        for picture in found.pictures:
            self.stdout.write(json.dumps(_facts(picture)) if options["json"] else "\n".join(_lines(picture)))
        self.stdout.write(json.dumps({"event": "summary", **_sums(found)}) if options["json"] else _summary(found))
        if missing := found.failed + found.placeholders:
            raise CommandError(f"{missing} of {len(found.pictures)} would not be real pictures.", returncode=1)


def _pairs(words: list[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, equals, behaviour = word.partition("=")
        if not equals:
            raise InvalidRequest(f"--provider must be NAME=BEHAVIOUR, not {word!r:.60}.", field="behaviours")
        yield name, behaviour


def _lines(picture: RehearsedPicture) -> Iterator[str]:
    who = picture.served_by or "NOBODY"
    what = f"{who} (placeholder)" if picture.is_placeholder else who
    after = f"after {picture.took_s:.1f} s, {usd(picture.cost)}"
    yield f"{picture.number}. asked at {picture.asked_at_s:.0f} s: by {what} {after}"
    for attempt in picture.attempts:
        if attempt.was_asked or "breaker" in attempt.message:
            said = f": {attempt.message}" if attempt.message else ""
            yield f"   {attempt.provider:<16} {attempt.outcome:<13} {attempt.took_s:.1f} s{said}"


def _facts(picture: RehearsedPicture) -> dict[str, Any]:
    return {
        "event": "picture",
        "number": picture.number,
        "asked_at_s": round(picture.asked_at_s, 3),
        "took_s": round(picture.took_s, 3),
        "served_by": picture.served_by or None,
        "is_placeholder": picture.is_placeholder,
        "cost": str(picture.cost),
        "possible_cost": str(picture.possible),
        "attempts": [
            {"provider": attempt.provider, "outcome": attempt.outcome, "took_s": round(attempt.took_s, 3)}
            for attempt in picture.attempts
            if attempt.was_asked
        ],
    }


def _sums(found: Rehearsal) -> dict[str, Any]:
    return {
        "served": found.served,
        "placeholders": found.placeholders,
        "failed": found.failed,
        "cost": str(found.cost),
        "possible_cost": str(found.possible),
    }


def _summary(found: Rehearsal) -> str:
    beside = f", and up to {usd(found.possible)} for what got lost" if found.possible else ""
    return (
        f"{found.served} real, {found.placeholders} placeholders, {found.failed} failed, in {found.took_s:.0f} s; "
        f"it would cost {usd(found.cost)}{beside}."
    )
