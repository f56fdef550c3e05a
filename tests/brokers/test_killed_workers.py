"""A batch of 120 rows, three workers of every engine, one of them killed in the middle: nothing lost, nothing twice.

The commands are those of docs/workers.md. What was bought is counted by the provider servers, which stand outside.
"""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.brokers.installation import Commands, Installation, Process, kill, manifest, purchases
from tests.servers import ProviderServer

pytestmark = pytest.mark.broker

ROWS = 120
UNDER_WAY = 10
"""so many rows the victim must have in hand at least, bought a moment ago"""
LATENCY_S = 2.0
MOMENT_S = 1.0
READY = {"celery": " ready.", "rq": "Listening on default", "own": "pictures at once"}


def start_workers(site: Installation, engine: str, *, elsewhere: int = 0) -> list[Process]:
    """Three; the last `elsewhere` of them take themselves for workers on another machine."""
    line = Commands.of(engine).lines[0]
    workers = []
    for number in range(3):
        own = f" --hostname worker{number}@%h" if engine == "celery" else ""
        workers.append(site.start(f"worker{number}", line + own, elsewhere=number >= 3 - elsewhere))
    for worker in workers:
        site.until(f"{worker.name} is ready", lambda worker=worker: READY[engine] in worker.text(), within_s=60)
    return workers


def hand_over(site: Installation, engine: str) -> None:
    """The batch, and the sweep. Our own workers need none."""
    said = site.run(Commands.of("celery").line("--enqueue"))
    if engine == "own":
        assert f"{ROWS} pictures wait; workers take it" in said
        return
    assert f"{ROWS} pictures wait; the task engine was told of {ROWS}" in said
    site.start("sweep", Commands.of(engine).line("mediagen_maintain"))


def in_the_middle(site: Installation, workers: list[Process], *servers: ProviderServer) -> Process | None:
    """A worker with enough rows in hand whose pictures are bought and cannot have come, when some rows are done."""
    if site.states().get("ready", 0) < UNDER_WAY:
        return None
    bought = set(purchases(*servers, within_s=MOMENT_S))
    return next((worker for worker in workers if len(site.held_by(worker) & bought) >= UNDER_WAY), None)


def is_finished(site: Installation) -> bool:
    return site.rows("SELECT state FROM mediagen_generationbatch") == [("finished",)]


def attempts(site: Installation, state: str) -> Counter[str]:
    """How many billable attempts ended so (or are so), by prompt."""
    rows = site.rows(
        "SELECT a.prompt, count(*) FROM mediagen_generationattempt t JOIN mediagen_mediaasset a ON a.id = t.asset_id "
        "WHERE t.state = %s AND t.billable GROUP BY 1",
        state,
    )
    return Counter(dict(rows))


def known_jobs(site: Installation) -> set[str]:
    """Prompts of the rows whose job has its id on record and is not over."""
    rows = site.rows(
        "SELECT a.prompt FROM mediagen_generationattempt t JOIN mediagen_mediaasset a ON a.id = t.asset_id "
        "WHERE t.state = 'submitted' AND t.provider_job_id <> ''"
    )
    return {prompt for (prompt,) in rows}


def machines_at_work(site: Installation) -> set[str]:
    rows = site.rows("SELECT DISTINCT lease_worker FROM mediagen_mediaasset WHERE lease_worker <> ''")
    return {name.split(":")[1] for (name,) in rows}


def kill_and_wait(site: Installation, victim: Process, *, only_children: bool = False) -> set[str]:
    """Kill it, and wait for the end of the batch; the prompts of the rows that it had in hand."""
    began, states = time.monotonic(), site.states()
    family = victim.family()
    kill(*(family[1:] if only_children else family))
    in_hand = site.held_by(victim, family)
    site.until("the batch is finished", lambda: is_finished(site), within_s=150)
    print(
        f"killed with {len(in_hand)} rows in hand ({states}), finished {time.monotonic() - began:.1f} s later:",
        *(f"{len(attempts(site, state))} {state}," for state in ("succeeded", "unknown", "adopted")),
    )
    return in_hand


