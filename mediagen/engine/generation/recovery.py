"""What a worker that died left of an asset: a stored picture, a job at a provider, or only the question."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from asgiref.sync import sync_to_async

from mediagen import conf, images
from mediagen.engine.files import originals, storage
from mediagen.engine.money import ledger
from mediagen.errors import LeaseLost, NotAPicture, Outcome
from mediagen.models import GenerationAttempt, GoOn, MediaAsset, ProviderConfig
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import MAKES_PICTURES, AttemptState, GeneratedImage

logger = logging.getLogger("mediagen.engine")

EMPTY: Mapping[bool, Mapping[str, float]] = MappingProxyType({})
ADOPTABLE_FOR = timedelta(hours=1)
"""A job whose end nobody saw is looked for so long; the services keep results for ten minutes to a day."""


@dataclass(frozen=True, slots=True)
class Found:
    """A picture that was stored before its row could be written."""

    image: GeneratedImage
    place: str | Path
    """a name in the storage, or a path in the rescue folder"""
    attempt: GenerationAttempt
    original: str = ""
    """name of what it was made of, which was stored beside it"""

    async def remove(self) -> None:
        if isinstance(self.place, Path):
            self.place.unlink(missing_ok=True)
        else:
            await storage.aremove_file(self.place)
        if self.original:
            await storage.aremove_file(self.original)


def open_attempt(asset: MediaAsset) -> GenerationAttempt | None:
    """The purchase that was under way when the worker died."""
    return purchases(asset)[0]


def purchases(asset: MediaAsset) -> tuple[GenerationAttempt | None, GenerationAttempt | None]:
    """(the purchase that is open, the one that a rescued picture is of): the second may count as unknown by now."""
    attempts = GenerationAttempt.objects.of(asset).filter(operation__in=MAKES_PICTURES, billable=True)
    is_open = attempts.open().last()
    return is_open, is_open or attempts.filter(state=AttemptState.UNKNOWN).last()


async def find_picture(
    asset: MediaAsset, attempt: GenerationAttempt | None, rescued_of: GenerationAttempt | None
) -> Found | None:
    """The whole picture that an earlier worker stored (of `attempt`), or put aside (of `rescued_of`), before its row
    could be written.

    Anything else that it left in the storage, halves and pictures that were not paid for, is removed.
    """
    found: Found | None = None
    if rescued_of is not None:
        for path in storage.rescued(asset):
            content = await sync_to_async(path.read_bytes, thread_sensitive=False)()
            if (image := _as_image(rescued_of, content)) is not None:
                return Found(image, path, rescued_of)
    for name in await sync_to_async(storage.left_files, thread_sensitive=False)(asset):
        image = _as_image(attempt, await storage.read_stored(name)) if attempt is not None else None
        if attempt is None or image is None or found is not None:
            await storage.aremove_file(name)
        else:
            beside, image.original = await originals.left_beside(asset, name)
            found = Found(image, name, attempt, beside)
    return found


def _as_image(attempt: GenerationAttempt, content: bytes) -> GeneratedImage | None:
    try:
        picture = images.inspect(
            content, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES")
        )
    except NotAPicture:
        return None
    return GeneratedImage(
        content=content,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        provider_name=attempt.provider_name,
        model_name=attempt.model_name,
        cost=attempt.cost if attempt.cost is not None else attempt.cost_held,
        provider_job_id=attempt.provider_job_id,
        sha256=picture.sha256,
    )


def adopted(found: Found) -> GenerationAttempt:
    """The attempt, ended by a picture that was found."""
    attempt = found.attempt
    attempt.state, attempt.outcome = AttemptState.ADOPTED.value, Outcome.SUCCEEDED.value
    if isinstance(found.place, Path):
        attempt.message = "the storage did not take the picture at once; it was kept aside and is stored now."
    else:
        attempt.message = "the picture was stored, and its worker ended before it could write the row; it was kept."
    attempt.cost, attempt.finished_at = found.image.cost, db_now()
    return attempt


def read_later(attempt: GenerationAttempt, image: GeneratedImage) -> GenerationAttempt:
    """The attempt, ended by a picture that was found in its answer only later."""
    attempt.state, attempt.outcome = AttemptState.ADOPTED.value, Outcome.SUCCEEDED.value
    attempt.message = f"its answer was kept, and read again later. Before: {attempt.message}"
    attempt.cost = image.cost
    return attempt


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What earlier runs have bought, or may have."""

    adoptable: tuple[GenerationAttempt, ...] = ()
    """attempts whose jobs can still be fetched, or whose providers can say what became of them"""
    may_be_paid: frozenset[str] = frozenset()
    """providers that may have been paid without a job to fetch"""
    stop_for: frozenset[str] = frozenset()
    """those of them whose `after_unknown` is "stop", in the chain or not: nobody is to be paid after them"""
    stop_unless_asked: frozenset[str] = frozenset()
    """the same of those in `adoptable`: nobody is to be paid before they were asked"""


