"""A worker for one caller who waits: a person's command with a few prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mediagen import conf
from mediagen.engine.database import in_database
from mediagen.engine.generation import Wanted, earlier
from mediagen.engine.work.worker import Until, Worker
from mediagen.models import GenerationState


@dataclass(slots=True)
class CallersWorker(Worker):
    """Makes these pictures and no other. A row is made when its turn comes.

    What it leaves when it is stopped is `interrupted`: it waits for the caller, and no other worker takes it.
    """

    todo: list[Wanted] = field(default_factory=list)
    """what is not begun yet"""

    @classmethod
    def of(cls, pictures: Iterable[Wanted], concurrency: int) -> CallersWorker:
        # Not patient: nobody waits at a command for an hour until a provider's limit is over.
        return cls(concurrency=concurrency, patient=False, left_as=GenerationState.INTERRUPTED, todo=list(pictures))

    async def run(self, until: Until = Until.DONE) -> None:
        await super(CallersWorker, self).run(until)
        if self.todo:
            await in_database(earlier.leave, self.todo)

    async def _fetch(self, count: int) -> None:
        # None in store: what a killed process has begun other workers go on with, and no more than that.
        some = self.todo[: self.concurrency - len(self._tasks)]
        if some:
            self._take(await in_database(earlier.begin, some, self.name, conf.get("LEASE_S")))
            del self.todo[: len(some)]

    async def _is_over(self, until: Until) -> bool:
        return not self.todo
