"""Batches and workers inside a test, with a provider whose answers the test writes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from mediagen.engine.batches import lifecycle
from mediagen.engine.batches.manifests import ManifestRow, open_manifest
from mediagen.engine.work.worker import Event, Until, Worker
from mediagen.models import GenerationAttempt, GenerationBatch, MediaAsset, ProviderConfig, SpendAccount
from mediagen.types import GeneratedImage
from tests.fakes import picture

PRICE = Decimal("0.10")


class Local:
    """A foreign provider in this process. What it does is set on the class, because every chain makes a new one."""

    price: Decimal | None = PRICE
    asked: list[str] = []
    answer: Callable[[str], Awaitable[GeneratedImage | None]] | None = None
    """called with the prompt; None: a picture"""

    def get_name(self) -> str:
        return "local"

    async def check_health(self) -> bool:
        return True

    def estimate(self, **request: Any) -> Decimal | None:
        return type(self).price

    async def generate_image(self, prompt: str, width: int, height: int, **options: Any) -> GeneratedImage:
        cls = type(self)
        cls.asked.append(prompt)
        result = await cls.answer(prompt) if cls.answer is not None else None
        return result or picture(width, height, cost=cls.price)


def use_local(settings: Any, answer: Any = None, price: Decimal | None = PRICE, **mediagen: Any) -> type[Local]:
    """Make `Local` the only provider, live. `answer` is awaited with the prompt; None from it means a picture."""
    Local.asked, Local.price = [], price
    Local.answer = staticmethod(answer) if answer is not None else None
    settings.MEDIAGEN = {
        "DRY_RUN": False,
        "BACKOFF_S": 0.001,
        "STORAGE_PATIENCE_S": 0.0,
        "PROVIDERS": {"local": "tests.engine.work.working.Local"},
        **mediagen,
    }
    # A row, for a table that a transactional test before has emptied would mean the default chain.
    ProviderConfig.objects.get_or_create(name="local", adapter="local", defaults={"position": 1})
    ProviderConfig.objects.exclude(name="local").update(enabled=False)
    return Local


def batch_of(folder: Path, prompts: int | list[str], *, name: str = "prompts.txt", **how: Any) -> GenerationBatch:
    """A loaded batch of these prompts, or of so many. `how` goes to `open_batch`; `defaults` may be among it."""
    lines = [f"lighthouse {number}" for number in range(prompts)] if isinstance(prompts, int) else prompts
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    defaults = {"width": 16, "height": 16, **how.pop("defaults", {})}
    with open_manifest(path) as manifest:
        batch, _ = lifecycle.open_batch(manifest, defaults, **how)
        lifecycle.load(batch, (row for row in manifest.rows(defaults) if isinstance(row, ManifestRow)))
    return batch


def work(batch: GenerationBatch | None = None, until: Until = Until.DONE, **options: Any) -> list[Event]:
    """Run a worker to its end; what it told, without "started"."""
    events: list[Event] = []
    worker = Worker(batch_id=batch.pk if batch else None, watch=events.append, **options)
    async_to_sync(worker.run)(until)
    if batch is not None:
        batch.refresh_from_db()
    return [event for event in events if event.kind != "started"]


def kinds(events: list[Event]) -> dict[str, int]:
    return {kind: sum(event.kind == kind for event in events) for kind in {event.kind for event in events}}


def states(batch: GenerationBatch) -> dict[str, int]:
    found = list(batch.assets.values_list("generation_state", flat=True))
    return {state: found.count(state) for state in set(found)}


def account_of(batch: GenerationBatch) -> SpendAccount:
    return SpendAccount.objects.get(owner=f"batch:{batch.pk}")


def attempt_states(asset: MediaAsset) -> list[tuple[str, str]]:
    return [(a.state, a.outcome) for a in GenerationAttempt.objects.of(asset)]


@dataclass
class Failing:
    left: int
    """commits that are still to fail"""
    spared: int


@contextmanager
def commits_fail(
    monkeypatch: pytest.MonkeyPatch, times: int = 1, *, after: int = 0, although_done: bool = False
) -> Iterator[Failing]:
    """The next commits fail as those of a database that goes away: before anything is kept, or (`although_done`)
    after everything is, so that only the answer is lost. `after` commits succeed first."""
    failing = Failing(times, after)
    commit = BaseDatabaseWrapper._commit

    def failing_commit(self: BaseDatabaseWrapper) -> Any:
        if failing.spared or not failing.left:
            failing.spared = max(0, failing.spared - 1)
            return commit(self)
        failing.left -= 1
        if although_done:
            commit(self)
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "_commit", failing_commit)
        yield failing
