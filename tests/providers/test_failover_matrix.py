"""Every provider in every trouble, with a healthy one behind it: who is asked, how often, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from mediagen import types
from mediagen.breaker import BreakerKey, Circuit, CircuitState, MemoryBreakerStore
from mediagen.chain import ChainOutcome, MediaGeneratorChain
from mediagen.conf import DEFAULTS
from mediagen.errors import Outcome
from mediagen.types import AttemptState
from tests.fakes import ListRecorder
from tests.providers.cases import ONE_MAKER_EACH, Case, faults, hurry
from tests.servers import Fault, FaultKind, ProviderServer

__all__ = ["hurry"]

pytestmark = pytest.mark.usefixtures("hurry")

TRIES = 1 + DEFAULTS["RETRIES"]
NO_ANSWER = frozenset(
    {FaultKind.CONNECT_REFUSED, FaultKind.RESET_BEFORE_BODY_READ, FaultKind.RESET_AFTER_BODY_READ, FaultKind.HANG}
)
STATES = {Outcome.SUCCEEDED: AttemptState.SUCCEEDED, Outcome.UNKNOWN: AttemptState.UNKNOWN}


class TimeMachine(MemoryBreakerStore):
    """A breaker for which time passes when a test says so."""

    def later(self, seconds: float) -> None:
        gone = timedelta(seconds=seconds)
        for key, circuit in self._circuits.items():
            if circuit.open_until is not None:
                self._circuits[key] = replace(circuit, open_until=circuit.open_until - gone)


@dataclass
class Two:
    """A chain of two, and what they are connected to."""

    case: Case
    first: Any
    server: ProviderServer
    second: Any
    spare: ProviderServer
    chain: MediaGeneratorChain
    breaker: TimeMachine
    recorder: ListRecorder

    async def run(self, **options: Any) -> ChainOutcome:
        return await self.chain.execute("generate_image", recorder=self.recorder, **self.case.arguments, **options)

    @property
    def circuit(self) -> Circuit:
        return self.breaker.known()[BreakerKey(self.first.name, self.first.model, "generate_image")]

    @property
    def submits(self) -> int:
        return len(self.server.requests_for("submit"))


@pytest.fixture
def two(provider_servers, settings):
    """`two(case)`: that provider, and behind it another one that is well. Arguments go to the first."""

    def make(case: Case, **arguments: Any) -> Two:
        other = next(one for one in reversed(ONE_MAKER_EACH) if one.name not in (case.name, "replicate_sdxl"))
        server, spare = provider_servers[case.name], provider_servers[other.name]
        delivery = server.deliver_elsewhere() if case.delivers_elsewhere else server.origin
        settings.MEDIAGEN = {"FIT": "keep", "BACKOFF_S": 0.001, "TRUSTED_HOSTS": [urlsplit(delivery).netloc]}
        first, second, breaker = case.build(server, **arguments), other.build(spare), TimeMachine()
        chain = MediaGeneratorChain([first, second], breaker=breaker)
        return Two(case, first, server, second, spare, chain, breaker, ListRecorder())

    return make


def told(outcome: ChainOutcome) -> list[tuple[int, str, str, str]]:
    return [(a.position, a.provider_name, a.state.value, str(a.outcome or "")) for a in outcome.attempts]


def may_be_status(case: Case, step: str, fault: Fault) -> set[int | None]:
    """HTTP statuses that an attempt may have kept."""
    if fault.kind in NO_ANSWER:
        return {None}
    if fault.kind in (FaultKind.HTTP, FaultKind.EXPIRED):
        return {fault.status, None} if step == "poll" else {fault.status}
    if fault.kind is FaultKind.REDIRECT:
        return {fault.status} if step == case.server.generate_steps[0] else {None}  # refused, or waited out
    # The answer was the service's own: moderation and jobs that are gone come with any status.
    return {None, 200, 201, 400, 403, 404, 422}


def what_can_break(case: Case, step: str, fault: Fault) -> set[tuple[str, str]]:
    """The chain goes by the outcome; what a provider makes of a fault is the contract's."""
    outcome = case.outcome(step, fault).value
    return {(case.name, outcome), (step, outcome), (fault.kind.value, outcome)}


