"""One prompt becomes one asset: the row first, then the chain, then the file, then everything in one transaction."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from mediagen.chain import ChainOutcome, MediaGeneratorChain
from mediagen.engine import files, leases
from mediagen.engine.database import in_database
from mediagen.engine.leases import WORKER, Lease
from mediagen.engine.libraries import get_library
from mediagen.engine.orders import AssetOrder, request_kwargs
from mediagen.engine.recorder import RowRecorder
from mediagen.errors import GenerationFailed, InvalidRequest, LeaseLost, MediagenError, Outcome
from mediagen.factory import get_media_generator_chain
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, MediaTag, ReviewStatus
from mediagen.types import AttemptState, GeneratedImage, GenerationRequest, utcnow

logger = logging.getLogger("mediagen.engine")

NAME_LENGTH = 80


@dataclass(slots=True)
class Job:
    """An asset that this process holds, and all it takes to fill it."""

    asset: MediaAsset
    order: AssetOrder
    lease: Lease
    chain: MediaGeneratorChain
    adoptable: list[GenerationAttempt] = field(default_factory=list)
    """attempts of an earlier run whose jobs are bought and can be fetched"""
    existing: bool = False
    """an asset with this idempotency key was there already: nothing is to be done"""


async def generate(order: AssetOrder) -> MediaAsset:
    """The finished asset. `GenerationFailed` with every attempt when no provider delivered; the row stays."""
    job = await in_database(begin, order)
    return job.asset if job.existing else await run(job)


async def run(job: Job) -> MediaAsset:
    """Fill an asset that this process holds."""
    recorder = RowRecorder(job.asset, job.adoptable)
    try:
        async with leases.kept(job.lease):
            outcome = await job.chain.execute(
                "generate_image",
                recorder=recorder,
                deadline_s=job.order.deadline_s,
                dry_run=job.order.dry_run,
                resume=recorder.jobs,
                **request_kwargs(job.order.request),
            )
            if outcome.result is not None:
                return await fill(job, outcome, recorder)
    except LeaseLost:
        raise
    except BaseException as exc:
        reason = "cancelled" if isinstance(exc, asyncio.CancelledError) else _reason(exc)
        await asyncio.shield(in_database(give_up, job, recorder, f"The generation ended early: {reason}"))
        raise
    await in_database(give_up, job, recorder, outcome.explain())
    raise GenerationFailed(
        outcome.explain(), attempts=outcome.attempts, asset_id=job.asset.asset_id, asset=job.asset
    )


def _reason(exc: BaseException) -> str:
    # Our own texts are scrubbed; a foreign exception's text may hold anything.
    return str(exc) if isinstance(exc, MediagenError) else type(exc).__name__


async def fill(job: Job, outcome: ChainOutcome, recorder: RowRecorder) -> MediaAsset:
    """Store the picture, then write asset, tags and attempts in one transaction."""
    image: GeneratedImage = outcome.result
    content = bytes(image.content) if not isinstance(image.content, str) else b""
    name = await files.save_file(files.file_name(job.asset, image.format, image.sha256), content)
    old_name = job.asset.file.name or ""
    try:
        values = await in_database(complete, job, image, name, len(content), recorder)
    except BaseException:
        await asyncio.shield(files.aremove_file(name))
        raise
    for field_name, value in values.items():  # only now: what was not committed is not so
        setattr(job.asset, field_name, value)
    if old_name and old_name != name:
        await files.aremove_file(old_name)
    return job.asset


@transaction.atomic
def begin(order: AssetOrder) -> Job:
    """The asset's row, already held by this process, and the chain to fill it with."""
    # Unknown names and wrong settings are said before a row is made.
    chain = get_media_generator_chain(order.providers or None, dry_run=order.dry_run)
    library = get_library(order.library_id)
    if order.idempotency_key:
        existing = MediaAsset.objects.filter(library=library, idempotency_key=order.idempotency_key).first()
        if existing is not None:
            return Job(existing, order, Lease(existing.pk, 0), chain, existing=True)
    tags = MediaTag.objects.ensure(order.tags)
    try:
        with transaction.atomic():
            asset = MediaAsset.objects.create(
                library=library,
                name=order.name or order.request.prompt.strip()[:NAME_LENGTH],
                description=order.description,
                alt_text=order.alt_text,
                prompt=order.request.prompt,
                negative_prompt=order.request.negative_prompt,
                seed=order.request.seed,
                parameters=order.parameters,
                created_by_id=order.created_by_id,
                parent_id=order.parent_id,
                idempotency_key=order.idempotency_key,
                generation_state=GenerationState.RUNNING,
                lease_token=1,
                lease_worker=WORKER[:100],
                lease_until=leases.lease_end(),
            )
    except IntegrityError:
        existing = MediaAsset.objects.filter(library=library, idempotency_key=order.idempotency_key).first()
        if not order.idempotency_key or existing is None:
            raise
        return Job(existing, order, Lease(existing.pk, 0), chain, existing=True)
    asset.tags.add(*{*tags, *library.default_tags.all()})
    return Job(asset, order, Lease(asset.pk, 1), chain)


