"""What is found out of a file once, when it is stored, so that it can be found again: its looks, and its hash as it
leaves. And those assets that look like another one, without a walk through all of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from mediagen import images
from mediagen.images import looks
from mediagen.images.looks import Look
from mediagen.models import MediaAsset, asset_storage

logger = logging.getLogger("mediagen.engine")

BANDS = ("look_a", "look_b", "look_c", "look_d")
NOTHING = dict.fromkeys(BANDS, -1)
"""too plain to be compared, cannot be decoded here, or a placeholder: they all look alike"""
NEAR_BITS = 7
"""of 64. With seven that differ one of the four bands has at most one of them: 17 values to look for in each."""
MOST_READ = 2000
"""rows of one band: more have nothing to tell"""
FILLED_AT_ONCE = 200
"""files that one sweep looks at"""
MOST_FAILURES = 3
NAMED = 3
"""assets that a hint names"""


def traits_of(content: bytes, picture: images.Picture, source_type: str) -> dict[str, Any]:
    """What the asset's row gets of a file that is to be stored. Decodes the picture: not on an event loop."""
    return {**_columns(images.look_of(content, picture)), "marked_hash": _marked_hash(content, picture, source_type)}


def plain_traits(content: bytes, picture: images.Picture, source_type: str) -> dict[str, Any]:
    """The same of a placeholder, which is not compared and not decoded."""
    return {**NOTHING, "marked_hash": _marked_hash(content, picture, source_type)}


def _columns(look: Look | None) -> dict[str, int]:
    return dict(NOTHING) if look is None else dict(zip(BANDS, look, strict=True))


def _marked_hash(content: bytes, picture: images.Picture, source_type: str) -> str:
    leaves = images.marked(content, picture.format, source_type)
    return "" if leaves is content else hashlib.sha256(leaves, usedforsecurity=False).hexdigest()


def look_in(asset: Any) -> Look | None:
    """Of a row."""
    bands = tuple(getattr(asset, name) for name in BANDS)
    return None if any(band is None or band < 0 for band in bands) else bands


def near(look: Look) -> dict[Any, int]:
    """How many bits lie between this and each asset that looks like it, by id. Four queries, each by an index."""
    found: dict[Any, int] = {}
    for name, band in zip(BANDS, look, strict=True):
        values = [band, *(band ^ (1 << bit) for bit in range(16))]
        rows = MediaAsset.objects.filter(**{f"{name}__in": values}).order_by()
        for pk, *bands in rows.values_list("pk", *BANDS)[:MOST_READ]:
            apart = looks.bits_apart(look, tuple(bands))
            if apart <= NEAR_BITS:
                found[pk] = apart
    return found


def similar(look: Look | None, among: QuerySet[MediaAsset], *, most: int = 20) -> list[tuple[MediaAsset, int]]:
    """Those of `among`, what somebody may see, that look so, with how many of 64 bits differ; the nearest first."""
    found = near(look) if look is not None else {}
    nearest = sorted(found, key=lambda pk: (found[pk], pk))[:500]
    rows = among.filter(pk__in=nearest).order_by() if nearest else ()
    return sorted(((row, found[row.pk]) for row in rows), key=lambda pair: (pair[1], pair[0].pk.int))[:most]


def similar_to(asset: MediaAsset, among: QuerySet[MediaAsset], *, most: int = 20) -> list[tuple[MediaAsset, int]]:
    """The same for an asset, without those that are told of elsewhere: its lineage, and those with the very same
    file."""
    look = look_in(asset)
    if look is None:
        return []
    told = Q(pk=asset.pk) | Q(parent=asset) | Q(content_hash=asset.content_hash)
    if asset.parent_id:
        told |= Q(pk=asset.parent_id) | Q(parent=asset.parent_id)
    return similar(look, among.exclude(told), most=most)


def fill(most: int = FILLED_AT_ONCE) -> int:
    """Look at the files of assets that were stored before they were looked at, the newest first; how many."""
    todo = MediaAsset.objects.ready().filter(look_a__isnull=True).exclude(file="")
    todo.filter(Q(is_placeholder=True) | Q(dry_run=True)).update(**NOTHING)
    count = failed = 0
    for asset in todo.order_by("-pk")[:most]:
        for_this = MediaAsset.objects.filter(pk=asset.pk, content_hash=asset.content_hash)
        try:
            with asset_storage().open(str(asset.file.name)) as file:
                content = file.read()
        except FileNotFoundError:
            for_this.update(**NOTHING)
            continue
        except Exception as exc:  # whatever a storage's package raises
            logger.warning("the storage does not give the file of asset %s (%s)", asset.pk, type(exc).__name__)
            failed += 1
            if failed > MOST_FAILURES:  # it is away: next time
                break
            continue
        picture = images.Picture(asset.format, asset.width, asset.height, asset.content_hash, asset.file_size)
        traits = traits_of(content, picture, asset.digital_source_type)
        signed = asset.content_credentials or images.checked_credentials(content, picture)
        for_this.update(**traits, content_credentials=signed)
        count += 1
    return count


def hint(asset: MediaAsset, among: QuerySet[MediaAsset]) -> str:
    """For whoever has just put it there: which of `among` have the same file, or look like it. "" for none."""
    same = among.filter(content_hash=asset.content_hash).exclude(pk=asset.pk).order_by("-pk")[:NAMED]
    near_ones = similar_to(asset, among, most=NAMED)
    if twins := _named(same):
        return _("%(name)s is the same file as %(others)s.") % {"name": asset, "others": twins}
    if near_ones:
        others = _named(other for other, _bits in near_ones)
        return _("%(name)s looks like %(others)s.") % {"name": asset, "others": others}
    return ""


def _named(assets: Iterable[MediaAsset]) -> str:
    return ", ".join(Truncator(str(asset)).chars(60) for asset in assets)
