"""Workers beside each other on one database: claims and completions a second, by processes. Needs DATABASE_URL of a
server: SQLite is one machine's."""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.benchmarks.children import child, run
from tests.benchmarks.provider import started

PROCESSES = (1, 4, 16)
AT_ONCE = 8
"""pictures at once in each process"""
SIZE_BYTES = 16 * 1024
"""small, so that neither Pillow nor the disk is what is measured"""


def scale(quick: bool) -> dict[str, float]:
    """Pictures a second by 1, 4 and 16 worker processes that share a batch: each is one claim and one completion."""
    if "DATABASE_URL" not in os.environ:
        print("\nscale: not measured, DATABASE_URL names no server")
        return {}
    pictures = 160 if quick else 4_000
    print(f"\n{pictures} pictures of {SIZE_BYTES // 1024} KiB, no latency, {AT_ONCE} at once in each process")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'processes':<12}{'pictures/s':>12}{'by each':>10}{'transactions a picture':>26}{'twice':>8}{'load':>8}")
    first = 0.0
    found: dict[str, float] = {}
    for processes in PROCESSES:
        result = measured(processes, pictures)
        speed = result["pictures"] / result["seconds"]
        first = first or speed
        found[f"{processes} processes, seconds a picture over those of one"] = first / speed
        print(
            f"{processes:<12}{speed:>12.1f}{speed / processes:>10.1f}{result['transactions'] / pictures:>26.2f}"
            f"{result['twice']:>8}{os.getloadavg()[0]:>8.1f}",
            flush=True,
        )
    return found


def measured(processes: int, pictures: int) -> dict[str, Any]:
    with started(size=SIZE_BYTES) as provider, tempfile.TemporaryDirectory() as folder:
        providers = [{"name": "openai_images", "base_url": provider.base_url}]
        run("ours", {"action": "prepare", "providers": providers}, data_dir=folder)
        batch = run("ours", {"action": "load", "pictures": pictures}, data_dir=folder)["batch"]
        before = run("scale", {}, data_dir=folder)["transactions"]
        job = {"action": "run", "how": "command", "batch": batch, "pictures": pictures, "concurrency": AT_ONCE}
        with ThreadPoolExecutor(processes) as pool:
            list(pool.map(lambda _: run("ours", job, data_dir=folder), range(processes)))
        after = run("scale", {}, data_dir=folder)
    assert after["pictures"] == pictures, after
    return {**after, "transactions": after["transactions"] - before}


def look(job: dict[str, Any]) -> dict[str, Any]:
    """What stands in the rows: pictures, the time from the first attempt to the last, and those bought twice."""
    import django

    django.setup()
    from django.db import connection
    from django.db.models import Count, Max, Min

    from mediagen.models import GenerationAttempt, MediaAsset

    attempts = GenerationAttempt.objects.filter(state="succeeded").order_by()
    span = attempts.aggregate(first=Min("started_at"), last=Max("finished_at"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        [transactions] = cursor.fetchone()
    return {
        "pictures": MediaAsset.objects.filter(generation_state="ready", is_placeholder=False).count(),
        "seconds": (span["last"] - span["first"]).total_seconds() if span["first"] else 0.0,
        "twice": attempts.values("asset").annotate(number=Count("pk")).filter(number__gt=1).count(),
        "transactions": transactions,
    }


if __name__ == "__main__":
    sys.exit(child(look))
