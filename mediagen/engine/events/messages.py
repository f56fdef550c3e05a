"""Messages for webhook endpoints: rows of the transaction that changes what they tell of, so that none is lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models

import mediagen.engine.events.delivery as delivery
import mediagen.engine.events.payloads as payloads
from mediagen.models import (
    Alert,
    AssetExport,
    GenerationBatch,
    MediaAsset,
    MessageState,
    WebhookEndpoint,
    WebhookMessage,
)
from mediagen.models.clock import db_now
from mediagen.models.outgoing import TEST_EVENT
from mediagen.models.routing import atomic, on_commit
from mediagen.models.statements import rows_where

RELATED: dict[Any, tuple[str, ...]] = {
    MediaAsset: ("library", "batch"),
    GenerationBatch: ("created_by",),
    AssetExport: ("asset__library",),
    Alert: (),
}
"""what is told with a row, and read with it"""


def write(event: str, model: type[models.Model], pks: Sequence[Any]) -> None:
    """A message about each of these rows to each endpoint that wants it. One query where there is no endpoint."""
    if not rows_where(WebhookEndpoint, ["id"], {"enabled": True}):
        return
    listening = [
        endpoint
        for endpoint in WebhookEndpoint.objects.filter(enabled=True)
        if not endpoint.events or event in endpoint.events
    ]
    if not listening:
        return
    rows = with_related(model)
    if model is MediaAsset:
        rows = rows.prefetch_related("tags")
    messages = []
    for row in rows.filter(pk__in=pks):
        wanted = [endpoint for endpoint in listening if _is_about(row, endpoint)]
        if wanted:
            payload = payloads.payload(event, payloads.OF[model](row))
            messages += [_message(endpoint, event, payload) for endpoint in wanted]
    _keep(messages)


def with_related(model: type[models.Model]) -> models.QuerySet[Any]:
    """Its rows, with those that are told of with them."""
    names = RELATED[model]
    rows = model._default_manager.all()
    return rows.select_related(*names) if names else rows


def _is_about(row: Any, endpoint: WebhookEndpoint) -> bool:
    """Whether the endpoint may be told of the row: that of one library only of what is in it and nowhere else."""
    if endpoint.library_id is None:
        return True
    if isinstance(row, Alert):
        return row.about == f"library:{endpoint.library_id}"
    if isinstance(row, GenerationBatch):
        elsewhere = row.assets.exclude(library=endpoint.library_id).exists()
        return not elsewhere and row.assets.exists()
    asset = row.asset if isinstance(row, AssetExport) else row
    return bool(asset.library_id == endpoint.library_id)


def _message(endpoint: WebhookEndpoint, event: str, payload: dict[str, Any]) -> WebhookMessage:
    return WebhookMessage(endpoint=endpoint, event=event, payload=payload, next_try_at=db_now())


def _keep(messages: list[WebhookMessage]) -> None:
    if messages:
        WebhookMessage.objects.bulk_create(messages)
        on_commit(delivery.soon)


@atomic()
def send_test(endpoint: WebhookEndpoint) -> WebhookMessage:
    """A message that tells of nothing, on its way."""
    message = _message(endpoint, TEST_EVENT, payloads.payload(TEST_EVENT, {"endpoint": endpoint.name}))
    _keep([message])
    return message


@atomic()
def replay(pks: Iterable[Any]) -> int:
    """Send these messages again, with the ids and words that they had; how many. Those still waiting go at once."""
    count = WebhookMessage.objects.filter(pk__in=list(pks)).update(
        state=MessageState.PENDING, tries=0, next_try_at=db_now(), message="", http_status=None, delivered_at=None
    )
    if count:
        on_commit(delivery.soon)
    return count
