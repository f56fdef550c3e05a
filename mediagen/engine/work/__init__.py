"""Whoever works: the worker, a task engine's runs, the thread in a server, long background jobs.

Keeps: two workers never finish one row, and what a dead one held comes back by itself. `worker`, `for_caller`
(of one command), `task_runs`, `in_server`, `jobs` (rows of long actions), `job_kinds`, `zips`.
"""
