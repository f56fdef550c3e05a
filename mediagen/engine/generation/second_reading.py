"""Kept answers, read once more: by a mediagen that reads what an earlier one did not. Nothing is bought."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import mediagen.engine.generation.claims as claims
import mediagen.engine.generation.leases as leases
import mediagen.engine.generation.recovery as recovery
import mediagen.engine.generation.sources as sources
from mediagen import conf, foreign, http
from mediagen.engine.database import in_database, run_sync, to_the_end
from mediagen.engine.files import storage
from mediagen.engine.generation.orders import AssetOrder, request_kwargs
from mediagen.engine.generation.recorder import RowRecorder
from mediagen.engine.generation.running import Job, store
from mediagen.errors import BadResponse, Conflict, InvalidRequest, LeaseLost, ProviderError, StorageFailed
from mediagen.factory import build_adapter, chain_configs
from mediagen.models import GenerationState, KeptAnswer, MediaAsset
from mediagen.models.asset import FailureCode
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.providers.base import open_picture
from mediagen.types import Answer, Call, GeneratedImage, reset_current_call, set_current_call
from mediagen.wording import say as _


async def read_again(pk: Any) -> MediaAsset:
    """The asset that the picture in a kept answer has filled: the one that it was bought for, or, when that has got
    another picture meanwhile, a new one beside it.

    A job's result may be fetched for it. `InvalidRequest` when there is no such answer, or its asset is gone; a
    `ProviderError` when there is still no picture to be had; `Conflict` when somebody else is at it.
    """
    answer = await in_database(KeptAnswer.objects.select_related("attempt__asset__library").filter(pk=pk).first)
    if answer is None or answer.attempt.asset is None:
        raise InvalidRequest(_("This answer is not kept any more, or its asset is gone."))
    order = claims.order_of(answer.attempt.asset)
    content = await storage.read_stored(str(answer.file.name))
    try:
        image = await _picture(answer, Answer(content, answer.content_type), order)
    except ProviderError as exc:
        tried = KeptAnswer.objects.filter(pk=pk)
        await in_database(tried.update, tried_at=db_now(), trouble=str(exc))
        raise
    job = await in_database(_take, answer, order)
    recorder = RowRecorder(job.asset, lease_token=job.lease.token)
    recorder.pending.append(recovery.read_later(answer.attempt, image))
    try:
        async with leases.kept(job.lease):
            asset = await to_the_end(store(job, image, recorder, kept_in="its answer", answer_id=answer.pk))
    except LeaseLost as exc:
        raise Conflict(_("Somebody else is at this picture, or has just used this answer.")) from exc
    except StorageFailed as exc:
        await in_database(_give_back, job)
        said = "The storage did not take the picture. Its answer is kept, to be read again."
        raise StorageFailed(said, asset=job.asset) from exc
    except BaseException:
        await in_database(_give_back, job)
        raise
    await storage.aremove_file(str(answer.file.name))
    return asset


def read_again_sync(pk: Any) -> MediaAsset:
    return run_sync(read_again, pk)


async def _picture(row: KeptAnswer, answer: Answer, order: AssetOrder) -> GeneratedImage:
    """The picture that the answer is, or that its provider finds in it."""
    attempt, request = row.attempt, order.request
    cost = attempt.cost if attempt.cost is not None else attempt.cost_held
    try:
        came = bytes(answer.content)
        content, picture, report = await open_picture(came, request.width, request.height, cost=cost)
    except BadResponse:
        # Not the picture itself: what a provider says about one, in which only that provider finds it.
        image = await _asked_again(row, answer, order)
        return replace(image, cost=cost if image.cost is None else image.cost)
    return GeneratedImage(
        content=content,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        metadata={"prompt": request.prompt, "provider": attempt.provider_name},
        provider_name=attempt.provider_name,
        model_name=attempt.model_name,
        seed=request.seed,
        cost=cost,
        provider_job_id=attempt.provider_job_id,
        fit_report=report,
        sha256=picture.sha256,
        original=b"" if content is came else came,
    )


async def _asked_again(row: KeptAnswer, answer: Answer, order: AssetOrder) -> GeneratedImage:
    """What the provider makes of the answer. Its request to buy is never sent; a job that it has is fetched."""
    attempt = row.attempt
    provider = await in_database(_provider, attempt.provider_name)
    try:
        pictures = await sources.pictures_of(order)
    except InvalidRequest:
        # What is paid for is read, whatever became of what it was made of: nothing is sent.
        pictures = sources.without_pictures(order)
    call = Call(dry_run=False, deadline=time.monotonic() + conf.get("DEADLINE_S"), resume=attempt.job)
    token = set_current_call(call)
    try:
        with http.answered_by(answer):
            image: GeneratedImage = await getattr(provider, order.operation)(
                **request_kwargs(order.request), **pictures
            )
    finally:
        reset_current_call(token)
    return image if image.sha256 else await foreign.opened(provider, image, order.request.prompt, strict=True)


def _provider(name: str) -> Any:
    [config] = chain_configs([name])
    provider = build_adapter(config, dry_run=False)
    if not hasattr(provider, "runs_dry"):
        raise BadResponse(f"{name} is not built on our base class, so its code cannot be given an answer to read.")
    return provider


@atomic()
def _take(answer: KeptAnswer, order: AssetOrder) -> Job:
    """The asset to be filled, held by this process. A kill from now on leaves its state, and the answer, as they are.

    `Conflict` when somebody else has it, or has used the answer.
    """
    if not KeptAnswer.objects.filter(pk=answer.pk).exists():
        raise Conflict(_("Somebody else has just used this answer."))
    asset = answer.attempt.asset
    pk = answer.attempt.asset_id
    if asset is not None and asset.generation_state == GenerationState.READY and not asset.is_placeholder:
        # The answer's own id: who reads it again after a kill finds the same row.
        pk = answer.pk
        if not MediaAsset.objects.filter(pk=pk).exists():
            beside = replace(order, parent_id=asset.pk, name=asset.name, description=asset.description)
            claims.create(beside, held=False, pk=pk)
            MediaAsset.objects.filter(pk=pk).update(**NOT_STORED)
    try:
        return claims.begin_again(pk, {}, buys=False)
    except InvalidRequest as exc:
        raise Conflict(str(exc)) from exc


NOT_STORED: dict[str, Any] = {
    "generation_state": GenerationState.FAILED,
    "failure": "The picture in a kept answer could not be stored.",
    "failure_code": FailureCode.STORAGE,
}


@atomic()
def _give_back(job: Job) -> None:
    held = MediaAsset.objects.to_be_filled(job.asset.pk, job.lease.token)
    state = {"generation_state": GenerationState.READY} if job.asset.file else {}
    held.update(**NOT_STORED | state, lease_worker="", lease_until=None)
