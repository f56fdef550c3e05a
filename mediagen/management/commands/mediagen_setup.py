"""manage.py mediagen_setup: which providers have a key, what they cost, and the order in which they might be asked."""

from __future__ import annotations

import re
import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.insight import Proposal, propose, write
from mediagen.management.base import USAGE, MediagenCommand
from mediagen.models import ProviderConfig


class Command(MediagenCommand):
    help = (
        "Lists the providers with their keys, prices and times, says which models their vendors end, proposes an order "
        "(those with a key first, the cheap before the dear, the quick before the slow), and writes it on a yes. "
        "Nobody is asked, and nothing but the order changes."
    )
    examples = ("manage.py mediagen_setup --size 1920x1080",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--size", default="1024x1024", metavar="WxH", help="Prices of which size. 1024x1024.")
        parser.add_argument("--yes", action="store_true", help="Write the order without asking.")

    def handle(self, *args: Any, **options: Any) -> None:
        size = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", options["size"].lower())
        if size is None:
            raise CommandError(f"--size must be WxH in pixels, not {options['size']!r:.40}.", returncode=USAGE)
        order = propose(int(size[1]), int(size[2]))
        for place, row in enumerate(order, start=1):
            self._say(place, row)
        if not any(row.is_ready for row in order):
            self.stdout.write(
                "No provider has a key yet: set one in the environment or in the admin. See docs/quickstart.md."
            )
        now = list(ProviderConfig.objects.in_chain_order().values_list("pk", flat=True))
        if [row.config.pk for row in order] == now:
            self.stdout.write("This is the order already.")
            return
        if options["yes"] or self._is_wanted():
            write(order)
            self.stdout.write("Written: this is the order now.")
        else:
            self.stdout.write("Nothing was changed. --yes writes it.")

    def _say(self, place: int, row: Proposal) -> None:
        price = "price unknown" if row.usd is None else f"up to ${row.usd.normalize():f}"
        if not row.is_ready and row.usd is None:
            price = ""
        took = "" if row.seconds is None else f"{row.seconds:g} s"
        key = "" if row.key == "missing" else f"key: {row.key}"
        facts = [row.why, key, row.model, price, took]
        self.stdout.write(f"{place}. {row.config.name:<16} {', '.join(fact for fact in facts if fact)}")
        if row.problem:
            self.stdout.write(f"   {row.problem}")
        if (end := row.model_end) is not None:
            when = "without a day yet" if end.day is None else f"on {end.day}"
            said = f"its vendor ended {end.model} {when}" if end.is_over else f"its vendor ends {end.model} {when}"
            self.stdout.write(f"   {said}: choose another model.")

    def _is_wanted(self) -> bool:
        """A person's word; no where nobody can be asked."""
        if not sys.stdin.isatty():
            return False
        self.stdout.write("Write this order? [y/N] ", ending="")
        self.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")
