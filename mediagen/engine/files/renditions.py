"""Renditions: an asset's picture in another size or format, made when it is first asked for, once, and kept."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.core.files.base import ContentFile
from django.db import IntegrityError

import mediagen.engine.files.originals as originals
import mediagen.engine.files.signatures as signatures
import mediagen.engine.files.storage as storage
from mediagen import conf, images
from mediagen.engine.database import times
from mediagen.engine.files.originals import Source
from mediagen.errors import ComeLater, InvalidRequest, NotAPicture, StorageFailed
from mediagen.images import scale
from mediagen.models import MediaAsset, Rendition, asset_storage
from mediagen.models.routing import atomic, on_commit
from mediagen.types import uuid7
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

MAX_SIDE_PX = 4096
MOST_KEPT = 200
"""of one asset: whoever asks for every size there is fills no disk; the oldest go, and are made again when asked for.
A page offers a dozen, and a picture may be on several."""
STRANGERS_MAKE, PER_S = 30, 600
"""renditions of one asset that holders of its signed address can have made, and in how many seconds"""
FITS = ("inside", "cover")
NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-(?P<made>[0-9a-f]{32})(?:_[A-Za-z0-9]+)?\.[a-z]+")
"""of a file: the asset's id, and an id of its own that holds the time"""


@dataclass(frozen=True, slots=True)
class Spec:
    """What is wanted: checked, and with its defaults filled in."""

    width: int | None
    height: int | None
    format: str
    fit: str
    quality: int
    focus: tuple[float, float] | None = None
    """where "cover" cuts around, fractions from the left and the top; None: the asset's focal point"""

    @classmethod
    def checked(
        cls,
        width: Any = None,
        height: Any = None,
        format: Any = None,
        fit: Any = "inside",
        quality: Any = None,
        focus: Any = None,
    ) -> Spec:
        """The spec; numbers may come as text. `InvalidRequest` with the `field` that is wrong and what it may be."""
        sides = _number(width, "width", MAX_SIDE_PX), _number(height, "height", MAX_SIDE_PX)
        wanted = str(format or "webp").lower().replace("jpg", "jpeg")
        if wanted not in scale.FORMATS:
            raise InvalidRequest(
                _(
                    "format can be %(formats)s, not %(value)s.",
                    formats=", ".join(scale.FORMATS),
                    value=f"{str(format)!r:.40}",
                ),
                field="format",
            )
        if not images.can_write(wanted):
            raise InvalidRequest(_("This site cannot write %(wanted)s; webp it can.", wanted=wanted), field="format")
        if (fit or "inside") not in FITS:
            raise InvalidRequest(
                _("fit can be %(fits)s, not %(value)s.", fits=" or ".join(FITS), value=f"{str(fit)!r:.40}"), field="fit"
            )
        if fit == "cover" and None in sides:
            raise InvalidRequest(
                _("fit=cover needs a width and a height."), field="width" if not sides[0] else "height"
            )
        level = _number(quality, "quality", 100)
        level = scale.QUALITY[wanted] if level is None or wanted == "png" else level
        return cls(*sides, wanted, fit or "inside", level, checked_focus(focus) if fit == "cover" else None)

    def key(self, asset: MediaAsset) -> str:
        """Unique to what it is made of and how: w400-h0-inside-webp-q80-<first 16 of the source's hash>."""
        x, y = self.focus or (asset.focal_x, asset.focal_y)
        focus = f"{round(x * 100)}.{round(y * 100)}-" if self.fit == "cover" else ""
        size = f"w{self.width or 0}-h{self.height or 0}"
        return f"{size}-{self.fit}-{focus}{self.format}-q{self.quality}-{asset.content_hash[:16]}"


def _number(value: Any, name: str, most: int) -> int | None:
    if value is None or value == "":
        return None
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= most):
        raise InvalidRequest(
            _(
                "%(name)s must be a whole number from 1 to %(most)s, not %(text)s.",
                name=name,
                most=most,
                text=f"{text!r:.40}",
            ),
            field=name,
        )
    return int(text)


def checked_focus(value: Any) -> tuple[float, float] | None:
    """(0.3, 0.5) or "0.3,0.5": fractions from the left and the top, to a hundredth; None and "" stay none."""
    if value is None or value == "":
        return None
    try:
        x, y = (float(part) for part in (value.split(",") if isinstance(value, str) else value))
        is_inside = 0 <= x <= 1 and 0 <= y <= 1
    except (TypeError, ValueError):
        is_inside = False
    if not is_inside:
        raise InvalidRequest(
            _("focus is two fractions such as 0.3,0.5, not %(value)s.", value=f"{str(value)!r:.40}"), field="focus"
        )
    return round(x, 2), round(y, 2)


