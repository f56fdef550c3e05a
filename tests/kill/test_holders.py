"""Who has a row keeps it while he lives, whatever the clock says; what `after_unknown` demands holds after a kill."""

from __future__ import annotations

import signal
import time

import pytest

from tests.kill.site import Site, check_everything, ended, killed, purchases_by_prompt
from tests.kill.test_kill_points import generate

WORK = ("generate_worker", "--concurrency", 4, "--until-done")


def under_way(site: Site, count: int):
    """So many are at the provider."""
    return lambda: site.attempts().filter(state="submitted").count() >= count


@pytest.mark.whole
def test_a_frozen_worker_that_lives_buys_nothing_twice(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 0.5
    site.live("sdxl")
    site.run(*generate(site, site.manifest(16)), "--enqueue")
    frozen = site.start(*WORK)
    site.wait_until(under_way(site, 4))
    frozen.send_signal(signal.SIGSTOP)
    time.sleep(3)  # longer than the lease
    site.run("mediagen_maintain")
    other = site.start(*WORK)
    site.wait_until(lambda: site.states()["ready"] >= 8)
    frozen.send_signal(signal.SIGCONT)
    for process in (frozen, other):
        ended(process)
    site.run("mediagen_maintain")
    check_everything(site, "sdxl")
    assert site.states() == {"ready": 16}
    assert set(purchases_by_prompt([server]).values()) == {1}


@pytest.mark.slow
def test_a_worker_alone_buys_nothing_twice_when_all_leases_are_over_at_once(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 0.4
    site.live("sdxl")
    site.mediagen["LEASE_S"] = 60.0
    process = site.start(*generate(site, site.manifest(16)))
    for done in (2, 6, 10):
        site.wait_until(lambda done=done: site.states()["ready"] >= done)
        site.assets().filter(generation_state="running").update(lease_until="2001-01-01T00:00:00Z")
    ended(process)
    assert len(server.purchases) == 16
    check_everything(site, "sdxl")


@pytest.mark.whole
def test_stop_is_obeyed_after_a_kill_and_after_a_retry(site: Site):
    first, second = site.servers["sdxl"], site.servers["flux"]
    first.latency_s = 3.0
    site.live("sdxl", "flux", after_unknown="stop")
    path = site.manifest(4)
    process = site.start(*generate(site, path, "--concurrency", 4))
    site.wait_until(lambda: len(first.purchases) == 4)
    killed(process)
    first.latency_s = 0.0
    for more in ((), ("--retry-failed",)):
        site.run(*generate(site, path, *more), code=None)
        assert (len(first.purchases), len(second.purchases)) == (4, 0)
    assert site.states() == {"failed": 4}
    failure = site.assets().first().failure
    assert "sdxl may have made and billed this picture already" in failure
    assert "set after_unknown of sdxl to next" in failure
    check_everything(site, "sdxl", "flux")

    site.live("sdxl", "flux", after_unknown="next")
    site.run(*generate(site, path, "--retry-failed"))
    assert site.states() == {"ready": 4}
    assert (len(first.purchases), len(second.purchases)) == (4, 4)
