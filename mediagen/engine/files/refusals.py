"""Whether the storage takes pictures. Where it has just refused a paid one, nothing further is bought before it takes
files again: one caller tries with a file of the same size, the others wait for what he finds.

Known to this process alone; a flag each, so that event loops of several threads may share it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile

from mediagen import conf
from mediagen.errors import StorageFailed
from mediagen.models import asset_storage

logger = logging.getLogger("mediagen.engine")

LOOK_AGAIN_S = 0.05
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0


@dataclass(slots=True)
class _Refusal:
    why: str
    size_bytes: int
    is_being_tried: bool = False
    tried: int = 0
    next_try_at: float = 0.0
    wait_s: float = FIRST_WAIT_S


_refusal: _Refusal | None = None


def refused(exc: Exception, size_bytes: int) -> str:
    """The storage did not take a paid picture of this size; why, for people."""
    global _refusal
    why = reason(exc)
    if _refusal is None:
        _refusal = _Refusal(why, size_bytes)
    else:
        _refusal.why, _refusal.size_bytes = why, max(size_bytes, _refusal.size_bytes)
    return why


def taken() -> None:
    """The storage took a picture."""
    global _refusal
    _refusal = None


def present() -> str:
    """Why this process's last paid picture was not taken; "" when it was."""
    return "" if _refusal is None else _refusal.why


def reason(exc: Exception) -> str:
    """Of an exception of a storage; a foreign one's own text may hold anything."""
    if isinstance(exc, OSError) and exc.strerror:
        return f"{type(exc).__name__}: {exc.strerror}"
    return type(exc).__name__


async def wait_until_taken(file_name: Callable[[], str]) -> None:
    """Before a purchase: returns at once, unless the last paid picture was refused. Then one of all who wait tries to
    store as much, under his `file_name()`, again and again. `StorageFailed` for whom that was in vain, for
    STORAGE_PATIENCE_S and once at least."""
    if _refusal is None:
        return
    give_up_at = time.monotonic() + conf.get("STORAGE_PATIENCE_S")
    first, tried_before = _refusal, _refusal.tried
    while (refusal := _refusal) is not None:
        now = time.monotonic()
        if now > give_up_at and refusal.tried > (tried_before if refusal is first else 0):
            raise StorageFailed(f"The storage takes no pictures ({refusal.why}), so nothing was bought.")
        if refusal.is_being_tried or now < refusal.next_try_at:
            await asyncio.sleep(LOOK_AGAIN_S)
            continue
        refusal.is_being_tried = True
        try:
            await sync_to_async(_try, thread_sensitive=False)(file_name(), refusal.size_bytes)
        except Exception as exc:
            refusal.why = reason(exc)
            refusal.next_try_at = time.monotonic() + refusal.wait_s
            refusal.wait_s = min(refusal.wait_s * 2, LONGEST_WAIT_S)
            refusal.tried += 1
        else:
            logger.warning("the storage takes files again")
            taken()
        finally:
            refusal.is_being_tried = False


def _try(name: str, size_bytes: int) -> None:
    # Random: a file system that compresses would take as many zeros when it is full.
    storage = asset_storage()
    name = storage.save(name, ContentFile(os.urandom(size_bytes)))
    storage.delete(name)