def check_books(site: Installation, prompts: list[str], in_hand: set[str], *servers: ProviderServer) -> None:
    """Every row is done, and whatever was bought twice is known as unknown."""
    bought, unknown = Counter(purchases(*servers)), attempts(site, "unknown")
    print(f"{sum(bought.values())} purchases for {len(bought)} rows")
    assert site.states() == {"ready": ROWS}
    assert set(bought) == set(prompts)
    assert max(bought.values()) <= 2
    assert {prompt for prompt, count in bought.items() if count == 2} <= set(unknown), "twice, and no attempt says so"
    assert set(unknown) <= in_hand, "unknown, although its worker lived"
    assert set((attempts(site, "succeeded") + attempts(site, "adopted")).values()) == {1}
    assert not attempts(site, "planned") + attempts(site, "submitted")
    held = site.rows("SELECT count(*) FROM mediagen_mediaasset WHERE lease_worker <> '' OR lease_until IS NOT NULL")
    assert held == [(0,)]


@pytest.mark.parametrize(
    ("engine", "only_children"), [("celery", False), ("celery", True), ("rq", False), ("own", False)]
)
def test_a_killed_worker_costs_only_what_nobody_can_know(site, provider_servers, tmp_path, engine, only_children):
    servers = provider_servers["sdxl"], provider_servers["openai_images"]
    for server in servers:
        server.latency_s = LATENCY_S
    here = site(engine)
    here.sell(*servers)
    prompts = manifest(tmp_path / "prompts.csv", ROWS)
    workers = start_workers(here, engine)
    hand_over(here, engine)
    victim = here.until("a worker to kill", lambda: in_the_middle(here, workers, *servers), within_s=60)

    in_hand = kill_and_wait(here, victim, only_children=only_children)

    check_books(here, prompts, in_hand, *servers)
    assert len(attempts(here, "unknown")) >= UNDER_WAY, "the kill fell between acceptance and record"


@pytest.mark.parametrize("engine", ["celery", "rq"])
def test_jobs_of_a_killed_worker_are_fetched_not_bought_again(site, provider_servers, tmp_path, engine):
    flux = provider_servers["flux"]
    flux.polls_until_ready = 12  # long enough for a busy machine to look
    here = site(engine)
    here.sell(flux)
    prompts = manifest(tmp_path / "prompts.csv", ROWS)
    workers = start_workers(here, engine)
    hand_over(here, engine)

    def with_known_jobs() -> Process | None:
        found = in_the_middle(here, workers, flux)
        return found if found and len(here.held_by(found) & known_jobs(here)) >= UNDER_WAY else None

    victim = here.until("a worker whose jobs are on record", with_known_jobs, within_s=60)

    in_hand = kill_and_wait(here, victim)

    check_books(here, prompts, in_hand, flux)
    assert attempts(here, "adopted")
    assert set(attempts(here, "adopted")) <= in_hand


def test_on_another_machine_nobody_knows_that_it_is_dead_before_its_lease_is_over(site, provider_servers, tmp_path):
    servers = provider_servers["sdxl"], provider_servers["openai_images"]
    for server in servers:
        server.latency_s = LATENCY_S
    here = site("rq", LEASE_S=6.0)
    here.sell(*servers)
    prompts = manifest(tmp_path / "prompts.csv", ROWS)
    workers = start_workers(here, "rq", elsewhere=1)
    hand_over(here, "rq")

    def while_others_work() -> Process | None:
        return in_the_middle(here, workers[2:], *servers) if len(machines_at_work(here)) == 2 else None

    victim = here.until("a worker to kill, beside one on another machine", while_others_work, within_s=60)

    died_at = here.rows("SELECT now()")[0][0]
    in_hand = kill_and_wait(here, victim)

    taken_again = here.rows(
        "SELECT min(t.started_at) FROM mediagen_generationattempt t JOIN mediagen_mediaasset a ON a.id = t.asset_id "
        "WHERE a.prompt = ANY(%s) AND t.started_at > %s",
        list(in_hand),
        died_at,
    )[0][0]
    # LEASE_S after the last heartbeat, which was at most a third of it before.
    assert (taken_again - died_at).total_seconds() > 6.0 * 2 / 3 - 0.5, "somebody knew before the lease was over"
    check_books(here, prompts, in_hand, *servers)
