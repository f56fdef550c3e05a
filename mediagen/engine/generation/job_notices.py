"""What providers have pushed about jobs, for whoever waits for them. How it comes in is in `webhooks`."""

from __future__ import annotations

from typing import Any

from mediagen.engine.database import in_database
from mediagen.models import WebhookDelivery


async def delivered(provider_name: str, job_id: str) -> dict[str, Any] | None:
    """What the provider pushed about a job last; None when nothing came."""
    found = WebhookDelivery.objects.filter(provider_name=provider_name, job_id=job_id)
    payload: dict[str, Any] | None = await in_database(found.values_list("payload", flat=True).first)
    return payload
