"""S1 and S2, ours beside the floor. Every measured program runs in a process of its own, in turn, in three rounds."""

from __future__ import annotations

import tempfile
from typing import Any

from tests.benchmarks import serving
from tests.benchmarks.children import median, run
from tests.benchmarks.provider import started

SCENARIOS: dict[str, dict[str, Any]] = {
    "S1": {"size_bytes": 64 * 1024, "latency_s": 0.0, "concurrency": 32, "pictures": 600},
    "S2": {"size_bytes": 1536 * 1024, "latency_s": 0.2, "concurrency": 64, "pictures": 600},
}
FLOOR = "floor, httpx2 fast"
CODECS = ("orjson", "pybase64")


def ours(job: dict[str, Any], base_url: str, how: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Pictures by the command or the coroutine; `how` "api": through a server, whose process alone is measured."""
    with tempfile.TemporaryDirectory() as folder:
        providers = [{"name": "openai_images", "base_url": base_url}]
        token = run("ours", {"action": "prepare", "providers": providers}, data_dir=folder)["token"]
        if how == "api":
            return serving.served(folder, token, job["pictures"], job["concurrency"])
        return run("ours", {"action": "run", "how": how, **job}, data_dir=folder, without=without)


def floor(job: dict[str, Any], base_url: str, library: str, *, fast: bool = False) -> dict[str, Any]:
    return run("floor", {**job, "base_url": base_url, "library": library, "fast": fast})


def throughput(quick: bool) -> dict[str, float]:
    """S1, S2: CPU, speed and memory of pictures, beside bare clients that post, decode and write the file."""
    found = {}
    for name, scenario in SCENARIOS.items():
        job = {**scenario, "pictures": 100} if quick else scenario
        with started(size=job["size_bytes"], latency=job["latency_s"]) as provider:
            url = provider.base_url
            measured: dict[str, list[dict[str, Any]]] = {}
            for _ in range(1 if quick else 3):
                measured.setdefault(FLOOR, []).append(floor(job, url, "httpx2", fast=True))
                measured.setdefault("floor, httpx", []).append(floor(job, url, "httpx"))
                measured.setdefault("floor, httpx2", []).append(floor(job, url, "httpx2"))
                measured.setdefault("coroutine", []).append(ours(job, url, "coroutine"))
                measured.setdefault("command", []).append(ours(job, url, "command"))
                measured.setdefault("API", []).append(ours(job, url, "api"))
                measured.setdefault("coroutine, httpx", []).append(ours(job, url, "coroutine", ("httpx2", *CODECS)))
        found.update(show(name, job, measured))
    return found


def counts(quick: bool) -> dict[str, float]:
    """What no load of the machine moves: statements, commits, trips to threads and Python calls a picture."""
    found = {}
    for name, scenario in SCENARIOS.items():
        job = {**scenario, "pictures": 64 if quick else 192, "latency_s": 0.0, "action": "count"}
        print(f"\n{name}, {job['size_bytes'] // 1024} KiB, {job['concurrency']} at once, a picture")
        print(f"{'':<20}{'statements':>12}{'commits':>10}{'hops':>8}{'calls':>10}{'x floor':>10}")
        with started(size=job["size_bytes"]) as provider, tempfile.TemporaryDirectory() as folder:
            base = floor(job, provider.base_url, "httpx2", fast=True)
            _count_line(FLOOR, base, base)
            providers = [{"name": "openai_images", "base_url": provider.base_url}]
            run("ours", {"action": "prepare", "providers": providers}, data_dir=folder)
            for how in ("coroutine", "command"):
                result = run("ours", {**job, "how": how}, data_dir=folder)
                _count_line(how, result, base)
                found[f"{name} {how}, calls over the floor"] = result["calls"] / base["calls"]
                found[f"{name} {how}, statements"] = result["statements"]
    return found


def _count_line(label: str, result: dict[str, Any], base: dict[str, Any]) -> None:
    print(
        f"{label:<20}{result['statements']:>12.1f}{result['commits']:>10.2f}{result['hops']:>8.1f}"
        f"{result['calls']:>10,.0f}{result['calls'] / base['calls']:>10.2f}"
    )


def durability(quick: bool) -> None:
    """What waiting for the disk costs: S1 and S2, and one picture after the other, with SYNC_TO_DISK and without."""
    alone = {"size_bytes": 64 * 1024, "latency_s": 0.0, "concurrency": 1, "pictures": 100}
    for name, scenario in {**SCENARIOS, "64 KiB, no latency, one at a time": alone}.items():
        job = {**scenario, "pictures": 100} if quick else scenario
        with started(size=job["size_bytes"], latency=job["latency_s"]) as provider:
            measured: dict[str, list[dict[str, Any]]] = {"without": [], "with": []}
            for _ in range(1 if quick else 3):
                for label, results in measured.items():
                    results.append(ours({**job, "sync": label == "with"}, provider.base_url, "command"))
        print(f"\n{name}, {job['pictures']} pictures")
        for label, results in measured.items():
            cpu, wall = (median(results, key) / job["pictures"] * 1000 for key in ("cpu_s", "wall_s"))
            print(f"{label:<10}{cpu:>8.2f} CPU ms a picture{wall:>10.2f} ms a picture")


def show(name: str, job: dict[str, Any], measured: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Prints the table; the ratios against the floor that are worth comparing with another run's."""
    base_cpu, base_wall = (median(measured[FLOOR], key) for key in ("cpu_s", "wall_s"))
    size, ms, at_once = job["size_bytes"] // 1024, job["latency_s"] * 1000, job["concurrency"]
    print(f"\n{name}: {size} KiB, {ms:.0f} ms latency, {at_once} at once, {job['pictures']} pictures")
    print(
        f"{'':<20}{'CPU ms/picture':>16}{'pictures/s':>12}{'peak RSS MB':>13}{'CPU x floor':>13}{'speed x floor':>15}"
    )
    found = {}
    for label, results in measured.items():
        failed = sum(result.get("failed", 0) for result in results)
        cpu, wall, rss = (median(results, key) for key in ("cpu_s", "wall_s", "peak_rss_bytes"))
        print(
            f"{label:<20}{cpu * 1000 / job['pictures']:>16.2f}{job['pictures'] / wall:>12.1f}{rss / 1e6:>13.0f}"
            f"{cpu / base_cpu:>13.2f}{base_wall / wall:>15.2f}" + (f"   {failed} FAILED" if failed else "")
        )
        if "floor" not in label:
            found[f"{name} {label}, CPU over the floor"] = cpu / base_cpu
            found[f"{name} {label}, time over the floor"] = wall / base_wall
    return found
