"""The contract of providers that sell a job first: it is bought once, told of at once, and waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mediagen.errors import Outcome
from mediagen.providers.base import JobProvider
from mediagen.types import Attempt, Call, ProviderJob, reset_current_call, set_current_call
from tests.fakes import ListRecorder
from tests.providers.cases import JOB_MAKERS, OK, asked, faults, hurry, serve
from tests.servers import Fault, FaultKind

__all__ = ["hurry", "serve"]

pytestmark = pytest.mark.usefixtures("hurry")

# A file that is not there, and an address where we do not go, will be so the next time too.
FOR_GOOD = frozenset({FaultKind.EXPIRED, FaultKind.REDIRECT})
NOT_OURS = frozenset({400, 401, 402, 403, 404})


def once(case, step, fault):
    """The fault, so that the next request finds the service well."""
    return Fault.connect_refused(for_s=0.1) if fault.kind is FaultKind.CONNECT_REFUSED else fault


@contextmanager
def around(**values) -> Iterator[Call]:
    """The chain's `Call` around what is asked inside."""
    attempt = Attempt(provider_name="any", operation="generate_image", position=1, job=values.get("resume"))
    made = Call(**{"attempt": attempt, "recorder": ListRecorder(), **values})
    token = set_current_call(made)
    try:
        yield made
    finally:
        reset_current_call(token)


