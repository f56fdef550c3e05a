"""Files of assets: where they lie, how they get there, and how they go away again."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.core.files.storage import Storage

import mediagen.engine.files.refusals as refusals
from mediagen import conf, images, steps
from mediagen.engine.database import in_database
from mediagen.models import MediaAsset, asset_storage

logger = logging.getLogger("mediagen.engine")

EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp", "avif": "avif", "gif": "gif"}
LEASES_BACK = 3
_SYNCED_FOLDERS: set[Path] = set()
"""that stood in their own folders, and those in theirs, when this process last synced them"""
ARRIVES_WITHIN_S = 3600.0
"""An upload stores its file before it writes its row; whoever is not done by then is dead."""
# The id of the asset and the token of the lease under which the file was made.
NAME = re.compile(r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(?P<token>[0-9]+)(?:_[A-Za-z0-9]+)?\.[a-z]+")


def folder(asset: MediaAsset) -> str:
    return f"{conf.get('UPLOAD_TO').strip('/')}/{asset.created_at:%Y/%m}".lstrip("/")


def file_name(asset: MediaAsset, token: int, format: str) -> str:
    """mediagen/2026/11/<id>-<token>.png: unique to the asset and the lease, so that no writer meets another's file,
    and known beforehand, so that a file whose writer died is found again."""
    return f"{folder(asset)}/{asset.pk}-{token}.{EXTENSIONS.get(format, 'bin')}"


def asset_of(name: str) -> uuid.UUID | None:
    """The id of the asset that a stored file was made for; None for a file of another kind."""
    match = NAME.fullmatch(name.rpartition("/")[2])
    return uuid.UUID(match["id"]) if match else None


def may_be_arriving(asset_id: str) -> bool:
    """Whether the asset of a stored file may be about to get its row: its id, which holds the time, is young."""
    parsed = uuid.UUID(asset_id)
    return parsed.version == 7 and time.time() - (parsed.int >> 80) / 1000 < ARRIVES_WITHIN_S


def left_files(asset: MediaAsset) -> list[str]:
    """Names of files that were stored for the asset under an earlier lease and never became its file."""
    storage = asset_storage()
    names = (
        file_name(asset, token, format)
        for token in range(max(1, asset.lease_token - LEASES_BACK), asset.lease_token)
        for format in EXTENSIONS
    )
    return [name for name in names if name != asset.file.name and storage.exists(name)]


async def save_file(
    name: str, content: bytes, *, is_paid: bool = False, behind: Callable[[], None] | None = None
) -> str:
    """Store the bytes; the name they really got. Off the ORM's thread: a bucket may take seconds.

    For what is paid a storage that fails is tried again for STORAGE_PATIENCE_S, and meanwhile nothing further is bought
    (see `refusals`). Then its exception is raised. `behind` is called in the same thread when it is stored.
    """
    give_up_at = time.monotonic() + (conf.get("STORAGE_PATIENCE_S") if is_paid else 0.0)
    wait_s = 0.2
    while True:
        try:
            with steps.step("storage", bytes=len(content)):
                saved = await sync_to_async(_save_then, thread_sensitive=False)(name, content, behind)
            if is_paid:
                refusals.taken()
            return saved
        except Exception as exc:
            if is_paid:
                refusals.refused(exc, len(content))
            if time.monotonic() + wait_s > give_up_at:
                raise
            logger.warning("the storage did not take %s (%s); trying again", name, type(exc).__name__)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 5.0)


def _save_then(name: str, content: bytes, behind: Callable[[], None] | None) -> str:
    saved = _save(name, content)
    if behind is not None:
        behind()
    return saved


def _save(name: str, content: bytes) -> str:
    storage = asset_storage()
    saved = storage.save(name, _InOnePiece(content))
    if conf.get("SYNC_TO_DISK"):
        try:
            _sync(storage, saved)
        except OSError:  # some disks say only now that they are full
            _delete(saved)
            raise
    return saved


def _sync(storage: Storage, name: str) -> None:
    """Have a stored file outlive a power cut: its bytes, its name, and the folders that were made for it."""
    try:
        path = Path(storage.path(name))
    except NotImplementedError:
        return  # no folder of this machine: whoever takes the bytes answers for them
    with path.open("r+b" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())
    folder = path.parent
    sync_folder(folder)
    if folder not in _SYNCED_FOLDERS:
        for above in folder.parents:
            sync_folder(above)
        _SYNCED_FOLDERS.add(folder)  # one a month


class _InOnePiece(ContentFile):  # type: ignore[type-arg]
    """Bytes that are written at once: in 64 KiB pieces, each of them waits for the event loop's thread."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._content = content

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield self._content


def rescue_folder() -> Path:
    """Where paid pictures lie that the storage would not take, on this machine."""
    configured = conf.get("RESCUE_DIR")
    return Path(configured) if configured else Path(tempfile.gettempdir()) / f"mediagen-rescued-{os.getuid()}"


async def put_aside(name: str, content: bytes) -> str:
    """Keep the bytes in the rescue folder; the path, or "" when that fails too."""
    return await sync_to_async(_put_aside, thread_sensitive=False)(name, content)


def _put_aside(name: str, content: bytes) -> str:
    """Whole or not at all: a half would be taken for the picture, and a full disk writes halves."""
    path = rescue_folder() / name.rpartition("/")[2]
    # Not a name that `rescued` finds.
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
            sync_folder(path.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError:
        logger.exception("the picture %s could not be put aside either", name)
        return ""
    return str(path)


def sync_folder(folder: str | Path) -> None:
    """Have the names in a folder outlive a power cut. Does nothing where folders cannot be opened or synced."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def rescued(asset: MediaAsset) -> list[Path]:
    """Pictures of the asset in the rescue folder."""
    return sorted(rescue_folder().glob(f"{asset.pk}-*"))


async def read_file(asset: MediaAsset) -> bytes:
    """The whole file of an asset."""
    return await read_stored(str(asset.file.name))


def leaving(asset: MediaAsset, content: bytes) -> bytes:
    """The bytes of an asset's file as they leave the site: with the word on who made the picture, where its vendor
    wrote none. What is stored stays as the vendor sent it."""
    return images.marked(content, asset.format, asset.digital_source_type)


async def read_stored(name: str) -> bytes:
    """The whole of a stored file."""
    return await sync_to_async(_read, thread_sensitive=False)(name)


def _read(name: str) -> bytes:
    with asset_storage().open(name) as file:
        content: bytes = file.read()
        return content


KEEPERS: list[Callable[[str], bool]] = []
"""Say of a file's name whether a row that is not ours has the same file: then it is that row's now, and stays. An app
of ours adds to them when it is ready."""


def remove_file(name: str) -> bool:
    """Delete a stored file; False when it stays. A storage that cannot now is logged, not raised: the caller has worse
    to tell."""
    return not _is_kept(name) and _delete(name)


async def aremove_file(name: str) -> None:
    is_kept = bool(KEEPERS) and await in_database(_is_kept, name)
    if is_kept:
        return
    await sync_to_async(_delete, thread_sensitive=False)(name)


def _is_kept(name: str) -> bool:
    try:
        return any(keeps(name) for keeps in KEEPERS)
    except Exception:
        logger.exception("it is not known whether something else has the file %s: it stays", name)
        return True


def _delete(name: str) -> bool:
    try:
        asset_storage().delete(name)
    except Exception:
        logger.exception("the file %s could not be removed from the storage", name)
        return False
    return True
