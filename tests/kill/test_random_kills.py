"""SIGKILL at instants that nobody chose, again and again, until the batch is done."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.kill.site import Site, check_everything, ended, killed, purchases_by_prompt
from tests.kill.test_kill_points import generate


def kill_until_done(site: Site, command, *, seed: int, kills: int) -> int:
    """Start the command, kill it after a random time, start it again...; then let it end. How many were killed."""
    chance = random.Random(seed)
    for number in range(kills):
        before = site.attempts().count()
        process = site.start(*command)
        # Until Django is up nothing happens that could be interrupted.
        site.wait_until(lambda p=process, n=before: p.poll() is not None or site.attempts().count() > n)
        time.sleep(chance.uniform(0.0, 1.5))
        if process.poll() is not None:
            ended(process)
            return number
        killed(process)
    site.run(*command)
    return kills


@pytest.mark.parametrize(
    ("provider", "rows", "kills", "seed"),
    [
        pytest.param("sdxl", 40, 2, 1, marks=pytest.mark.whole),
        pytest.param("flux", 40, 2, 2, marks=pytest.mark.whole),
        pytest.param("sdxl", 300, 12, 3, marks=pytest.mark.slow),
        pytest.param("flux", 300, 12, 4, marks=pytest.mark.slow),
    ],
)
def test_killed_at_random_instants(site: Site, provider, rows, kills, seed):
    server = site.servers[provider]
    server.polls_until_ready, server.latency_s = 2, 0.1
    site.live(provider)
    path = site.manifest(rows)
    count = kill_until_done(site, generate(site, path), seed=seed, kills=kills)
    assert count
    site.run("mediagen_maintain")
    check_everything(site, provider)
    assert site.states() == {"ready": rows}
    bought = sum(purchases_by_prompt([server]).values())
    outcomes = Counter(site.attempts().values_list("state", flat=True))
    print(f"{count} kills, {bought} purchases for {rows} rows; attempts: {dict(outcomes)}")


@pytest.mark.parametrize(
    ("database", "rows"),
    [
        pytest.param("postgres", 300, marks=pytest.mark.postgres),
        pytest.param("mariadb", 150, marks=pytest.mark.mariadb),
    ],
)
def test_three_workers_are_killed_one_after_the_other(request: pytest.FixtureRequest, database, rows):
    site: Site = request.getfixturevalue(f"{database}_site")
    server = site.servers["flux"]
    server.polls_until_ready, server.latency_s = 2, 0.1
    site.live("flux")
    site.run(*generate(site, site.manifest(rows)), "--enqueue")
    work = ("generate_worker", "--concurrency", 10, "--until-done")
    workers = [site.start(*work) for _ in range(3)]
    for number in range(3):
        site.wait_until(lambda number=number: site.states()["ready"] >= rows // 8 * (number + 1))
        killed(workers[number])
        workers.append(site.start(*work))
    for worker in workers[3:]:
        ended(worker)
    site.run("mediagen_maintain")
    check_everything(site, "flux")
    assert site.states() == {"ready": rows}


@pytest.mark.whole
def test_two_runs_of_one_batch_at_once_share_its_rows(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 0.05
    site.live("sdxl")
    path = site.manifest(60)
    for process in [site.start(*generate(site, path)) for _ in range(2)]:
        ended(process)
    check_everything(site, "sdxl")
    assert site.states() == {"ready": 60}
    assert set(purchases_by_prompt([server]).values()) == {1}
