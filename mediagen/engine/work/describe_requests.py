"""Asking for descriptions at the edge: of one picture or of many, priced before, and carried out by whoever works."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import mediagen.engine.work.jobs as jobs
from mediagen.engine.generation import Estimate, descriptions, idempotency
from mediagen.engine.library import Access
from mediagen.engine.work.describing import as_arguments, for_access, pk_of
from mediagen.models import ApiToken, AssetDescription, BackgroundJob, MediaAsset
from mediagen.models.routing import atomic


def start(
    asset_ids: Sequence[Any],
    wish: descriptions.Wish,
    *,
    by: Any,
    token: ApiToken | None = None,
    max_cost: Decimal | None = None,
    pk: uuid.UUID | None = None,
) -> BackgroundJob:
    """A job that describes all of them. What they may cost is said before, by `plan_many`. `pk`: see `jobs.start`."""
    arguments: dict[str, Any] = {"asset_ids": asset_ids, **as_arguments(wish)}
    if max_cost is not None:
        arguments["max_cost"] = str(max_cost)
    return jobs.start("describe", arguments, by=by, token=token, pk=pk)


def place(
    access: Access, asset: MediaAsset, wish: descriptions.Wish, *, key: str = "", digest: str = ""
) -> tuple[AssetDescription, bool, Estimate | None]:
    """(one description, pending, whether this request has made it, what it may cost). Whoever works is told of it.

    With a `key` the same request within a day gives the same one. Errors of `descriptions.plan`.
    """
    if key:
        idempotency.check_key(key)
        if (found := idempotency.earlier(access, key, digest)) is not None:
            return _placed_before(access, found), False, None
    wish = for_access(access, wish)
    estimate = descriptions.plan(asset.library, wish)
    made: list[AssetDescription] = []

    def make() -> dict[str, Any]:
        job = start([asset.pk], wish, by=access.user, token=access.token)
        made[:] = [descriptions.begin(asset, wish, by=access.user, pk=pk_of(job.pk, asset.pk))]
        return {"description": str(made[0].pk)}

    if not key:
        with atomic():
            make()
        return made[0], True, estimate
    result, is_new = idempotency.once(access, key, digest, make)
    return (made[0] if is_new else _placed_before(access, result)), is_new, estimate if is_new else None


def _placed_before(access: Access, result: Mapping[str, Any]) -> AssetDescription:
    found = AssetDescription.objects.filter(pk=result.get("description", uuid.UUID(int=0)))
    mine = found.filter(asset__in=idempotency.still_theirs(access)).select_related("asset__library").first()
    if mine is None:
        raise idempotency.gone()
    return mine
