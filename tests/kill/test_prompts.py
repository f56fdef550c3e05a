"""Prompts on the command line: interrupted by a person, by a reader who leaves, killed. Nothing is bought twice."""

from __future__ import annotations

import json
import signal

import pytest

from tests.kill.site import Site, ended, killed, prompts, purchases_by_prompt
from tests.kill.test_signals import heard

PROMPTS = prompts(8)
LIVE = ("--size", "64x64", "--live", "--concurrency", 3, "--progress", "plain")


def generate(*more: object) -> tuple[object, ...]:
    return ("generate_assets", *PROMPTS, *LIVE, *more)


def bought_once(site: Site, name: str, count: int = len(PROMPTS)) -> None:
    bought = purchases_by_prompt([site.servers[name]])
    assert set(bought.values()) == {1}
    assert len(bought) == count


@pytest.mark.whole
@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.whole),
        pytest.param(signal.SIGHUP, marks=pytest.mark.whole),
    ],
)
def test_a_signal_ends_what_is_under_way_and_the_rest_waits_for_its_person(site: Site, number: signal.Signals):
    server = site.servers["sdxl"]
    server.latency_s = 0.5
    site.live("sdxl")
    process = site.start(*generate())
    site.wait_until(lambda: len(server.purchases) >= 3)
    process.send_signal(number)
    said = ended(process, 3)
    assert "Traceback" not in said
    assert f"Stopped ({number.name})" in said
    states = site.states()
    assert set(states) == {"ready", "interrupted"}
    assert sum(states.values()) == len(PROMPTS)
    assert len(server.purchases) == states["ready"] < len(PROMPTS)
    server.latency_s = 0.0
    site.run("mediagen_maintain")
    site.run("generate_worker", "--until-done")
    assert site.states() == states, "somebody went on with what a person has stopped"
    said = site.run(*generate())
    assert f"{states['ready']} of that run are made" in said
    assert f"{states['ready']} made earlier" in said
    assert site.states() == {"ready": len(PROMPTS)}
    bought_once(site, "sdxl")


@pytest.mark.whole
def test_a_second_signal_stops_at_once_and_the_same_command_fetches_the_jobs(site: Site):
    server = site.servers["flux"]
    server.polls_until_ready = 10_000
    site.live("flux")
    process = site.start(*generate())
    site.wait_until(lambda: site.attempts().exclude(provider_job_id="").count() == 3)
    process.send_signal(signal.SIGTERM)
    heard(process, "Once more stops at once")
    process.send_signal(signal.SIGTERM)
    assert "Traceback" not in ended(process, 3)
    assert site.states() == {"interrupted": len(PROMPTS)}
    assert [attempt.state for attempt in site.attempts()] == ["unknown"] * 3
    server.polls_until_ready = 0
    said = site.run(*generate())
    assert "the jobs of 3 are bought already" in said
    assert site.states() == {"ready": len(PROMPTS)}
    bought_once(site, "flux")


@pytest.mark.whole
def test_when_its_reader_leaves_nothing_new_is_bought(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 0.3
    site.live("sdxl")
    process = site.start(*generate("--json"))
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["made"]
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(30) == 3
    assert "Traceback" not in said
    assert "nobody reads its output any more" in said
    # How many were under way when the pipe said so depends on the machine; what was bought is kept, the rest is not.
    assert len(server.purchases) == site.states()["ready"] < len(PROMPTS)
    site.run(*generate())
    bought_once(site, "sdxl")


@pytest.mark.whole
def test_a_batch_that_a_person_interrupts_is_paused_and_no_worker_goes_on(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 0.3
    site.live("sdxl")
    command = ("generate_assets", "--from", site.manifest(8), *LIVE)
    process = site.start(*command)
    site.wait_until(lambda: server.purchases)
    process.send_signal(signal.SIGHUP)
    assert "interrupted (SIGHUP)" in ended(process, 3)
    bought = len(server.purchases)
    assert site.states()["ready"] == bought < 8
    assert site.batch().state == "paused"
    site.run("generate_worker", "--until-done")
    assert len(server.purchases) == bought, "a worker went on with what a person has stopped"
    site.run(*command)
    bought_once(site, "sdxl")


@pytest.mark.whole
def test_of_two_commands_on_one_file_the_other_goes_on(site: Site):
    server = site.servers["sdxl"]
    server.latency_s = 0.3
    site.live("sdxl")
    command = ("generate_assets", "--from", site.manifest(40), *LIVE)
    first, second = site.start(*command), site.start(*command)
    site.wait_until(lambda: len(set(site.assets().filter(generation_state="running").values_list("lease_worker"))) == 2)
    first.send_signal(signal.SIGINT)
    ended(first, 3)
    ended(second, 0)
    bought_once(site, "sdxl", 40)


def killed_with_its_job(site: Site) -> None:
    """The command, killed when Flux has taken the job of its one picture."""
    server = site.servers["flux"]
    server.polls_until_ready = 10_000
    site.live("flux")
    process = site.start("generate_assets", PROMPTS[0], *LIVE)
    site.wait_until(lambda: site.attempts().exclude(provider_job_id="").exists())
    killed(process)


@pytest.mark.whole
def test_of_a_killed_command_the_sweep_fetches_the_job(site: Site):
    killed_with_its_job(site)
    server = site.servers["flux"]
    server.polls_until_ready = len(server.requests) + 2  # not at the first question
    site.run("mediagen_maintain")
    assert site.states() == {"ready": 1}
    assert [attempt.state for attempt in site.attempts()] == ["adopted"]
    assert len(server.purchases) == 1


@pytest.mark.slow
def test_of_a_killed_command_the_same_command_takes_the_job_first(site: Site):
    killed_with_its_job(site)
    site.servers["flux"].polls_until_ready = 0
    said = site.run("generate_assets", PROMPTS[0], *LIVE)
    assert "the jobs of 1 are bought already" in said
    assert site.states() == {"ready": 1}
    assert len(site.servers["flux"].purchases) == 1
    site.run("generate_assets", PROMPTS[0], *LIVE, "--again")
    assert len(site.servers["flux"].purchases) == 2
