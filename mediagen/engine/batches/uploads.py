"""Manifests that people send to a site: checked, priced, and made batches of, within what the sender may do."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any

import mediagen.engine.batches.lifecycle as lifecycle
from mediagen.engine.batches.manifests import (
    FORMATS,
    Checker,
    Manifest,
    ManifestRow,
    ResultWriter,
    ValidationReport,
    checked_rows,
    open_manifest,
    options_by_provider,
    validate,
)
from mediagen.engine.dispatch import batch_waits, task_engine
from mediagen.engine.generation import Estimate, check_options, estimates, requests
from mediagen.engine.library import Access, Right, find_library
from mediagen.errors import Conflict, InvalidRequest
from mediagen.factory import get_media_generator_chain
from mediagen.models import BatchState, GenerationBatch, MediaAsset
from mediagen.wording import say as _

ARGUMENTS = frozenset(
    {"width", "height", "negative_prompt", "seed", "count", "provider", "providers", "tags", "dry_run"}
)
LARGEST_BYTES = 16 * 1024 * 1024
"""A larger file is one for `manage.py generate_assets --from`."""
FORMAT_BY_SUFFIX = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "txt", ".text": "txt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """A manifest, and what its rows have in common where they do not say it themselves."""

    content: IO[bytes]
    file_name: str = ""
    format: str | None = None
    template: str | None = None
    library: str | None = None
    """id, slug or name; None: the token's library, or else the default one"""
    defaults: Mapping[str, Any]
    """width, height, negative_prompt, seed, count, providers, tags, dry_run and options of the providers"""
    name: str = ""
    max_cost: Decimal | None = None
    """USD the whole batch may cost"""
    skip_invalid: bool = False
    anew: bool = False
    """another batch, although this file with these defaults is one already"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a manifest comes to. `estimate` is of its valid rows; None when nothing could be started."""

    report: ValidationReport
    estimate: Estimate | None


def check(access: Access, request: BatchRequest) -> Checked:
    """What is wrong with the manifest, and what it may cost. Nothing is made."""
    with _opened(access, request) as (manifest, rules):
        return _checked(manifest, rules)


def start(access: Access, request: BatchRequest, *, paused: bool = False) -> tuple[GenerationBatch, bool, Checked]:
    """(the batch, True when it is new, what the manifest comes to). It runs from now on, unless it is to be `paused`.

    `ManifestError` with what is wrong, unless only rows that are to be skipped are. The same file with the same
    defaults of the same person is the same batch.
    """
    with _opened(access, request) as (manifest, rules):
        checked = _checked(manifest, rules)
        report = checked.report
        if not report.ok and (report.is_fatal or not request.skip_invalid):
            raise report.error(manifest.name)
        if not report.items:
            raise InvalidRequest(_("The manifest asks for no picture. Give it at least one row."), field="manifest")
        batch, is_new = lifecycle.open_batch(
            manifest,
            rules["defaults"],
            name=request.name or request.file_name,
            template=request.template or "",
            max_cost=request.max_cost,
            created_by=access.user,
            anew=request.anew,
            of_creator=True,
        )
        if batch.state == BatchState.LOADING:
            if checked.estimate is not None:
                lifecycle.keep_estimate(batch, checked.estimate)
            lifecycle.load(batch, _rows(manifest, rules), access, paused=paused)
    if is_new and not paused:
        go_on(batch, access)
    return batch, is_new, checked


def demand_dry(batch: GenerationBatch, access: Access) -> None:
    """`NotAllowed` for a token for tests and a batch that may be live."""
    access.demand_dry(batch.options.get("defaults", {}).get("dry_run"))


def go_on(batch: GenerationBatch, access: Access) -> None:
    """Let the batch run, and have it worked on by whoever works here."""
    demand_dry(batch, access)
    if batch.state == BatchState.CANCELLED:
        raise Conflict(_("The batch is cancelled. Retry it, or send it anew."))
    lifecycle.start(batch)
    work_on(batch)


def work_on(batch: GenerationBatch) -> None:
    """Tell the task engine, or this process, that rows of the batch wait."""
    task_engine.kick_waiting(batch.pk)
    batch_waits.send(sender=GenerationBatch, batch_id=batch.pk)


