"""manage.py generate_assets "a lighthouse": prompts become assets, and every picture or reason is told."""

from __future__ import annotations

import argparse
import asyncio
import time
from decimal import Decimal
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mediagen import http
from mediagen.engine import get_media_engine
from mediagen.engine.libraries import find_library, get_or_create_library
from mediagen.errors import ConfigurationError, GenerationFailed, InvalidRequest, LeaseLost
from mediagen.management.output import Result, reporter
from mediagen.models import GenerationAttempt, MediaAsset
from mediagen.types import AttemptState

USAGE = 2
SOME_FAILED = 1


class Command(BaseCommand):
    help = (
        "Makes assets from prompts through the provider chain. Exit code 0: all were made; 1: some failed; 2: bad "
        "usage, nothing was started."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prompts", nargs="+", metavar="PROMPT", help="What the picture should show.")
        parser.add_argument("--library", metavar="NAME", help="Name, slug or id of a library. Default: the default one.")
        parser.add_argument("--create-library", action="store_true", help="Make the library when it is missing.")
        parser.add_argument("--size", type=_size, default=(1024, 1024), metavar="WxH", help="Pixels. Default: 1024x1024.")
        parser.add_argument("--negative-prompt", default="", metavar="TEXT", help="What it should not show.")
        parser.add_argument("--seed", type=int, metavar="N", help="With --count the next pictures take N+1, N+2, ...")
        parser.add_argument(
            "--provider", action="append", metavar="NAME", help="Ask this one instead of the chain; several: in this order."
        )
        parser.add_argument("--count", type=_positive, default=1, metavar="N", help="Pictures per prompt.")
        parser.add_argument(
            "--option", action="append", type=_pair, default=[], metavar="KEY=VALUE", help="An option of the provider."
        )
        parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="A tag for every asset.")
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument(
            "--live", dest="dry_run", action="store_false", default=None, help="Ask the services. This may cost money."
        )
        mode.add_argument("--dry-run", dest="dry_run", action="store_true", help="Placeholders only; costs nothing.")
        parser.add_argument("--concurrency", type=_positive, default=4, metavar="N", help="Pictures at once. Default: 4.")
        parser.add_argument("--json", action="store_true", help="One JSON object per line instead of text.")

    def handle(self, *args: Any, **options: Any) -> None:
        engine = get_media_engine()
        try:
            engine.check_options(dict(options["option"]), options["provider"])
            library = find_library(options["library"]) if options["library"] else None
            if options["library"] and library is None:
                if not options["create_library"]:
                    raise InvalidRequest(
                        f"There is no media library {options['library']!r}. Add --create-library to make it."
                    )
                library = get_or_create_library(options["library"])
            orders = [
                {
                    "prompt": prompt,
                    "width": options["size"][0],
                    "height": options["size"][1],
                    "library_id": library.pk if library else None,
                    "negative_prompt": options["negative_prompt"],
                    "seed": None if options["seed"] is None else options["seed"] + number,
                    "providers": options["provider"],
                    "tags": options["tag"],
                    "dry_run": options["dry_run"],
                    **dict(options["option"]),
                }
                for prompt in options["prompts"]
                for number in range(options["count"])
            ]
            for order in orders:
                engine.check_order(**order)
        except (InvalidRequest, ConfigurationError) as exc:
            raise CommandError(str(exc), returncode=USAGE) from None
        report = reporter(self.stdout, len(orders), as_json=options["json"], no_color=options["no_color"])
        with report:
            results = async_to_sync(_run)(orders, options["concurrency"], report)
        report.summary(results)
        failed = sum(1 for result in results if not result.made)
        if failed:
            raise CommandError(f"{failed} of {len(results)} assets failed.", returncode=SOME_FAILED)


async def _run(orders: list[dict[str, Any]], concurrency: int, report: Any) -> list[Result]:
    free = asyncio.Semaphore(concurrency)

    async def one(order: dict[str, Any]) -> Result:
        async with free:
            result = await _make(order)
        report.done(result)
        return result

    # One session for all: connections to a provider are used again from picture to picture.
    async with http.session():
        return await asyncio.gather(*(one(order) for order in orders))


async def _make(order: dict[str, Any]) -> Result:
    began = time.monotonic()
    asset: MediaAsset | None = None
    error = ""
    try:
        asset = await get_media_engine().generate_asset(**order)
    except GenerationFailed as exc:
        asset, error = exc.asset, str(exc)
    except LeaseLost as exc:
        error = str(exc)
    seconds = time.monotonic() - began
    asked = 0
    if asset is not None:
        asked = await GenerationAttempt.objects.of(asset).exclude(state=AttemptState.SKIPPED).acount()
    return Result(
        prompt=order["prompt"],
        asset_id=asset.asset_id if asset else "",
        made=not error,
        provider=asset.provider_name if asset else "",
        model=asset.model_name if asset else "",
        placeholder=bool(asset and asset.is_placeholder),
        attempts=asked,
        cost=asset.cost if asset else Decimal(0),
        seconds=seconds,
        file=_where(asset) if asset and asset.file else "",
        error=error,
    )


def _where(asset: MediaAsset) -> str:
    """A path where there is one, else the name in the storage."""
    try:
        return str(asset.file.path)
    except NotImplementedError:
        return str(asset.file.name)


def _size(text: str) -> tuple[int, int]:
    width, separator, height = text.lower().replace("\u00d7", "x").partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write it as 1024x768.")
    return int(width), int(height)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1.")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is no option; write it as key=value.")
    return key.strip(), value
