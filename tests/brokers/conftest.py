"""Brokers of this machine. What is missing is an error here: whoever runs these tests wants them to have run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.installation import Commands, Installation


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """`site("celery", LEASE_S=6.0)` is an installation with that engine and these settings of MEDIAGEN, at a broker
    that nobody else's messages are in."""
    made: list[Installation] = []
    ends: list[Callable[[], None]] = []

    def make(engine: str, **settings: Any) -> Installation:
        environment = {} if engine == "none" else dict(Commands.of(engine).environment)
        if engine == "celery":
            environment["TASKS_BROKER_URL"], end = rabbitmq()
            ends.append(end)
        if engine == "rq":
            environment["TASKS_BROKER_URL"], end = redis()
            ends.append(end)
        made.append(Installation.make(tmp_path, environment, **settings))
        return made[-1]

    yield make
    for installation in made:
        installation.end()
    for end in ends:
        end()


def rabbitmq() -> tuple[str, Callable[[], None]]:
    """(URL of an empty virtual host, what removes it). MEDIAGEN_CI_RABBITMQ_URL names one of another server."""
    if url := os.environ.get("MEDIAGEN_CI_RABBITMQ_URL"):
        return url, lambda: None
    control = shutil.which("rabbitmqctl")
    assert control, "There is no rabbitmqctl. Install rabbitmq-server, or set MEDIAGEN_CI_RABBITMQ_URL."
    host = f"mediagen_brokers_{os.getpid()}"

    def rabbitmqctl(*words: str) -> None:
        done = subprocess.run([control, "--quiet", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"rabbitmqctl {' '.join(words)}: {done.stdout}{done.stderr}"

    rabbitmqctl("add_vhost", host)
    rabbitmqctl("set_permissions", "--vhost", host, "guest", ".*", ".*", ".*")
    return f"amqp://guest:guest@127.0.0.1:5672/{host}", lambda: rabbitmqctl("delete_vhost", host)


def redis() -> tuple[str, Callable[[], None]]:
    """(URL of an empty Redis database, what empties it). MEDIAGEN_CI_REDIS_URL names another one, which is emptied."""
    from redis import Redis

    url = os.environ.get("MEDIAGEN_CI_REDIS_URL", "redis://127.0.0.1:6379/15")
    client = Redis.from_url(url)
    client.flushdb()

    def end() -> None:
        client.flushdb()
        client.close()

    return url, end
