"""What tells whoever works that something waits. Rooms above send; `mediagen.apps` joins those who listen.

Nothing is lost when nobody listens: what waits are rows, and the next worker or sweep finds them.
"""

from __future__ import annotations

from django.dispatch import Signal

batch_waits = Signal()
"""`batch_id`: rows of the batch may be taken, the caller's transaction is still open."""
task_wanted = Signal()
"""`name` of a task in `mediagen.tasks`, its `args`: the task engine is to run it. What it raises goes through."""
server_wanted = Signal()
"""`run`, a coroutine function without arguments: this server process is to run it beside its requests."""
look_wanted = Signal()
"""Somebody is to look whether anything needs a person. Receivers give a coroutine, which the sender awaits."""

export_wanted = Signal()
"""`asset`, `arguments`, `by`, `since`: it is to be put into another tool, unless `by` has had that done since then; the
answer is the export. With no asset the arguments are only checked."""
