"""Outcomes that nobody saw, settled by a person: billed, not billed, or looked for once more.

Until then an attempt counts with what it may cost, and a provider whose `after_unknown` is "stop" stops its asset.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from django.db.models import Case, Q, Value, When

import mediagen.engine.generation.claims as claims
import mediagen.engine.generation.running as running
from mediagen.engine.events import progress
from mediagen.engine.library import Access, Right, sees_everything
from mediagen.engine.money import ledger
from mediagen.errors import ConfigurationError, Conflict, GenerationFailed, InvalidRequest, NotAllowed, StorageFailed
from mediagen.factory import build_adapter
from mediagen.models import (
    AssetDescription,
    DescriptionState,
    GenerationAttempt,
    GenerationState,
    MediaAsset,
    ProviderConfig,
    ReviewStatus,
)
from mediagen.models.attempt import UNSETTLED
from mediagen.models.clock import db_now
from mediagen.models.costs import usd
from mediagen.models.ledger import LAST_DIGIT
from mediagen.models.routing import atomic
from mediagen.types import AttemptState
from mediagen.wording import say as _

logger = logging.getLogger("mediagen.engine")

PERMISSION = "mediagen.settle_generationattempt"
LOOK_S = 20.0
"""how long a job is looked for, seconds: a person waits"""
MOST_USD = Decimal(100_000)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An attempt that waits for somebody's word, and where to look what came of it."""

    attempt: GenerationAttempt
    look_at: str
    """address of the page of the vendor's on which it stands what was billed; "" where none is known"""
    can_look: bool
    """its job can be looked for from here"""

    @property
    def where(self) -> str:
        """For people: what to look for, and where."""
        row = self.attempt
        place = self.look_at or f"whoever runs {row.provider_name}"
        if row.provider_job_id:
            return f"job {row.provider_job_id} at {place}"
        until = f" to {row.finished_at:%H:%M:%S}" if row.finished_at else ""
        zone = f" {row.started_at.tzinfo}" if row.started_at.tzinfo else ""
        return f"a request of {row.started_at:%Y-%m-%d %H:%M:%S}{until}{zone} at {place}"


def may_settle(access: Access) -> bool:
    return access.user.has_perm(PERMISSION) and (access.token is None or access.token.allows("change"))


def demand(access: Access) -> None:
    """`NotAllowed` unless they may settle attempts at all."""
    if not may_settle(access):
        raise NotAllowed(
            _("This needs the permission %(permission)s, and of a token the scope change.", permission=PERMISSION)
        )


def visible(access: Access | None) -> Any:
    """Attempts that `access` may know of; None: whoever runs the server, who may of all. The library in which the asset
    is now decides; once the asset is gone, the one to which it belonged."""
    attempts = GenerationAttempt.objects.all()
    if access is None:
        return attempts
    if not access.has(Right.READ):
        return attempts.none()
    if sees_everything(access.user) and (access.token is None or access.token.library_id is None):
        return attempts
    own, gone = access.within(column="asset__library"), access.within()
    return attempts.filter(Q(own) | (Q(asset__isnull=True) & Q(gone)))


def waiting(access: Access | None = None) -> Any:
    """Those of them that wait to be settled, with their assets: first what stops others, the newest first."""
    is_unknown = Case(When(state=AttemptState.UNKNOWN, then=Value(0)), default=Value(1))
    return visible(access).to_settle().select_related("asset").order_by(is_unknown, "-id")


def described(attempts: Iterable[GenerationAttempt]) -> list[Unsettled]:
    """With the places to look at. One query."""
    rows = list(attempts)
    configs = ProviderConfig.objects.filter(name__in={row.provider_name for row in rows}) if rows else ()
    adapters = {config.name: _adapter(config) for config in configs}
    return [_described(row, adapters.get(row.provider_name)) for row in rows]


def _adapter(config: ProviderConfig) -> Any:
    try:
        return build_adapter(config, dry_run=True)
    except ConfigurationError:
        return None


def _described(row: GenerationAttempt, adapter: Any) -> Unsettled:
    look_at = getattr(adapter, "where_billed", lambda job_id: "")(row.provider_job_id)
    return Unsettled(row, str(look_at), adapter is not None and not _why_no_look(row, adapter))


# ---------------------------------------------------------------------- settled


