"""A bare client for the servers' own tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    # Without certificates, which no server here has and which take longer to load than most of these tests run.
    with httpx.Client(timeout=5, verify=False, trust_env=False) as client:
        yield client
