"""Whoever works: the worker, a task engine's runs, the thread in a server, long background jobs.

Keeps: two workers never finish one row, and what a dead one held comes back by itself. `worker`, `presence` (who is
there), `for_caller` (of one command), `task_runs`, `in_server`, `jobs` (rows of long actions), `job_kinds`,
`running_job`, `zips`, `describing` and `describe_requests` (alt texts, one or many).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.work.for_caller import CallersWorker
    from mediagen.engine.work.in_server import work_soon
    from mediagen.engine.work.job_kinds import EXPORT_ARGUMENTS, HOW, KINDS
    from mediagen.engine.work.worker import Event, Until, Worker

__getattr__ = names_from(
    __name__,
    {
        "for_caller": "CallersWorker",
        "in_server": "work_soon",
        "job_kinds": "EXPORT_ARGUMENTS HOW KINDS",
        "worker": "Event Until Worker",
    },
)
