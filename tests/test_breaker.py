from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from mediagen.breaker import BreakerKey, BreakerRules, Circuit, CircuitState, MemoryBreakerStore, Verdict, health_of
from mediagen.errors import (
    BadResponse,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    Refused,
    Unavailable,
    UnforeseenError,
    UnsupportedRequest,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = BreakerKey("flux", "flux-2-pro", "generate_image")
RULES = BreakerRules(failures=3, cooldown_s=30, max_cooldown_s=100)


def after(*errors, circuit=None, now=NOW, digest="a"):
    circuit = circuit or Circuit()
    for error in errors:
        circuit = RULES.after_error(circuit, error=error, now=now, config_digest=digest, default_cooldown_s=7)
    return circuit


@pytest.mark.parametrize("error", [Unavailable("x"), OutcomeUnknown("x"), BadResponse("x"), UnforeseenError("x")])
def test_failures_in_a_row_open_it(error):
    assert after(error, error).state is CircuitState.CLOSED
    opened = after(error, error, error)
    assert (opened.state, opened.open_until) == (CircuitState.OPEN, NOW + timedelta(seconds=30))


@pytest.mark.parametrize("error", [Refused("x"), UnsupportedRequest("x")])
def test_the_callers_faults_do_not_count(error):
    assert after(error, error, error, error) == Circuit()


def test_rate_limit_opens_at_once_for_as_long_as_it_says():
    assert after(RateLimited("x", retry_after_s=12)).open_until == NOW + timedelta(seconds=12)


def test_rate_limit_without_a_time_takes_the_providers_default():
    assert after(RateLimited("x")).open_until == NOW + timedelta(seconds=7)


def test_a_shorter_rate_limit_does_not_shorten_a_longer_one():
    assert after(RateLimited("x", retry_after_s=60), RateLimited("x", retry_after_s=1)).open_until == NOW + timedelta(
        seconds=60
    )


@pytest.mark.parametrize("error", [RateLimited("x", retry_after_s=12), Misconfigured("no credit")])
def test_many_answers_to_what_was_in_flight_open_it_once(error):
    assert after(*[error] * 16).openings == 1


def test_misconfigured_stays_open_until_the_configuration_changes():
    opened = after(Misconfigured("no credit"))
    assert opened.open_until is None
    assert opened.verdict(NOW + timedelta(days=365), "a") is Verdict.DENY
    assert opened.verdict(NOW, "b") is Verdict.PROBE


def test_open_denies_then_lets_one_probe_through():
    opened = after(*[Unavailable("x")] * 3)
    assert opened.verdict(NOW + timedelta(seconds=29), "a") is Verdict.DENY
    assert opened.verdict(NOW + timedelta(seconds=30), "a") is Verdict.PROBE


def test_each_failed_probe_doubles_the_cooldown_up_to_the_limit():
    circuit = after(*[Unavailable("x")] * 3)
    waits = []
    for _ in range(3):
        probing = replace(circuit, state=CircuitState.HALF_OPEN)
        circuit = after(Unavailable("x"), circuit=probing)
        waits.append((circuit.open_until - NOW).total_seconds())
    assert waits == [60, 100, 100]


def test_what_was_in_flight_when_it_opened_changes_no_cooldown():
    opened = after(*[Unavailable("x")] * 3)
    later = after(Unavailable("y"), circuit=opened, now=NOW + timedelta(seconds=5))
    assert (later.open_until, later.failures) == (opened.open_until, 4)


def test_a_refusal_proves_a_probed_provider_alive():
    probing = replace(after(*[Unavailable("x")] * 3), state=CircuitState.HALF_OPEN)
    assert after(Refused("x"), circuit=probing) == Circuit()


def failing(error, *, config_digest=""):
    return partial(RULES.after_error, error=error, now=NOW, config_digest=config_digest, default_cooldown_s=7)


async def test_only_one_gets_the_probe_and_a_dead_prober_is_replaced():
    store = MemoryBreakerStore()
    for _ in range(3):
        await store.failed(KEY, failing(Unavailable("x"), config_digest="a"))
    then = NOW + timedelta(seconds=31)
    claim = {"now": then, "until": then + timedelta(seconds=10), "config_digest": "a"}
    assert [await store.claim_probe(KEY, **claim) for _ in range(3)] == [True, False, False]
    much_later = then + timedelta(seconds=11)
    assert await store.claim_probe(KEY, **{**claim, "now": much_later})


async def test_a_late_success_does_not_close_what_opened_meanwhile():
    store = MemoryBreakerStore()
    await store.failed(KEY, failing(RateLimited("x", retry_after_s=60)))
    await store.succeeded(KEY, was_probe=False)
    assert store.known()[KEY].state is CircuitState.OPEN
    await store.succeeded(KEY, was_probe=True)
    assert store.known()[KEY] == Circuit()


def test_health_is_false_after_one_counted_failure():
    assert health_of(["flux", "sdxl"], {KEY: after(Unavailable("x"))}) == {"flux": False, "sdxl": True}