def rendition(
    asset: MediaAsset,
    *,
    width: Any = None,
    height: Any = None,
    format: Any = None,
    fit: Any = "inside",
    quality: Any = None,
    focus: Any = None,
    for_stranger: bool = False,
) -> Rendition:
    """The asset's picture with at most `width` x `height` pixels, as "webp" unless another format is asked for.

    fit "inside" keeps the whole picture, "cover" fills the box and cuts around `focus`, two fractions, or else the
    asset's focal point. Nothing is enlarged. Sides up to 4096, quality 1 to 100. `InvalidRequest` with `field` for
    anything else, and for an asset without a picture; `StorageFailed` when its file is gone or damaged, or the
    rendition cannot be stored.
    One query when it was made before. Two who ask at once get the same. `for_stranger`: whoever asks has only an
    address; `ComeLater` when such people have had many of this asset made in a short time.
    """
    return make(asset, Spec.checked(width, height, format, fit, quality, focus), for_stranger=for_stranger)


def make(asset: MediaAsset, spec: Spec, *, for_stranger: bool = False) -> Rendition:
    """The rendition of a spec that was checked; see `rendition`."""
    if not asset.is_ready or not asset.file:
        raise InvalidRequest(
            _("Asset %(pk)s is %(state)s: it has no picture yet.", pk=asset.pk, state=asset.generation_state),
            field="asset_id",
        )
    key = spec.key(asset)
    made = Rendition.objects.filter(asset=asset, key=key)
    if (found := made.first()) is not None:
        return found
    with _alone(f"{asset.pk}:{key}") as has_waited:
        if has_waited and (found := made.first()) is not None:
            return found
        if for_stranger and not times.fits(f"renditions:{asset.pk}", STRANGERS_MAKE, PER_S):
            text = "Many other sizes of this picture were made just now. Ask for one that was, or come later."
            raise ComeLater(text, retry_after_s=PER_S)
        return _make(asset, spec, key)


def content_of(asset: MediaAsset, found: Rendition) -> bytes:
    """The rendition's bytes. One whose file is gone is made again. `StorageFailed` when that fails too."""
    for again in (True, False):
        try:
            with asset_storage().open(str(found.file.name)) as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            if not again:
                break
            logger.warning("the file of rendition %s is gone; it is made again", found.pk)
            spec = _spec_of(found)
            Rendition.objects.filter(pk=found.pk).delete()
            found = rendition(asset, **spec)
        except OSError as exc:
            raise StorageFailed(f"The storage does not give the file ({type(exc).__name__}). Try again later.") from exc
    raise StorageFailed("The storage does not keep the file that it took. Tell who runs the site.")


def _spec_of(made: Rendition) -> dict[str, Any]:
    width, height, fit, *around, format, quality, _hash = made.key.split("-")
    sides = (int(side[1:]) or None for side in (width, height))
    level = int(quality[1:]) or None
    focus = tuple(int(part) / 100 for part in around[0].split(".")) if around else None
    return {
        **dict(zip(("width", "height"), sides, strict=True)),
        "fit": fit,
        "format": format,
        "quality": level,
        "focus": focus,
    }


_locks: dict[str, tuple[threading.Lock, int]] = {}
_guard = threading.Lock()


@contextmanager
def _alone(key: str) -> Iterator[bool]:
    """One thread of this process at a time; True for those that had to wait, and may find it done."""
    with _guard:
        lock, waiting = _locks.get(key, (threading.Lock(), 0))
        _locks[key] = lock, waiting + 1
    try:
        with lock:
            yield waiting > 0
    finally:
        with _guard:
            lock, waiting = _locks[key]
            if waiting > 1:
                _locks[key] = lock, waiting - 1
            else:
                del _locks[key]


