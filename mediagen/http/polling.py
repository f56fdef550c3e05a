"""Waiting for a job that is already bought: whatever a poll answers, no second one is ever bought."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mediagen.errors import BadResponse, OutcomeUnknown, ProviderError, RateLimited, Unavailable
from mediagen.http.guard import AddressRefused
from mediagen.types import ProviderJob

T = TypeVar("T")

ASK_AT_LEAST_S = 5.0


class JobEnded(Exception):
    """Raised by `ask` when the job itself came to an end without a picture; `error` says which."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(str(error))
        self.error = error


async def poll(
    ask: Callable[[], Awaitable[T | None]],
    *,
    job: ProviderJob,
    timeout_s: float,
    interval_s: float = 1.0,
    max_interval_s: float = 5.0,
    settle_s: float = 3.0,
    on_deadline: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """What `ask` returns once it is not None (None: still running).

    A 429, 503, broken or senseless answer to a poll is waited out until `timeout_s` is over, Retry-After honoured.
    Then `on_deadline` (cancel, where the API can) is awaited and `OutcomeUnknown` with the job raised.
    Any other error from `ask` (the job is not there, the key is not accepted) is waited out for `settle_s`, because a
    job just bought may not be known everywhere yet; then `OutcomeUnknown`, since the job itself may well be running.
    `ask` raises `JobEnded` when the provider says that the job failed: its error is raised to the caller.
    """
    deadline = time.monotonic() + timeout_s
    wait_s = interval_s
    trouble = ""
    denied_since: float | None = None
    while True:
        pause_s = wait_s * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), ASK_AT_LEAST_S)):
                answer = await ask()
            if answer is not None:
                return answer
            trouble, denied_since = "", None
        except JobEnded as end:
            end.error.job = job
            raise end.error from None
        except TimeoutError:
            trouble, denied_since = "no answer", None
        except AddressRefused as exc:
            exc.job = job
            raise
        except (RateLimited, Unavailable, OutcomeUnknown, BadResponse) as exc:
            trouble, denied_since = str(exc), None
            pause_s = max(pause_s, exc.retry_after_s or 0.0)
        except ProviderError as exc:
            trouble = str(exc)
            now = time.monotonic()
            denied_since = denied_since or now
            if now - denied_since >= settle_s:
                raise OutcomeUnknown(
                    f"job {job.id} cannot be asked for any more: {trouble}", http_status=exc.http_status, job=job
                ) from None
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        await asyncio.sleep(min(pause_s, left_s))
        wait_s = min(max_interval_s, wait_s * 1.2)
    if on_deadline is not None:
        await on_deadline()
    detail = f" The last poll said: {trouble}" if trouble else ""
    raise OutcomeUnknown(f"job {job.id} was not ready after {timeout_s:.0f} s.{detail}", job=job)