def write_results(batch: GenerationBatch, stream: IO[str], format: str) -> None:
    """What became of every row, as a manifest with results: "csv" or "jsonl"."""
    with ResultWriter(stream, format, columns=("key", "prompt")) as writer:
        rows = batch.assets.order_by("id").iterator(chunk_size=500)
        while chunk := list(islice(rows, 500)):
            for asset in chunk:
                row = ManifestRow(
                    line=0,
                    row_key=asset.row_key,
                    arguments={"prompt": asset.prompt},
                    values={"key": asset.row_key, "prompt": asset.prompt},
                )
                writer.write(row, **_result(asset))


def _result(asset: MediaAsset) -> dict[str, Any]:
    return {
        "asset_id": asset.asset_id,
        "state": asset.generation_state,
        # Its name in the storage: a path of the server's is nobody's business outside.
        "file": asset.file.name or "",
        "provider_name": asset.provider_name,
        "model_name": asset.model_name,
        "cost": asset.cost,
        "error": asset.failure,
    }


def visible(access: Access) -> Any:
    """Batches of whoever asks; of a token for one library, those whose rows belong there by default."""
    found = (
        GenerationBatch.objects.visible_to(access.user) if access.has(Right.READ) else GenerationBatch.objects.none()
    )
    if access.token is not None and access.token.library_id is not None:
        found = found.filter(options__defaults__library=str(access.token.library_id))
    return found


@contextmanager
def _opened(access: Access, request: BatchRequest) -> Iterator[tuple[Manifest, dict[str, Any]]]:
    """The manifest in a file of its own, and the rules against which its rows are checked."""
    library = requests.library_for(access, request.library)
    defaults = {name: value for name, value in request.defaults.items() if value is not None}
    if (dry_run := access.dry(defaults.get("dry_run"))) is not None:
        defaults["dry_run"] = dry_run
    options = defaults.pop("options", {})
    if not isinstance(options, dict):
        raise InvalidRequest(_("options must be an object."), field="defaults")
    named = defaults.get("providers") or defaults.get("provider")
    chain = get_media_generator_chain(named or None, dry_run=defaults.get("dry_run"))
    # Asked of all in `options`: one of our own names there would take the place of what is allowed above.
    check_options(chain, options | {name: value for name, value in defaults.items() if name not in ARGUMENTS})
    defaults |= options
    defaults["library"] = str(library.pk)

    def exists(word: str) -> bool:
        try:
            found = find_library(word, access)
        except InvalidRequest:  # of several, none is named
            return False
        return found is not None and access.may(Right.GENERATE, found)

    rules = {
        "defaults": defaults,
        "providers": options_by_provider(),
        "library_exists": exists,
        "sources": access.watchable(),
    }
    if request.format is not None and request.format not in FORMATS:
        raise InvalidRequest(_("format must be one of %(formats)s.", formats=", ".join(FORMATS)), field="format")
    with tempfile.TemporaryDirectory(prefix="mediagen-batch-") as folder:
        path = Path(folder) / _file_name(request)
        size = 0
        with path.open("wb") as file:
            while block := request.content.read(1 << 20):
                size += len(block)
                if size > LARGEST_BYTES:
                    raise InvalidRequest(
                        _(
                            "The manifest is larger than %(most)s MiB. Split it, or use manage.py "
                            "generate_assets --from on the server.",
                            most=LARGEST_BYTES >> 20,
                        ),
                        field="manifest",
                    )
                file.write(block)
        with open_manifest(path, template=request.template or None, format=request.format) as manifest:
            yield manifest, rules


def _file_name(request: BatchRequest) -> str:
    """A name that no path hides in; with an ending that says the format, where it can be known."""
    plain = re.sub(r"[^\w.\- ]", "_", Path(request.file_name.replace("\\", "/")).name)[-100:].lstrip(".")
    if Path(plain).suffix.lower() in FORMAT_BY_SUFFIX:
        return plain
    return f"{plain or 'manifest'}.{request.format or 'csv'}"


def _checked(manifest: Manifest, rules: dict[str, Any]) -> Checked:
    report = validate(manifest, **rules)
    if report.is_fatal:
        return Checked(report, None)
    return Checked(report, estimates.estimate(row.order() for row in _rows(manifest, rules)))


def _rows(manifest: Manifest, rules: dict[str, Any]) -> Iterator[ManifestRow]:
    with Checker(**rules) as checker:
        for row in checked_rows(manifest, checker):
            if isinstance(row, ManifestRow):
                yield row


def defaults_of(text: str) -> dict[str, Any]:
    """Defaults from a JSON object in a form's field; `InvalidRequest` for other text."""
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidRequest(_('defaults must be a JSON object: {"width": 1024}.'), field="defaults")
    return found
