"""Deleting assets so that it can be undone: hidden at once, gone with their files after KEEP_DELETED_DAYS."""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db.models import Case, F, Value, When

import mediagen.engine.library.cancelling as cancelling
import mediagen.engine.library.elsewhere as elsewhere
from mediagen import conf
from mediagen.engine.files import originals, storage
from mediagen.engine.library.review import bounded
from mediagen.errors import AssetInUse
from mediagen.models import AssetUsage, GenerationState, MediaAsset, Rendition, ReviewStatus
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic, on_commit

logger = logging.getLogger("mediagen.engine")

PURGED_TOGETHER = 100
NAMED_IN_MESSAGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What `delete` did."""

    deleted: tuple[uuid.UUID, ...]
    """now in the trash; those that were there before are not among them"""
    used: dict[str, list[str]]
    """of the deleted ones, by id: where they are in use, as "campaign (channel)" """


@atomic()
def delete(asset_ids: Iterable[Any], by: Any, even_if_used: bool = False) -> Deleted:
    """Put the assets into the trash; at most 1,000. `undelete` has them back for KEEP_DELETED_DAYS, with their files.

    What is still to be generated is cancelled, as `cancelling.cancel` does: a picture that is being paid for is waited
    for, and lies in the trash then. `AssetInUse` when one has usages that have not ended, and then none is deleted,
    unless `even_if_used`. Whether `by`, a user or None, may delete is asked before, at the edge.
    """
    kept = MediaAsset.objects.kept().filter(pk__in=bounded(asset_ids))
    # Locked in one order, so that two people deleting the same assets do not wait for each other.
    ids = list(kept.select_for_update().order_by("pk").values_list("pk", flat=True))
    used = usages_of(ids)
    if used and not even_if_used:
        raise AssetInUse(_in_use(used), used=used)
    cancelling.cancel(ids)
    now = db_now()
    MediaAsset.objects.kept().filter(pk__in=ids).update(
        status_before=F("status"), status=ReviewStatus.DELETED, deleted_by=by, deleted_at=now, updated_at=now
    )
    return Deleted(deleted=tuple(ids), used=used)


def undelete(asset_ids: Iterable[Any], by: Any) -> tuple[uuid.UUID, ...]:
    """Have deleted assets back, in the status that they had; the ids of those that were in the trash.

    One whose generation the delete has cancelled stays cancelled, and can be generated again. `by` is for the log.
    """
    with atomic():
        deleted = MediaAsset.objects.filter(pk__in=bounded(asset_ids), status=ReviewStatus.DELETED)
        ids = tuple(deleted.select_for_update().order_by("pk").values_list("pk", flat=True))
        deleted.filter(pk__in=ids).update(
            status=Case(When(status_before="", then=Value(ReviewStatus.DRAFT.value)), default=F("status_before")),
            status_before="",
            deleted_by=None,
            deleted_at=None,
            updated_at=db_now(),
        )
    logger.info("%d assets were taken back from the trash by %s", len(ids), by)
    return ids


def usages_of(asset_ids: Iterable[Any]) -> dict[str, list[str]]:
    """Where these assets are in use now, by asset id: ["campaign (channel)", ..., "Product x"], other apps' rows last;
    those that are not used are left out. One query, and one for each relation of another app."""
    places: dict[str, list[str]] = defaultdict(list)
    ids = list(asset_ids)
    usages = AssetUsage.objects.filter(asset__in=ids, ended_at__isnull=True)
    for usage in usages.only("asset_id", "campaign", "channel").order_by("campaign", "channel"):
        places[str(usage.asset_id)].append(str(usage))
    for pk, named in elsewhere.places_of(ids).items():
        places[str(pk)] += named
    return dict(places)


def _in_use(used: dict[str, list[str]]) -> str:
    places = list(dict.fromkeys(place for of_one in used.values() for place in of_one))
    named = ", ".join(places[:NAMED_IN_MESSAGE]) + (", ..." if len(places) > NAMED_IN_MESSAGE else "")
    which = "The asset is" if len(used) == 1 else f"{len(used)} of the assets are"
    return f"{which} in use: {named}. End the usage, or say even_if_used to delete all the same."


def purge() -> int:
    """Remove what was deleted more than KEEP_DELETED_DAYS ago: rows first, then their files; how many assets.

    One that another app's rows point at stays in the trash, whatever their `on_delete`: those rows are not ours.
    Should the process die in between, the files are those that no row names, which maintenance removes.
    """
    before = db_now() - timedelta(days=conf.get("KEEP_DELETED_DAYS"))
    old = MediaAsset.objects.filter(status=ReviewStatus.DELETED, deleted_at__lt=before)
    count = 0
    # One that is still being made is left until it has ended.
    todo = old.exclude(generation_state=GenerationState.RUNNING).order_by("pk").values_list("pk", flat=True)
    ids = list(todo[:PURGED_TOGETHER])
    while ids:
        count += _purge(old.filter(pk__in=ids))
        ids = list(todo.filter(pk__gt=ids[-1])[:PURGED_TOGETHER])
    return count


@atomic()
def _purge(assets: Any) -> int:
    # Asked again under the lock: somebody may have had one back meanwhile.
    rows = list(assets.select_for_update().values_list("pk", "file"))
    # And under the lock, which whoever points at one of them waits for.
    pointed_at = elsewhere.pointed_at([pk for pk, _ in rows])
    rows = [row for row in rows if row[0] not in pointed_at]
    ids = [pk for pk, _ in rows]
    names = [name for _, name in rows if name]
    names += Rendition.objects.filter(asset__in=ids).values_list("file", flat=True)
    names += originals.names_of(ids).values()
    MediaAsset.objects.filter(pk__in=ids, status=ReviewStatus.DELETED).delete()
    on_commit(partial(_remove_files, names))
    return len(ids)


def _remove_files(names: Iterable[str]) -> None:
    for name in names:
        storage.remove_file(name)
