"""Batches: a manifest becomes rows once, and the rows are worked off by whoever has time."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any

from django.db import IntegrityError
from django.db.models import Q
from django.db.models.functions import Now

from mediagen import conf
from mediagen.engine.batches.manifests import Manifest, ManifestRow
from mediagen.engine.events import announcements
from mediagen.engine.generation import Estimate, is_dead, row_values
from mediagen.engine.library import Access, find_library, get_library
from mediagen.engine.money import Budget
from mediagen.errors import InvalidRequest
from mediagen.models import (
    BatchState,
    GenerationBatch,
    GenerationState,
    MediaAsset,
    MediaLibrary,
    MediaTag,
    SpendAccount,
)
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import near, uuid7_in
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

CHUNK = 1000
BY_HAND = "It was paused by hand."
NOT_STARTED = "It waits to be started."
INTERRUPTED = "interrupted ("
COMMAND = ":command"
"""how the names of workers end that a person runs for one batch"""


def open_batch(
    manifest: Manifest,
    defaults: Mapping[str, Any],
    *,
    name: str = "",
    template: str = "",
    max_cost: Decimal | None = None,
    created_by: Any = None,
    anew: bool = False,
    of_creator: bool = False,
) -> tuple[GenerationBatch, bool]:
    """(the batch of this manifest with these defaults, True when it is new).

    The same file with the same defaults is the same batch, on any machine, so that the same command goes on where it
    was. `anew` makes another one; `of_creator` lets the same file of another person be another batch.
    `max_cost` in USD replaces an earlier limit and is no part of what the batch is.
    """
    kept = {key: _jsonable(value) for key, value in sorted(defaults.items()) if value not in (None, "", [], ())}
    # What a run without --live or --dry-run means is decided when it starts, and stays.
    dry_run = conf.default_dry_run() if defaults.get("dry_run") is None else bool(defaults["dry_run"])
    identity = [manifest.digest, template, kept, dry_run]
    if of_creator:
        identity.append(str(getattr(created_by, "pk", created_by)))
    salt = db_now().isoformat() if anew else ""
    fingerprint = hashlib.sha256(json.dumps([*identity, salt], sort_keys=True).encode()).hexdigest()
    try:
        with atomic():
            batch, is_new = GenerationBatch.objects.get_or_create(
                fingerprint=fingerprint,
                defaults={
                    "name": (name or manifest.name)[:200],
                    "file_name": manifest.name[:500],
                    "file_digest": manifest.digest,
                    "options": {"defaults": kept, "template": template},
                    "created_by_id": getattr(created_by, "pk", created_by),
                },
            )
    except IntegrityError:
        batch, is_new = GenerationBatch.objects.get(fingerprint=fingerprint), False
    set_max_cost(batch, max_cost)
    return batch, is_new


def _jsonable(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return list(value)
    return value if isinstance(value, bool | int | float) else str(value)


def get_batch(word: str) -> GenerationBatch:
    """The batch of this id, or the newest of this name. `InvalidRequest` when there is none."""
    is_id = len(word.replace("-", "")) == 32 and all(char in "0123456789abcdef-" for char in word.lower())
    found = GenerationBatch.objects.filter(pk=word) if is_id else GenerationBatch.objects.filter(name=word)
    batch = found.order_by("-id").first()
    if batch is None:
        like = near(word, GenerationBatch.objects.order_by("-id").values_list("name", flat=True)[:CHUNK])
        hint = like if like.startswith("Did") else "`manage.py mediagen_batches` lists them."
        raise InvalidRequest(_("There is no batch %(word)s. %(hint)s", word=f"{word!r:.80}", hint=hint), field="batch")
    return batch


def set_max_cost(batch: GenerationBatch, max_cost: Decimal | None) -> None:
    if max_cost is None or batch.options.get("max_cost") == str(max_cost):
        return
    batch.options = {**batch.options, "max_cost": str(max_cost)}
    with atomic():
        batch.save(update_fields=["options", "updated_at"])
        SpendAccount.objects.filter(owner=f"batch:{batch.pk}").update(limit=max_cost)


def keep_estimate(batch: GenerationBatch, estimate: Estimate) -> None:
    """Have the batch say what it was thought to cost when it was sent."""
    batch.options = {**batch.options, "estimate": estimate.to_json()}
    with atomic():
        batch.save(update_fields=["options", "updated_at"])


def batch_budgets(batch: GenerationBatch | None) -> list[Budget]:
    """The batch's own limit, as the ledger knows limits."""
    limit = batch.options.get("max_cost") if batch is not None else None
    if batch is None or limit is None:
        return []
    hint = " Go on with a higher --max-cost."
    label = f"batch '{batch.name}'"
    return [Budget(f"batch:{batch.pk}", Decimal(limit), what_to_do=hint, label=label, follows_account=True)]


