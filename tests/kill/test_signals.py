"""Ctrl-C and SIGTERM: once ends what is under way, twice stops at once; both go on later and nothing is lost."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.kill.site import Site, check_everything, ended, purchases_by_prompt
from tests.kill.test_kill_points import generate

ROWS = 30


def some_ready(site: Site, count: int = 3):
    return lambda: site.states()["ready"] >= count and site.states()["running"] > 0


def heard(process: subprocess.Popen[str], words: str) -> None:
    """Read on until the process has said so."""
    assert process.stdout is not None
    assert any(words in line for line in iter(process.stdout.readline, ""))


@pytest.mark.whole
def test_ctrl_c_once_finishes_what_is_running(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 0.3
    site.live("sdxl")
    path = site.manifest(ROWS)
    process = site.start(*generate(site, path))
    site.wait_until(some_ready(site))
    process.send_signal(signal.SIGINT)
    said = ended(process, 3)
    assert "Traceback" not in said
    states = site.states()
    assert set(states) == {"ready", "pending"}, "something was left in the middle"
    assert len(server.purchases) == states["ready"]
    site.run(*generate(site, path))
    check_everything(site, "sdxl")
    assert set(purchases_by_prompt([server]).values()) == {1}


@pytest.mark.whole
def test_ctrl_c_twice_stops_now_and_says_what_is_not_known(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 1.5
    site.live("sdxl")
    path = site.manifest(6)
    process = site.start(*generate(site, path))
    site.wait_until(lambda: site.attempts().filter(state="submitted").count() == 3 and len(server.purchases) == 3)
    process.send_signal(signal.SIGINT)
    heard(process, "Once more stops at once")
    process.send_signal(signal.SIGINT)
    said = ended(process, 3)
    assert "Traceback" not in said
    assert site.attempts().filter(state="unknown").count() == 3
    server.latency_s = 0.0
    site.run(*generate(site, path))
    site.run("mediagen_maintain")
    check_everything(site, "sdxl")
    assert site.states() == {"ready": 6}


@pytest.mark.whole
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.whole)])
def test_a_worker_drains_and_leaves_with_zero(site: Site, number):
    server = site.servers["flux"]
    server.polls_until_ready = 2
    site.live("flux")
    path = site.manifest(ROWS)
    site.run(*generate(site, path), "--enqueue")
    process = site.start("generate_worker", "--concurrency", 4)
    site.wait_until(some_ready(site))
    process.send_signal(number)
    ended(process, 0)
    assert set(site.states()) <= {"ready", "pending"}
    assert not site.attempts().filter(state__in=["planned", "submitted"]).exists()
    assert len(server.purchases) == site.states()["ready"]
    site.run("generate_worker", "--until-done")
    check_everything(site, "flux")
    assert site.states() == {"ready": ROWS}


def test_ctrl_c_in_a_script_leaves_at_once_and_keeps_the_attempt(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 60.0
    site.live("sdxl")
    process = site.start(
        "shell", "-c", "from mediagen.engine import get_media_engine as e; e().generate_asset_sync('a hare')"
    )
    site.wait_until(lambda: site.attempts().filter(state="submitted").exists() and server.purchases)
    process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in ended(process, None)
    assert [attempt.state for attempt in site.attempts()] == ["unknown"]
    assert site.states() == {"failed": 1}