@transaction.atomic
def begin_again(asset_id: Any, changes: dict[str, Any]) -> Job:
    """Take an asset that is to be made (again): a failed, cancelled or left one, or a placeholder.

    The id stays. `InvalidRequest` when it is a real picture already, or somebody works on it now.
    """
    asset = MediaAsset.objects.select_related("library").filter(pk=asset_id).first()
    if asset is None:
        raise InvalidRequest(f"There is no asset {asset_id}.", field="asset_id")
    order = replace(order_of(asset), **changes) if changes else order_of(asset)
    chain = get_media_generator_chain(order.providers or None, dry_run=order.dry_run)
    now = utcnow()
    open_to_all = (
        Q(generation_state__in=(GenerationState.PENDING, GenerationState.FAILED, GenerationState.CANCELLED))
        | Q(generation_state=GenerationState.READY, is_placeholder=True)
        | Q(generation_state=GenerationState.RUNNING, lease_until__lt=now)
    )
    taken = MediaAsset.objects.filter(open_to_all, pk=asset.pk, lease_token=asset.lease_token).update(
        generation_state=GenerationState.RUNNING,
        lease_token=asset.lease_token + 1,
        lease_worker=WORKER[:100],
        lease_until=leases.lease_end(),
        updated_at=now,
    )
    if not taken:
        raise InvalidRequest(
            f"Asset {asset.pk} is {asset.generation_state} and no placeholder, or somebody works on it. "
            "Only failed, cancelled and placeholder assets are generated again under their id.",
            field="asset_id",
        )
    adoptable = left_behind(asset)
    asset.refresh_from_db()
    return Job(asset, order, Lease(asset.pk, asset.lease_token), chain, adoptable)


ADOPTABLE_FOR = timedelta(hours=1)
"""A job whose end nobody saw is looked for so long; the services keep results for ten minutes to a day."""


def left_behind(asset: MediaAsset) -> list[GenerationAttempt]:
    """Attempts of earlier runs whose jobs can still be fetched.

    One that a dead worker left open without a job id may have been bought: it is marked unknown, with what it may
    cost in `cost_held`.
    """
    attempts = GenerationAttempt.objects.of(asset)
    attempts.open().filter(provider_job_id="").update(
        state=AttemptState.UNKNOWN,
        outcome=Outcome.UNKNOWN,
        message="the worker died after the request may have left: it may have been bought.",
        finished_at=utcnow(),
    )
    unseen = attempts.filter(state=AttemptState.UNKNOWN, finished_at__gte=utcnow() - ADOPTABLE_FOR)
    return [row for row in attempts.open() | unseen if row.provider_job_id and not row.provider_job.get("given_up")]


def order_of(asset: MediaAsset) -> AssetOrder:
    """The order that made the asset, from its row."""
    kept = dict(asset.parameters or {})
    return AssetOrder(
        request=GenerationRequest.checked(
            prompt=asset.prompt,
            negative_prompt=asset.negative_prompt,
            width=kept.get("width", 1024),
            height=kept.get("height", 1024),
            seed=asset.seed,
            **kept.get("options", {}),
        ),
        library_id=asset.library_id,
        providers=tuple(kept.get("providers", ())),
        dry_run=kept.get("dry_run"),
    )


@transaction.atomic
def complete(job: Job, image: GeneratedImage, name: str, size: int, recorder: RowRecorder) -> dict[str, Any]:
    """Asset, tags and attempts, all or nothing, and only while the lease is ours; the values that were written.
    `LeaseLost` otherwise."""
    now = utcnow()
    values: dict[str, Any] = {
        "file": name,
        "format": image.format,
        "width": image.width,
        "height": image.height,
        "file_size": size,
        "content_hash": image.sha256,
        "seed": image.seed if image.seed is not None else job.order.request.seed,
        "provider_name": image.provider_name[:100],
        "model_name": image.model_name[:200],
        "cost": image.cost,
        "fit_report": image.fit_report,
        "is_placeholder": image.is_placeholder,
        "dry_run": image.dry_run,
        "generation_state": GenerationState.READY,
        "failure": "",
        "lease_until": None,
        "lease_worker": "",
        "generated_at": now,
        "updated_at": now,
    }
    if not MediaAsset.objects.held(job.asset.pk, job.lease.token).update(**values):
        raise LeaseLost(f"asset {job.asset.pk} was taken over by another worker.")
    recorder.flush()
    tag_served(job.asset, image.provider_name)
    return values


def tag_served(asset: MediaAsset, provider_name: str) -> None:
    """`generated` and `generated-<provider>`; the tag of a provider that served an earlier version goes."""
    tags = MediaTag.objects.ensure(["generated", f"generated-{provider_name}"[:100]])
    asset.tags.remove(*asset.tags.filter(key__startswith="generated-").exclude(pk__in=[tag.pk for tag in tags]))
    asset.tags.add(*tags)


@transaction.atomic
def give_up(job: Job, recorder: RowRecorder, reason: str) -> None:
    """The row says why there is no picture. A placeholder that was to be replaced stays what it was."""
    had_file = bool(job.asset.file)
    state = GenerationState.READY if had_file else GenerationState.FAILED
    given_up = MediaAsset.objects.held(job.asset.pk, job.lease.token).update(
        generation_state=state, failure=reason, lease_until=None, lease_worker="", updated_at=utcnow()
    )
    if given_up:
        job.asset.generation_state, job.asset.failure = state, reason
    recorder.flush()


def get_asset(asset_id: Any) -> MediaAsset:
    """The asset, or `InvalidRequest`; a deleted one counts as missing."""
    asset = MediaAsset.objects.select_related("library").filter(pk=asset_id).first()
    if asset is None or asset.status == ReviewStatus.DELETED:
        raise InvalidRequest(f"There is no asset {asset_id}.", field="asset_id")
    return asset