def load(
    batch: GenerationBatch, rows: Iterable[ManifestRow], access: Access | None = None, *, paused: bool = False
) -> int:
    """Make the batch's assets, in chunks, and set it running, or have it wait to be started (`paused`), so that no
    worker ever takes a row of it; how many rows there are. Libraries that rows name are those that `access` may see;
    None: all.

    Safe to repeat, also while another process does the same: an asset's id follows from batch and row.
    """
    known = _Known(access)
    total = 0
    for number, chunk in enumerate(_chunks(rows)):
        with atomic():
            _load_chunk(batch, chunk, number * CHUNK, known)
        total += len(chunk)
    loaded = GenerationBatch.objects.filter(pk=batch.pk, state=BatchState.LOADING)
    state, reason = (BatchState.PAUSED, NOT_STARTED) if paused else (BatchState.RUNNING, "")
    loaded.update(state=state, state_reason=reason, total=total, updated_at=db_now())
    batch.refresh_from_db()
    return total


def _chunks(rows: Iterable[ManifestRow]) -> Iterator[list[ManifestRow]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


class _Known:
    """Libraries and tags that rows have named so far, asked for once."""

    def __init__(self, access: Access | None) -> None:
        self._access = access
        self._libraries: dict[str, tuple[MediaLibrary, list[int]]] = {}
        self._tags: dict[tuple[str, ...], list[int]] = {}

    def library(self, word: str) -> tuple[MediaLibrary, list[int]] | None:
        """The library with its default tags' keys; the default one for ""; None when there is none."""
        if word not in self._libraries:
            library = find_library(word, self._access) if word else get_library(None)
            if library is None:
                return None
            self._libraries[word] = library, list(library.default_tags.values_list("pk", flat=True))
        return self._libraries[word]

    def tags(self, names: tuple[str, ...]) -> list[int]:
        if names not in self._tags:
            if len(self._tags) > 10_000:
                self._tags.clear()
            self._tags[names] = [tag.pk for tag in MediaTag.objects.ensure(names)] if names else []
        return self._tags[names]


def _load_chunk(batch: GenerationBatch, chunk: list[ManifestRow], first: int, known: _Known) -> None:
    assets: list[MediaAsset] = []
    tags: list[Any] = []
    through = MediaAsset.tags.through
    for number, row in enumerate(chunk, start=first):
        order = row.order()
        # What is worked on stays in its library, where no other is named.
        found = known.library(row.library or str(order.library_id or ""))
        if found is None:
            raise InvalidRequest(
                _("line %(line)s: there is no media library %(library)s.", line=row.line, library=repr(row.library)),
                field="library",
            )
        library, default_tags = found
        values = {**row_values(order), "created_by_id": batch.created_by_id}
        pk = uuid7_in(batch.pk, number, row.row_key)
        assets.append(MediaAsset(pk=pk, library=library, batch=batch, row_key=row.row_key, **values))
        tags += [through(mediaasset_id=pk, mediatag_id=tag) for tag in {*known.tags(order.tags), *default_tags}]
    MediaAsset.objects.bulk_create(assets, ignore_conflicts=True)
    through._default_manager.bulk_create(tags, ignore_conflicts=True)


def start(batch: GenerationBatch) -> None:
    """Let workers take the batch's rows (again). `InvalidRequest` for a cancelled one."""
    if batch.state == BatchState.CANCELLED:
        raise InvalidRequest(
            _("Batch %(pk)s is cancelled. Retry it with --retry-failed, or start a new one.", pk=batch.pk)
        )
    if batch.state == BatchState.PAUSED or (batch.state == BatchState.FINISHED and _waiting(batch.pk).exists()):
        _set_state(batch, BatchState.RUNNING, from_states=(BatchState.PAUSED, BatchState.FINISHED))


def pause(batch: GenerationBatch, reason: str = "") -> bool:
    """No further row is begun; those under way end. True when it was running."""
    return _set_state(batch, BatchState.PAUSED, from_states=(BatchState.RUNNING,), reason=reason)


def interrupted(batch: GenerationBatch, why: str) -> bool:
    """As `pause`, when a person has stopped the command that worked on it: no worker goes on where he wanted it to end.

    False, and it goes on, while another command works on it, which nobody has stopped.
    """
    held = batch.assets.filter(generation_state=GenerationState.RUNNING, lease_until__gte=Now())
    commands = held.filter(lease_worker__endswith=COMMAND).order_by().values_list("lease_worker", flat=True).distinct()
    if any(not is_dead(worker) for worker in commands):
        return False
    return pause(batch, f"{INTERRUPTED}{why}).")


def paused_by_itself() -> Any:
    """Batches that nobody has paused: their budget, the storage or a setting did."""
    paused = GenerationBatch.objects.filter(state=BatchState.PAUSED)
    return paused.exclude(state_reason__in=("", BY_HAND, NOT_STARTED)).exclude(state_reason__startswith=INTERRUPTED)


def cancel(batch: GenerationBatch) -> int:
    """No further row is begun, ever; how many were cancelled. Those under way end: they may be paid for."""
    _set_state(batch, BatchState.CANCELLED, from_states=(BatchState.LOADING, BatchState.RUNNING, BatchState.PAUSED))
    return _cancel_waiting(batch.pk)


def _waiting(batch_id: Any) -> Any:
    return MediaAsset.objects.filter(batch=batch_id, generation_state=GenerationState.PENDING)


def _cancel_waiting(batch_id: Any) -> int:
    count: int = _waiting(batch_id).update(
        generation_state=GenerationState.CANCELLED, lease_until=None, updated_at=db_now()
    )
    return count


def retry_failed(batch: GenerationBatch) -> int:
    """Put failed and cancelled rows, and those that a live run had to fill with a placeholder, back to pending."""
    again = Q(generation_state__in=(GenerationState.FAILED, GenerationState.CANCELLED)) | Q(
        generation_state=GenerationState.READY, is_placeholder=True, dry_run=False
    )
    count = batch.assets.filter(again).update(
        generation_state=GenerationState.PENDING,
        tries=0,
        failure="",
        lease_until=None,
        kicked_at=None,
        cancel_requested_at=None,
        updated_at=db_now(),
    )
    states = (BatchState.FINISHED, BatchState.CANCELLED, BatchState.PAUSED)
    if batch.state == BatchState.PAUSED or _waiting(batch.pk).exists():
        _set_state(batch, BatchState.RUNNING, from_states=states)
    return count


@atomic()
def finish_if_done(batch_id: Any) -> bool:
    """Set a batch finished when no row of it waits or is under way. True when it is finished.

    Rows of a cancelled batch that were under way, and came back to wait, are cancelled.
    """
    batches = GenerationBatch.objects.filter(pk=batch_id)
    if batches.filter(state=BatchState.CANCELLED).exists():
        _cancel_waiting(batch_id)
        return False
    left = MediaAsset.objects.filter(
        batch=batch_id, generation_state__in=(GenerationState.PENDING, GenerationState.RUNNING)
    )
    if left.exists():
        return False
    now = db_now()
    finished = batches.filter(state__in=(BatchState.RUNNING, BatchState.PAUSED)).update(
        state=BatchState.FINISHED, state_reason="", finished_at=now, updated_at=now
    )
    if finished:
        announcements.batch_finished(batch_id)
    return batches.filter(state=BatchState.FINISHED).exists()


def _set_state(
    batch: GenerationBatch, state: BatchState, *, from_states: tuple[BatchState, ...], reason: str = ""
) -> bool:
    changed = GenerationBatch.objects.filter(pk=batch.pk, state__in=from_states).update(
        state=state, state_reason=reason, finished_at=None, updated_at=db_now()
    )
    if changed and state == BatchState.RUNNING:
        # Kicks that came while it was not running did nothing: the engine is to be told of those rows anew.
        batch.assets.filter(kicked_at__isnull=False).update(kicked_at=None)
    batch.refresh_from_db()
    return bool(changed)
