"""manage.py mediagen_settle: attempts of which nobody knows what they cost, and your word for it."""

from __future__ import annotations

import getpass
import json
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.generation import Unsettled, settling
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.management.base import MediagenCommand
from mediagen.management.output import one_line
from mediagen.models import GenerationAttempt
from mediagen.models.costs import cost_of, text_of, usd

SHOWN = 50
AS_HELD = "as held"


class Command(MediagenCommand):
    help = (
        "Without ids: lists the attempts that may have been billed and of which nobody knows what they cost, with "
        "where to look. With ids and one of --billed, --not-billed and --look: settles them. Exit code 1: not all of "
        "them; 2: bad usage, nothing was done."
    )
    examples = (
        "manage.py mediagen_settle",
        "manage.py mediagen_settle 01a20404-8da1-7f3b-a702-9254e98a762d --billed 0.034",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("attempt", nargs="*", metavar="ID", help="Of attempts.")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--billed",
            nargs="?",
            const=AS_HELD,
            metavar="USD",
            help="Each was billed, at this price; without one, at what was held for it.",
        )
        how.add_argument("--not-billed", action="store_true", help="None was billed.")
        how.add_argument("--look", action="store_true", help="Look for their jobs at the provider; nothing is bought.")
        parser.add_argument("--by", metavar="NAME", help="Who says so. Default: who runs the command.")
        parser.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"Lists N. Default: {SHOWN}.")
        parser.add_argument("--json", action="store_true", help="One JSON object per attempt.")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = [name for name in ("billed", "not_billed", "look") if options[name]]
        if bool(chosen) != bool(options["attempt"]):
            raise CommandError(
                "Say ids and one of --billed, --not-billed and --look; or neither, for the list.", returncode=2
            )
        if not chosen:
            self._list(options)
            return
        try:
            price = self._price(options)
        except InvalidRequest as exc:
            raise CommandError(str(exc), returncode=2) from None
        failed = sum(not self._settled(word, chosen[0], price, options) for word in options["attempt"])
        if failed:
            raise CommandError(f"{failed} of {len(options['attempt'])} were not settled.", returncode=1)

    def _price(self, options: dict[str, Any]) -> Decimal | None:
        """USD for each; None: what was held."""
        if options["not_billed"]:
            return Decimal(0)
        return None if options["billed"] in (None, AS_HELD) else settling.checked(options["billed"])

    def _settled(self, word: str, how: str, price: Decimal | None, options: dict[str, Any]) -> bool:
        by = options["by"] or f"{_who()} (command line)"
        try:
            look, settle = settling.look_again, settling.settle
            row = look(word, by=by) if how == "look" else settle(word, cost=price, by=by)
        except MediagenError as exc:
            self.stderr.write(str(exc))
            return False
        self._show(row)
        return how != "look" or row.state not in ("unknown", "submitted")  # the second: found, and not stored

    def _show(self, row: GenerationAttempt) -> None:
        cost = "unknown cost" if row.cost is None else usd(row.cost)
        self.stdout.write(f"{row.pk}  {row.state}  {cost}  {row.provider_name}")

    def _list(self, options: dict[str, Any]) -> None:
        rows = settling.waiting()
        shown = settling.described(rows[: max(options["limit"], 1)])
        for one in shown:
            self.stdout.write(json.dumps(_facts(one)) if options["json"] else _line(one))
        if options["json"]:
            return
        if not shown:
            self.stdout.write("Of every attempt it is known what it cost.")
            return
        left = rows.count() - len(shown)
        more = f" {left:,} more are not shown (--limit)." if left else ""
        self.stdout.write(f"{len(shown)} of them; all may have cost {cost_of(rows)}.{more}")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "somebody"


def _facts(one: Unsettled) -> dict[str, Any]:
    row = one.attempt
    return {
        "attempt": str(row.pk),
        "asset": None if row.asset_id is None else str(row.asset_id),
        "provider": row.provider_name,
        "model": row.model_name,
        "state": row.state,
        "outcome": row.outcome,
        "job": row.provider_job_id,
        "started_at": row.started_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
        "possible_cost": text_of(row.cost if row.cost is not None else row.cost_held),
        "look_at": one.look_at,
        "can_look": one.can_look,
        "message": row.message,
    }


def _line(one: Unsettled) -> str:
    row = one.attempt
    price = row.cost if row.cost is not None else row.cost_held
    cost = "price unknown" if price is None else f"up to {usd(price)}"
    said = f"{row.outcome or row.state}, {cost}: {one_line(row.message, 100)}"
    look = "; --look asks for it" if one.can_look else ""
    return f"{row.pk}  {row.provider_name} {row.model_name}  {said}\n    {one.where}{look}"
