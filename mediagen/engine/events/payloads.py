"""What an event's message says of the row that it is about. docs/webhooks.md describes it: nothing here goes away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mediagen.models import Alert, AssetExport, GenerationBatch, MediaAsset, MediaLibrary
from mediagen.models.clock import db_now, from_db


def payload(event: str, data: dict[str, Any]) -> dict[str, Any]:
    """The body of a message: {"type", "timestamp", "data"}, as Standard Webhooks has it."""
    return {"type": event, "timestamp": _time(db_now()), "data": data}


def _time(at: datetime | None) -> str | None:
    """UTC, ISO 8601."""
    aware = from_db(at)
    return None if aware is None else aware.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def of_library(library: MediaLibrary) -> dict[str, Any]:
    return {"id": str(library.pk), "name": library.name, "slug": library.slug}


def of_asset(asset: MediaAsset) -> dict[str, Any]:
    return {
        "asset": {
            "id": asset.asset_id,
            "library": of_library(asset.library),
            "name": asset.name,
            "alt_text": asset.alt_text,
            "tags": asset.tag_names,
            "source": asset.source,
            "review": asset.status,
            "state": asset.generation_state,
            "failure": {"code": asset.failed_for, "detail": asset.failure} if asset.failed_for else None,
            "prompt": asset.prompt,
            "negative_prompt": asset.negative_prompt,
            "seed": asset.seed,
            "provider": asset.provider_name,
            "model": asset.model_name,
            "format": asset.format,
            "width": asset.width,
            "height": asset.height,
            "file_size": asset.file_size,
            "content_hash": asset.content_hash,
            "cost": _text(asset.cost),
            "is_placeholder": asset.is_placeholder,
            "dry_run": asset.dry_run,
            "parent": _text(asset.parent_id),
            "batch": _text(asset.batch_id),
            "row_key": asset.row_key,
            "generation_id": _text(asset.generation_id),
            "created_at": _time(asset.created_at),
            "generated_at": _time(asset.generated_at),
        }
    }


def of_batch(batch: GenerationBatch) -> dict[str, Any]:
    counted: Any = GenerationBatch.objects.with_counts().get(pk=batch.pk)
    counts = ("ready", "placeholders", "failed", "cancelled")
    return {
        "batch": {
            "id": str(batch.pk),
            "name": batch.name,
            "state": batch.state,
            "total": batch.total,
            **{name: getattr(counted, name) for name in counts},
            **batch.cost().facts(),
            "created_at": _time(batch.created_at),
            "finished_at": _time(batch.finished_at),
        }
    }


def of_export(export: AssetExport) -> dict[str, Any]:
    texts = ("target", "state", "message", "file_key", "page_id", "frame_name", "external_id", "design_id", "url")
    return {
        "export": {
            "id": export.export_id,
            "asset": str(export.asset_id),
            "library": of_library(export.asset.library),
            **{name: getattr(export, name) for name in texts},
            "dry_run": export.dry_run,
            "created_at": _time(export.created_at),
            "placed_at": _time(export.placed_at),
        }
    }


def of_alert(alert: Alert) -> dict[str, Any]:
    texts = ("code", "about", "level", "what", "next_step", "command")
    return {
        "alert": {
            "id": alert.pk,
            **{name: getattr(alert, name) for name in texts},
            "since": _time(alert.since),
            "over_at": _time(alert.over_at),
        }
    }


OF: dict[Any, Callable[[Any], dict[str, Any]]] = {
    MediaAsset: of_asset,
    GenerationBatch: of_batch,
    AssetExport: of_export,
    Alert: of_alert,
}