def end_as_unknown(rows: Sequence[GenerationAttempt], now: datetime) -> None:
    """Open attempts whose request may have left: what they may cost is booked. Their messages are the caller's."""
    for row in rows:
        row.state, row.outcome, row.finished_at = AttemptState.UNKNOWN.value, Outcome.UNKNOWN.value, now
    ledger.book(rows)
    for row in rows:
        row.save(update_fields=["state", "outcome", "finished_at", "message", "cost_held", "booked"])


@atomic()
def left_behind(asset: MediaAsset, token: int, resolvable: Mapping[bool, Mapping[str, float]] = EMPTY) -> LeftBehind:
    """What whoever holds the asset with this token has to know before anything is bought for it. `LeaseLost` when
    somebody has taken it since.

    An attempt that a dead worker left open without a job id may have been bought: it is marked unknown, with what it
    may cost in `cost_held`. `resolvable` has the seconds for which a provider can say what became of one: under False,
    of all; under True, of those that surely buy nothing when they are asked. Only they are asked for a cancelled asset.
    """
    # Locked: who had it before writes its attempts under the same lock, if he has not lost it.
    held = MediaAsset.objects.select_for_update().filter(pk=asset.pk, lease_token=token).first()
    if held is None:
        raise LeaseLost(f"asset {asset.pk} was taken over by another worker.")
    resolved_for_s = resolvable.get(held.cancel_requested_at is not None, {})
    attempts = list(GenerationAttempt.objects.of(asset).filter(operation__in=MAKES_PICTURES, billable=True))
    now = db_now()
    adoptable: list[GenerationAttempt] = []
    may_be_paid: set[str] = set()
    for row in attempts:
        is_open = row.state in (AttemptState.PLANNED, AttemptState.SUBMITTED)
        is_recent = row.finished_at is None or row.finished_at >= now - ADOPTABLE_FOR
        has_job = bool(row.provider_job_id) and not row.provider_job.get("given_up")
        if has_job and (is_open or (row.state == AttemptState.UNKNOWN and is_recent)):
            adoptable.append(row)
            continue
        may_be_asked = row.purchase_key and not row.provider_job and not row.provider_job_id
        age_s = (now - row.started_at).total_seconds()
        if (
            may_be_asked
            and (is_open or row.state == AttemptState.UNKNOWN)
            and age_s < resolved_for_s.get(row.provider_name, 0.0)
        ):
            adoptable.append(row)
            continue
        if is_open:
            # One that was left open on purpose says why.
            row.message = row.message or "the worker died after the request may have left: it may have been bought."
            end_as_unknown([row], now)
        if row.state == AttemptState.UNKNOWN:
            may_be_paid.add(row.provider_name)
    to_be_asked = {row.provider_name for row in adoptable}
    names = may_be_paid | to_be_asked
    configs = ProviderConfig.objects.filter(name__in=names, after_unknown=GoOn.STOP) if names else ()
    stopping = {config.name for config in configs}
    return LeftBehind(
        tuple(adoptable),
        frozenset(may_be_paid - to_be_asked),
        frozenset(stopping & may_be_paid),
        frozenset(stopping & to_be_asked),
    )
