"""What long actions there are. Each goes on where a dead worker left off, and asks for its starter's access anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import mediagen.engine.work.describing as describing
import mediagen.engine.work.in_server as in_server
import mediagen.engine.work.zips as zips
from mediagen.engine.database import as_uuid
from mediagen.engine.dispatch import export_wanted
from mediagen.engine.files import variants
from mediagen.engine.generation import AssetOrder, queue
from mediagen.engine.library import Right, bulk, review, trash
from mediagen.engine.work.running_job import Kind, Running
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.factory import chain_configs
from mediagen.models import AssetSource, BackgroundJob, ExportState, GenerationState, MediaAsset, MediaLibrary, MediaTag
from mediagen.types import checked_text
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

TOGETHER = 50
EXPORT_ARGUMENTS = ("target", "title", "file_key", "page_id", "comment", "folder", "create_design", "dry_run")
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
        raise InvalidRequest(_('sizes must be a list such as ["1200x630", "x300"].'), field="sizes")
    variants.specs_of(sizes)
    return {"sizes": list(sizes)}


def generate_again(running: Running) -> None:
    """One more picture like each asset, as its child. `how`: "same" parameters, also the seed; "new_seed"; "provider",
    then `provider` says which."""
    each(running, Right.GENERATE, partial(_one_more, running))


def _one_more(running: Running, asset: MediaAsset) -> list[Any]:
    how = running.job.arguments.get("how", "new_seed")
    if not asset.prompt or asset.source != AssetSource.GENERATED:
        raise InvalidRequest(_("It was not generated, so there is nothing to generate again."))
    order: AssetOrder = queue.another(asset, by=running.job.created_by, generation_id=running.job.pk)
    if running.access.is_test:
        order = replace(order, dry_run=True)
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
        raise InvalidRequest(
            _("how can be %(values)s, not %(values_2)s.", values=", ".join(HOW), values_2=f"{how!r:.40}"), field="how"
        )
    if (how == "provider") != bool(provider):
        raise InvalidRequest(_('provider goes with how="provider", and only with it.'), field="provider")
    if provider:
        chain_configs([checked_text(provider, "provider")])
        return {"how": how, "provider": provider}
    return {"how": how}


def retry_failed(running: Running) -> None:
    """Failed, cancelled and interrupted assets, and placeholders, wait to be made again, under their ids."""
    each(running, Right.GENERATE, partial(_retry, running))


def _retry(running: Running, asset: MediaAsset) -> list[Any]:
    running.access.demand_dry((asset.parameters or {}).get("dry_run"))
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


def review_each(running: Running) -> None:
    """`step` of the review, with `notes`. One that has taken it already is done."""
    step, notes = running.job.arguments["step"], running.job.arguments.get("notes", "")

    def one(asset: MediaAsset) -> list[Any]:
        if asset.status == review.STEPS[step].target:
            return []
        done = review.review([asset.pk], step, by=running.job.created_by, notes=notes)
        if done.without_picture:
            raise InvalidRequest(
                _("It is %(state)s: there is no picture to %(step)s.", state=asset.generation_state, step=step)
            )
        if done.without_alt_text:
            raise InvalidRequest(_("It has no alt text, which its library wants before it is published."))
        if not done.changed:
            raise InvalidRequest(
                _("It is %(status)s; from there is no way to %(step)s.", status=asset.status, step=step)
            )
        return []

    each(running, Right.APPROVE, one)


def _check_step(arguments: dict[str, Any]) -> dict[str, Any]:
    step = arguments.get("step")
    if step not in review.STEPS:
        raise InvalidRequest(
            _("step can be %(steps)s, not %(step)s.", steps=", ".join(review.STEPS), step=f"{step!r:.40}"), field="step"
        )
    return {"step": step, "notes": checked_text(arguments.get("notes") or "", "notes")}


def tag_each(running: Running) -> None:
    """`add` and `remove`: names of tags."""
    add, remove = running.job.arguments["add"], running.job.arguments["remove"]

    def one(asset: MediaAsset) -> list[Any]:
        bulk.tag([asset.pk], add=add, remove=remove)
        return []

    each(running, Right.CHANGE, one)


def _check_tags(arguments: dict[str, Any]) -> dict[str, Any]:
    found = {name: list(arguments.get(name) or ()) for name in ("add", "remove")}
    if not any(found.values()):
        raise InvalidRequest(_("Say which tags to add or to remove."), field="add")
    return {name: MediaTag.objects.clean_names(names) for name, names in found.items()}


def move_each(running: Running) -> None:
    """Into `library`, an id, where the starter may still change things."""
    library = MediaLibrary.objects.filter(pk=running.job.arguments["library"]).first()
    if library is None or not running.access.may(Right.CHANGE, library):
        raise InvalidRequest(_("The library is gone, or you may not put anything into it any more."), field="library")

    def one(asset: MediaAsset) -> list[Any]:
        bulk.move([asset.pk], library)
        return []

    each(running, Right.CHANGE, one)


def _check_library(arguments: dict[str, Any]) -> dict[str, Any]:
    pk = as_uuid(arguments.get("library"), "library")
    if pk is None or not MediaLibrary.objects.filter(pk=pk).exists():
        raise InvalidRequest(_("Say into which library."), field="library")
    return {"library": str(pk)}


def export_each(running: Running) -> None:
    """Into Figma or Canva, as `exports.ExportOrder` says where. The exports go their own way then."""
    job, access = running.job, running.access
    arguments = {name: job.arguments[name] for name in EXPORT_ARGUMENTS if name in job.arguments}
    arguments["dry_run"] = access.dry(arguments.get("dry_run"))

    def one(asset: MediaAsset) -> list[Any]:
        export = _exported(asset, arguments, job.created_by, job.created_at)
        if export.state == ExportState.FAILED:
            raise InvalidRequest(export.message or _("It could not be sent."))
        job.result.setdefault("exports", []).append(str(export.pk))
        return []

    each(running, Right.CHANGE, one)


def _exported(asset: MediaAsset | None, arguments: dict[str, Any], by: Any = None, since: Any = None) -> Any:
    """By the room of exports, which is above this one."""
    answers = export_wanted.send(sender=BackgroundJob, asset=asset, arguments=arguments, by=by, since=since)
    return answers[0][1]


def _check_export(arguments: dict[str, Any]) -> dict[str, Any]:
    given = {name: arguments[name] for name in EXPORT_ARGUMENTS if arguments.get(name) is not None}
    if "target" not in given:
        raise InvalidRequest(_("Say into which target."), field="target")
    _exported(None, given)
    return given


def _nothing_else(arguments: dict[str, Any]) -> dict[str, Any]:
    return {}


KINDS: Mapping[str, Kind] = {
    "zip": Kind(zips.make_zip, _nothing_else),
    "variants": Kind(make_variants, _check_sizes),
    "generate_again": Kind(generate_again, _check_how),
    "retry_failed": Kind(retry_failed, _nothing_else),
    "delete": Kind(delete, _check_delete),
    "review": Kind(review_each, _check_step),
    "tag": Kind(tag_each, _check_tags),
    "move": Kind(move_each, _check_library),
    "describe": Kind(describing.describe_each, describing.check),
    "export": Kind(export_each, _check_export),
}
