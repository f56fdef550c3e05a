"""Files of assets: where they lie, how they get there, and how they go away again."""

from __future__ import annotations

import logging
import re

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile

from mediagen import conf
from mediagen.models import MediaAsset, asset_storage

logger = logging.getLogger("mediagen.engine")

EXTENSIONS = {"png": "png", "jpeg": "jpg", "webp": "webp", "avif": "avif", "gif": "gif"}
# The id of the asset and the token of the lease under which the file was made.
NAME = re.compile(r"(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(?P<token>[0-9]+)(?:_[A-Za-z0-9]+)?\.[a-z]+")


def folder(asset: MediaAsset) -> str:
    return f"{conf.get('UPLOAD_TO').strip('/')}/{asset.created_at:%Y/%m}".lstrip("/")


def file_name(asset: MediaAsset, token: int, format: str) -> str:
    """mediagen/2026/11/<id>-<token>.png: unique to the asset and the lease, so that no writer meets another's file,
    and known beforehand, so that a file whose writer died is found again."""
    return f"{folder(asset)}/{asset.pk}-{token}.{EXTENSIONS.get(format, 'bin')}"


def left_files(asset: MediaAsset, token: int) -> list[str]:
    """Names of stored files that were written under this lease."""
    storage = asset_storage()
    names = (file_name(asset, token, format) for format in EXTENSIONS)
    return [name for name in names if storage.exists(name)]


async def save_file(name: str, content: bytes) -> str:
    """Store the bytes; the name they really got. Off the ORM's thread: a bucket may take seconds."""
    return await sync_to_async(_save, thread_sensitive=False)(name, content)


def _save(name: str, content: bytes) -> str:
    return asset_storage().save(name, ContentFile(content))


async def read_file(asset: MediaAsset) -> bytes:
    """The whole file of an asset."""
    return await sync_to_async(_read, thread_sensitive=False)(asset.file.name)


def _read(name: str) -> bytes:
    with asset_storage().open(name) as file:
        content: bytes = file.read()
        return content


def remove_file(name: str) -> None:
    """Delete a stored file. A storage that cannot now is logged, not raised: the caller has worse to tell."""
    try:
        asset_storage().delete(name)
    except Exception:
        logger.exception("the file %s could not be removed from the storage", name)


async def aremove_file(name: str) -> None:
    await sync_to_async(remove_file, thread_sensitive=False)(name)
