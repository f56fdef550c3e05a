"""What long actions there are. Each goes on where a dead worker left off, and asks for its starter's access anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import mediagen.engine.work.in_server as in_server
import mediagen.engine.work.zips as zips
from mediagen.engine.files import variants
from mediagen.engine.generation import AssetOrder, queue
from mediagen.engine.library import Right, trash
from mediagen.engine.work.running_job import Kind, Running
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.factory import chain_configs
from mediagen.models import AssetSource, GenerationState, MediaAsset
from mediagen.types import checked_text

logger = logging.getLogger("mediagen.engine")

TOGETHER = 50
HOW = ("same", "new_seed", "provider")


def each(running: Running, right: Right, work: Callable[[MediaAsset], list[Any]]) -> None:
    """Do `work` with every asset that is left and that the starter has this right to; it gives the ids it has made.

    One that fails is noted, and the others go on.
    """
    for asset_id, asset in _allowed(running, right):
        if asset is None:  # no word on whether it exists
            running.could_not(asset_id, "There is no such asset, or not for you.")
            continue
        try:
            made = work(asset)
        except MediagenError as exc:
            running.could_not(asset_id, str(exc))
        else:
            running.did(made=made)


def _allowed(running: Running, right: Right) -> Iterator[tuple[Any, MediaAsset | None]]:
    left = running.left
    for start in range(0, len(left), TOGETHER):
        group = left[start : start + TOGETHER]
        found = running.access.assets(right).select_related("library").prefetch_related("tags").in_bulk(group)
        for pk in group:
            yield pk, found.get(pk)


def make_variants(running: Running) -> None:
    """`sizes`: see `variants.specs_of`."""
    sizes, by = running.job.arguments["sizes"], running.job.created_by
    each(running, Right.GENERATE, lambda asset: [child.pk for child in variants.make_variants(asset, sizes, by)])


def _check_sizes(arguments: dict[str, Any]) -> dict[str, Any]:
    sizes = arguments.get("sizes")
    if not isinstance(sizes, list | tuple):
        raise InvalidRequest('sizes must be a list such as ["1200x630", "x300"].', field="sizes")
    variants.specs_of(sizes)
    return {"sizes": list(sizes)}


def generate_again(running: Running) -> None:
    """One more picture like each asset, as its child. `how`: "same" parameters, also the seed; "new_seed"; "provider",
    then `provider` says which."""
    each(running, Right.GENERATE, partial(_one_more, running))


def _one_more(running: Running, asset: MediaAsset) -> list[Any]:
    how = running.job.arguments.get("how", "new_seed")
    if not asset.prompt or asset.source != AssetSource.GENERATED:
        raise InvalidRequest("It was not generated, so there is nothing to generate again.")
    order: AssetOrder = queue.another(asset, by=running.job.created_by, generation_id=running.job.pk)
    if how == "same":
        order = replace(order, request=replace(order.request, seed=asset.seed))
    elif how == "provider":
        order = replace(order, providers=(running.job.arguments["provider"],))
    child = queue.enqueue(order)
    in_server.work_soon([child.pk])
    return [child.pk]


def _check_how(arguments: dict[str, Any]) -> dict[str, Any]:
    how, provider = arguments.get("how", "new_seed"), arguments.get("provider") or ""
    if how not in HOW:
        raise InvalidRequest(f"how can be {', '.join(HOW)}, not {how!r:.40}.", field="how")
    if (how == "provider") != bool(provider):
        raise InvalidRequest('provider goes with how="provider", and only with it.', field="provider")
    if provider:
        chain_configs([checked_text(provider, "provider")])
        return {"how": how, "provider": provider}
    return {"how": how}


def retry_failed(running: Running) -> None:
    """Failed, cancelled and interrupted assets, and placeholders, wait to be made again, under their ids."""
    each(running, Right.GENERATE, _retry)


def _retry(asset: MediaAsset) -> list[Any]:
    if asset.generation_state in (GenerationState.PENDING, GenerationState.RUNNING):
        return []  # done before, by a worker that could not say so; or by somebody else
    queue.enqueue_again(asset.pk)
    in_server.work_soon([asset.pk])
    return []


def delete(running: Running) -> None:
    """Into the trash. `even_if_used`: also those that are in use, which are left and noted otherwise."""
    even_if_used = bool(running.job.arguments.get("even_if_used"))
    by = running.job.created_by

    def one(asset: MediaAsset) -> list[Any]:
        trash.delete([asset.pk], by, even_if_used=even_if_used)
        return []

    each(running, Right.DELETE, one)


def _check_delete(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"even_if_used": bool(arguments.get("even_if_used", False))}


def _nothing_else(arguments: dict[str, Any]) -> dict[str, Any]:
    return {}


KINDS: Mapping[str, Kind] = {
    "zip": Kind(zips.make_zip, _nothing_else),
    "variants": Kind(make_variants, _check_sizes),
    "generate_again": Kind(generate_again, _check_how),
    "retry_failed": Kind(retry_failed, _nothing_else),
    "delete": Kind(delete, _check_delete),
}
