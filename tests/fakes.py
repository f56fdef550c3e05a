"""Providers without a base class, and a recorder that is a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mediagen.types import Attempt, GeneratedImage, ProviderJob, current_call
from tests import pictures


class ListRecorder:
    """Every call as (event, attempt.position, state at that time)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int, str]] = []
        self.attempts: list[Attempt] = []

    async def started(self, attempt: Attempt) -> None:
        self._note("started", attempt)

    async def job_submitted(self, attempt: Attempt) -> None:
        self._note("job_submitted", attempt)

    async def finished(self, attempt: Attempt) -> None:
        self._note("finished", attempt)
        self.attempts.append(attempt)

    def _note(self, event: str, attempt: Attempt) -> None:
        self.events.append((event, attempt.position, attempt.state.value))


class Duck:
    """A foreign provider: three methods, and what it does is a list of exceptions, pictures or callables."""

    def __init__(self, name: str, *does: Any, **attributes: Any) -> None:
        self.name = name
        self.does = list(does)
        self.calls: list[dict[str, Any]] = []
        for key, value in attributes.items():
            setattr(self, key, value)

    def get_name(self) -> str:
        return self.name

    async def check_health(self) -> bool:
        return True

    async def generate_image(self, prompt: str, width: int, height: int, **options: Any) -> Any:
        self.calls.append({"prompt": prompt, "width": width, "height": height, **options})
        await asyncio.sleep(0)
        act = self.does.pop(0) if len(self.does) > 1 else (self.does[0] if self.does else None)
        if isinstance(act, BaseException):
            raise act
        if isinstance(act, Callable):
            return await act()
        return act if act is not None else picture(width, height)


class JobDuck(Duck):
    """Names a job before it waits, and fetches one that it is given."""

    def __init__(self, name: str, *does: Any, **attributes: Any) -> None:
        super().__init__(name, *does, **attributes)
        self.bought: list[str] = []
        self.fetched: list[str] = []

    async def generate_image(self, prompt: str, width: int, height: int, **options: Any) -> Any:
        call = current_call()
        if call.resume is None:
            job = ProviderJob(f"job-{len(self.bought) + 1}", {"polling_url": "https://example.test/1"})
            self.bought.append(job.id)
            await call.job_submitted(job)
        else:
            job = call.resume
        self.fetched.append(job.id)
        return await super().generate_image(prompt, width, height, **options)


def picture(width: int = 8, height: int = 8, **values: Any) -> GeneratedImage:
    return GeneratedImage(content=pictures.png(width, height), format="png", width=width, height=height, **values)