@pytest.mark.parametrize(("case", "step", "fault"), faults(*ONE_MAKER_EACH, pairs=what_can_break))
async def test_every_fault_with_a_healthy_provider_behind(case, step, fault, two, monkeypatch):
    expected = case.outcome(step, fault)
    is_slow = expected is not Outcome.SUCCEEDED and (
        fault.kind in (FaultKind.HANG, FaultKind.TRICKLE) or (step == "download" and fault.retry_after)
    )
    it = two(case, timeout_s=0.6 if is_slow else 2.0 if fault.kind is FaultKind.HANG else 10.0)
    if step == "poll" and expected in (Outcome.UNKNOWN, Outcome.UNAVAILABLE):
        monkeypatch.setattr(case.adapter, "poll_timeout_s", 0.15)
    it.server.fault(step, fault, times=None)
    outcome = await it.run()

    tries = TRIES if expected is Outcome.UNAVAILABLE and step != "poll" else 1
    name, state = case.name, STATES.get(expected, AttemptState.FAILED).value
    attempts = [(position, name, state, expected.value) for position in range(1, tries + 1)]
    goes_on = expected not in (Outcome.SUCCEEDED, Outcome.REFUSED)
    if goes_on:
        attempts.append((tries + 1, it.second.name, "succeeded", "succeeded"))
    assert told(outcome) == attempts, outcome.explain()

    is_seen = fault.kind is not FaultKind.CONNECT_REFUSED or step != case.server.generate_steps[0]
    assert it.submits == tries * is_seen
    assert len(it.server.purchases) == tries * case.is_bought(step, fault)
    assert len(it.spare.purchases) == goes_on
    assert outcome.served_by == {True: it.second.name, False: "" if expected is Outcome.REFUSED else name}[goes_on]
    assert (outcome.result is None) is (expected is Outcome.REFUSED)
    assert (outcome.error is None) is (outcome.result is not None)
    if goes_on:
        assert it.spare.purchases[0].prompt == case.arguments["prompt"]
        assert outcome.result.provider_name == it.second.name

    assert it.recorder.attempts == outcome.attempts
    first = outcome.attempts[0]
    if expected is not Outcome.SUCCEEDED:
        assert first.http_status in may_be_status(case, step, fault)
        assert first.message.startswith(f"{name}: ")
        assert all(a.message for a in outcome.attempts[:tries])
    jobs = [purchase.job_id for purchase in it.server.purchases]
    if step != case.server.generate_steps[0] or expected is Outcome.SUCCEEDED:
        assert [a.provider_job_id for a in outcome.attempts[:tries]] == jobs
    assert all(a.started_at <= a.finished_at for a in outcome.attempts)
    assert first.billable


@pytest.mark.parametrize("fault", [Fault.reset_after_body_read(), Fault.reset_before_body_read()], ids=str)
@pytest.mark.parametrize("case", [case for case in ONE_MAKER_EACH if not case.ends_jobs], ids=str)
async def test_after_unknown_stop_asks_nobody_else(case, fault, two):
    it = two(case, after_unknown="stop")
    it.server.fault("submit", fault, times=None)
    outcome = await it.run()
    assert outcome.result is None
    assert told(outcome) == [(1, case.name, "unknown", "unknown")]
    assert (it.submits, it.spare.requests) == (1, [])


@pytest.mark.parametrize("case", [case for case in ONE_MAKER_EACH if case.server.moderation_step], ids=str)
async def test_after_refusal_next_asks_the_next(case, two):
    it = two(case, after_refusal="next")
    it.server.fault(case.server.moderation_step, Fault.moderation(), times=None)
    outcome = await it.run()
    assert told(outcome) == [(1, case.name, "failed", "refused"), (2, it.second.name, "succeeded", "succeeded")]
    assert it.submits == 1
    assert it.circuit.is_healthy


@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_a_short_trouble_is_overcome_without_the_second(case, two):
    it = two(case)
    it.server.fault("submit", Fault.http(408), times=2)
    outcome = await it.run()
    assert [state for _, _, state, _ in told(outcome)] == ["failed", "failed", "succeeded"]
    assert outcome.served_by == case.name
    assert (it.submits, len(it.server.purchases), it.spare.requests) == (3, 1, [])


@pytest.mark.parametrize(("wait_s", "tries"), [(0.01, TRIES), (7, 1)])
@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_unavailable_for_longer_is_left_at_once(case, wait_s, tries, two):
    it = two(case)
    it.server.fault("submit", Fault.http(408, retry_after=wait_s), times=None)
    outcome = await it.run()
    assert (it.submits, outcome.served_by) == (tries, it.second.name)


