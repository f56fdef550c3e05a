"""Pictures that people and programs ask a site for: checked, priced and allowed before a row is made."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any

from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q, prefetch_related_objects

import mediagen.engine.generation.claims as claims
import mediagen.engine.generation.estimates as estimates
import mediagen.engine.generation.idempotency as idempotency
import mediagen.engine.generation.queue as queue
import mediagen.engine.generation.sources as sources
from mediagen.chain import MediaGeneratorChain
from mediagen.engine.dispatch import task_engine
from mediagen.engine.generation.estimates import Estimate
from mediagen.engine.generation.options import check_options
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.generation.running import provider_budgets
from mediagen.engine.library import Access, Right, cancelling, default_tags_of, find_library, get_library
from mediagen.engine.money import Budget, ledger
from mediagen.errors import BudgetTooSmall, Conflict, InvalidRequest, NotAllowed, ProvidersCoolingDown
from mediagen.factory import ChainsNow
from mediagen.foreign import lacks
from mediagen.models import GenerationState, MediaAsset, MediaLibrary, MediaTag
from mediagen.models.asset import ON_REQUEST, MediaAssetQuerySet
from mediagen.models.clock import db_now
from mediagen.models.costs import usd
from mediagen.models.routing import atomic
from mediagen.operations import DESCRIBE, GENERATE, OPERATIONS
from mediagen.types import MAX_SEED, MAX_SIDE_PX, uuid7, uuid7_in
from mediagen.wording import say as _

MOST_AT_ONCE = 10
SIDE_PX = 1024
"""of a square, where nothing is said about the size"""
STEP_PX = 8
"""sides that follow from an aspect ratio are multiples of it: every provider can make those"""
ACCEPT, FAIL = "accept", "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRequest:
    """What is asked for. Nothing in it is checked yet: `plan` does that."""

    prompt: str = ""
    """what is made out of words needs one, and an edit"""
    operation: str = GENERATE
    sources: Sequence[Any] = ()
    """assets to be made of, or their ids; the first is the one that is changed"""
    mask: Any = None
    """an asset or its id: where it is transparent, or else white, an edit may change the picture"""
    factor: float | None = None
    """of an enlargement: so many times the pixels a side"""
    margins: Mapping[str, int] = field(default_factory=dict)
    """of an extension: pixels by left, right, up, down"""
    negative_prompt: str = ""
    width: int | None = None
    """pixels"""
    height: int | None = None
    aspect_ratio: str = ""
    """"16:9"; with one side it gives the other, without one about as many pixels as 1024 x 1024 have"""
    count: int = 1
    library: str | None = None
    """id, slug or name; None: the token's library, or else the default one"""
    providers: Sequence[str] = ()
    """asked instead of the chain, in this order"""
    seed: int | None = None
    """of the first picture; each further one has the next"""
    tags: Sequence[str] = ()
    name: str = ""
    description: str = ""
    alt_text: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool | None = None
    on_placeholder: str = ACCEPT
    """"accept": a placeholder is a result, when no provider delivers; "fail": the asset fails then"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that can be carried out: the orders, and what they may cost."""

    library: MediaLibrary
    orders: list[AssetOrder]
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Placed:
    """Assets that wait to be made, or what became of them when the request was sent before."""

    generation_id: uuid.UUID
    is_new: bool
    estimate: Estimate | None = None
    assets: Sequence[MediaAsset] = ()
    """in their order, with library and tags; none when it was sent before: they are to be read"""


