"""One contract over every provider, every step and every way to misbehave, over real sockets.

An adapter called by itself ends in time with a picture or with the `ProviderError` that says what happens next; it
never buys twice; what it has bought it can name; and it connects to nobody but the service it was pointed at.
"""

from __future__ import annotations

import pickle
import time
from datetime import timedelta

import pytest

from mediagen.errors import BreakerEffect, NextStep, Outcome, RateLimited
from mediagen.providers.base import JobProvider
from tests.providers.cases import (
    MAKERS,
    OK,
    ONE_MAKER_EACH,
    ONE_OF_EACH,
    Case,
    addresses,
    asked,
    connected,
    faults,
    forms_of,
    hurry,
    serve,
)
from tests.servers import SERVERS, Fault, FaultKind, ProviderServer

__all__ = ["connected", "hurry", "serve"]

pytestmark = pytest.mark.usefixtures("hurry")

SLACK_S = 4.0
"""for a machine that has other things to do"""
NEXT_STEPS = {
    Outcome.UNKNOWN: NextStep.AFTER_UNKNOWN,
    Outcome.REFUSED: NextStep.AFTER_REFUSAL,
    Outcome.UNAVAILABLE: NextStep.SAME_PROVIDER,
}
"""of all other outcomes: the next provider"""
KEY_HEADERS = ("authorization", "x-key", "x-figma-token", "x-goog-api-key")


def timeout_s(case: Case, step: str, fault: Fault) -> float:
    """Short where it has to run out."""
    if case.outcome(step, fault) is OK:
        return 10.0
    if step == "download" and (fault.kind in (FaultKind.HANG, FaultKind.TRICKLE) or fault.retry_after):
        return 1.0  # what is left of it has to do for submit and polls, one by one
    return 0.6 if fault.kind in (FaultKind.HANG, FaultKind.TRICKLE) else 10.0


def sent_keys(server: ProviderServer) -> list[str]:
    """Where the key went, beside the headers that are made for it."""
    where = []
    for request in server.requests:
        others = {k: v for k, v in request.headers.items() if k not in KEY_HEADERS}
        text = f"{request.path}?{request.raw_query} {others} {request.body!r}"
        where += [request.step for form in forms_of(server.key) if form in text]
    return where


@pytest.mark.parametrize("case", MAKERS, ids=str)
async def test_a_picture(case, serve, connected):
    server = serve(case)
    image = await case.call(case.build(server))
    case.check_picture(image)
    (purchase,) = server.purchases
    assert (purchase.prompt, purchase.job_id) == (case.arguments["prompt"], image.provider_job_id)
    assert image.model_name == (case.model or case.adapter.default_model)
    assert [request.step for request in server.requests if not request.accepted] == []
    assert connected == addresses(server)
    assert (server.leaks, sent_keys(server)) == ([], [])


@pytest.mark.parametrize(("case", "step", "fault"), faults(*MAKERS))
async def test_every_fault_at_every_step(case, step, fault, serve, connected, monkeypatch):
    server = serve(case)
    first_step = server.generate_steps[0]
    expected, seconds = case.outcome(step, fault), timeout_s(case, step, fault)
    if step == "poll" and expected in (Outcome.UNKNOWN, Outcome.UNAVAILABLE):
        # Nothing but the deadline ends these; how it follows from timeout_s is a test of its own.
        monkeypatch.setattr(JobProvider, "poll_timeout_s", 0.15)
    server.fault(step, fault, times=None)
    began = time.monotonic()
    outcome, image, error = await asked(case, case.build(server, timeout_s=seconds))
    took_s = time.monotonic() - began

    assert outcome is expected, str(error)
    assert took_s < seconds * len(server.generate_steps) + SLACK_S
    assert len(server.requests_for(first_step)) <= 1
    assert len(server.purchases) == case.is_bought(step, fault)
    assert connected <= addresses(server)
    assert (server.leaks, sent_keys(server)) == ([], [])
    if error is None:
        case.check_picture(image)
        return

    # A job that ran and failed may have cost something: no second one is bought there.
    ran = step == "poll" and outcome is Outcome.UNAVAILABLE
    assert error.next_step is (NextStep.NEXT_PROVIDER if ran else NEXT_STEPS.get(outcome, NextStep.NEXT_PROVIDER))
    text = str(error)
    assert text.startswith(f"{case.name}: ")
    assert len(text) < 1000
    assert not [form for form in forms_of(server.key) if form in text + repr(error) + repr(vars(error))]
    is_named = step != first_step or fault.kind is FaultKind.FOREIGN_URL
    if not case.ends_jobs or is_named:  # whose id is ours, and known before
        assert (error.job.id if error.job else "") == (server.purchases[0].job_id if is_named else "")
    if step == first_step:
        if fault.kind in (FaultKind.HTTP, FaultKind.REDIRECT):
            assert error.http_status == fault.status
        if fault.kind is FaultKind.HANG:
            assert took_s > seconds * 0.9


@pytest.mark.parametrize(
    ("asks", "least_s", "most_s"), [(7, 7.0, 7.0), (timedelta(seconds=30), 25.0, 30.0), ("soon", None, None)], ids=str
)
@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_how_long_a_429_asks_to_wait(case, asks, least_s, most_s, serve):
    server = serve(case)
    server.fault("submit", Fault.rate_limited(asks))
    with pytest.raises(RateLimited) as caught:
        await case.call(case.build(server))
    wait_s = caught.value.retry_after_s
    if least_s is None:
        # Not understood: what the vendor says in words, or the adapter's own time.
        assert (case.adapter.default_cooldown_s if wait_s is None else wait_s) == case.cooldown_s
    else:
        assert least_s <= wait_s <= most_s
    assert server.purchases == []


@pytest.mark.parametrize("case", [case for case in ONE_MAKER_EACH if case.needs_key], ids=str)
async def test_without_a_key_nothing_is_sent(case, serve):
    server = serve(case)
    outcome, _, error = await asked(case, case.build(server, **{case.adapter.credential_argument: ""}))
    assert outcome is Outcome.MISCONFIGURED
    assert (error.breaker, server.requests) == (BreakerEffect.NONE, [])
    assert case.adapter.credential_env in str(error)


@pytest.mark.parametrize("case", MAKERS, ids=str)
async def test_a_wrong_key_is_said_and_not_shown(case, serve):
    server, wrong = serve(case), "wr0ng/key+of=nobody~here"
    outcome, _, error = await asked(case, case.build(server, **{case.adapter.credential_argument: wrong}))
    assert outcome is Outcome.MISCONFIGURED
    assert (error.http_status, error.breaker) == (case.wrong_key_status, BreakerEffect.OPENS_UNTIL_CHANGED)
    assert not [form for form in forms_of(wrong) if form in str(error)]
    assert server.purchases == []


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_an_adapter_does_not_show_its_key_and_is_not_pickled_with_it(case, serve):
    server = serve(case)
    adapter = case.build(server)
    assert not [form for form in forms_of(server.key) if form in f"{adapter!r} {adapter} {vars(adapter)}"]
    with pytest.raises(TypeError):
        pickle.dumps(adapter)


def test_every_provider_server_has_a_case_and_every_fault_an_outcome():
    assert {case.name for case in ONE_OF_EACH} == set(SERVERS)
    told = [
        case.outcome(step, fault)
        for case in MAKERS
        for step in case.contract_steps
        for fault in case.server.faults_for(step)
    ]
    assert set(told) >= {OK, Outcome.UNKNOWN, Outcome.REFUSED, Outcome.BAD_RESPONSE}
