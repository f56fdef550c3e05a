"""python -m tests.benchmarks [NAME...] [--quick]: ours beside a floor, in one run.

Needs requirements/test.txt and requirements/fast.txt. Believe the ratios: a machine that does other things at the same
time makes every absolute number larger.
"""

from __future__ import annotations

import argparse
from importlib import import_module

BENCHMARKS = {
    "throughput": "tests.benchmarks.throughput",
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
}
"""name of a function(quick) -> the module it stands in"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"Of {', '.join(BENCHMARKS)}. Default: all.")
    parser.add_argument("--quick", action="store_true", help="One round of fewer rows: to see that it runs.")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}. There are: {', '.join(BENCHMARKS)}.")
    for name in options.names or BENCHMARKS:
        getattr(import_module(BENCHMARKS[name]), name)(options.quick)


if __name__ == "__main__":
    main()