def plan(access: Access, request: PictureRequest, generation_id: uuid.UUID | None = None) -> Plan:
    """The request as orders, priced, under this id, where one is given. Nothing is made.

    `InvalidRequest` for what cannot be, `NotAllowed` for a library that they may only look into, `BudgetTooSmall` when
    a budget does not leave what it costs at least, `ProvidersCoolingDown` when nobody could be asked now.
    """
    if not 1 <= request.count <= MOST_AT_ONCE:
        raise InvalidRequest(
            _("count must be from 1 to %(most)s. A batch takes more.", most=MOST_AT_ONCE), field="count"
        )
    if request.seed is not None and request.seed + request.count - 1 > MAX_SEED:
        raise InvalidRequest(
            _("The seeds of the further pictures would be too large. Take a smaller one."), field="seed"
        )
    request = replace(request, dry_run=access.dry(request.dry_run))
    found, mask = sources.found_among(access.watchable(), request.sources, request.mask)
    library = library_for(access, request.library or (str(found[0].library_id) if found else None))
    chains = ChainsNow()
    chain = chains.of(request.providers, request.dry_run)
    check_options(chain, request.options, request.operation)
    providers: Sequence[str] = request.providers
    if request.on_placeholder == FAIL:
        providers = _without_stand_ins(chain, request.operation)
        chain = chains.of(providers, request.dry_run)
    generation_id = generation_id or uuid7()
    given: dict[str, Any] = {
        "library_id": library.pk,
        "negative_prompt": request.negative_prompt,
        "name": request.name,
        "description": request.description,
        "alt_text": request.alt_text,
        "tags": request.tags,
        "providers": providers,
        "dry_run": request.dry_run,
        "created_by": access.user,
        "generation_id": generation_id,
        **request.options,
    }
    seeds = [None if request.seed is None else request.seed + number for number in range(request.count)]
    if request.operation == GENERATE and not found and mask is None:
        width, height = size_of(request.width, request.height, request.aspect_ratio)
        orders = [AssetOrder.of(request.prompt, width, height, seed=seed, **given) for seed in seeds]
    else:
        given |= _worked_on(request, found[0] if found else None)
        orders = [sources.order_of(request.operation, found, mask=mask, seed=seed, **given) for seed in seeds]
    MediaTag.objects.clean_names(request.tags)
    return Plan(library, orders, affordable(library, chain, orders))


def _worked_on(request: PictureRequest, first: MediaAsset | None) -> dict[str, Any]:
    """What `sources.order_of` is told beside what all pictures are."""
    size: dict[str, Any] = {"width": request.width, "height": request.height}
    if request.aspect_ratio:
        side = first.width if first is not None and (request.width, request.height) == (None, None) else request.width
        size = dict(zip(size, size_of(side, request.height, request.aspect_ratio), strict=True))
    return {"prompt": request.prompt, "factor": request.factor, "margins": request.margins, **size}


_DOES = {DESCRIBE: "describe pictures"}


def affordable(library: MediaLibrary, chain: MediaGeneratorChain, orders: Sequence[AssetOrder]) -> Estimate:
    """What the orders may cost; refused when nobody can be asked now, or a budget does not leave the least of it."""
    demand_somebody(chain, orders[0].operation)
    estimate = estimates.estimate(orders, chain)
    demand_budget(library, chain, estimate)
    return estimate


def demand_somebody(chain: MediaGeneratorChain, operation: str) -> None:
    """`InvalidRequest` when nobody in the chain can do it, `ProvidersCoolingDown` when nobody can be asked now."""
    if all(why := [lacks(provider, operation) for provider in chain.providers]):
        does = OPERATIONS[operation].does if operation in OPERATIONS else _DOES.get(operation, "make pictures")
        raise InvalidRequest(
            _("No provider that would be asked can %(does)s. %(why)s", does=does, why=" ".join(why)), field="providers"
        )
    wait_s = chain.cooling_down_s(operation)
    if wait_s is not None:
        raise ProvidersCoolingDown(
            _(
                "Every provider that could make the picture is cooling down after failures or a rate "
                "limit. Nothing was made. Come again in %(wait_s)s s, or name another provider.",
                wait_s=f"{wait_s:.0f}",
            ),
            retry_after_s=wait_s,
        )


def demand_budget(library: MediaLibrary, chain: MediaGeneratorChain, estimate: Estimate) -> None:
    """`BudgetTooSmall` when a budget does not leave the least of it."""
    if not estimate.is_free:
        _check_budgets(library, chain, estimate)


def place(
    access: Access,
    request: PictureRequest,
    *,
    key: str = "",
    digest: str = "",
    generation_id: uuid.UUID | None = None,
) -> Placed:
    """Make the rows, pending, and tell the site's task engine of them. Errors of `plan`.

    With a `key`, the same request (`digest` says what it is) within 24 hours gives the same assets; `KeyReused` for
    another one, `NotAllowed` when they may not have its assets any more. Who calls again after a connection that was
    lost, `patiently`, says the same `generation_id`, and has no second row for what was committed. Who fills them where
    there is no task engine: see `in_server.work_soon`.
    """
    if not key:
        planned = plan(access, request, generation_id)
        try:
            made = _make(planned)
        except IntegrityError:
            if generation_id is None or not (made := _made_before(generation_id)):
                raise
        return Placed(_generation_of(planned), True, planned.estimate, made)
    idempotency.check_key(key)
    if (found := idempotency.earlier(access, key, digest)) is not None:
        return _placed_before(access, found)
    planned = plan(access, request, generation_id)
    made = []

    def make() -> dict[str, Any]:
        made[:] = _make(planned)
        return {"generation": str(_generation_of(planned))}

    result, is_new = idempotency.once(access, key, digest, make)
    if not is_new:
        return _placed_before(access, result)
    return Placed(_generation_of(planned), True, planned.estimate, made)


