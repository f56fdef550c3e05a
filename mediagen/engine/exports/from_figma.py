"""Pictures that come back out of a Figma file: each becomes an asset, the child of the one that was placed there."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from django.db import IntegrityError

from mediagen.engine.exports.plugin import placed_asset
from mediagen.engine.files import uploads
from mediagen.engine.library import Access, Right, find_library, get_library
from mediagen.errors import InvalidRequest
from mediagen.images import Picture
from mediagen.models import AssetSource, MediaAsset, MediaLibrary, MediaTag
from mediagen.providers.figma_inputs import file_url, parse_file_key, parse_node_id
from mediagen.types import checked_text
from mediagen.wording import say as _

TAG = "figma_imported"
MAX_KEY_CHARS = 190


def send_back(
    access: Access,
    content: bytes,
    *,
    file: Any = "",
    node_id: str = "",
    parent: str = "",
    library: Any = None,
    name: str = "",
    idempotency_key: str = "",
) -> tuple[MediaAsset, bool]:
    """(the asset, whether it is new): what a person sends back from Figma with the plugin.

    `parent` is the asset that the layer says it shows; without it, the one that was placed as this node. One that they
    may not read, as of another site, is left out. It lands in the parent's library if they may add to that, otherwise
    in `library`, otherwise in the default one. The same `idempotency_key` gives the same asset, once.
    `InvalidRequest` for what is no picture, and when there is no library that they may add to.
    """
    key = parse_file_key(file) if file else ""
    node = parse_node_id(node_id) if node_id else ""
    origin = _readable(access, parent) or (placed_asset(access, key, node) if key and node else None)
    target = _library(access, origin, library)
    if len(checked_text(idempotency_key, "idempotency_key")) > MAX_KEY_CHARS:
        raise InvalidRequest(_("The Idempotency-Key is too long: at most 190 characters."), field="idempotency_key")
    unique = _key_of(access, idempotency_key) if idempotency_key else ""
    if unique and (known := _known(target, unique)) is not None:
        return known, False
    cleaned, picture = uploads.opened(uploads.read(content))
    asset = new_asset(target, picture, origin, file_key=key, node_id=node, name=name, by=access.user)
    asset.idempotency_key = unique or None
    try:
        return uploads.store(asset, cleaned, picture, tags=MediaTag.objects.clean_names([TAG])), True
    except IntegrityError:
        known = _known(target, unique)
        if known is None:
            raise
        return known, False


def new_asset(
    library: MediaLibrary,
    picture: Picture,
    origin: MediaAsset | None,
    *,
    file_key: str,
    node_id: str,
    name: str,
    by: Any,
) -> MediaAsset:
    """The row of a picture out of Figma, not written yet: what it comes from, and what it is called."""
    title = " ".join(checked_text(name, "name").split())[:255] or (origin.name if origin is not None else "From Figma")
    where = {"file_key": file_key, "node_id": node_id, "url": file_url(file_key, node_id) if file_key else ""}
    return MediaAsset(
        library=library,
        source=AssetSource.IMPORTED,
        parent=origin,
        name=title,
        alt_text=origin.alt_text if origin is not None else "",
        original_name=f"{title[:200]}.{picture.extension}",
        parameters={"figma": {name: value for name, value in where.items() if value}},
        created_by_id=getattr(by, "pk", by),
    )


def _readable(access: Access, parent: str) -> MediaAsset | None:
    try:
        pk = uuid.UUID(parent)
    except ValueError:
        return None
    return access.assets(Right.READ).select_related("library").filter(pk=pk).first()


def _library(access: Access, origin: MediaAsset | None, wanted: Any) -> MediaLibrary:
    mine = access.libraries(Right.GENERATE)
    if origin is not None and (found := mine.filter(pk=origin.library_id).first()) is not None:
        return found
    if wanted:
        found = find_library(str(wanted), access)
        if found is None or not access.may(Right.GENERATE, found):
            raise InvalidRequest(_("There is no such library that you may add to."), field="library")
        return found
    default = get_library(None)
    if not access.may(Right.GENERATE, default):
        raise InvalidRequest(_("Choose a library that you may add to."), field="library")
    return default


def _key_of(access: Access, key: str) -> str:
    """The key as that of this person's token alone: others of the library may have had the same idea."""
    caller = access.token.pk if access.token is not None else ""
    return f"figma:{hashlib.sha256(f'{access.user.pk} {caller} {key}'.encode()).hexdigest()}"


def _known(library: MediaLibrary, key: str) -> MediaAsset | None:
    return MediaAsset.objects.kept().filter(library=library, idempotency_key=key).first()
