"""Waiting for a job that is paid for."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest

from mediagen import http
from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http import AddressRefused, JobEnded, polling
from mediagen.types import ProviderJob

JOB = ProviderJob("job-1", {"polling_url": "https://api.example.com/1"}, Decimal("0.03"))


class Asked:
    """Answers in order; the last is repeated. An exception is raised, a float slept before "still running"."""

    def __init__(self, *answers):
        self.answers = answers
        self.at: list[float] = []

    async def __call__(self):
        self.at.append(time.monotonic())
        found = self.answers[min(len(self.at), len(self.answers)) - 1]
        if isinstance(found, Exception):
            raise found
        if isinstance(found, float):
            await asyncio.sleep(found)
            return None
        return found


async def waited(ask, timeout_s=5.0, **options):
    return await http.poll(ask, job=JOB, timeout_s=timeout_s, **{"interval_s": 0.005, "settle_s": 0.1, **options})


async def test_the_answer_when_it_is_there():
    ask = Asked(None, None, {"status": "Ready"})
    assert await waited(ask) == {"status": "Ready"}
    assert len(ask.at) == 3


async def test_an_answer_that_is_falsy_is_one():
    assert await waited(Asked(None, "")) == ""


@pytest.mark.parametrize(
    "trouble",
    [
        RateLimited("429"),
        Unavailable("503"),
        OutcomeUnknown("no answer"),
        BadResponse("HTML", http_status=200),
        CredentialsRefused("401"),
        Misconfigured("404"),
        UnsupportedRequest("400"),
    ],
)
async def test_trouble_with_a_poll_is_waited_out(trouble):
    assert await waited(Asked(trouble, trouble, None, trouble, "picture")) == "picture"


@pytest.mark.parametrize("trouble", [RateLimited("429 slow down"), BadResponse("HTML"), Unavailable("reset")])
async def test_at_the_deadline_the_job_is_unknown_and_named(trouble):
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match=f"job job-1 was not ready after 0 s.*{trouble}") as raised:
        await waited(Asked(trouble), timeout_s=0.2)
    assert raised.value.job is JOB
    assert 0.2 <= time.monotonic() - began < 3


@pytest.mark.parametrize("denial", [CredentialsRefused("401", http_status=401), Misconfigured("no such job")])
async def test_a_denial_that_stays_is_believed_after_a_while(denial):
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="cannot be asked for any more") as raised:
        await waited(Asked(denial), settle_s=0.1, timeout_s=20)
    assert (raised.value.job, raised.value.http_status) == (JOB, denial.http_status)
    assert 0.1 <= time.monotonic() - began < 5


async def test_denials_with_good_answers_between_them_do_not_add_up():
    no = Misconfigured("404")
    answers = [no, None] * 30
    assert await waited(Asked(*answers, "picture"), settle_s=0.05, max_interval_s=0.01) == "picture"


async def test_an_address_that_is_refused_is_not_asked_again():
    ask = Asked(AddressRefused("private"))
    with pytest.raises(AddressRefused) as raised:
        await waited(ask)
    assert (len(ask.at), raised.value.job) == (1, JOB)


@pytest.mark.parametrize("error", [Refused("moderated"), Unavailable("failed"), BadResponse("no picture")])
async def test_the_end_of_the_job_is_raised_at_once(error):
    ask = Asked(None, JobEnded(error))
    cancelled = []

    async def cancel():
        cancelled.append(1)

    with pytest.raises(type(error)) as raised:
        await waited(ask, on_deadline=cancel)
    assert (raised.value, raised.value.job, len(ask.at), cancelled) == (error, JOB, 2, [])


async def test_retry_after_is_honoured():
    ask = Asked(RateLimited("429", retry_after_s=0.3), "picture")
    assert await waited(ask) == "picture"
    assert ask.at[1] - ask.at[0] >= 0.3


async def test_a_retry_after_beyond_the_deadline_gets_one_last_look():
    ask = Asked(Unavailable("503", retry_after_s=60), "picture")
    assert await waited(ask, timeout_s=0.2) == "picture"


async def test_cancel_is_awaited_at_the_deadline():
    cancelled = []

    async def cancel():
        cancelled.append(1)

    with pytest.raises(OutcomeUnknown):
        await waited(Asked(None), timeout_s=0.05, on_deadline=cancel)
    assert cancelled == [1]


async def test_a_deadline_that_is_over_still_looks_once():
    assert await waited(Asked("picture"), timeout_s=0.0) == "picture"
    ask = Asked(None)
    with pytest.raises(OutcomeUnknown):
        await waited(ask, timeout_s=-5.0)
    assert len(ask.at) == 1


async def test_one_poll_that_hangs_does_not_outlive_the_deadline(monkeypatch):
    monkeypatch.setattr(polling, "ASK_AT_LEAST_S", 0.05)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="no answer"):
        await waited(Asked(30.0), timeout_s=0.2)
    assert time.monotonic() - began < 3


async def test_the_pause_grows_to_its_limit(monkeypatch):
    pauses = []

    async def sleep(seconds):
        pauses.append(round(seconds, 3))

    monkeypatch.setattr(polling.random, "uniform", lambda low, high: 1.0)
    monkeypatch.setattr(polling.asyncio, "sleep", sleep)
    await waited(Asked(*[None] * 6, "picture"), interval_s=1.0, max_interval_s=2.0, timeout_s=100)
    assert pauses == [1.0, 1.2, 1.44, 1.728, 2.0, 2.0]


async def test_what_is_no_error_of_a_provider_is_not_swallowed():
    with pytest.raises(KeyError):
        await waited(Asked(KeyError("a bug")))