@pytest.fixture
def long_sleeps(monkeypatch) -> list[float]:
    """Sleeps of more than a second, which then take no time."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def short(seconds, *rest):
        if seconds > 1:
            slept.append(seconds)
            seconds = 0
        return await sleep(seconds, *rest)

    monkeypatch.setattr(asyncio, "sleep", short)
    return slept


def what_can_break(case, step, fault):
    """One code waits for all jobs: each fault once, and each provider with every status."""
    return {("any", str(fault)), (case.name, fault.status)}


ENDS_THE_JOB = frozenset({FaultKind.JOB_FAILED, FaultKind.TASK_NOT_FOUND, FaultKind.NO_PICTURE})
TROUBLES_OF_A_POLL = [
    entry
    for entry in faults(*JOB_MAKERS, steps=("poll",), pairs=what_can_break)
    if entry.values[0].outcome(*entry.values[1:]) in (OK, Outcome.UNKNOWN)
    or (entry.values[0].ends_jobs and entry.values[2].kind not in ENDS_THE_JOB)
]
TROUBLES_OF_A_DOWNLOAD = faults(*JOB_MAKERS, steps=("download",), pairs=what_can_break)


@pytest.mark.parametrize(("case", "step", "fault"), TROUBLES_OF_A_POLL)
async def test_a_poll_in_trouble_is_waited_out(case, step, fault, serve, long_sleeps):
    server = serve(case)
    server.fault(step, once(case, step, fault))
    # A third of this is what one poll may take; one that hangs takes all of it.
    image = await case.call(case.build(server, timeout_s=3.0 if fault.kind is FaultKind.HANG else 60.0))
    case.check_picture(image)
    assert len(server.purchases) == 1
    assert len(server.requests_for("submit")) == 1
    if fault.retry_after == 7:
        assert long_sleeps == [7.0]
    elif fault.retry_after is not None:
        assert [25 < seconds <= 30 for seconds in long_sleeps] == [True]
    else:  # without a header, a vendor may still say it in words
        assert long_sleeps in ([], [case.cooldown_s])


@pytest.mark.parametrize(("case", "step", "fault"), TROUBLES_OF_A_DOWNLOAD)
async def test_a_download_in_trouble_is_fetched_again_and_never_bought_again(
    case, step, fault, serve, long_sleeps, monkeypatch
):
    monkeypatch.setattr("mediagen.http.service.FETCH_BACKOFF_S", 0.03)
    server = serve(case)
    server.fault(step, once(case, step, fault))
    is_lost = fault.kind in FOR_GOOD or fault.status in NOT_OURS
    seconds = 2.5 if fault.kind in (FaultKind.HANG, FaultKind.TRICKLE) else 60.0
    outcome, image, error = await asked(case, case.build(server, timeout_s=seconds))
    assert outcome is (Outcome.BAD_RESPONSE if is_lost else OK), str(error)
    assert len(server.purchases) == 1
    assert len(server.requests_for("submit")) == 1
    if is_lost:
        assert error.job.id == server.purchases[0].job_id
        assert len(server.requests_for(step)) == 1
    else:
        case.check_picture(image)


@pytest.mark.parametrize("case", JOB_MAKERS, ids=str)
async def test_the_job_is_told_of_before_the_first_poll(case, serve):
    server = serve(case)
    told: list[str] = []

    class Watching(ListRecorder):
        async def job_submitted(self, attempt):
            await super().job_submitted(attempt)
            assert server.requests_for("poll") == []
            told.append(attempt.provider_job_id)

    with around(recorder=Watching()) as call:
        image = await case.call(case.build(server))
    assert [event for event, *_ in call.recorder.events] == ["job_submitted"]
    assert told == [server.purchases[0].job_id]
    assert image.provider_job_id == server.purchases[0].job_id
    assert len(server.requests_for("poll")) >= 2


@pytest.mark.parametrize("fault", [Fault.job_never_ends(), Fault.http(503), Fault.http(401), Fault.html_200()], ids=str)
@pytest.mark.parametrize("case", JOB_MAKERS, ids=str)
async def test_what_was_bought_is_fetched_later_by_its_job(case, fault, serve, monkeypatch):
    server = serve(case)
    server.fault("poll", fault, times=None)
    with monkeypatch.context() as patch:
        patch.setattr(JobProvider, "poll_timeout_s", 0.15)
        _, _, error = await asked(case, case.build(server))
    assert error.outcome is (Outcome.UNAVAILABLE if case.ends_jobs else Outcome.UNKNOWN)
    server.clear_faults()
    if server.cancelled:  # where the API can cancel, the deadline has done so
        server.jobs[error.job.id].ended = ""

    job = ProviderJob(error.job.id, dict(error.job.data), error.job.cost)  # as a row would have it
    with around(resume=job) as call:
        case.check_picture(await case.call(case.build(server)))
    assert call.recorder.events == []
    assert len(server.requests_for("submit")) == len(server.purchases) == 1


@pytest.mark.parametrize("case", JOB_MAKERS, ids=str)
async def test_a_job_that_is_gone_is_not_bought_again(case, serve):
    server = serve(case)
    server.fault("poll", Fault.task_not_found(), times=None)
    _, _, first = await asked(case, case.build(server))
    with around(resume=first.job):
        outcome, _, error = await asked(case, case.build(server))
    assert outcome is (Outcome.UNAVAILABLE if case.ends_jobs else Outcome.UNKNOWN)
    assert error.job.id == first.job.id == server.purchases[0].job_id
    assert len(server.requests_for("submit")) == 1


@pytest.mark.parametrize("bounded_by", ["timeout_s", "deadline"])
@pytest.mark.parametrize("case", JOB_MAKERS, ids=str)
async def test_a_job_that_never_ends_is_waited_for_so_long_and_cancelled_where_that_is_possible(
    case, bounded_by, serve
):
    server = serve(case)
    server.fault("poll", Fault.job_never_ends(), times=None)
    timeout_s, deadline_s = (0.8, 60.0) if bounded_by == "timeout_s" else (60.0, 0.8)
    began = time.monotonic()
    with around(deadline=began + deadline_s):
        outcome, _, error = await asked(case, case.build(server, timeout_s=timeout_s))
    took_s = time.monotonic() - began
    assert 0.6 < took_s < 3.0
    assert outcome is (Outcome.UNAVAILABLE if case.ends_jobs else Outcome.UNKNOWN)
    (purchase,) = server.purchases
    assert error.job.id == purchase.job_id
    assert server.cancelled == ([purchase.job_id] if "cancel" in server.steps else [])
