"""What tests of job providers share: names that resolve as a test says, short waits, the call around an attempt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mediagen.providers.base import JobProvider
from mediagen.types import Attempt, Call, reset_current_call, set_current_call
from tests.fake_dns import FakeDNS, dns
from tests.fakes import ListRecorder

__all__ = ["call", "dns", "quick_polls"]


@pytest.fixture
def quick_polls(dns: FakeDNS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls and second fetches follow at once; the vendors' hosts have addresses."""
    monkeypatch.setattr(JobProvider, "poll_interval_s", 0.002)
    monkeypatch.setattr(JobProvider, "poll_settle_s", 0.05)
    monkeypatch.setattr("mediagen.http.service.FETCH_BACKOFF_S", 0.002)


@pytest.fixture
def call() -> Iterator[Call]:
    """The `Call` around an attempt; with `call.resume = job` a provider fetches instead of buying."""
    attempt = Attempt(provider_name="made-up", operation="generate_image", position=1)
    made = Call(attempt=attempt, recorder=ListRecorder())
    token = set_current_call(made)
    yield made
    reset_current_call(token)
