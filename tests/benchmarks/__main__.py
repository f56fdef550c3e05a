"""python -m tests.benchmarks [NAME...] [--quick] [--check | --record]: ours beside a floor, in one run.

Needs requirements/test.txt and requirements/fast.txt. DATABASE_URL: an empty database of a server, instead of SQLite.
Believe the ratios: a machine that does other things at the same time makes every absolute number larger.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import find_spec

from tests.benchmarks import recorded

BENCHMARKS = {
    "throughput": "tests.benchmarks.throughput",
    "counts": "tests.benchmarks.throughput",
    "durability": "tests.benchmarks.throughput",
    "waiting": "tests.benchmarks.waiting",
    "failover": "tests.benchmarks.waiting",
    "rows": "tests.benchmarks.waiting",
    "startup": "tests.benchmarks.waiting",
    "lists": "tests.benchmarks.lists",
    "renditions": "tests.benchmarks.lists",
    "endpoint": "tests.benchmarks.serving",
    "streams": "tests.benchmarks.serving",
    "admin": "tests.benchmarks.admin_pages",
    "scale": "tests.benchmarks.scale",
}
"""name of a function(quick) -> the module it stands in; it may give ratios, of which smaller ones are better"""
NEEDED = ("httpx", "httpx2", "orjson", "pybase64", "uvicorn", "PIL")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"Of {', '.join(BENCHMARKS)}. Default: all.")
    parser.add_argument("--quick", action="store_true", help="One round of fewer rows: to see that it runs.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="Fail where a ratio is worse than the recorded one.")
    what.add_argument("--record", action="store_true", help="Keep the ratios, for --check. On a quiet machine only.")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(BENCHMARKS)}.")
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        parser.error(
            f"{', '.join(missing)} cannot be imported. Install requirements/test.txt and requirements/fast.txt first."
        )
    found: dict[str, float] = {}
    for name in options.names or BENCHMARKS:
        found |= getattr(import_module(BENCHMARKS[name]), name)(options.quick) or {}
    if options.record:
        recorded.record(found)
    if options.check and (lines := recorded.worse(found)):
        print("\nWorse than before:\n" + "\n".join(lines))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
