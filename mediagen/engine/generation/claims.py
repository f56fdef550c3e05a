"""How an asset comes into the hands of a process: born there, taken from the queue, or taken again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import IntegrityError
from django.db.models import Q
from django.db.models.functions import Now

from mediagen import conf
from mediagen.chain import MediaGeneratorChain
from mediagen.engine.generation.leases import Lease, free_dead_workers, is_in_hand, worker_name
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.generation.running import Job
from mediagen.engine.library import default_tags_of, get_library
from mediagen.engine.money import Budget
from mediagen.errors import InvalidRequest
from mediagen.factory import get_media_generator_chain
from mediagen.models import AssetSource, GenerationState, MediaAsset, MediaLibrary, MediaTag
from mediagen.models.asset import ON_REQUEST
from mediagen.models.clock import db_now
from mediagen.models.routing import alias, atomic
from mediagen.operations import EDIT, GENERATE, NO_MARGINS, Margins
from mediagen.types import GenerationRequest
from mediagen.wording import say as _

NAME_LENGTH = 80


def lease_length() -> timedelta:
    return timedelta(seconds=conf.get("LEASE_S"))


@atomic()
def create(order: AssetOrder, *, held: bool, pk: uuid.UUID | None = None) -> tuple[MediaAsset, bool]:
    """(the asset's row, True when it is new): pending, or `held` by this process; with this id, where one is given.

    Unknown names and wrong settings are said before a row is made.
    """
    library = get_library(order.library_id)
    return write(order, library, default_tags_of(library), held=held, pk=pk)


def write(
    order: AssetOrder,
    library: MediaLibrary,
    default_tags: Iterable[MediaTag],
    *,
    held: bool,
    pk: uuid.UUID | None = None,
) -> tuple[MediaAsset, bool]:
    """As `create`, in a library that was read already, with its default tags; `pk` is to be the row's id. Inside the
    caller's transaction."""
    if order.parent_id and not MediaAsset.objects.filter(pk=order.parent_id).exists():
        raise InvalidRequest(_("There is no asset %(parent_id)s.", parent_id=order.parent_id), field="parent")
    tags = MediaTag.objects.ensure(order.tags)
    values = {"library": library, **({} if pk is None else {"pk": pk}), **row_values(order)}
    if held:
        values |= held_values()
    if not order.idempotency_key:
        asset = MediaAsset.objects.create(**values)
    else:
        existing = MediaAsset.objects.using(alias()).filter(library=library, idempotency_key=order.idempotency_key)
        if (found := existing.select_related("library").first()) is not None:
            return found, False
        try:
            with atomic():
                asset = MediaAsset.objects.create(**values)
        except IntegrityError:
            if (found := existing.select_related("library").first()) is None:
                raise
            return found, False
    if to_add := {*tags, *default_tags}:
        asset.tags.add(*to_add)
    return asset, True


def held_values() -> dict[str, Any]:
    """What a new row holds that is born in the hands of this process."""
    return {
        "generation_state": GenerationState.RUNNING,
        "lease_token": 1,
        "lease_worker": worker_name(),
        "lease_until": db_now() + lease_length(),
    }


def row_values(order: AssetOrder) -> dict[str, Any]:
    """The order as fields of a `MediaAsset`, library and tags left out."""
    return {
        "name": order.name or order.request.prompt.strip()[:NAME_LENGTH],
        "description": order.description,
        "alt_text": order.alt_text,
        "prompt": order.request.prompt,
        "negative_prompt": order.request.negative_prompt,
        "seed": order.request.seed,
        "parameters": order.parameters,
        "created_by_id": order.created_by_id,
        "parent_id": order.parent_id,
        "idempotency_key": order.idempotency_key or None,
        "generation_id": order.generation_id,
    }


@atomic()
def begin_again(asset_id: Any, changes: dict[str, Any], *, buys: bool = True) -> Job:
    """Take an asset that is to be made (again): a failed, cancelled, interrupted or left one, or a placeholder.

    The id stays. Where nothing is to be bought, its state stays too: see `while_held`. `InvalidRequest` when it is a
    real picture already, or somebody works on it now.
    """
    free_dead_workers()
    asset = MediaAsset.objects.kept().select_related("library").filter(pk=asset_id).first()
    if asset is None:
        raise InvalidRequest(_("There is no asset %(asset_id)s.", asset_id=asset_id), field="asset_id")
    order = replace(order_of(asset), **changes) if changes else order_of(asset)
    chain = get_media_generator_chain(order.providers or None, dry_run=order.dry_run)
    if is_in_hand(asset):
        raise not_open(asset)
    token = asset.lease_token + 1
    as_read = MediaAsset.objects.filter(
        open_to_all(), pk=asset.pk, lease_token=asset.lease_token, generation_state=asset.generation_state
    )
    taken = as_read.update(
        generation_state=GenerationState.RUNNING if buys else while_held(asset),
        lease_token=token,
        lease_worker=worker_name(),
        lease_until=Now() + lease_length(),
        cancel_requested_at=None,
        updated_at=db_now(),
    )
    if not taken:
        raise not_open(asset)
    asset.refresh_from_db()
    budgets = library_budgets(asset.library)
    return Job(asset, order, Lease(asset.pk, token), chain, budgets=budgets, is_recovery=True)


def while_held(asset: MediaAsset) -> GenerationState:
    """The state of an asset that is taken for what is bought already. One that nobody would buy keeps its own: should
    this process be killed, nobody finds it running and makes it."""
    state = GenerationState(asset.generation_state)
    return GenerationState.RUNNING if state == GenerationState.PENDING else state


def take_over(asset: MediaAsset) -> bool:
    """Take an asset as it was read, whatever its state, for what is bought already, if nobody works on it and it has
    not changed hands since; its lease's fields are as they are then."""
    if is_in_hand(asset):
        return False
    values = {
        "generation_state": while_held(asset),
        "lease_token": asset.lease_token + 1,
        "lease_worker": worker_name(),
        "lease_until": db_now() + lease_length(),
    }
    as_read = MediaAsset.objects.filter(
        pk=asset.pk, lease_token=asset.lease_token, generation_state=asset.generation_state
    )
    if not as_read.update(**values):
        return False
    for name, value in values.items():
        setattr(asset, name, value)
    return True


def open_to_all() -> Q:
    """Assets that may be made (again) because somebody asks for it."""
    return (
        Q(generation_state__in=(GenerationState.PENDING, *ON_REQUEST))
        | Q(generation_state=GenerationState.READY, is_placeholder=True, source=AssetSource.GENERATED)
        | Q(generation_state=GenerationState.RUNNING, lease_until__lt=Now())
    )


def not_open(asset: MediaAsset) -> InvalidRequest:
    return InvalidRequest(
        _(
            "Asset %(pk)s is %(state)s and no placeholder, or somebody works on it. Only failed, "
            "cancelled, interrupted and placeholder assets are generated again under their id, "
            "not parts and other sizes of them.",
            pk=asset.pk,
            state=asset.generation_state,
        ),
        field="asset_id",
    )


def take(
    asset: MediaAsset,
    order: AssetOrder,
    chain: MediaGeneratorChain,
    budgets: Sequence[Budget],
    *,
    patient: bool = True,
    left_as: GenerationState = GenerationState.PENDING,
) -> Job:
    """The job of an asset that this worker has claimed. No query."""
    return Job(
        asset,
        order,
        Lease(asset.pk, asset.lease_token),
        chain,
        budgets=budgets,
        is_recovery=asset.lease_token > 1,
        patient=patient,
        lease_is_kept=True,
        left_as=left_as,
    )


def order_of(asset: MediaAsset) -> AssetOrder:
    """The order that made the asset, from its row."""
    kept = dict(asset.parameters or {})
    source_ids = tuple(uuid.UUID(pk) for pk in kept.get("sources", ()))
    operation = kept.get("operation") or (EDIT if source_ids else GENERATE)
    return AssetOrder(
        request=GenerationRequest.checked(
            prompt=asset.prompt,
            negative_prompt=asset.negative_prompt,
            width=kept.get("width", 1024),
            height=kept.get("height", 1024),
            seed=asset.seed,
            needs_prompt=operation == GENERATE,
            **kept.get("options", {}),
        ),
        library_id=asset.library_id,
        providers=tuple(kept.get("providers", ())),
        dry_run=kept.get("dry_run"),
        deadline_s=kept.get("deadline_s"),
        operation=operation,
        source_ids=source_ids,
        mask_id=uuid.UUID(kept["mask"]) if kept.get("mask") else None,
        margins=Margins(*kept["margins"]) if kept.get("margins") else NO_MARGINS,
        style=kept.get("style", ""),
    )


def library_budgets(library: MediaLibrary) -> list[Budget]:
    if library.budget_limit is None:
        return []
    hint = f" Raise the budget of library '{library.name}', or wait."
    label = f"library '{library.name}'"
    return [Budget(f"library:{library.pk}", library.budget_limit, library.budget_period, hint, label)]
