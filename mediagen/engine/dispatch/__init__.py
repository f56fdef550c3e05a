"""Telling whoever works that something waits: the site's task engine, or this process.

A message is only a kick: the truth is the rows, and a kick that is lost changes nothing but the time at which work
begins. `task_engine` (kick it), `waiting` (signals that rooms above join), `periodic` (until stopped).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediagen.lazy import names_from

if TYPE_CHECKING:
    from mediagen.engine.dispatch.waiting import batch_waits, export_wanted, look_wanted, server_wanted, task_wanted

__getattr__ = names_from(
    __name__,
    {
        "waiting": "batch_waits export_wanted look_wanted server_wanted task_wanted",
    },
)