@atomic()
def settle(pk: Any, *, cost: Decimal | None, by: str, access: Access | None = None) -> GenerationAttempt:
    """Take a person's word for what the attempt cost: USD, 0 for what was not billed, None for what was thought when it
    was sent. `by` says who that is.

    The accounts follow, and nobody is stopped by it any more. A word can be corrected by another one. `Conflict` when
    the provider itself has said what it costs, `InvalidRequest` for an amount that cannot be, or no such attempt.
    """
    cost = None if cost is None else checked(cost)
    found = _found(pk, access)
    if found.asset_id:  # as whoever works on it does: the asset first
        MediaAsset.objects.select_for_update().filter(pk=found.asset_id).first()
    row = GenerationAttempt.objects.select_for_update().get(pk=found.pk)
    if not _may_be_settled(row):
        raise Conflict(_why_settled(row))
    cost = next((price for price in (cost, row.cost, row.cost_held) if price is not None), None)
    if cost is None:
        raise InvalidRequest(_("No price was known for attempt %(pk)s. Say what it cost.", pk=row.pk), field="cost")
    row.cost, row.settled_at, row.settled_by = cost, db_now(), by[:200]
    if row.state == AttemptState.UNKNOWN:
        row.state = AttemptState.SETTLED.value
    ledger.book([row])
    row.save(update_fields=["cost", "settled_at", "settled_by", "state", "booked", "cost_held"])
    if row.description_id is not None:
        AssetDescription.objects.filter(pk=row.description_id, state=DescriptionState.READY, cost=None).update(
            cost=cost
        )
    elif row.asset_id and row.state in (AttemptState.SUCCEEDED, AttemptState.ADOPTED):
        MediaAsset.objects.filter(pk=row.asset_id, cost=None, provider_name=row.provider_name).update(cost=cost)
    if row.asset_id:
        progress.changed([row.asset_id])
    logger.info("attempt %s of %s settled at %s by %s", row.pk, row.provider_name, usd(cost), by)
    return row


def checked(cost: Any) -> Decimal:
    """An amount of USD as people give it; `InvalidRequest` for one that cannot be."""
    try:
        amount = Decimal(str(cost).strip().removeprefix("$"))
    except ArithmeticError:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= MOST_USD or amount != amount.quantize(LAST_DIGIT):
        raise InvalidRequest(
            _(
                "%(cost)s is no amount that one picture costs: USD, 0 or more, at most six places.",
                cost=f"{cost!r:.40}",
            ),
            field="cost",
        )
    return amount


def _found(pk: Any, access: Access | None) -> GenerationAttempt:
    try:
        found: GenerationAttempt | None = visible(access).filter(pk=UUID(str(pk))).first()
    except ValueError:
        found = None
    if found is None:
        raise InvalidRequest(_("There is no attempt %(pk)s.", pk=f"{pk!s:.60}"), field="attempt")
    return found


def _may_be_settled(row: GenerationAttempt) -> bool:
    if row.settled_at is not None or row.state == AttemptState.UNKNOWN:
        return row.billable
    return GenerationAttempt.objects.filter(UNSETTLED, pk=row.pk).exists()


def _why_settled(row: GenerationAttempt) -> str:
    if row.finished_at is None:
        return f"Attempt {row.pk} is under way. What it costs is known when it ends."
    said = "it was not billed" if row.cost is None else f"it cost {usd(row.cost)}"
    return f"Attempt {row.pk} ended as {row.outcome or row.state}: {said}, and there is nothing to settle."


# ---------------------------------------------------------------------- looked for again


def look_again(pk: Any, *, by: str, access: Access | None = None) -> GenerationAttempt:
    """Ask the provider for the job once more: its picture is kept, its end and its price are booked. Nothing is bought.

    As it was when there is nothing to be found yet. `Conflict` says why it cannot be looked for from here.
    """
    row = _found(pk, access)
    if row.state != AttemptState.UNKNOWN:
        raise Conflict(
            _(
                "Attempt %(pk)s is %(state)s: only jobs whose outcome is unknown are looked for.",
                pk=row.pk,
                state=row.state,
            )
        )
    config = ProviderConfig.objects.filter(name=row.provider_name).first()
    if why := _why_no_look(row, config and _adapter(config)):
        raise Conflict(why)
    assert row.asset is not None  # noqa: S101 - of an asset that is gone nothing is looked for
    changes = {"providers": (row.provider_name,), "dry_run": False, "deadline_s": LOOK_S}
    with atomic():
        GenerationAttempt.objects.filter(pk=row.pk).update(
            finished_at=db_now(), provider_job={k: v for k, v in row.provider_job.items() if k != "given_up"}
        )
        job = claims.begin_again(row.asset_id, changes, buys=False)
    job.fetch_for_s, job.left_as = LOOK_S, GenerationState(row.asset.generation_state)
    if job.left_as == GenerationState.RUNNING:  # whose worker is gone: without a lease nobody would take it again
        job.left_as = GenerationState.PENDING
    logger.info("job %s of %s is looked for again by %s", row.provider_job_id, row.provider_name, by)
    try:
        async_to_sync(running.run)(job)
    except (running.PutOff, GenerationFailed, StorageFailed) as exc:
        logger.info("asset %s: %s", row.asset_id, exc)
    row.refresh_from_db()
    return row


def _why_no_look(row: GenerationAttempt, adapter: Any) -> str:
    """Why its job cannot be looked for from here; "" when it can."""
    asset = row.asset
    # One that knows nothing of jobs would buy.
    if not row.provider_job_id or not getattr(adapter, "can_resume", False):
        return f"{row.provider_name} named no job for attempt {row.pk}, so there is nothing to look for by its id."
    if asset is None or asset.status == ReviewStatus.DELETED:
        return f"The asset of attempt {row.pk} is gone, so that no picture could be kept. Look at the provider's page."
    if asset.generation_state == GenerationState.READY and not asset.is_placeholder:
        return f"Asset {asset.pk} has a picture already. Look at the provider's page whether this one was billed."
    return ""
