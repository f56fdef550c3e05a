"""What became of a purchase whose answer was lost: asked with its key, or looked for. Nothing is bought to find out.

A provider that can say it has one of two capabilities; ours and foreign ones are asked with `getattr`:

- `purchase_keys_live_s`: its service knows idempotency keys, for so many seconds. The adapter sends
  `current_call().purchase_key`, and the same request with the same key brings the first purchase again.
- `find_purchase(purchase_key, **request)`: looks the purchase up by what was asked for, and answers the `ProviderJob`
  that it became, or None.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mediagen import conf
from mediagen.clock import Clock
from mediagen.errors import BadResponse, JobFailed, OutcomeUnknown, ProviderError, Refused
from mediagen.foreign import name_of
from mediagen.types import Call, ProviderJob

FOUND_FOR_S = 3600.0
"""how long after it was sent a purchase is looked for, seconds"""
ASKED_AGAIN = 4
"""times with one key, within the deadline of the whole"""
# These say what became of the purchase; every other error of a repetition says only that it could not be asked for.
_SAYS = (Refused, JobFailed, BadResponse)


def resolved_for_s(provider: Any, *, by_looking: bool = False) -> float:
    """For how long after it was sent the provider can say what became of a purchase, seconds; 0.0 when it cannot.

    `by_looking`: without being asked with the purchase's key, which would buy it now if it never came there.
    """
    lives_s = float(getattr(provider, "purchase_keys_live_s", 0.0) or 0.0)
    if by_looking and lives_s:
        return 0.0
    return lives_s or (FOUND_FOR_S if callable(getattr(provider, "find_purchase", None)) else 0.0)


async def bought_once(
    provider: Any,
    deliver: Callable[[], Awaitable[Any]],
    call: Call,
    request: Mapping[str, Any],
    *,
    is_left: bool,
    clock: Clock,
) -> Any:
    """What `deliver` brings. When its answer is lost, what became of the purchase is found out first.

    `is_left`: an earlier process has sent it with the call's key and saw no answer. `OutcomeUnknown` when nobody can
    say, or not now.
    """
    attempt = call.attempt
    lost: OutcomeUnknown | None = None
    knows_keys = float(getattr(provider, "purchase_keys_live_s", 0.0) or 0.0) > 0
    if is_left:
        lost = OutcomeUnknown(f"{name_of(provider)} was asked before, and nobody saw its answer.")
    if lost is None:
        try:
            return await deliver()
        except OutcomeUnknown as exc:
            has_job = exc.job is not None or (attempt is not None and attempt.job is not None)
            if has_job or attempt is None or not attempt.billable:
                raise
            lost = exc
    if knows_keys:
        return await _asked_again(deliver, lost, clock, at_once=is_left)
    job = await _found(provider, call, request, lost)
    call.resume = job
    await call.job_submitted(job)
    return await deliver()


async def _asked_again(
    deliver: Callable[[], Awaitable[Any]], lost: OutcomeUnknown, clock: Clock, *, at_once: bool
) -> Any:
    """The same request with the same key, until the service says what became of it."""
    wait_s = 0.0 if at_once else _wait_s(lost, 0)
    for number in range(ASKED_AGAIN):
        if wait_s:
            await clock.sleep(wait_s)
        try:
            return await deliver()
        except _SAYS:
            raise
        except ProviderError as exc:
            lost = OutcomeUnknown(
                f"{exc} (asked again with the purchase's own key; it may have been bought before.)",
                http_status=exc.http_status,
                retry_after_s=exc.retry_after_s,
                cost=exc.cost,
                job=exc.job,
            )
            if exc.job is not None:
                break
            wait_s = _wait_s(lost, number + 1)
    raise lost


def _wait_s(lost: OutcomeUnknown, number: int) -> float:
    own_s = float(conf.get("BACKOFF_S")) * 2**number * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
    return float(max(own_s, lost.retry_after_s or 0.0))


async def _found(provider: Any, call: Call, request: Mapping[str, Any], lost: OutcomeUnknown) -> ProviderJob:
    """The job that the purchase became; `lost` when the provider cannot be asked, or has not got it."""
    find = getattr(provider, "find_purchase", None)
    if not callable(find):
        raise lost
    try:
        job = await find(call.purchase_key, **request)
    except OutcomeUnknown:
        raise
    except ProviderError as exc:
        raise OutcomeUnknown(f"{lost} It could not be looked for: {exc}", http_status=exc.http_status) from None
    if not isinstance(job, ProviderJob):
        raise OutcomeUnknown(f"{lost} It was looked for there, and was not found.", http_status=lost.http_status)
    return job
