"""Telling others what became of assets, batches and exports, and what needs somebody.

Each function is called in the transaction that changes the row, and takes primary keys. Webhooks' messages are rows of
that transaction; signals are sent after its commit. A transaction that is rolled back tells nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import models
from django.dispatch import Signal

import mediagen.engine.events.messages as messages
from mediagen import signals
from mediagen.models import Alert, AssetExport, GenerationBatch, MediaAsset
from mediagen.models.routing import on_commit

logger = logging.getLogger("mediagen.engine")


@dataclass(frozen=True, slots=True)
class _Event:
    name: str
    """of the webhook"""
    signal: Signal
    model: type[models.Model]
    argument: str
    """the signal's name for the row"""


READY = _Event("asset.ready", signals.asset_ready, MediaAsset, "asset")
FAILED = _Event("asset.failed", signals.asset_failed, MediaAsset, "asset")
FINISHED = _Event("batch.finished", signals.batch_finished, GenerationBatch, "batch")
PLACED = _Event("export.placed", signals.export_placed, AssetExport, "export")
NOT_PLACED = _Event("export.failed", signals.export_failed, AssetExport, "export")
RAISED = _Event("alert.raised", signals.alert_raised, Alert, "alert")
OVER = _Event("alert.over", signals.alert_over, Alert, "alert")


def assets_ready(pks: Sequence[Any]) -> None:
    """These assets have got a picture: generated, uploaded or imported."""
    _happened(READY, pks)


def signal_ready(pks: Sequence[Any]) -> None:
    """As `assets_ready`, for what was committed before with its messages, by a connection that was lost then."""
    _tell_after_commit(READY, pks)


def assets_failed(pks: Sequence[Any]) -> None:
    """These assets have ended without a picture."""
    _happened(FAILED, pks)


def batch_finished(pk: Any) -> None:
    """Nothing of this batch waits or is under way any more."""
    _happened(FINISHED, [pk])


def export_placed(pk: Any) -> None:
    """This export's picture is in its place."""
    _happened(PLACED, [pk])


def export_failed(pk: Any) -> None:
    """This export has failed for good."""
    _happened(NOT_PLACED, [pk])


def alert_raised(pk: Any) -> None:
    """This alert is so, and was not told of."""
    _happened(RAISED, [pk])


def alert_over(pk: Any) -> None:
    """This alert, which was told of, is so no longer."""
    _happened(OVER, [pk])


def _happened(event: _Event, pks: Sequence[Any]) -> None:
    if pks:
        messages.write(event.name, event.model, pks)
        _tell_after_commit(event, pks)


def _tell_after_commit(event: _Event, pks: Sequence[Any]) -> None:
    if pks:
        on_commit(partial(_send, event, list(pks)))


def _send(event: _Event, pks: list[Any]) -> None:
    """Tell the receivers, if there are any. Raises nothing: what was committed must not look as if it had failed."""
    if not event.signal.has_listeners(event.model):
        return
    try:
        rows = messages.with_related(event.model).in_bulk(pks)
    except Exception:
        logger.exception("the receivers of %s %s could not be told", event.name, ", ".join(map(str, pks)))
        return
    for pk in pks:
        if (row := rows.get(pk)) is not None:
            event.signal.send_robust(event.model, **{event.argument: row})  # which logs what a receiver raises
