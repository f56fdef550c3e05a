"""What tells this process itself that something waits. Rooms above send; the room `work` listens."""

from __future__ import annotations

from django.dispatch import Signal

batch_waits = Signal()
"""`batch_id`: rows of the batch may be taken, the caller's transaction is still open. Nothing is lost when nobody
listens: the rows wait, for a worker or for the next who asks for them."""
