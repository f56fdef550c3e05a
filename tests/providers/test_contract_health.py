"""The contract of health checks: they answer yes or no in time, whatever the service does, and cost nothing."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.providers.cases import ONE_OF_EACH, connected, faults, forms_of, serve
from tests.servers import Fault, FaultKind

__all__ = ["connected", "serve"]

GOOD_ENOUGH = frozenset({FaultKind.TRICKLE, FaultKind.WRONG_CONTENT_TYPE})
"""the answer arrives whole"""


def what_can_break(case, step, fault):
    """One code asks all services: each fault once, and each service with one of the connection and one of its own."""
    return {("any", str(fault)), (case.name, fault.status is None)}


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
async def test_healthy(case, serve):
    server = serve(case)
    adapter = case.build(server)
    assert await adapter.check_health() is True
    report = await adapter.probe()
    assert report.ok
    assert report.detail
    steps = {request.step for request in server.requests}
    assert "health" in steps
    assert not steps & set(server.generate_steps)
    assert [request for request in server.requests if not request.accepted] == []
    assert server.purchases == []


@pytest.mark.parametrize(("case", "step", "fault"), faults(*ONE_OF_EACH, steps=("health",), pairs=what_can_break))
async def test_every_fault(case, step, fault, serve, connected):
    server = serve(case)
    server.fault(step, fault, times=None)
    seconds = 0.5 if fault.kind is FaultKind.HANG else 10.0
    adapter = case.build(server, timeout_s=seconds)
    began = time.monotonic()
    report = await adapter.probe()
    assert time.monotonic() - began < seconds + 3.0
    assert report.ok is (fault.kind in GOOD_ENOUGH or fault.status in case.well_at)
    if not report.ok:
        assert report.detail.startswith(f"{case.name}: ")
        assert not [form for form in forms_of(server.key) if form in report.detail]
    assert len(connected) == 1
    assert server.purchases == []


@pytest.mark.parametrize("fault", [Fault.http(401), Fault.connect_refused(), Fault.html_200(), Fault.hang()], ids=str)
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
async def test_check_health_is_a_plain_no(case, fault, serve):
    server = serve(case)
    server.fault("health", fault, times=None)
    adapter = case.build(server, timeout_s=0.4 if fault.kind is FaultKind.HANG else 10.0)
    assert await adapter.check_health() is False


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
async def test_a_wrong_key_is_not_shown(case, serve):
    server, wrong = serve(case), "wr0ng/key+of=nobody~here"
    report = await case.build(server, **{case.adapter.credential_argument: wrong}).probe()
    assert not report.ok
    assert case.adapter.credential_env in report.detail
    assert not [form for form in forms_of(wrong) if form in report.detail]


@pytest.mark.parametrize("case", [case for case in ONE_OF_EACH if case.needs_key], ids=str)
async def test_without_a_key_it_says_what_to_set_and_asks_nobody(case, serve):
    server = serve(case)
    report = await case.build(server, **{case.adapter.credential_argument: ""}).probe()
    assert not report.ok
    assert case.adapter.credential_env in report.detail
    assert server.requests == []


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
async def test_dry_run_is_healthy_and_asks_nobody(case, serve):
    server = serve(case)
    assert await case.build(server, dry_run=True).check_health() is True
    assert server.requests == []


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
async def test_nobody_waits_for_a_check_as_long_as_for_a_picture(case, serve, monkeypatch):
    server = serve(case)
    monkeypatch.setattr("mediagen.providers.service.PROBE_TIMEOUT_S", 0.4)
    server.fault("health", Fault.hang())
    async with asyncio.timeout(5):
        assert await case.build(server, timeout_s=600.0).check_health() is False
