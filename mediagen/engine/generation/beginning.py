"""Pictures that are begun where they are asked for: rows that are born in the hands of this process, many at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import signals

import mediagen.engine.generation.claims as claims
from mediagen.chain import MediaGeneratorChain
from mediagen.engine.database import in_database, prepared_by, to_the_end, together
from mediagen.engine.events import progress
from mediagen.engine.generation.leases import Lease
from mediagen.engine.generation.options import check_values
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.generation.running import Job
from mediagen.engine.library import LibrariesNow
from mediagen.errors import ConfigurationError, InvalidRequest
from mediagen.factory import ChainsNow
from mediagen.models import GenerationState, MediaAsset, MediaLibrary, MediaTag
from mediagen.models.asset import FailureCode
from mediagen.models.clock import db_now
from mediagen.models.routing import alias, atomic
from mediagen.models.statements import insert_missing, insert_rows
from mediagen.types import uuid7


@dataclass(slots=True, eq=False)
class Beginning:
    """An order, and what is to be known before there is a row."""

    order: AssetOrder
    chain: MediaGeneratorChain = field(init=False)
    library: MediaLibrary = field(init=False)
    default_tags: Sequence[MediaTag] = ()
    refused: Exception | None = None
    pk: uuid.UUID = field(default_factory=uuid7)
    """of the row that is made for it, and of no second one when a connection broke off at the commit"""
    was_tried: bool = False

    def job(self, asset: MediaAsset) -> Job:
        budgets = claims.library_budgets(asset.library)
        return Job(asset, self.order, Lease(asset.pk, 1), self.chain, budgets=budgets, existing=asset.pk != self.pk)


def look_up(begun: Iterable[Beginning]) -> None:
    """Who would be asked, and where the picture belongs, as the tables have it now: the same for all of them. What
    cannot work is said before there is a row."""
    chains, libraries = ChainsNow(), LibrariesNow()
    for one in begun:
        order, one.refused = one.order, None
        try:
            one.chain = chains.of(order.providers, order.dry_run)
            check_values(one.chain, order.request.options, order.operation)
            one.library, one.default_tags = libraries.of(order.library_id)
            MediaTag.objects.clean_names(order.tags)
        except (InvalidRequest, ConfigurationError) as exc:
            one.refused = exc


@prepared_by(look_up)
@atomic()
def begin_together(begun: list[Beginning]) -> list[Job | Exception]:
    """For each the asset's row, already held by this process, and the chain to fill it with; or why there is none."""
    made = _committed_before(begun)
    plain = [one for one in begun if _is_plain(one) and one.pk not in made]
    made |= {asset.pk: asset for asset in _insert(plain)} if plain else {}
    results: list[Job | Exception] = []
    for one in begun:
        if one.pk in made:
            results.append(one.job(made[one.pk]))
        elif one.refused is not None:
            results.append(one.refused)
        else:
            try:
                with atomic():
                    asset, _ = claims.write(one.order, one.library, one.default_tags, held=True, pk=one.pk)
                results.append(one.job(asset))
            except InvalidRequest as exc:
                results.append(exc)
    return results


async def begun_here(order: AssetOrder) -> Job:
    """The order begun, with those that others begin at the same moment; raises.

    Whoever is cancelled meanwhile leaves no row that this process seems to work on: it would be made, and paid for,
    once its lease is over.
    """
    one = Beginning(order)
    try:
        return await together(begin_together, one)
    except asyncio.CancelledError:
        await to_the_end(in_database(_withdraw, one))
        raise


@atomic()
def _withdraw(one: Beginning) -> None:
    cancelled = {"generation_state": GenerationState.CANCELLED, "failure": "It was cancelled.", "lease_until": None}
    held = MediaAsset.objects.held(one.pk, 1)
    held.update(**cancelled, failure_code=FailureCode.CANCELLED, lease_worker="", updated_at=db_now())
    progress.changed([one.pk], is_end=True)


@atomic()
def begin_all(begun: list[Beginning]) -> list[Job]:
    """As `begin_together`, all or none; raises."""
    look_up(begun)
    jobs = []
    for job in begin_together(begun):
        if isinstance(job, Exception):
            raise job
        jobs.append(job)
    return jobs


def _committed_before(begun: list[Beginning]) -> dict[uuid.UUID, MediaAsset]:
    """Rows that an earlier try has made, whose connection was lost before it could say so. A second row would be a
    second picture: somebody would find the first, held by nobody, and make it."""
    again = [one.pk for one in begun if one.was_tried]
    for one in begun:
        one.was_tried = True
    return MediaAsset.objects.select_related("library").in_bulk(again) if again else {}


def _is_plain(one: Beginning) -> bool:
    """Whether nothing has to be asked before its row is made."""
    return one.refused is None and not one.order.idempotency_key and not one.order.parent_id


def _insert(begun: list[Beginning]) -> list[MediaAsset]:
    held = claims.held_values()
    assets = [MediaAsset(pk=one.pk, library=one.library, **claims.row_values(one.order), **held) for one in begun]
    of_row = {"raw": False, "using": alias(), "update_fields": None}
    for asset in assets:
        signals.pre_save.send(MediaAsset, instance=asset, **of_row)
    insert_rows(assets)
    for asset in assets:
        signals.post_save.send(MediaAsset, instance=asset, created=True, **of_row)
    clean = MediaTag.objects.clean_names
    known = {tag.key: tag.pk for tag in MediaTag.objects.ensure(name for one in begun for name in one.order.tags)}
    rows: list[Any] = []
    for one, asset in zip(begun, assets, strict=True):
        own = {known[name.casefold()] for name in clean(one.order.tags)}
        pks = own | {tag.pk for tag in one.default_tags}
        rows += [(asset.pk, pk) for pk in pks]
    if rows:
        insert_missing(MediaAsset.tags.through, ("mediaasset", "mediatag"), rows)
    return assets
