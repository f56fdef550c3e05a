"""manage.py generate_assets: prompts, or a file of them, become assets, and every picture or reason is told."""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import CommandError, CommandParser

from mediagen.engine.batches import FORMATS
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.management import batch_run, prompt_run
from mediagen.management.base import STOPPED, USAGE, MediagenCommand


class Command(MediagenCommand):
    help = (
        "Makes assets from prompts, or from a file of prompts, through the provider chain. Exit code 0: all were made; "
        "1: some failed; 2: bad usage or a wrong manifest, nothing was started; 3: stopped before the end (by Ctrl-C, "
        "SIGTERM, SIGHUP, a reader of its output that left, --limit, a budget, a pause, a full disk of the database): "
        "the same command goes on."
    )
    examples = (
        'manage.py generate_assets "A lighthouse in the fog" --size 1024x768',
        "manage.py generate_assets --from prompts.csv --max-cost 20 --live",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prompts", nargs="*", metavar="PROMPT", help="What the picture should show.")
        parser.add_argument(
            "--library", metavar="NAME", help="Name, slug or id of a library. Default: the default one."
        )
        parser.add_argument("--create-library", action="store_true", help="Make the library when it is missing.")
        parser.add_argument("--size", type=_size, metavar="WxH", help="Pixels. Default: 1024x1024.")
        parser.add_argument("--negative-prompt", default="", metavar="TEXT", help="What it should not show.")
        parser.add_argument("--seed", type=int, metavar="N", help="With --count the next pictures take N+1, N+2, ...")
        parser.add_argument(
            "--provider",
            action="append",
            metavar="NAME",
            help="Ask this one instead of the chain; several: in this order.",
        )
        parser.add_argument("--count", type=_positive, default=1, metavar="N", help="Pictures per prompt.")
        parser.add_argument(
            "--option", action="append", type=_pair, default=[], metavar="KEY=VALUE", help="An option of the provider."
        )
        parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="A tag for every asset.")
        parser.add_argument(
            "--again",
            action="store_true",
            help="Make all anew, although pictures of these prompts wait from an earlier run of the last day.",
        )
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--live", dest="dry_run", action="store_false", default=None, help="Ask the services. This may cost money."
        )
        mode.add_argument("--dry-run", dest="dry_run", action="store_true", help="Placeholders only; costs nothing.")
        parser.add_argument(
            "--concurrency", type=_positive, metavar="N", help="Pictures at once. Default: 4; batches: 16."
        )
        parser.add_argument("--json", action="store_true", help="One JSON object per line instead of text.")
        parser.add_argument(
            "--progress",
            choices=("auto", "plain", "none"),
            default="auto",
            help="Bars where there is a terminal (auto), lines, or only the end.",
        )
        self._add_batch_arguments(parser.add_argument_group("batches (see docs/batches.md)"))

    def _add_batch_arguments(self, group: Any) -> None:
        group.add_argument(
            "--from", dest="manifest", metavar="FILE", help="A .csv, .jsonl or .txt of prompts; - reads stdin."
        )
        group.add_argument("--format", choices=FORMATS, help="Of the file, where its name does not say.")
        group.add_argument(
            "--template", metavar="TEXT", help='Prompt made of columns: "A {colour} {animal} on a beach".'
        )
        group.add_argument(
            "--skip-invalid", action="store_true", help="Start although some rows are wrong, without them."
        )
        group.add_argument(
            "--check", action="store_true", help="Check the file and say what it may cost; start nothing."
        )
        group.add_argument("--name", default="", metavar="NAME", help="Name of the batch. Default: the file's.")
        group.add_argument("--new", action="store_true", help="Another batch, although this file was done before.")
        group.add_argument("--resume", metavar="ID", help="Go on with this batch (id or name).")
        group.add_argument("--retry-failed", action="store_true", help="Also make what failed or was cancelled.")
        group.add_argument("--limit", type=_positive, metavar="N", help="Stop after so many pictures.")
        group.add_argument("--max-cost", type=_money, metavar="USD", help="Never spend more on the whole batch.")
        group.add_argument("--enqueue", action="store_true", help="Leave the work to workers, and return.")
        group.add_argument("--result", metavar="FILE", help="Write a .csv or .jsonl of what became of every row.")

    def handle(self, *args: Any, **options: Any) -> None:
        is_batch = bool(options["manifest"] or options["resume"])
        if is_batch and options["prompts"]:
            raise CommandError("Give prompts, or --from, or --resume; not prompts with one of them.", returncode=USAGE)
        if not is_batch and not options["prompts"]:
            raise CommandError("Give a prompt, or --from FILE, or --resume ID.", returncode=USAGE)
        try:
            code, message = batch_run.run(self, options) if is_batch else prompt_run.run(self, options)
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. The same command goes on.", returncode=STOPPED) from None
        if code:
            raise CommandError(message, returncode=code)


def _size(text: str) -> tuple[int, int]:
    width, separator, height = text.lower().replace("\u00d7", "x").partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 1024x768.")
    return int(width), int(height)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1.")
    return int(text)


def _money(text: str) -> Decimal:
    try:
        amount = Decimal(text.lstrip("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount < 10**8:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of USD; write it as 12.50.")
    return amount


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is no option; write it as key=value.")
    return key.strip(), value
