"""Many assets at once: into another library, and their tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mediagen.engine.library.review import bounded
from mediagen.models import MediaAsset, MediaLibrary, MediaTag
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic


@atomic()
def move(asset_ids: Iterable[Any], library: MediaLibrary) -> int:
    """Put the assets into `library`; how many were elsewhere before. At most 1,000.

    Tags stay, and the library's default tags are not added. Whether the person may take them out there and put them in
    here is asked before, at the edge. What an attempt has cost stays with the library that paid for it.
    """
    elsewhere = MediaAsset.objects.filter(pk__in=bounded(asset_ids)).exclude(library=library)
    taken = MediaAsset.objects.filter(library=library).exclude(idempotency_key=None)
    # A key is unique in its library. The asset that has it there already keeps it.
    clash = elsewhere.filter(idempotency_key__in=taken.values("idempotency_key")).values_list("pk", flat=True)
    MediaAsset.objects.filter(pk__in=list(clash)).update(idempotency_key=None)
    return elsewhere.update(library=library, updated_at=db_now())


@atomic()
def set_tags(asset: MediaAsset, names: Iterable[str]) -> None:
    """Give the asset these tags and no others. `InvalidRequest` for what cannot be a tag."""
    asset.tags.set(MediaTag.objects.ensure(names))
    MediaAsset.objects.filter(pk=asset.pk).update(updated_at=db_now())


@atomic()
def tag(asset_ids: Iterable[Any], *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> int:
    """Add and remove tags by name, whatever their case, on each asset; how many assets there are. At most 1,000.

    `InvalidRequest` for what cannot be a tag. A few statements for any number of assets.
    """
    ids = list(MediaAsset.objects.filter(pk__in=bounded(asset_ids)).values_list("pk", flat=True))
    through = MediaAsset.tags.through._default_manager
    if keys := [name.casefold() for name in MediaTag.objects.clean_names(remove)]:
        through.filter(mediaasset__in=ids, mediatag__key__in=keys).delete()
    tags = MediaTag.objects.ensure(add)
    through.bulk_create(
        [MediaAsset.tags.through(mediaasset_id=pk, mediatag_id=each.pk) for pk in ids for each in tags],
        ignore_conflicts=True,
    )
    if keys or tags:
        MediaAsset.objects.filter(pk__in=ids).update(updated_at=db_now())
    return len(ids)
