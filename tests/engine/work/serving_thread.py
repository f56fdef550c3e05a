"""A server process that fills what it is told of, inside a test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mediagen.engine.work import in_server as server_work


def wait_until(is_so: Callable[[], Any], timeout_s: float = 20.0) -> None:
    """Wait for another thread; a test that waits for so long fails."""
    until = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def in_server(settings, monkeypatch, transactional_db) -> Iterator[None]:
    """This process does the work, as in a site without workers. What it began has ended when the test ends."""
    monkeypatch.setattr(server_work, "LINGER_S", 0.05)
    settings.MEDIAGEN = {key: value for key, value in settings.MEDIAGEN.items() if key != "RUN_IN_SERVER"}
    yield
    # What the test's last request handed over may be on its way to the thread still.
    has_come = threading.Event()
    server_work._thread.call(has_come.set)
    assert has_come.wait(20.0)
    server_work._work.assets.clear()
    server_work._work.batches.clear()
    server_work._work.new.clear()
    wait_until(lambda: not server_work._work._tasks)