@pytest.mark.parametrize("asks", [7, timedelta(seconds=30), None], ids=str)
@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_a_429_cools_down_for_as_long_as_it_says_and_then_one_may_try(case, asks, two):
    it = two(case)
    cooldown_s = {7: 7.0, None: case.cooldown_s}.get(asks, 30.0)
    it.server.fault("submit", Fault.rate_limited(asks))
    began = types.utcnow()
    first = await it.run()
    ended = types.utcnow()
    assert told(first)[0] == (1, case.name, "failed", "rate_limited")
    assert (first.attempts[0].http_status, first.served_by) == (429, it.second.name)
    assert it.circuit.state is CircuitState.OPEN
    least = began + timedelta(seconds=cooldown_s - 1)  # an HTTP date has whole seconds
    assert least <= it.circuit.open_until <= ended + timedelta(seconds=cooldown_s)
    assert it.chain.get_provider_health() == {case.name: False, it.second.name: True}

    it.breaker.later(cooldown_s - 3)
    during = await it.run()
    assert told(during)[0] == (1, case.name, "skipped", "skipped")
    assert "breaker is open" in during.attempts[0].message
    assert (it.submits, during.served_by) == (1, it.second.name)

    it.breaker.later(4)
    after = await it.run()
    assert told(after) == [(1, case.name, "succeeded", "succeeded")]
    assert it.chain.get_provider_health() == {case.name: True, it.second.name: True}
    assert (it.submits, len(it.server.purchases)) == (2, 1)


@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_a_probe_that_fails_shuts_the_door_again(case, two):
    it = two(case)
    it.server.fault("submit", Fault.rate_limited(7))
    it.server.fault("submit", Fault.http(408), times=None)
    await it.run()
    it.breaker.later(8)
    probe = await it.run()
    assert told(probe)[0] == (1, case.name, "failed", "unavailable")
    assert len(probe.attempts) == 2  # a probe is one request, not three
    assert (it.submits, it.circuit.state) == (2, CircuitState.OPEN)
    assert (await it.run()).attempts[0].state is AttemptState.SKIPPED
    assert it.submits == 2


@pytest.mark.parametrize("status", [401, 402])
@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_a_refused_key_is_not_tried_again_until_somebody_changes_it(case, status, two, monkeypatch):
    it = two(case)
    it.server.fault("submit", Fault.http(status))
    outcome = await it.run()
    assert told(outcome)[0] == (1, case.name, "failed", "misconfigured")
    assert (outcome.attempts[0].http_status, outcome.served_by) == (status, it.second.name)
    assert (it.circuit.state, it.circuit.open_until) == (CircuitState.OPEN, None)
    it.breaker.later(40 * 24 * 3600)
    assert (await it.run()).served_by == it.second.name
    assert it.submits == 1

    monkeypatch.setattr(it.server, "key", "another-key-0123456789")
    changed = MediaGeneratorChain([case.build(it.server), it.second], breaker=it.breaker)
    assert (await changed.execute("generate_image", **case.arguments)).served_by == case.name
    assert it.circuit.state is CircuitState.CLOSED


@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_nobody_delivers_and_every_reason_is_told(case, two):
    it = two(case)
    it.server.fault("submit", Fault.http(400), times=None)
    it.spare.fault("submit", Fault.http(402), times=None)
    outcome = await it.run()
    assert outcome.result is None
    assert told(outcome) == [
        (1, case.name, "failed", "unsupported"),
        (2, it.second.name, "failed", "misconfigured"),
    ]
    assert outcome.error.outcome is Outcome.MISCONFIGURED
    for attempt in outcome.attempts:
        assert f"{attempt.position}. {attempt.provider_name}: {attempt.outcome}: " in outcome.explain()
        assert attempt.message.removeprefix(f"{attempt.provider_name}: ") in outcome.explain()
    assert await it.chain.execute_generate_image(**case.arguments) is None


@pytest.mark.parametrize("case", [case for case in ONE_MAKER_EACH if case.has_jobs], ids=str)
async def test_a_job_left_behind_is_fetched_by_the_chain_before_anything_is_bought(case, two, monkeypatch):
    it = two(case)
    it.server.fault("poll", Fault.http(503), times=None)
    with monkeypatch.context() as patch:
        patch.setattr(case.adapter, "poll_timeout_s", 0.15)
        lost = await it.run()
    assert lost.served_by == it.second.name
    job = lost.attempts[0].job
    it.server.clear_faults()
    it.server.jobs[job.id].ended = ""  # where the API can cancel, the deadline has done so
    found = await it.run(resume={case.name: job})
    assert told(found) == [(1, case.name, "adopted", "succeeded")]
    assert found.attempts[0].provider_job_id == job.id
    assert (it.submits, len(it.server.purchases), len(it.spare.purchases)) == (1, 1, 1)
