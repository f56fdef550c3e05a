"""Files of assets: where they lie, how they get there, and how they go away again."""

from __future__ import annotations

import logging

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile

from mediagen import conf
from mediagen.models import MediaAsset, asset_storage

logger = logging.getLogger("mediagen.engine")

EXTENSIONS = {"jpeg": "jpg"}


def file_name(asset: MediaAsset, format: str, content_hash: str) -> str:
    """Unique to asset and content, so that no writer meets another's file: mediagen/2026/11/<id>-<hash>.png."""
    folder = f"{conf.get('UPLOAD_TO').strip('/')}/{asset.created_at:%Y/%m}".lstrip("/")
    return f"{folder}/{asset.pk}-{content_hash[:12]}.{EXTENSIONS.get(format, format)}"


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
