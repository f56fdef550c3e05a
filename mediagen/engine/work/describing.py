"""Descriptions as jobs: one that somebody waits for, or ten thousand with a limit of cost, several at a time.

Each has an id that follows from its job and its asset, so that whoever goes on after a crash finds what there is and
asks for nothing twice.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from mediagen.engine.database import run_sync
from mediagen.engine.generation import Estimate, descriptions, settling
from mediagen.engine.library import Access, Right
from mediagen.engine.work.running_job import Running
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import AssetDescription, GenerationAttempt
from mediagen.models.costs import NOTHING, costs_by, usd
from mediagen.wording import say as _

AT_ONCE = 4
"""asked for at a time, in one job"""
STEP_S = descriptions.MOST_S + 60.0


def plan_many(
    access: Access, asset_ids: Sequence[Any], wish: descriptions.Wish, *, max_cost: Decimal | None = None
) -> Estimate:
    """What a job for these assets may cost. `InvalidRequest` when nobody can describe, and for a `max_cost` where no
    price is known: it could not be held."""
    found = descriptions.plan(None, for_access(access, wish), len(asset_ids))
    if max_cost is not None:
        demand_prices(found)
    return found


def demand_prices(estimate: Estimate) -> None:
    """`InvalidRequest` where a price is not known: no most that it may cost could be held."""
    if not estimate.is_free and estimate.unknown:
        raise InvalidRequest(
            _(
                "The price of %(providers)s is not known, so that no most can be held. Set its two prices, or "
                "price_when_unknown.",
                providers=", ".join(sorted(estimate.unknown)),
            ),
            field="max_cost",
        )


def for_access(access: Access, wish: descriptions.Wish) -> descriptions.Wish:
    """What their token makes of it: one for tests asks nobody."""
    return descriptions.Wish.of(
        wish.language, wish.max_chars, providers=wish.providers, dry_run=access.dry(wish.dry_run)
    )


def pk_of(job_id: uuid.UUID, asset_id: uuid.UUID) -> uuid.UUID:
    return uuid.uuid5(job_id, asset_id.hex)


def as_arguments(wish: descriptions.Wish) -> dict[str, Any]:
    return {"language": wish.language, "max_chars": wish.max_chars, **wish.options}


def check(arguments: dict[str, Any]) -> dict[str, Any]:
    """`language`, `max_chars`, `providers` and `dry_run` as of one description; `max_cost`, USD: when the next ones
    might cost more, the rest is left."""
    wish = descriptions.Wish.of(
        arguments.get("language"),
        arguments.get("max_chars"),
        providers=arguments.get("providers"),
        dry_run=arguments.get("dry_run"),
    )
    kept = as_arguments(wish)
    if (most := arguments.get("max_cost")) not in (None, ""):
        kept["max_cost"] = str(settling.checked(most))
    return kept


def describe_each(running: Running) -> None:
    """Each asset that the starter may still have described; a few at a time."""
    arguments = running.job.arguments
    wish = for_access(
        running.access,
        descriptions.Wish.of(
            arguments["language"],
            arguments["max_chars"],
            providers=arguments.get("providers"),
            dry_run=arguments.get("dry_run"),
        ),
    )
    most = Decimal(arguments["max_cost"]) if "max_cost" in arguments else None
    dearest = None
    if most is not None:
        dearest = most_of_one(plan_many(running.access, [None], wish, max_cost=most))
    left = running.left
    while left:
        spent = Decimal(running.job.result.get("cost", "0"))
        number = how_many(most, spent, dearest)
        if not number:
            running.save()
            raise InvalidRequest(
                _(
                    "%(spent)s is spent, and the next description might cost more than the most of %(most)s: the rest "
                    "is left.",
                    spent=usd(spent),
                    most=usd(most),
                )
            )
        _describe(running, wish, left[:number])
        left = left[number:]


def how_many(most: Decimal | None, spent: Decimal, dearest: Decimal | None) -> int:
    """Of those that are asked for at a time, as many as keep within the most that all may cost."""
    if most is None or not dearest:
        return AT_ONCE
    return min(AT_ONCE, int(max(most - spent, Decimal(0)) // dearest))


def most_of_one(estimate: Estimate) -> Decimal:
    """USD that one may cost: what one provider charges for an answer that was lost, the next one charges again."""
    return sum((price for price in estimate.prices.values() if price is not None), Decimal(0))


def _describe(running: Running, wish: descriptions.Wish, group: Sequence[uuid.UUID]) -> None:
    found = running.access.assets(Right.GENERATE).select_related("library").in_bulk(list(group))
    begun: dict[uuid.UUID, AssetDescription | descriptions.Described | MediagenError] = {}
    for pk in group:
        try:
            if pk not in found:
                raise InvalidRequest(_("There is no such asset, or not for you."))
            own = pk_of(running.job.pk, pk)
            begun[pk] = descriptions.begin(found[pk], wish, by=running.job.created_by, pk=own)
        except MediagenError as exc:
            begun[pk] = exc
    waiting = [one for one in begun.values() if isinstance(one, AssetDescription)]
    # Held for as long as all of it may take; and who has cancelled it meanwhile pays for no other group.
    running.save(lease_s=STEP_S)
    ended = dict(zip([one.asset_id for one in waiting], described(waiting), strict=True))
    spent = Decimal(running.job.result.get("cost", "0"))
    # By their attempts: a worker that died may have paid for some of them before it could say so.
    costs = costs_by("description_id", GenerationAttempt.objects.filter(description_id__in=[one.pk for one in waiting]))
    for pk in group:
        one = begun[pk] if pk not in ended else ended[pk]
        spent += costs.get(pk_of(running.job.pk, pk), NOTHING).counts
        running.job.result["cost"] = str(spent)
        if not isinstance(one, descriptions.Described):
            running.could_not(pk, str(one))
            continue
        if why := one.description.failure:
            running.could_not(pk, why)
        else:
            running.did()


def described(rows: Sequence[AssetDescription]) -> list[descriptions.Described | MediagenError]:
    """These, asked for together; what became of each, or why nothing did."""
    return run_sync(_all, rows)


async def _all(rows: Sequence[AssetDescription]) -> list[descriptions.Described | MediagenError]:
    return list(await asyncio.gather(*map(_one, rows)))


async def _one(row: AssetDescription) -> descriptions.Described | MediagenError:
    try:
        return await descriptions.run(row, patient=True)
    except MediagenError as exc:
        return exc