def _make(asset: MediaAsset, spec: Spec, key: str) -> Rendition:
    scaled = scaled_to(spec, asset, best_source(asset))
    folder = f"{conf.get('UPLOAD_TO').strip('/')}/renditions/{asset.created_at:%Y/%m}".lstrip("/")
    name = f"{folder}/{asset.pk}-{uuid7().hex}.{storage.EXTENSIONS[spec.format]}"
    try:
        name = asset_storage().save(name, ContentFile(scaled.content))
    except Exception as exc:
        raise StorageFailed(f"The storage did not take a rendition ({type(exc).__name__}). Try again later.") from exc
    made = Rendition(
        asset=asset,
        key=key,
        file=name,
        format=spec.format,
        width=scaled.width,
        height=scaled.height,
        file_size=len(scaled.content),
        content_hash=hashlib.sha256(scaled.content, usedforsecurity=False).hexdigest(),
    )
    try:
        with atomic():
            made.save(force_insert=True)
    except IntegrityError:
        storage.remove_file(name)
        # Another process was quicker; or the asset has just been removed for good.
        if (theirs := Rendition.objects.filter(asset=asset, key=key).first()) is not None:
            return theirs
        raise InvalidRequest(_("There is no asset %(pk)s.", pk=asset.pk), field="asset_id") from None
    except BaseException:
        storage.remove_file(name)
        raise
    _remove_surplus(asset)
    seen = {"color": scaled.color, "blur_hash": scaled.blur_hash}
    if new := {name: value for name, value in seen.items() if value and not getattr(asset, name)}:
        # What a page shows until the file is there: known now that the picture was decoded.
        MediaAsset.objects.filter(pk=asset.pk, content_hash=asset.content_hash).update(**new)
        for name, value in new.items():
            setattr(asset, name, value)
    return made


def source_of(asset: MediaAsset) -> bytes:
    """The asset's whole file; `StorageFailed` when the storage does not give it."""
    try:
        with asset_storage().open(str(asset.file.name)) as file:
            content: bytes = file.read()
            return content
    except OSError as exc:
        logger.error("asset %s: its file %s cannot be read (%s)", asset.pk, asset.file.name, type(exc).__name__)
        raise StorageFailed(f"The storage does not give the file of asset {asset.pk} ({type(exc).__name__}).") from exc


def best_source(asset: MediaAsset) -> Source:
    """The original where it is kept and larger, else the asset's own file; `StorageFailed` when there is neither."""
    return originals.larger(asset) or _own_source(asset)


def _own_source(asset: MediaAsset) -> Source:
    # What the row knows of the file; it was looked into before it was stored.
    known = images.Picture(asset.format, asset.width, asset.height, asset.content_hash, asset.file_size)
    return Source(source_of(asset), known)


def scaled_to(spec: Spec, asset: MediaAsset, source: Source) -> images.Scaled:
    """The asset's picture as the spec says, signed where the site signs. `StorageFailed` when its file is damaged."""
    try:
        made = images.scaled(
            source.content,
            source.picture,
            spec.format,
            width=spec.width,
            height=spec.height,
            cover=spec.fit == "cover",
            focus=spec.focus or (asset.focal_x, asset.focal_y),
            quality=spec.quality,
            source_type=asset.digital_source_type,
            as_fitted=(asset.width, asset.height) if source.is_original else None,
        )
        return signatures.of_rendition(made, spec.format, asset, source, cover=spec.fit == "cover")
    except NotAPicture as exc:
        if source.is_original:
            logger.warning("the original of asset %s cannot be used: %s", asset.pk, exc)
            return scaled_to(spec, asset, _own_source(asset))
        logger.error("asset %s: %s", asset.pk, exc)
        raise StorageFailed(f"The stored file of asset {asset.pk} cannot be read: {exc}") from exc


def _remove_surplus(asset: MediaAsset) -> None:
    """Renditions of a picture that was replaced since, and more than `MOST_KEPT`."""
    rows = list(Rendition.objects.filter(asset=asset).order_by("-pk").values_list("pk", "key"))
    stale = [pk for pk, key in rows if not key.endswith(asset.content_hash[:16])]
    surplus = [pk for pk, key in rows if key.endswith(asset.content_hash[:16])][MOST_KEPT:]
    if stale or surplus:
        remove(stale + surplus)


@atomic()
def remove(pks: list[Any]) -> int:
    """Rows first, then their files; how many."""
    rows = Rendition.objects.filter(pk__in=pks)
    names = list(rows.values_list("file", flat=True))
    rows.delete()
    on_commit(partial(_remove_files, names))
    return len(names)


def _remove_files(names: list[str]) -> None:
    for name in names:
        storage.remove_file(name)


def unknown_among(names: list[str]) -> list[str]:
    """Those of these stored files that are renditions and whose row is not there, nor about to come. One query."""
    ours = {name: match for name in names if (match := NAME.fullmatch(name.rpartition("/")[2]))}
    if not ours:
        return []
    known = set(Rendition.objects.filter(file__in=ours).values_list("file", flat=True))
    return [
        name
        for name, match in ours.items()
        if name not in known and not storage.may_be_arriving(str(uuid.UUID(match["made"])))
    ]
