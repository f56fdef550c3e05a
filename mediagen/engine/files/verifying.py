"""What a file says of itself, and whether it is one of ours."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

import mediagen.engine.files.looks as looks
import mediagen.engine.files.originals as originals
import mediagen.engine.files.renditions as renditions
from mediagen import conf, images
from mediagen.errors import InvalidRequest, NotAPicture
from mediagen.models import AssetOriginal, MediaAsset, Rendition
from mediagen.wording import say as _

MOST = 20
FILE, LEFT, ORIGINAL, RENDITION, LOOKS = "file", "file as it leaves", "original", "rendition", "looks"
HOW = (FILE, LEFT, ORIGINAL, RENDITION, LOOKS)


@dataclass(frozen=True, slots=True)
class Match:
    """An asset that the file is of."""

    asset: MediaAsset
    how: str
    """one of `HOW`: the very same bytes as what; "looks": it is not, and looks like its picture"""
    bits: int = 0
    """of 64, that differ in its looks; 0 for the very same bytes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    sha256: str
    size_bytes: int
    format: str
    width: int
    height: int
    says: dict[str, Any]
    """digital_source_type, content_credentials ({} without any), texts, exif: the file's own word, which anybody may
    have written"""
    matches: list[Match] = field(default_factory=list)
    """the surest first"""

    @property
    def is_ours(self) -> bool:
        """To the last byte."""
        return any(match.how != LOOKS for match in self.matches)

    @property
    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "format": self.format,
            "width": self.width,
            "height": self.height,
            "says": self.says,
            "is_ours": self.is_ours,
            "matches": [
                {"asset": str(match.asset.pk), "name": str(match.asset), "how": match.how, "bits": match.bits}
                for match in self.matches
            ],
        }


def verify(content: bytes, among: QuerySet[MediaAsset]) -> Verified:
    """A file, and which of `among`, what somebody may see, it is of. Decodes it once. `InvalidRequest` with the field
    `file` for what is no picture that we take."""
    sha256 = hashlib.sha256(content, usedforsecurity=False).hexdigest()
    try:
        # Tidied: what somebody has hung behind its end keeps no picture from being looked at.
        tidied, picture = images.tidied(
            content, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES")
        )
    except NotAPicture as exc:
        raise InvalidRequest(str(exc), field="file") from exc
    return Verified(
        sha256=sha256,
        size_bytes=len(content),
        format=picture.format,
        width=picture.width,
        height=picture.height,
        says=said_by(tidied, picture, content),
        matches=_matches(sha256, tidied, picture, among),
    )


def verify_asset(asset: MediaAsset, among: QuerySet[MediaAsset]) -> Verified:
    """The same of an asset's file as it came: the original where it is kept. `InvalidRequest` for one without a file,
    `StorageFailed` when the storage does not give it."""
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: it has no picture yet.", pk=asset.pk, state=asset.generation_state),
            field="asset",
        )
    row = AssetOriginal.objects.filter(asset=asset).first()
    return verify(renditions.source_of(asset) if row is None else originals.read(row), among)


def said_by(content: bytes, picture: images.Picture, came: bytes | None = None) -> dict[str, Any]:
    """`came`: the file before it was tidied."""
    return {
        "digital_source_type": images.source_type_in(content),
        "content_credentials": images.checked_credentials(content, picture, came),
        "texts": images.texts_in(content, picture),
        "exif": images.exif_in(content, picture),
    }


def _matches(sha256: str, content: bytes, picture: images.Picture, among: QuerySet[MediaAsset]) -> list[Match]:
    found: dict[Any, Match] = {}
    own = among.filter(Q(content_hash=sha256) | Q(marked_hash=sha256))
    beside = {
        pk: how
        for how, model in ((RENDITION, Rendition), (ORIGINAL, AssetOriginal))
        for pk in model.objects.filter(content_hash=sha256).values_list("asset_id", flat=True)[:500]
    }
    for asset in own.order_by("-pk")[:MOST]:
        found[asset.pk] = Match(asset, FILE if asset.content_hash == sha256 else LEFT)
    for asset in among.filter(pk__in=list(beside)).order_by("-pk")[:MOST] if beside else ():
        found.setdefault(asset.pk, Match(asset, beside[asset.pk]))
    alike = looks.similar(images.look_of(content, picture), among, most=MOST)
    for asset, bits in alike:
        found.setdefault(asset.pk, Match(asset, LOOKS, bits))
    return list(found.values())[:MOST]
