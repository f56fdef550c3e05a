"""Originals: the file as its vendor sent it, where another one was made of it in the size that was asked for.

It is kept beside that one for KEEP_ORIGINALS_DAYS, goes with its asset, and is given to whoever may read the asset and
to nobody else: no zip, link or export has it, and its name cannot be guessed from the other's.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.utils.crypto import salted_hmac

import mediagen.engine.files.storage as storage
from mediagen import conf, images
from mediagen.errors import NotAPicture, StorageFailed
from mediagen.models import AssetOriginal, MediaAsset, asset_storage
from mediagen.models.clock import db_now

logger = logging.getLogger("mediagen.engine")

NAME = re.compile(
    r"original-(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(?P<token>[0-9]+)-[0-9a-f]{32}"
    r"(?:_[A-Za-z0-9]+)?\.[a-z]+"
)
MOST_AT_ONCE = 500
LOST = {"original": {"why": "the file as it came could not be kept beside this one: the storage did not take it"}}
"""an entry of the fit report"""


def file_name(asset: MediaAsset, token: int, format: str) -> str:
    """Known beforehand, so that one whose writer died is found again; and not to be guessed by whoever knows where the
    asset's file lies."""
    mark = salted_hmac("mediagen.originals", f"{asset.pk}-{token}", algorithm="sha256").hexdigest()[:32]
    folder = f"{conf.get('UPLOAD_TO').strip('/')}/originals/{asset.created_at:%Y/%m}".lstrip("/")
    return f"{folder}/original-{asset.pk}-{token}-{mark}.{storage.EXTENSIONS[format]}"


def is_kept() -> bool:
    return bool(conf.get("KEEP_ORIGINALS_DAYS") != 0)


async def keep(asset: MediaAsset, token: int, content: bytes) -> AssetOriginal | None:
    """Store the bytes; the row that is to be written with the asset's. None when it could not be done, which is logged
    and never raised: the picture itself is stored, and that is what was asked for."""
    try:
        _, picture = _tidied(content)
        name = await storage.save_file(file_name(asset, token, picture.format), content)
    except Exception as exc:  # whatever a storage's package raises
        logger.error("the original of asset %s is not kept: %s: %s", asset.pk, type(exc).__name__, exc)
        return None
    return AssetOriginal(
        asset_id=asset.pk,
        file=name,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        file_size=len(content),
        content_hash=hashlib.sha256(content, usedforsecurity=False).hexdigest(),
    )


async def left_beside(asset: MediaAsset, name: str) -> tuple[str, bytes]:
    """(name, bytes) of the original that was stored together with this file of the asset, before the row of either;
    ("", b"") when there is none."""
    if (match := storage.NAME.fullmatch(name.rpartition("/")[2])) is None or not is_kept():
        return "", b""
    return await sync_to_async(_left_beside, thread_sensitive=False)(asset, int(match["token"]))


def _left_beside(asset: MediaAsset, token: int) -> tuple[str, bytes]:
    files = asset_storage()
    for format in storage.EXTENSIONS:
        name = file_name(asset, token, format)
        if files.exists(name):
            with files.open(name) as file:
                return name, file.read()
    return "", b""


def write(rows: list[AssetOriginal], replaced: list[Any]) -> None:
    """Write the rows, in the transaction of their assets'. `replaced`: ids of the assets whose picture is another one
    now; what was kept of the one before is not theirs any more, and maintenance removes its file."""
    if replaced:
        AssetOriginal.objects.filter(asset__in=replaced).delete()
    if rows:
        AssetOriginal.objects.bulk_create(rows)


@dataclass(frozen=True, slots=True)
class Source:
    """What other sizes of an asset's picture are made of."""

    content: bytes
    picture: images.Picture
    is_original: bool = False
    """as its vendor sent it, larger than the asset's file, which shows a part of it"""


def larger(asset: MediaAsset) -> Source | None:
    """The original, where renditions made of it are sharper. None when it is not kept, has no more pixels, or cannot be
    read now."""
    row = AssetOriginal.objects.filter(asset=asset).first()
    if row is None or row.width * row.height <= asset.width * asset.height:
        return None
    try:
        content, picture = _tidied(read(row))
    except (StorageFailed, NotAPicture) as exc:
        logger.warning("the original of asset %s cannot be used: %s", asset.pk, exc)
        return None
    return Source(content, picture, is_original=True)


def read(row: AssetOriginal) -> bytes:
    """Its bytes. `StorageFailed` when the storage does not give them."""
    try:
        with asset_storage().open(str(row.file.name)) as file:
            content: bytes = file.read()
            return content
    except OSError as exc:
        said = f"The storage does not give the original of asset {row.pk} ({type(exc).__name__})."
        raise StorageFailed(said) from exc


def _tidied(content: bytes) -> tuple[bytes, images.Picture]:
    return images.tidied(content, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES"))


def names_of(asset_ids: list[Any]) -> dict[Any, str]:
    """Their files, by the asset's id. One query."""
    return dict(AssetOriginal.objects.filter(asset__in=asset_ids).values_list("asset_id", "file"))


def remove_old() -> int:
    """Remove what is older than KEEP_ORIGINALS_DAYS, row first; how many."""
    days = conf.get("KEEP_ORIGINALS_DAYS")
    if days is None:
        return 0
    old = AssetOriginal.objects.filter(created_at__lt=db_now() - timedelta(days=days)).order_by("created_at")
    rows = list(old.values_list("pk", "file")[:MOST_AT_ONCE])
    for pk, name in rows:
        AssetOriginal.objects.filter(pk=pk, file=name).delete()
        storage.remove_file(name)
    return len(rows)
