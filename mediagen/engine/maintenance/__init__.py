"""Setting right what crashes leave, again and again: `sweep`, behind `manage.py mediagen_maintain`.

Keeps: each step is guarded by itself; one that fails stops no other, and is told. `sweep`, `fetching` (jobs that are
bought), `pruning` (old rows, when somebody says so).
"""
