"""Dying at a chosen instant: "MEDIAGEN_KILL_AT=stored:3" kills the process at the third picture that is stored.

An app of the tests' settings, so that nothing of it is in the product. Every point is a wrapper around one function
of the engine; SIGKILL gives nothing a chance to tidy up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from django.apps import AppConfig
from django.db import transaction

POINTS: dict[str, Callable[[Callable[[], None]], None]] = {}


def point(install: Callable[[Callable[[], None]], None]) -> Callable[[Callable[[], None]], None]:
    POINTS[install.__name__] = install
    return install


class FaultsConfig(AppConfig):
    name = "tests.kill"
    label = "kill"

    def ready(self) -> None:
        wanted = os.environ.get("MEDIAGEN_KILL_AT", "")
        if wanted:
            name, _, number = wanted.partition(":")
            POINTS[name](_at_call(int(number or 1)))


def _at_call(number: int) -> Callable[[], None]:
    """To be called whenever the point is reached; the `number`-th time is the last one."""
    left = number

    def reached() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _around(owner: Any, name: str, *, before: Callable[[], None] | None = None, after: Any = None) -> None:
    original = getattr(owner, name)

    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            before()
        result = await original(*args, **kwargs)
        if after is not None:
            after()
        return result

    setattr(owner, name, wrapped)


@point
def loading(reached: Callable[[], None]) -> None:
    """In the transaction that makes a chunk of the batch's rows."""
    from mediagen.engine.batches import lifecycle

    original = lifecycle._load_chunk

    def wrapped(*args: Any) -> None:
        original(*args)
        reached()

    lifecycle._load_chunk = wrapped  # type: ignore[assignment]


@point
def claimed(reached: Callable[[], None]) -> None:
    """Rows are claimed, nothing is begun."""
    from mediagen.engine.work.worker import Worker

    _around(Worker, "_fetch", after=reached)


@point
def noted(reached: Callable[[], None]) -> None:
    """The attempt's row is written and its money held; the request has not left."""
    from mediagen.engine.generation.recorder import RowRecorder

    _around(RowRecorder, "started", after=reached)


@point
def accepted(reached: Callable[[], None]) -> None:
    """The provider has taken the job and said its id; the id is not written."""
    from mediagen.engine.generation.recorder import RowRecorder

    _around(RowRecorder, "job_submitted", before=reached)


@point
def job_known(reached: Callable[[], None]) -> None:
    """The job's id is written; nobody has asked for the job yet."""
    from mediagen.engine.generation.recorder import RowRecorder

    _around(RowRecorder, "job_submitted", after=reached)


@point
def delivered(reached: Callable[[], None]) -> None:
    """The picture is in memory, and nowhere else of ours."""
    from mediagen.engine.files import storage

    _around(storage, "save_file", before=reached)


@point
def half_stored(reached: Callable[[], None]) -> None:
    """Half of the file is in the storage."""
    from django.core.files.base import ContentFile

    from mediagen.engine.files import storage
    from mediagen.models import asset_storage

    original = storage._save

    def wrapped(name: str, content: bytes) -> str:
        half = asset_storage().save(name, ContentFile(content[: len(content) // 2]))
        reached()
        asset_storage().delete(half)
        return original(name, content)

    storage._save = wrapped


@point
def stored(reached: Callable[[], None]) -> None:
    """The file is whole; its row does not know it."""
    from mediagen.engine.files import storage

    _around(storage, "save_file", after=reached)


@point
def written(reached: Callable[[], None]) -> None:
    """The row is written and not committed."""
    from mediagen.engine.generation import running

    original = running.complete

    def wrapped(*args: Any) -> Any:
        with transaction.atomic():
            values = original(*args)
            reached()
        return values

    running.complete = wrapped


@point
def committed(reached: Callable[[], None]) -> None:
    """Everything is written; the process just does not know it."""
    from mediagen.engine.generation import running

    _around(running, "store", after=reached)