def _placed_before(access: Access, result: Mapping[str, Any]) -> Placed:
    generation_id = uuid.UUID(result["generation"])
    if not assets_of(idempotency.still_theirs(access), generation_id).exists():
        raise idempotency.gone()
    return Placed(generation_id, False)


def _generation_of(planned: Plan) -> uuid.UUID:
    return planned.orders[0].generation_id or uuid.UUID(int=0)


def _made_before(generation_id: uuid.UUID) -> list[MediaAsset]:
    made = MediaAsset.objects.filter(generation_id=generation_id).order_by("pk")
    return list(made.select_related("library").prefetch_related("tags"))


@atomic()
def _make(planned: Plan) -> list[MediaAsset]:
    # Ids in the order of the request, also of those that are made in one millisecond.
    ids = [uuid7_in(_generation_of(planned), number, "") for number in range(len(planned.orders))]
    default_tags = default_tags_of(planned.library)
    made = [
        claims.write(order, planned.library, default_tags, held=False, pk=pk)[0]
        for pk, order in zip(ids, planned.orders, strict=True)
    ]
    task_engine.kick(ids)
    # What nobody has tagged need not be asked for its tags.
    if default_tags or any(order.tags for order in planned.orders):
        prefetch_related_objects(made, "tags")
    else:
        for asset in made:
            vars(asset)["_prefetched_objects_cache"] = {"tags": MediaTag.objects.none()}
    return made


def assets_of(assets: MediaAssetQuerySet, generation_id: Any) -> MediaAssetQuerySet:
    """Those of one request, in the order in which they were asked for; or the one asset that has this id."""
    return assets.filter(Q(generation_id=generation_id) | Q(pk=generation_id)).order_by("pk")


def asked_for(access: Access, states: Iterable[str] = ()) -> MediaAssetQuerySet:
    """The first asset of each request of this person, of those assets that they may see; `states` narrows it to
    requests that have come so far, in the words of the API ("partial": some of them came)."""
    mine = access.watchable().filter(created_by=access.user, generation_id__isnull=False)
    siblings = MediaAsset.objects.kept().filter(generation_id=OuterRef("generation_id")).order_by()
    mine = mine.filter(~Exists(siblings.filter(pk__lt=OuterRef("pk"))))
    if not (wanted := set(states)):
        return mine

    def some(*of: GenerationState) -> Exists:
        return Exists(siblings.filter(generation_state__in=of))

    pending, running, ready = GenerationState.PENDING, GenerationState.RUNNING, GenerationState.READY
    failed, interrupted = GenerationState.FAILED, GenerationState.INTERRUPTED
    none = (failed, GenerationState.CANCELLED, interrupted)
    waits = ~some(running, ready, *none)
    is_over = ~some(pending, running)
    conditions = {
        "pending": waits,
        "running": some(pending, running) & ~waits,
        "ready": is_over & ~some(*none),
        "partial": is_over & some(ready) & some(*none),
        "failed": is_over & ~some(ready) & some(failed),
        "interrupted": is_over & ~some(ready, failed) & some(interrupted),
        "cancelled": is_over & ~some(ready, failed, interrupted),
    }
    return mine.filter(reduce(or_, (Q(conditions[state]) for state in sorted(wanted))))


def cancel(assets: Iterable[MediaAsset]) -> None:
    """Cancel what waits or is being made; a picture that is being paid for already is kept. `Conflict` when all of
    them are over."""
    result = cancelling.cancel([asset.pk for asset in assets])
    if not result.cancelled and not result.ending:
        raise Conflict(_("Nothing of it waits or is being made any more, so that there is nothing to cancel."))


