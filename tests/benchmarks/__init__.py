"""How quick and how small mediagen is, as ratios against bare clients measured in the same run.

`python -m tests.benchmarks` runs all; see docs/performance.md.
"""
