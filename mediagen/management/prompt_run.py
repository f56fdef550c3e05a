"""A few prompts given on the command line."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from mediagen.engine.generation import AssetOrder, Run, check_options, earlier
from mediagen.engine.library import find_library, get_library, get_or_create_library, library_called
from mediagen.engine.work import CallersWorker, Event, Until
from mediagen.errors import InvalidRequest
from mediagen.factory import get_media_generator_chain
from mediagen.management.base import SOME_FAILED, STOPPED, MediagenCommand
from mediagen.management.output import Reporter, Result
from mediagen.management.reporting import reporter
from mediagen.management.signals import run_until_told
from mediagen.models import MediaAsset, MediaLibrary, MediaTag

DEFAULT_CONCURRENCY = 4
BATCH_ONLY = (
    "format", "template", "skip_invalid", "check", "name", "new", "retry_failed", "limit", "max_cost", "enqueue",
    "result",
)  # fmt: skip


def run(command: MediagenCommand, options: dict[str, Any]) -> tuple[int, str]:
    """(exit code, what to say with it). `InvalidRequest` before anything is started."""
    for name in BATCH_ONLY:
        if options[name]:
            raise InvalidRequest(f"--{name.replace('_', '-')} goes with --from or --resume.")
    orders = _orders(options)
    chain = get_media_generator_chain(options["provider"], dry_run=options["dry_run"])
    check_options(chain, dict(options["option"]))
    library = chosen_library(options) or get_library(None)
    orders = [replace(order, library_id=library.pk) for order in orders]
    report = reporter(command.stdout, len(orders), options)
    run = _chosen_run(command, orders, options, report)
    results: list[Result] = []

    def note(event: Event) -> None:
        command.reader.look()
        if event.kind in ("ready", "failed", "lost"):
            results.append(_result(event))
            report.done(results[-1])

    worker = CallersWorker.of(run.todo, options["concurrency"] or DEFAULT_CONCURRENCY)
    worker.watch = note
    with report:
        why = run_until_told(worker, Until.DONE, report.say, reader=command.reader)
    made = [result for result in results if result.made]
    failed = len(results) - len(made)
    waiting = len(run.todo) - len(results)
    report.summary(results, earlier=len(run.made), waiting=waiting)
    if waiting and why:
        text = f"Stopped ({why}) with {waiting} of {len(run.pictures)} not made: they wait. The same command goes on."
        return STOPPED, text
    if failed or waiting:
        elsewhere = f" {waiting} are being made by somebody else." if waiting else ""
        return SOME_FAILED, f"{failed} of {len(run.todo)} assets failed.{elsewhere}"
    return 0, ""


def _orders(options: dict[str, Any]) -> list[AssetOrder]:
    width, height = options["size"] or (1024, 1024)
    orders = [
        AssetOrder.of(
            prompt,
            width,
            height,
            negative_prompt=options["negative_prompt"],
            seed=None if options["seed"] is None else options["seed"] + number,
            providers=options["provider"],
            tags=options["tag"],
            dry_run=options["dry_run"],
            **dict(options["option"]),
        )
        for prompt in options["prompts"]
        for number in range(options["count"])
    ]
    MediaTag.objects.clean_names(options["tag"])
    return orders


def _chosen_run(command: MediagenCommand, orders: list[AssetOrder], options: dict[str, Any], report: Reporter) -> Run:
    """What is to be made: with what waits from an earlier run, unless the person wants all of it anew."""
    found = None if options["again"] else earlier.look_back(orders)
    if found is None:
        return earlier.anew(orders)
    report.found(len(found.waiting), len(found.made), earlier.bought(found), found.begun_at)
    asks = command.stdout.isatty() and sys.stdin is not None and sys.stdin.isatty() and not options["json"]
    return earlier.anew(orders) if asks and _answer() else found


def _answer() -> bool:
    """Whether the person wants all of it again."""
    while True:
        try:
            word = input("Resume it, or make all of it again? [R/a] ").strip().lower()
        except EOFError:
            return False
        if word in ("", "r", "resume"):
            return False
        if word in ("a", "again"):
            return True


def chosen_library(options: dict[str, Any]) -> MediaLibrary | None:
    """What --library names; None without it. `InvalidRequest` when it is missing and must not be made."""
    if not options["library"]:
        return None
    if options["create_library"]:
        return find_library(options["library"]) or get_or_create_library(options["library"])
    return library_called(options["library"], "Add --create-library to make it.")


def _result(event: Event) -> Result:
    asset, made = event.asset, event.kind == "ready"
    return Result(
        prompt=asset.prompt,
        asset_id=asset.asset_id,
        made=made,
        provider=asset.provider_name,
        model=asset.model_name,
        placeholder=asset.is_placeholder,
        dry_run=asset.dry_run,
        attempts=event.attempts,
        cost=event.cost,
        seconds=event.seconds,
        file=where(asset),
        error=event.message,
    )


def where(asset: MediaAsset) -> str:
    """A path where there is one, else the name in the storage; "" without a file."""
    if not asset.file:
        return ""
    try:
        return str(asset.file.path)
    except NotImplementedError:
        return str(asset.file.name)
