"""A batch from the command line: check, estimate, load, run, and say what became of every row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

from django.core.management.base import OutputWrapper

from mediagen.engine.batches import (
    Checker,
    InvalidRow,
    Manifest,
    ManifestRow,
    ResultWriter,
    ValidationReport,
    checked_rows,
    lifecycle,
    open_manifest,
    options_by_provider,
    validate,
)
from mediagen.engine.dispatch import task_engine
from mediagen.engine.generation import estimates
from mediagen.engine.library import find_library
from mediagen.engine.work import Event, Until, Worker
from mediagen.errors import InvalidRequest
from mediagen.management.base import SOME_FAILED, STOPPED, MediagenCommand
from mediagen.management.prompt_run import chosen_library, where
from mediagen.management.reporting import progress_for
from mediagen.management.signals import run_until_told
from mediagen.models import BatchState, GenerationBatch, MediaAsset

DEFAULT_CONCURRENCY = 16


def run(command: MediagenCommand, options: dict[str, Any]) -> tuple[int, str]:
    """(exit code, what to say with it). `InvalidRequest` (a `ManifestError` with its lines) before anything starts."""
    say = _Say(command.stdout, options["json"])
    for name in ("operation", "source", "mask", "factor", "extend"):
        if options[name]:
            raise InvalidRequest(f"--{name} goes with prompts. A file says it in its columns.")
    if options["again"]:
        raise InvalidRequest("--again goes with prompts. Of a file, --new makes another batch.")
    with ExitStack() as stack:
        manifest: Manifest | None = None
        if options["manifest"]:
            manifest = stack.enter_context(
                open_manifest(options["manifest"], template=options["template"], format=options["format"])
            )
        batch = lifecycle.get_batch(options["resume"]) if options["resume"] else None
        if batch is not None:
            _check_same(batch, manifest)
            lifecycle.set_max_cost(batch, options["max_cost"])
        if batch is None or (manifest is not None and batch.state == BatchState.LOADING):
            assert manifest is not None  # noqa: S101 - the command asks for one of the two
            batch = _open(manifest, batch, options, say)
            if batch is None:
                return 0, ""
        return _work(batch, manifest, options, say, command)


def _check_same(batch: GenerationBatch, manifest: Manifest | None) -> None:
    if manifest is None:
        if batch.state == BatchState.LOADING:
            raise InvalidRequest(
                f"The manifest of batch {batch.pk} was not loaded to its end. Give it again: --from {batch.file_name}"
            )
        return
    if manifest.digest != batch.file_digest:
        raise InvalidRequest(
            f"{manifest.name} is not the file that batch {batch.pk} was made of ({batch.file_name}): it has changed. "
            "Leave --from out to go on with the batch as it is, or leave --resume out to make a new batch of the file."
        )


def _open(
    manifest: Manifest, batch: GenerationBatch | None, options: dict[str, Any], say: _Say
) -> GenerationBatch | None:
    """The loaded batch of the manifest; None when it was only to be checked."""
    defaults = _defaults(options)
    rules = _rules(defaults)
    report = validate(manifest, **rules)
    if not report.ok:
        if report.is_fatal or not options["skip_invalid"]:
            raise report.error(manifest.name)
        say.problems(report)
    estimate = estimates.estimate(row.order() for row in _rows(manifest, rules))
    say.estimate(manifest, report, estimate)
    if options["check"]:
        return None
    if batch is None:
        batch, is_new = lifecycle.open_batch(
            manifest,
            defaults,
            name=options["name"],
            template=options["template"] or "",
            max_cost=options["max_cost"],
            anew=options["new"],
        )
        if not is_new:
            say.going_on(batch)
    if batch.state == BatchState.LOADING:
        lifecycle.load(batch, _rows(manifest, rules))
    return batch


def _defaults(options: dict[str, Any]) -> dict[str, Any]:
    """What the command line says for rows that do not say it themselves."""
    library = chosen_library(options)
    given: dict[str, Any] = {
        "library": str(library.pk) if library else None,
        "negative_prompt": options["negative_prompt"] or None,
        "seed": options["seed"],
        "providers": options["provider"],
        "tags": options["tag"] or None,
        "count": options["count"] if options["count"] > 1 else None,
        "dry_run": options["dry_run"],
        **dict(options["option"]),
    }
    if options["size"]:
        given["width"], given["height"] = options["size"]
    return {name: value for name, value in given.items() if value is not None}


def _rules(defaults: dict[str, Any]) -> dict[str, Any]:
    """Against what the rows are checked."""
    return {
        "defaults": defaults,
        "providers": options_by_provider(),
        "library_exists": lambda word: find_library(word) is not None,
    }


def _rows(manifest: Manifest, rules: dict[str, Any]) -> Iterator[ManifestRow]:
    with Checker(**rules) as checker:
        for row in checked_rows(manifest, checker):
            if isinstance(row, ManifestRow):
                yield row


def _work(
    batch: GenerationBatch, manifest: Manifest | None, options: dict[str, Any], say: _Say, command: MediagenCommand
) -> tuple[int, str]:
    if options["retry_failed"]:
        say.retried(lifecycle.retry_failed(batch))
    lifecycle.start(batch)
    if options["enqueue"]:
        say.enqueued(batch, task_engine.kick_waiting(batch.pk))
        return 0, ""
    worker = Worker(
        batch_id=batch.pk, concurrency=options["concurrency"] or DEFAULT_CONCURRENCY, limit=options["limit"]
    )
    worker.name += lifecycle.COMMAND
    progress = progress_for(command.stdout, batch, worker, options)

    def note(event: Event) -> None:
        command.reader.look()
        progress.note(event)

    worker.watch = note
    say.started(batch)
    with progress:
        why = run_until_told(worker, Until.DONE, say.stopping, reader=command.reader)
    if why:
        lifecycle.interrupted(batch, why)
    batch.refresh_from_db()
    counts: Any = GenerationBatch.objects.with_counts().get(pk=batch.pk)
    progress.summary(counts, batch.cost())
    if options["result"]:
        _write_results(batch, manifest, options)
        say.results(options["result"])
    left = counts.pending + counts.running
    if left:
        why = f": {batch.state_reason}" if batch.state_reason else "."
        return STOPPED, f"Stopped with {left:,} of {batch.total:,} not made{why} The same command goes on."
    if counts.failed or counts.cancelled:
        lost = counts.failed + counts.cancelled
        return SOME_FAILED, f"{lost:,} of {batch.total:,} were not made. --retry-failed makes them again."
    return 0, ""


def _write_results(batch: GenerationBatch, manifest: Manifest | None, options: dict[str, Any]) -> None:
    """One line per picture, in the order of the manifest where there is one."""
    if manifest is None:
        columns: tuple[str, ...] = ("key", "prompt")
        rows: Iterator[ManifestRow | InvalidRow] = _rows_of(batch)
    else:
        rules = _rules(_defaults(options))
        columns = validate(manifest, **rules).columns
        rows = _checked(manifest, rules)
    with ResultWriter(options["result"], columns=columns) as writer:
        while chunk := list(islice(rows, 500)):
            keys = [row.row_key for row in chunk]
            assets = {asset.row_key: asset for asset in MediaAsset.objects.filter(batch=batch, row_key__in=keys)}
            for row in chunk:
                asset = None if isinstance(row, InvalidRow) else assets.get(row.row_key)
                if asset is None:
                    writer.write(row)
                else:
                    writer.write(row, **_result(asset))


def _checked(manifest: Manifest, rules: dict[str, Any]) -> Iterator[ManifestRow | InvalidRow]:
    with Checker(**rules) as checker:
        yield from checked_rows(manifest, checker)


def _rows_of(batch: GenerationBatch) -> Iterator[ManifestRow]:
    for asset in batch.assets.order_by("id").only("row_key", "prompt").iterator(chunk_size=500):
        values = {"key": asset.row_key, "prompt": asset.prompt}
        yield ManifestRow(line=0, row_key=asset.row_key, arguments={"prompt": asset.prompt}, values=values)


def _result(asset: MediaAsset) -> dict[str, Any]:
    return {
        "asset_id": asset.asset_id,
        "state": asset.generation_state,
        "file": where(asset),
        "provider_name": asset.provider_name,
        "model_name": asset.model_name,
        "cost": asset.cost,
        "error": asset.failure,
    }


class _Say:
    """Sentences before and after the run: text, or an event for machines."""

    def __init__(self, out: OutputWrapper, as_json: bool) -> None:
        self.out = out
        self.as_json = as_json

    def _tell(self, event: str, text: str, **values: Any) -> None:
        self.out.write(json.dumps({"event": event, **values}, default=str) if self.as_json else text)

    def problems(self, report: ValidationReport) -> None:
        listed = [str(problem) for problem in report.problems]
        text = "\n".join([*listed, f"{report.invalid_rows:,} of {report.rows:,} rows are skipped."])
        self._tell("skipped", text, rows=report.invalid_rows, problems=listed)

    def estimate(self, manifest: Manifest, report: ValidationReport, estimate: estimates.Estimate) -> None:
        self._tell(
            "estimate",
            f"{manifest.name}: {estimate}.",
            rows=report.rows,
            pictures=estimate.pictures,
            cheapest=str(estimate.cheapest),
            dearest=str(estimate.dearest),
            unknown_prices=sorted(estimate.unknown),
            free=estimate.is_free,
        )

    def going_on(self, batch: GenerationBatch) -> None:
        text = f"This file is batch {batch.pk} ({batch.state}), begun {batch.created_at:%Y-%m-%d %H:%M} UTC."
        self._tell("resumed", f"{text} Going on with it; --new makes another.", batch=batch.pk, state=batch.state)

    def retried(self, count: int) -> None:
        self._tell("retried", f"{count:,} rows are made again.", rows=count)

    def started(self, batch: GenerationBatch) -> None:
        text = f"Batch {batch.pk}: {batch.total:,} pictures. Ctrl-C ends what is under way; the same command goes on."
        self._tell("batch", text, batch=batch.pk, name=batch.name, total=batch.total)

    def enqueued(self, batch: GenerationBatch, kicked: int) -> None:
        how = f"the task engine was told of {kicked:,}" if kicked else "workers take it (manage.py generate_worker)"
        self._tell(
            "enqueued", f"Batch {batch.pk}: {batch.total:,} pictures wait; {how}.", batch=batch.pk, kicked=kicked
        )

    def stopping(self, text: str) -> None:
        self._tell("stopping", text)

    def results(self, path: str) -> None:
        self._tell("results", f"What became of every row: {path}", file=path)
