"""Ours beside the floor, in one run: python -m tests.benchmarks [--quick]

Every measured program runs in a process of its own, the three of a scenario in turn, three rounds, medians. Believe the
ratios: a machine that does other things at the same time makes every absolute number larger.
"""

from __future__ import annotations

import argparse
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
            {"action": "run", "batch": prepared["batch"], "concurrency": job["concurrency"]},
            data_dir=folder,
            without=without,
        )


def floor(job: dict[str, Any], base_url: str, library: str) -> dict[str, Any]:
    return run("floor", {**job, "base_url": base_url, "library": library, "fast": False})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="One round of fewer pictures: to see that it runs.")
    quick = parser.parse_args().quick
    for name, scenario in SCENARIOS.items():
        job = {**scenario, "pictures": 100} if quick else scenario
        with started(size=job["size_bytes"], latency=job["latency_s"]) as provider:
            measured: dict[str, list[dict[str, Any]]] = {}
            for _ in range(1 if quick else 3):
                measured.setdefault("floor httpx", []).append(floor(job, provider.base_url, "httpx"))
                measured.setdefault("floor httpx2", []).append(floor(job, provider.base_url, "httpx2"))
                measured.setdefault("ours with httpx", []).append(ours(job, provider.base_url, ("httpx2",)))
                measured.setdefault("ours with httpx2", []).append(ours(job, provider.base_url))
        show(name, job, measured)


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


if __name__ == "__main__":
    main()
