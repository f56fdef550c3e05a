"""S1 and S2, ours beside the floor. Every measured program runs in a process of its own, in turn, in three rounds."""

from __future__ import annotations

import tempfile
from typing import Any

from tests.benchmarks.children import median, run
from tests.benchmarks.provider import started

SCENARIOS: dict[str, dict[str, Any]] = {
    "S1: 64 KiB, no latency, 32 at once": {
        "size_bytes": 64 * 1024,
        "latency_s": 0.0,
        "concurrency": 32,
        "pictures": 600,
    },
    "S2: 1.5 MiB, 200 ms, 64 at once": {
        "size_bytes": 1536 * 1024,
        "latency_s": 0.2,
        "concurrency": 64,
        "pictures": 600,
    },
}


def ours(job: dict[str, Any], base_url: str, without: tuple[str, ...] = ()) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        prepared = run(
            "ours",
            {
                "action": "prepare",
                "rows": job["pictures"],
                "providers": [{"name": "openai_images", "base_url": base_url}],
            },
            data_dir=folder,
        )
        return run(
            "ours",
            {
                "action": "run",
                "batch": prepared["batch"],
                "concurrency": job["concurrency"],
                "sync": job.get("sync", True),
            },
            data_dir=folder,
            without=without,
        )


def floor(job: dict[str, Any], base_url: str, library: str, *, fast: bool = False) -> dict[str, Any]:
    return run("floor", {**job, "base_url": base_url, "library": library, "fast": fast})


def throughput(quick: bool) -> None:
    """S1, S2: CPU, speed and memory of a batch, beside bare clients that post, decode and write the file."""
    codecs = ("orjson", "pybase64")
    for name, scenario in SCENARIOS.items():
        job = {**scenario, "pictures": 100} if quick else scenario
        with started(size=job["size_bytes"], latency=job["latency_s"]) as provider:
            url = provider.base_url
            measured: dict[str, list[dict[str, Any]]] = {}
            for _ in range(1 if quick else 3):
                measured.setdefault("floor httpx", []).append(floor(job, url, "httpx"))
                measured.setdefault("floor httpx2", []).append(floor(job, url, "httpx2"))
                measured.setdefault("floor fast", []).append(floor(job, url, "httpx2", fast=True))
                measured.setdefault("ours with httpx", []).append(ours(job, url, ("httpx2", *codecs)))
                measured.setdefault("ours with httpx2", []).append(ours(job, url, codecs))
                measured.setdefault("ours, all fast", []).append(ours(job, url))
        show(name, job, measured)


def durability(quick: bool) -> None:
    """What waiting for the disk costs: S1 and S2, and one picture after the other, with SYNC_TO_DISK and without."""
    alone = {"size_bytes": 64 * 1024, "latency_s": 0.0, "concurrency": 1, "pictures": 100}
    for name, scenario in {**SCENARIOS, "64 KiB, no latency, one at a time": alone}.items():
        job = {**scenario, "pictures": 100} if quick else scenario
        with started(size=job["size_bytes"], latency=job["latency_s"]) as provider:
            measured: dict[str, list[dict[str, Any]]] = {"without": [], "with": []}
            for _ in range(1 if quick else 3):
                for label, results in measured.items():
                    results.append(ours({**job, "sync": label == "with"}, provider.base_url))
        print(f"\n{name}, {job['pictures']} pictures")
        for label, results in measured.items():
            cpu, wall = (median(results, key) / job["pictures"] * 1000 for key in ("cpu_s", "wall_s"))
            print(f"{label:<10}{cpu:>8.2f} CPU ms a picture{wall:>10.2f} ms a picture")


def show(name: str, job: dict[str, Any], measured: dict[str, list[dict[str, Any]]]) -> None:
    base_cpu, base_wall = (median(measured["floor httpx"], key) for key in ("cpu_s", "wall_s"))
    print(f"\n{name}, {job['pictures']} pictures")
    print(
        f"{'':<18}{'CPU ms/picture':>16}{'pictures/s':>12}{'peak RSS MB':>13}{'CPU x floor':>13}{'speed x floor':>15}"
    )
    for label, results in measured.items():
        failed = sum(result.get("failed", 0) for result in results)
        cpu, wall, rss = (median(results, key) for key in ("cpu_s", "wall_s", "peak_rss_bytes"))
        print(
            f"{label:<18}{cpu * 1000 / job['pictures']:>16.2f}{job['pictures'] / wall:>16.1f}{rss / 1e6:>16.0f}"
            f"{cpu / base_cpu:>16.2f}{base_wall / wall:>16.2f}" + (f"   {failed} FAILED" if failed else "")
        )
