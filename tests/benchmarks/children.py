"""Measured programs run in processes of their own, one after the other, and say what they used."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "DATABASE_URL")
"""of the environment"""
ROOT = Path(__file__).resolve().parents[2]


def run(program: str, job: dict[str, Any], *, without: tuple[str, ...] = (), data_dir: str = "") -> dict[str, Any]:
    """The result that `python -m tests.benchmarks.<program>` prints for a job. `without` names modules that are hidden
    from it, as if they were not installed."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in KEPT},
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "SECRET_KEY": "only-for-benchmarks-" + "0" * 40,
        "ALLOWED_HOSTS": "localhost",
        "LOG_LEVEL": "ERROR",
        "DRY_RUN_MODE": "false",
        "MEDIAGEN_DATA_DIR": data_dir,
    }
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{program}"],
        input=json.dumps({**job, "without": without}),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def child(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The main function of a measured program: reads its job, hides modules, prints the result of `work`."""
    job = json.load(sys.stdin)
    for name in job.get("without", ()):
        sys.modules[name] = None  # type: ignore[assignment]  # its import fails
    print(json.dumps(work(job)))


class Used:
    """Wall time, CPU time of all threads and peak memory from `Used()` to `result()`."""

    def __init__(self) -> None:
        self._cpu = _cpu_s()
        self._began = time.perf_counter()

    def result(self) -> dict[str, Any]:
        wall_s = time.perf_counter() - self._began
        return {"wall_s": wall_s, "cpu_s": _cpu_s() - self._cpu, "peak_rss_bytes": peak_rss_bytes()}


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_rss_bytes() -> int:
    """Of this process since it began."""
    try:
        # ru_maxrss also counts what the parent had when it forked.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def median(results: list[dict[str, Any]], name: str) -> float:
    return statistics.median(result[name] for result in results)
