"""What the floor cannot show: how well waiting is used, what a dead provider costs, how memory and start-up behave."""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from typing import Any

from tests.benchmarks.children import run
from tests.benchmarks.provider import FAILURES, Provider, started

CONCURRENCY = 64
WAVES = (("spread", 0), ("all at one instant", CONCURRENCY))


def worked_off(job: dict[str, Any], providers: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """`rows` pictures by these providers, made with `concurrency`, by `how`. `is_loaded`: the rows are there before."""
    with tempfile.TemporaryDirectory() as folder:
        run("ours", {"action": "prepare", "providers": providers}, data_dir=folder)
        made = {"pictures": job["rows"], "concurrency": job["concurrency"], **more}
        if made.pop("is_loaded", False):
            made.update(run("ours", {"action": "load", **made}, data_dir=folder))
        return run("ours", {"action": "run", **made}, data_dir=folder)


def waiting(quick: bool) -> None:
    """S3: the time that the provider takes, over the time that the run takes."""
    rows = 128 if quick else 640  # whole waves: one that is never full is never answered
    print(f"\nS3: 1.5 MiB, 2 s +-30 %, {CONCURRENCY} at once, {rows} pictures")
    cases = [(label, wave, how) for label, wave in WAVES for how in ("coroutine", "command")]
    for label, wave, how in cases:
        with started(size=1536 * 1024, latency=2.0, jitter=0.3, wave=wave) as provider:
            job = {"rows": rows, "concurrency": CONCURRENCY}
            result = worked_off(job, [openai("openai_images", provider)], how=how)
            latencies = provider.stats()["latencies"] or [2.0] * rows
        ideal = 2.0 * -(-rows // CONCURRENCY) if wave else ideal_s(latencies, CONCURRENCY)
        used = ideal / result["wall_s"]
        print(f"{label}, {how}".ljust(32) + f"ideal {ideal:6.2f} s, run {result['wall_s']:6.2f} s: {used:.2f}")


def ideal_s(latencies: list[float], lanes: int) -> float:
    """How long these waits take in so many lanes, each lane taking the next one when it is free."""
    free = [0.0] * lanes
    for latency in latencies:
        lane = free.index(min(free))
        free[lane] += latency
    return max(free)


def failover(quick: bool) -> dict[str, float]:
    """S4: the first provider is dead in eight ways, the second answers in 50 ms."""
    # What hangs costs everybody at once one time-out of 2 s, however many rows there are: so the whole is not short.
    found = {}
    for how, at_once, rows in (("coroutine", 16, 2_000), ("command", 16, 2_000), ("coroutine", 1, 200)):
        found.update(_failover({"rows": 60 if quick else rows, "concurrency": at_once}, how))
    return found


def _failover(job: dict[str, Any], how: str) -> dict[str, float]:
    rows, at_once = job["rows"], job["concurrency"]
    print(f"\nS4, {how}: the first provider is dead, the second answers in 50 ms; {at_once} at once, {rows} pictures")
    print(f"{'':<12}{'pictures/s':>12}{'of alone':>10}{'p50 ms':>9}{'p99 ms':>9}{'wasted':>8}{'failed':>8}")
    most = 0
    with started(size=64 * 1024, latency=0.05) as second:
        alone = worked_off(job, [openai("second", second)], how=how)
        _failover_line("alone", alone, rows, alone, 0)
        for mode in (*FAILURES, "refused"):
            with ExitStack() as stack:
                if mode == "refused":
                    base_url, asked = "http://127.0.0.1:9/v1", lambda: 0
                else:
                    first = stack.enter_context(started(mode=mode))
                    base_url, asked = first.base_url, lambda first=first: first.stats()["asked"]
                dead = {"name": "first", "base_url": base_url, "timeout_s": 2.0}
                result = worked_off(job, [dead, openai("second", second)], how=how)
                _failover_line(mode, result, rows, alone, asked())
                most = max(most, asked())
    return {f"S4 {how}, most requests wasted at {at_once} at once": float(most)}


def _failover_line(label: str, result: dict[str, Any], rows: int, alone: dict[str, Any], wasted: int) -> None:
    seconds = sorted(result["seconds"])
    p50, p99 = statistics.median(seconds), seconds[int(len(seconds) * 0.99) - 1]
    print(
        f"{label:<12}{rows / result['wall_s']:>12.0f}{alone['wall_s'] / result['wall_s']:>10.2f}"
        f"{p50 * 1000:>9.0f}{p99 * 1000:>9.0f}{wasted:>8}{result['failed']:>8}"
    )


def rows(quick: bool) -> None:
    """S9: dry runs, so that nothing but rows grows."""
    sizes = (200, 2_000) if quick else (1_000, 10_000, 100_000)
    print(f"\nS9: dry runs of 64x64 pixels, {CONCURRENCY} at once")
    base: dict[str, float] = {}
    for size in sizes:
        result = worked_off({"rows": size, "concurrency": CONCURRENCY}, [], live=False, side=64, is_loaded=True)
        rss, each = result["peak_rss_bytes"] / 1e6, result["wall_s"] / size
        base = base or {"rss": rss, "each": each}
        print(
            f"{size:>9,} rows: {rss:6.0f} MB ({rss / base['rss']:.2f} x), {each * 1000:.2f} ms a row "
            f"({each / base['each']:.2f} x)   {result['failed']} failed"
        )


def startup(quick: bool) -> dict[str, float]:
    """S8: django.setup() with us, less django.setup() without."""
    rounds = 5 if quick else 15
    measured: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(rounds):
        for with_us in (False, True):
            measured[with_us].append(run("startup", {"with_us": with_us})["seconds"] * 1000)
    without, with_us_ms = statistics.median(measured[False]), statistics.median(measured[True])
    print(f"\nS8: django.setup(): {without:.0f} ms without, {with_us_ms:.0f} ms with: +{with_us_ms - without:.0f} ms")
    return {"S8 start-up over one without": with_us_ms / without}


def openai(name: str, provider: Provider) -> dict[str, Any]:
    return {"name": name, "base_url": provider.base_url}
