"""How quickly a batch gets on, and when it may be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Min

from mediagen.models import BatchState, GenerationBatch, GenerationState
from mediagen.models.clock import db_now

WINDOW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Pace:
    """None: it stands, or too few pictures have come to say it."""

    per_minute: float | None
    """pictures that came of late"""
    left_s: float | None
    """seconds until the last one, if it goes on like this"""


def pace_of(batch: GenerationBatch, waiting: int) -> Pace:
    """The pace of the last ten minutes, for a batch of which `waiting` pictures are not there yet. One query."""
    if batch.state != BatchState.RUNNING or not waiting:
        return Pace(None, None)
    now = db_now()
    came = batch.assets.filter(generation_state=GenerationState.READY, generated_at__gte=now - WINDOW).aggregate(
        number=Count("pk"), first=Min("generated_at")
    )
    if came["number"] < 2:
        return Pace(None, None)
    # The first one only says when the clock starts; it has begun before.
    took_s = (now - came["first"]).total_seconds()
    per_minute = (came["number"] - 1) * 60 / max(took_s, 1.0)
    return Pace(per_minute, waiting * 60 / per_minute)
