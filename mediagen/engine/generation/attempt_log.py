"""One event for each attempt that has ended: a line of the log with its ids, and a signal for whoever counts.

No prompt and no key is in it: the message is scrubbed already.
"""

from __future__ import annotations

import logging
from typing import Any

from mediagen import signals
from mediagen.models import GenerationAttempt, MediaAsset

logger = logging.getLogger("mediagen.attempts")


def ended(row: GenerationAttempt, asset: MediaAsset) -> None:
    """Say so. In the event loop, before the row need be written: receivers must be quick."""
    if logger.isEnabledFor(logging.INFO):
        logger.info(
            "attempt %s: %s %s %s for asset %s",
            *(row.pk, row.provider_name, row.operation, row.outcome or row.state, asset.pk),
            extra={"mediagen": facts(row, asset)},
        )
    if signals.attempt_ended.has_listeners(GenerationAttempt):
        signals.attempt_ended.send_robust(GenerationAttempt, attempt=row, asset=asset)


def facts(row: GenerationAttempt, asset: MediaAsset) -> dict[str, Any]:
    """What the event says: texts, numbers and None."""
    texts = {"attempt": row.pk, "asset": asset.pk, "library": asset.library_id, "batch": asset.batch_id}
    return {
        "event": "attempt_ended",
        **{name: None if value is None else str(value) for name, value in texts.items()},
        "generation": None if asset.generation_id is None else str(asset.generation_id),
        "provider": row.provider_name,
        "model": row.model_name,
        "operation": row.operation,
        "position": row.position,
        "state": row.state,
        "outcome": row.outcome,
        "http_status": row.http_status,
        "job": row.provider_job_id or None,
        "seconds": None if row.latency_s is None else round(row.latency_s, 3),
        "cost": None if row.cost is None else str(row.cost),
        "dry_run": row.dry_run,
        "message_of_attempt": row.message,
    }
