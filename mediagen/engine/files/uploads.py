"""People's own pictures in a library: looked into, freed of what is private, kept beside the generated ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import ContentFile
from django.db.models import QuerySet

import mediagen.engine.files.looks as looks
import mediagen.engine.files.storage as storage
from mediagen import conf, images
from mediagen.engine.database import as_uuid
from mediagen.engine.events import announcements
from mediagen.errors import InvalidRequest, NotAPicture, StorageFailed
from mediagen.images import Picture, origin
from mediagen.models import (
    AssetSource,
    GenerationState,
    MediaAsset,
    MediaLibrary,
    MediaTag,
    asset_storage,
)
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import checked_text
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

NAME_LENGTH = 255
READ_AT_ONCE = 1024 * 1024


def upload(
    file: Any,
    *,
    library: MediaLibrary,
    by: Any,
    name: str = "",
    description: str = "",
    alt_text: str = "",
    tags: Iterable[str] = (),
    parent: Any = None,
    source: AssetSource = AssetSource.UPLOADED,
) -> MediaAsset:
    """A ready asset with the picture in `file`: bytes, or anything with `read(size)`, such as Django's UploadedFile.

    Format and size are those of the content, whatever its name and its sender say. EXIF, with the place where it was
    taken, and other private metadata are taken out without compressing the picture anew; one that was held sideways
    is turned upright. What A1111, ComfyUI and InvokeAI write into their PNGs becomes prompt, seed and model.
    `InvalidRequest` with `field` for what is no whole PNG, JPEG, WebP, AVIF or GIF within MAX_IMAGE_BYTES and
    MAX_IMAGE_PIXELS, and for texts that cannot be kept; `StorageFailed` when the storage does not take it. Either
    leaves nothing behind. Do not call it inside a transaction: a roll-back would leave the file until maintenance
    finds it. Whether `by`, a user or None, may add to `library` is asked before, at the edge.
    """
    original = _base_name(getattr(file, "name", None))
    values = {
        "name": _text(name, "name", NAME_LENGTH).strip() or PurePosixPath(original).stem[:NAME_LENGTH],
        "description": _text(description, "description"),
        "alt_text": _text(alt_text, "alt_text"),
        "parent_id": as_uuid(parent, "parent"),
    }
    names = MediaTag.objects.clean_names(tags)
    sent = read(file)
    recipe = images.recipe_in(sent)  # before it is taken out with all other metadata
    content, picture = opened(sent)
    signed = images.checked_credentials(sent, picture)
    asset = MediaAsset(library=library, source=source, original_name=original, created_by=by, **values)
    asset.content_credentials = signed
    if recipe is not None:
        asset.prompt, asset.negative_prompt, asset.seed = recipe.prompt, recipe.negative_prompt, recipe.seed
        asset.model_name = recipe.model
        asset.parameters = {"width": picture.width, "height": picture.height, "made_with": recipe.program}
        if not images.source_type_in(content):
            content, picture = _marked(content, picture)
    return store(asset, content, picture, tags=names)


def _marked(content: bytes, picture: Picture) -> tuple[bytes, Picture]:
    """As made by a model, which its recipe says and its mark did not."""
    content = images.marked(content, picture.format, origin.BY_MODEL)
    found = images.inspect(content, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES"))
    return content, replace(found, left_out=picture.left_out)


def read(file: Any) -> bytes:
    """The whole content, not a byte more than MAX_IMAGE_BYTES of it. `InvalidRequest` when there is none or more."""
    limit = conf.get("MAX_IMAGE_BYTES")
    if isinstance(file, bytes | bytearray | memoryview):
        content = bytes(file)
    elif hasattr(file, "read"):
        if (getattr(file, "size", None) or 0) > limit:
            raise _too_large(limit)
        content = _read(file, limit)
    else:
        raise InvalidRequest(_("There is no file. Send one, as multipart/form-data."), field="file")
    if len(content) > limit:
        raise _too_large(limit)
    return content


def _read(file: Any, limit: int) -> bytes:
    parts, size = [], 0
    while size <= limit and (part := file.read(READ_AT_ONCE)):
        if not isinstance(part, bytes):
            raise InvalidRequest(_("The file must be opened for reading bytes, not text."), field="file")
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _too_large(limit: int) -> InvalidRequest:
    return InvalidRequest(
        _(
            "The file has more than %(limit)s bytes. Use a smaller one, or raise MEDIAGEN['MAX_IMAGE_BYTES'].",
            limit=f"{limit:,}",
        ),
        field="file",
    )


def opened(content: bytes) -> tuple[bytes, Picture]:
    """The picture upright and without private metadata, and what it is; every pixel was decoded once.

    `InvalidRequest` for what is no picture that we take.
    """
    max_pixels = conf.get("MAX_IMAGE_PIXELS")
    max_bytes = conf.get("MAX_IMAGE_BYTES")
    try:
        content, picture = images.tidied(content, max_pixels=max_pixels, max_bytes=max_bytes)
        left_out = picture.left_out + images.lost_by_writing(content, picture)
        images.decode_check(content, picture, max_pixels=max_pixels)
        content, picture = images.upright(content, picture)
        content = images.cleaned(content, picture)
        picture = images.inspect(content, max_pixels=max_pixels, max_bytes=max_bytes)
        return content, replace(picture, left_out=left_out)
    except NotAPicture as exc:
        raise InvalidRequest(str(exc), field="file") from exc


def store(asset: MediaAsset, content: bytes, picture: Picture, *, tags: Iterable[str] = ()) -> MediaAsset:
    """Keep the picture as the file of `asset`, a row that is not written yet: the file first, then the row, ready.

    A process that dies in between leaves a file that no row names, which maintenance removes after an hour; there is
    never a row without its file. `StorageFailed` when the storage does not take it.
    """
    asset.created_at = db_now()  # for the folder; the row's own is written with it
    found_in = looks.plain_traits if asset.is_placeholder else looks.traits_of
    traits = found_in(content, picture, images.source_type_in(content))
    name = storage.file_name(asset, 1, picture.format)
    try:
        name = asset_storage().save(name, ContentFile(content))
    except Exception as exc:
        logger.exception("the storage did not take the file of asset %s", asset.pk)
        storage.remove_file(name)
        raise StorageFailed(
            f"The storage did not take the file ({type(exc).__name__}). Nothing was kept; try again later."
        ) from exc
    try:
        _write(asset, name, picture, images.source_type_in(content), traits, list(tags))
    except BaseException:
        storage.remove_file(name)
        raise
    return asset


@atomic()
def _write(
    asset: MediaAsset, name: str, picture: Picture, source_type: str, traits: dict[str, Any], tags: list[str]
) -> None:
    asset.file.name = name
    asset.format, asset.width, asset.height = picture.format, picture.width, picture.height
    asset.file_size, asset.content_hash = picture.size_bytes, picture.sha256
    asset.digital_source_type = source_type[:60]
    asset.fit_report = {**asset.fit_report, **picture.fit_report}
    for trait, value in traits.items():
        setattr(asset, trait, value)
    asset.generation_state = GenerationState.READY
    asset.lease_token = 1
    asset.cost = Decimal(0)
    asset.save(force_insert=True)
    if to_add := {*MediaTag.objects.ensure(tags), *asset.library.default_tags.all()}:
        asset.tags.add(*to_add)
    announcements.assets_ready([asset.pk])


def duplicates(asset: MediaAsset, among: QuerySet[MediaAsset]) -> QuerySet[MediaAsset]:
    """Those of `among`, what somebody may see, whose file is the same byte for byte; the newest first."""
    if not asset.content_hash:
        return among.none()
    return among.filter(content_hash=asset.content_hash).exclude(pk=asset.pk).order_by("-pk")


def _text(value: Any, field: str, limit: int | None = None) -> str:
    text = checked_text(value, field)
    if limit is not None and len(text) > limit:
        raise InvalidRequest(
            _(
                "%(field)s has %(number)s characters; at most %(limit)s fit.",
                field=field,
                number=len(text),
                limit=limit,
            ),
            field=field,
        )
    return text


def _base_name(name: Any) -> str:
    """What the file was called where it came from, without folders and characters that nobody can see."""
    base = str(name or "").replace("\\", "/").rpartition("/")[2].encode("utf-8", "replace").decode()
    shown = "".join(c for c in base if c.isprintable())
    stem, dot, extension = shown.rpartition(".")
    return f"{stem[: NAME_LENGTH - len(extension) - 1]}{dot}{extension}"[:NAME_LENGTH] if dot else shown[:NAME_LENGTH]
