"""A few prompts given on the command line."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management.base import OutputWrapper

from mediagen import http
from mediagen.engine import get_media_engine
from mediagen.engine.library.libraries import find_library, get_or_create_library
from mediagen.errors import GenerationFailed, InvalidRequest, LeaseLost, StorageFailed
from mediagen.management.output import Reporter, Result
from mediagen.management.reporting import reporter
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary
from mediagen.models.costs import NOTHING, Cost
from mediagen.types import AttemptState

SOME_FAILED = 1
BATCH_ONLY = (
    "format", "template", "skip_invalid", "check", "name", "new", "retry_failed", "limit", "max_cost", "enqueue",
    "result",
)  # fmt: skip


def run(out: OutputWrapper, err: OutputWrapper, options: dict[str, Any]) -> tuple[int, str]:
    """(exit code, what to say with it). `InvalidRequest` before anything is started."""
    for name in BATCH_ONLY:
        if options[name]:
            raise InvalidRequest(f"--{name.replace('_', '-')} goes with --from or --resume.")
    engine = get_media_engine()
    engine.check_options(dict(options["option"]), options["provider"])
    library = chosen_library(options)
    width, height = options["size"] or (1024, 1024)
    orders = [
        {
            "prompt": prompt,
            "width": width,
            "height": height,
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
    report = reporter(out, len(orders), options)
    with report:
        results = async_to_sync(_run)(orders, options["concurrency"] or 4, report)
    report.summary(results)
    failed = sum(1 for result in results if not result.made)
    return (SOME_FAILED, f"{failed} of {len(results)} assets failed.") if failed else (0, "")


def chosen_library(options: dict[str, Any]) -> MediaLibrary | None:
    """What --library names; None without it. `InvalidRequest` when it is missing and must not be made."""
    if not options["library"]:
        return None
    library = find_library(options["library"])
    if library is None and not options["create_library"]:
        raise InvalidRequest(f"There is no media library {options['library']!r}. Add --create-library to make it.")
    return library or get_or_create_library(options["library"])


async def _run(orders: list[dict[str, Any]], concurrency: int, report: Reporter) -> list[Result]:
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
    except (LeaseLost, StorageFailed) as exc:
        error = str(exc)
    seconds = time.monotonic() - began
    attempts = [] if asset is None else [attempt async for attempt in GenerationAttempt.objects.of(asset)]
    return Result(
        prompt=order["prompt"],
        asset_id=asset.asset_id if asset else "",
        made=not error,
        provider=asset.provider_name if asset else "",
        model=asset.model_name if asset else "",
        placeholder=bool(asset and asset.is_placeholder),
        dry_run=bool(asset and asset.dry_run),
        attempts=sum(attempt.state != AttemptState.SKIPPED for attempt in attempts),
        cost=sum(map(Cost.of, attempts), NOTHING),
        seconds=seconds,
        file=where(asset) if asset else "",
        error=error,
    )


def where(asset: MediaAsset) -> str:
    """A path where there is one, else the name in the storage; "" without a file."""
    if not asset.file:
        return ""
    try:
        return str(asset.file.path)
    except NotImplementedError:
        return str(asset.file.name)
