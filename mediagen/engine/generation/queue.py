"""Assets that wait to be made: put in the queue, one or many, anew or again. Whoever works takes them from there."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import mediagen.engine.generation.claims as claims
import mediagen.engine.generation.leases as leases
from mediagen.engine.dispatch import task_engine
from mediagen.engine.events import progress
from mediagen.engine.generation.options import check_values
from mediagen.engine.generation.orders import AssetOrder
from mediagen.errors import InvalidRequest
from mediagen.factory import ChainsNow
from mediagen.models import BatchState, GenerationBatch, GenerationState, MediaAsset
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import uuid7
from mediagen.wording import say as _


class Enqueuing:
    """`enqueue` of one order, to be called again when a connection broke off: what was committed without anybody being
    told so is not put there, and made, twice."""

    def __init__(self, order: AssetOrder) -> None:
        self.order, self.pk, self.was_tried = order, uuid7(), False

    @atomic()
    def __call__(self) -> MediaAsset:
        made = MediaAsset.objects.select_related("library").filter(pk=self.pk).first() if self.was_tried else None
        self.was_tried = True
        if made is None:
            return enqueue(self.order, pk=self.pk)
        task_engine.kick([made.pk])
        return made


@atomic()
def enqueue(order: AssetOrder, *, pk: uuid.UUID | None = None) -> MediaAsset:
    """The order's asset, pending, and the engine told of it on commit; with this id, where one is given. An idempotency
    key's own asset is left as it is.

    Raises what cannot work before there is a row.
    """
    chain = ChainsNow().of(order.providers, order.dry_run)
    check_values(chain, order.request.options, order.operation)
    asset, is_new = claims.create(order, held=False, pk=pk)
    if is_new:
        task_engine.kick([asset.pk])
    return asset


@atomic()
def enqueue_together(orders: Iterable[AssetOrder]) -> list[MediaAsset]:
    """As `enqueue`, for several: the assets in their order. All or none."""
    return [enqueue(order) for order in orders]


def another(asset: MediaAsset, *, by: Any, generation_id: uuid.UUID | None = None) -> AssetOrder:
    """The order of one more picture like `asset`: the same words and options, by chance another seed, its child."""
    made = claims.order_of(asset)
    return replace(
        made,
        request=replace(made.request, seed=None),
        name=asset.name,
        alt_text=asset.alt_text,
        # Who served is not known yet: the provider that does gives its own.
        tags=tuple(name for name in asset.tag_names if not f"{name}-".casefold().startswith("generated-")),
        created_by_id=getattr(by, "pk", by),
        parent_id=asset.pk,
        generation_id=generation_id,
        idempotency_key=f"another-{asset.pk}-{generation_id}" if generation_id else "",
    )


@atomic()
def enqueue_again(asset_id: Any, dry_run: bool | None = None) -> MediaAsset:
    """Let a failed, cancelled or placeholder asset wait to be made (again), under its id; a waiting one is kicked.

    `dry_run` is kept for this and later tries; None leaves what it was asked with. `InvalidRequest` when it is a real
    picture already, when somebody works on it, and when its batch is cancelled.
    """
    leases.free_dead_workers()
    asset = MediaAsset.objects.kept().select_related("library", "batch").filter(pk=asset_id).first()
    if asset is None:
        raise InvalidRequest(_("There is no asset %(asset_id)s.", asset_id=asset_id), field="asset_id")
    if asset.batch is not None and asset.batch.state == BatchState.CANCELLED:
        raise InvalidRequest(
            _(
                "Batch %(pk)s of asset %(pk_2)s is cancelled. `manage.py mediagen_batches retry "
                "%(pk)s` makes all that it lacks.",
                pk=asset.batch.pk,
                pk_2=asset.pk,
            ),
            field="asset_id",
        )
    if leases.is_in_hand(asset):
        raise claims.not_open(asset)
    parameters = asset.parameters if dry_run is None else {**(asset.parameters or {}), "dry_run": dry_run}
    taken = MediaAsset.objects.filter(claims.open_to_all(), pk=asset.pk, lease_token=asset.lease_token).update(
        generation_state=GenerationState.PENDING,
        parameters=parameters,
        failure="",
        tries=0,
        cancel_requested_at=None,
        lease_worker="",
        lease_until=None,
        kicked_at=None,
        updated_at=db_now(),
    )
    if not taken:
        raise claims.not_open(asset)
    if asset.batch_id is not None:
        GenerationBatch.objects.filter(pk=asset.batch_id, state=BatchState.FINISHED).update(
            state=BatchState.RUNNING, finished_at=None, updated_at=db_now()
        )
    asset.refresh_from_db()
    task_engine.kick([asset.pk])
    progress.changed([asset.pk])
    return asset