@atomic()
def retry(assets: Sequence[MediaAsset], access: Access) -> list[uuid.UUID]:
    """Let the failed, cancelled, interrupted and placeholder ones wait to be made again, under their ids; which. Errors
    of `plan`, and `Conflict` when there is none."""
    again = [asset for asset in assets if _may_be_made_again(asset)]
    if not again:
        raise Conflict(
            _("Only failed, cancelled and interrupted pictures and placeholders are made again; here is none.")
        )
    for asset in again:
        order = claims.order_of(asset)
        access.demand_dry(order.dry_run)
        chain = ChainsNow().of(order.providers, order.dry_run)
        affordable(asset.library, chain, [order])
        queue.enqueue_again(asset.pk)
    return [asset.pk for asset in again]


def _may_be_made_again(asset: MediaAsset) -> bool:
    return asset.generation_state in ON_REQUEST or asset.awaits_its_picture


def library_for(access: Access, word: str | None) -> MediaLibrary:
    """The library of this id, slug or name, if they may add to it.

    `InvalidRequest` for one that they cannot see, in the same words as for one that does not exist, and for a word that
    means several.
    """
    if word is None:
        library = access.token.library if access.token is not None else None
        library = library or get_library(None)
        if Right.GENERATE in access.rights_to_write(library):
            return library
        raise NotAllowed(_("You may not add pictures to the default library. Name one that you may add to."))
    found = find_library(word, access)
    if found is not None and access.may(Right.GENERATE, found):
        return found
    if found is not None:
        raise NotAllowed(_("You may look into this library, and not add to it. Name another one."))
    raise InvalidRequest(_("There is no library with this id, slug or name that you can see."), field="library")


def size_of(width: int | None, height: int | None, aspect_ratio: str = "") -> tuple[int, int]:
    """(width, height) in pixels. `InvalidRequest` when ratio and both sides are given, or the ratio is none."""
    if not aspect_ratio:
        return SIDE_PX if width is None else width, SIDE_PX if height is None else height
    if width is not None and height is not None:
        raise InvalidRequest(_("Say width and height, or an aspect_ratio, not all three."), field="aspect_ratio")
    across, colon, down = aspect_ratio.partition(":")
    parts = [int(part) if part.isascii() and part.isdecimal() and len(part) <= 5 else 0 for part in (across, down)]
    if not colon or 0 in parts or not 1 / 20 <= parts[0] / parts[1] <= 20:
        raise InvalidRequest(
            _('aspect_ratio must be like "16:9", and one side at most 20 times the other.'), field="aspect_ratio"
        )
    ratio = parts[0] / parts[1]
    if width is not None:
        return width, _stepped(width / ratio)
    if height is not None:
        return _stepped(height * ratio), height
    return _stepped(SIDE_PX * ratio**0.5), _stepped(SIDE_PX / ratio**0.5)


def _stepped(side: float) -> int:
    return min(max(STEP_PX, round(side / STEP_PX) * STEP_PX), MAX_SIDE_PX)


def _without_stand_ins(chain: MediaGeneratorChain, operation: str) -> list[str]:
    """The chain's providers that make real pictures, by name."""
    names = [
        provider.get_name()
        for provider in chain.ordered(operation)
        if not lacks(provider, operation) and not getattr(provider, "is_placeholder", False)
    ]
    if not names:
        raise InvalidRequest(
            _('All providers that would be asked make placeholders. Say on_placeholder "accept", or name another one.'),
            field="on_placeholder",
        )
    return names


def _check_budgets(library: MediaLibrary, chain: MediaGeneratorChain, estimate: Estimate) -> None:
    least = estimate.cheapest
    for budget in claims.library_budgets(library):
        left = _left(budget)
        if left is None or (least <= left and not (left == 0 and estimate.without_price)):
            continue
        costs = f"this costs {usd(least)} at least" if least else "what this costs is not known"
        raise BudgetTooSmall(
            _(
                "Library '%(name)s' has %(usd)s left, and %(costs)s.%(renewal)s%(what_to_do)s",
                name=library.name,
                usd=usd(left),
                costs=costs,
                renewal=budget.renewal(db_now()),
                what_to_do=budget.what_to_do,
            )
        )
    limited = provider_budgets(chain)
    refused = []
    for name, price in estimate.prices.items():
        left = _left(limited[name]) if name in limited else None
        if left is None or price is None or price <= left:
            return
        renewal = limited[name].renewal(db_now())
        refused.append(f"{name} has {usd(left)} left and costs {usd(price)} a picture.{renewal}")
    if refused:
        raise BudgetTooSmall(
            _("The budget of every provider is used up: %(refused)s Raise one, or wait.", refused=" ".join(refused))
        )


def _left(budget: Budget) -> Decimal | None:
    return ledger.open_account(budget).left
