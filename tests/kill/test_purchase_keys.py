"""SIGKILL between request and answer, at a service that knows idempotency keys: nothing is bought twice there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mediagen.models import ProviderConfig
from mediagen.testing import Answer, CannedServer, png
from mediagen.testing.keyed import ROUTE
from tests.kill.site import ALIAS, ROOT, Site, prompts
from tests.kill.test_kill_points import generate

ROWS = 6


@contextmanager
def forks(site: Site) -> Iterator[Callable[..., int]]:
    """`start(command, argument, ...)` is the process id of one that runs it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.kill.forks"],
        cwd=ROOT,
        env=site.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def start(*arguments: object) -> int:
        print(json.dumps([str(argument) for argument in arguments]), file=process.stdin, flush=True)
        return int(process.stdout.readline())

    with process:
        yield start
        process.stdin.close()


# 200 kills in four parts, because a test that takes three minutes is taken for one that hangs.
@pytest.mark.parametrize(
    ("part", "kills"),
    [
        pytest.param(0, 3, marks=pytest.mark.slow),
        *(pytest.param(part, 50, marks=pytest.mark.whole) for part in range(1, 5)),
    ],
)
def test_killed_between_request_and_answer(site: Site, part, kills):
    answers = {ROUTE: Answer(content=png(1024, 1024), headers={"content-type": "image/png"})}
    with CannedServer(answers, idempotency_header="Idempotency-Key") as server:
        options = {"base_url": server.base_url, "api_key": server.key}
        site.mediagen["PROVIDERS"] = {"keyed": {"ADAPTER": "mediagen.testing.KeyedAdapter", "OPTIONS": options}}
        configs = ProviderConfig.objects.using(ALIAS)
        configs.update(enabled=False)
        configs.create(name="keyed", adapter="keyed", dry_run=False)
        path = site.manifest(ROWS)

        server.fault(ROUTE, "hang", times=0)
        with forks(site) as start:
            for _ in range(kills):
                came = len(server.requests)
                pid = start(*generate(site, path))
                site.wait_until(lambda n=came: len(server.requests) > n)
                os.kill(pid, signal.SIGKILL)
        server.clear_faults()
        site.run(*generate(site, path))
        site.run("mediagen_maintain")

        assert site.states() == {"ready": ROWS}
        bought = Counter(request.json()["prompt"] for request in server.purchases)
        assert bought == dict.fromkeys(prompts(ROWS), 1)
        assert len(server.requests) >= ROWS + kills  # the killed ones have asked
        states = Counter(site.attempts().values_list("state", flat=True))
        assert set(states) <= {"succeeded", "adopted"}
        assert states.total() == ROWS  # a purchase keeps its one row
