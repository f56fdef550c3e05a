"""Pictures while the caller waits. What was begun is finished and kept, whether he waits or not."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async

from mediagen.api.openai.errors import NO_RETRY, SERVER, Refusal, invalid
from mediagen.api.openai.models import can, providers_of
from mediagen.api.openai.reading import Wanted
from mediagen.engine.database import in_database, to_the_end
from mediagen.engine.files import links, renditions, storage, uploads
from mediagen.engine.generation import AssetOrder, Job, beginning, idempotency, running
from mediagen.engine.library import Access, Right, find_library, get_library
from mediagen.engine.work import in_server
from mediagen.errors import InvalidRequest, Outcome
from mediagen.models import GenerationAttempt, GenerationState, MediaAsset, MediaLibrary
from mediagen.types import uuid7
from mediagen.wording import translated

PARAMETERS = {"width": "size", "height": "size", "library_id": "library", "providers": "model"}
"""the engine's names for what a request calls otherwise"""

OPEN = (GenerationState.PENDING, GenerationState.RUNNING)
OF_SDK = "sdk\n"
"""begins the keys of requests that an SDK counts: no header can hold it"""
REPEATED_WITHIN = timedelta(minutes=10)
"""after which an SDK has long given up"""
NOTHING_BOUGHT = (Outcome.UNAVAILABLE, Outcome.RATE_LIMITED, Outcome.SKIPPED)
LOOK_EVERY_S = 0.5
URL_LIFETIME_S = 3600
"""as OpenAI's"""

WSGI_WAIT_S = 20.0
"""how long a request under WSGI waits: servers kill a worker that is silent for 30 s"""

_under_way: set[asyncio.Task[MediaAsset]] = set()


def library_of(access: Access, word: str) -> MediaLibrary:
    """The library that the request names, else the token's, else the default one; a refusal for one where the caller
    may not make pictures."""
    if word:
        try:
            library = find_library(word, access)
        except InvalidRequest as exc:
            raise invalid(translated(exc), "library") from None
        if library is None:
            raise invalid("There is no such library for you.", "library", "not_found")
    elif access.token is not None and access.token.library is not None:
        library = access.token.library
    else:
        library = get_library(None)
    if not access.may(Right.GENERATE, library):
        raise Refusal(
            403,
            "You may not make pictures in this library. Name another one in `library`, or ask who runs the site.",
            param="library",
            code="insufficient_permissions",
        )
    return library


@dataclass(frozen=True, slots=True)
class Sent:
    """Whether a request may have come before."""

    key: str = ""
    """its Idempotency-Key"""
    repeat: int | None = None
    """0: sent for the first time; 1, 2 ...: an SDK sent it again by itself; None: whoever sent it does not say"""


@dataclass(frozen=True, slots=True)
class Sources:
    """Pictures that were sent along, to be made into others."""

    images: Sequence[Any]
    """uploaded files"""
    mask: Any = None


def check(wanted: Wanted, access: Access) -> MediaLibrary:
    """The library to work in; a refusal when nobody who is asked can do it."""
    library = library_of(access, wanted.library)
    if not can(wanted.operation, providers_of(wanted.model, wanted.operation)):
        raise invalid(
            "No provider that would be asked can edit pictures. Name another model, or ask who runs the site to enable "
            "one that can, such as openai_images.",
            "model",
            "unsupported_value",
        )
    return library


def keep(sources: Sources, library: MediaLibrary, access: Access) -> tuple[list[MediaAsset], MediaAsset | None]:
    """What was sent along, as assets: whoever goes on after a crash finds it there. Not inside a transaction."""
    images = [_kept(file, "image", library, access) for file in sources.images]
    return images, None if sources.mask is None else _kept(sources.mask, "mask", library, access)


def _kept(file: Any, param: str, library: MediaLibrary, access: Access) -> MediaAsset:
    try:
        return uploads.upload(file, library=library, by=access.user)
    except InvalidRequest as exc:
        raise invalid(translated(exc), param, "invalid_image_file") from None


def _asked(
    wanted: Wanted, access: Access, images: Sequence[MediaAsset], mask: MediaAsset | None
) -> list[beginning.Beginning]:
    """An order for each picture."""
    arguments: dict[str, Any] = {
        "width": wanted.width,
        "height": wanted.height,
        "library_id": library_of(access, wanted.library).pk,
        "providers": providers_of(wanted.model, wanted.operation),
        "parent": images[0] if images else None,
        "tags": wanted.tags,
        "created_by": access.user,
        "generation_id": uuid7(),
        **wanted.options,
    }
    try:
        arguments["dry_run"] = access.dry(arguments.get("dry_run"))
    except InvalidRequest as exc:
        raise _refused(exc) from None
    first_seed = arguments.pop("seed", None)
    seeds = [None if first_seed is None else first_seed + number for number in range(wanted.count)]
    try:
        orders = [
            AssetOrder.of(wanted.prompt, **arguments, seed=seed, operation=wanted.operation, sources=images, mask=mask)
            for seed in seeds
        ]
    except InvalidRequest as exc:
        raise _refused(exc) from None
    return [beginning.Beginning(order) for order in orders]


def _rows(begun: list[beginning.Beginning]) -> list[Job]:
    """A row for each picture, held by this process. What cannot be is refused before there is one."""
    try:
        return beginning.begin_all(begun)
    except InvalidRequest as exc:
        raise _refused(exc) from None


def _refused(exc: InvalidRequest) -> Any:
    return invalid(translated(exc), PARAMETERS.get(exc.field or "", exc.field))


async def begin(
    wanted: Wanted, access: Access, sent: Sent, sources: Sources | None = None, *, outlives_request: bool = True
) -> list[asyncio.Task[MediaAsset]]:
    """A task for each picture, which nobody's leaving ends. With an idempotency key that came before, or of a request
    that an SDK repeats: a task for each picture of that time, which waits for it. The event loop of this request may
    not live as long (`outlives_request` False): then the pictures are made in that of the server's own thread."""
    return await to_the_end(_begin(wanted, access, sent, sources, outlives_request))


async def _begin(
    wanted: Wanted, access: Access, sent: Sent, sources: Sources | None, outlives_request: bool
) -> list[asyncio.Task[MediaAsset]]:
    key, by_sdk = sent.key, not sent.key and sent.repeat is not None
    digest = await in_database(_digest, wanted, sources) if key or by_sdk else ""
    if by_sdk:
        key = OF_SDK + digest
        if sent.repeat and (pks := await in_database(_under_way_or_made, access, key, digest)):
            return [_task(_awaited(pk)) for pk in pks]
    elif key and (earlier := await in_database(idempotency.earlier, access, key, digest)) is not None:
        return await _made_before(access, earlier)
    library = await in_database(check, wanted, access)
    images, mask = await sync_to_async(keep)(sources, library, access) if sources is not None else ([], None)
    begun: list[beginning.Beginning] = []
    jobs: list[Job] = []

    def made() -> list[asyncio.Task[MediaAsset]]:
        pictures = [running.run(job) for job in jobs]
        return [_task(one if outlives_request else in_server.awaited(one)) for one in pictures]

    def make() -> dict[str, Any]:
        begun[:] = begun or _asked(wanted, access, images, mask)  # the same when a commit's answer was lost
        jobs[:] = _rows(begun)
        return {"assets": [job.asset.asset_id for job in jobs]}

    if not key:
        await in_database(make)
        return made()
    if by_sdk:
        await in_database(idempotency.remember, access, key, digest, make)
        return made()
    result, is_new = await in_database(idempotency.once, access, key, digest, make)
    # Ours also when they were committed, and only the answer to that was lost.
    is_ours = is_new or result["assets"] == [job.asset.asset_id for job in jobs]
    return made() if is_ours else await _made_before(access, result)


async def _made_before(access: Access, result: Mapping[str, Any]) -> list[asyncio.Task[MediaAsset]]:
    """A task for each picture of the first request that they may still have; `NotAllowed` when there is none."""
    theirs = await in_database(_theirs, access, result["assets"])
    if not theirs:
        raise idempotency.gone()
    return [_task(_awaited(pk)) for pk in theirs]


def _under_way_or_made(access: Access, key: str, digest: str) -> list[str]:
    """Ids of the pictures that a repeat of the SDK's joins: those of the same request of the last minutes, unless all
    of them failed in ways of which it is sure that nothing was bought."""
    result = idempotency.earlier(access, key, digest, within=REPEATED_WITHIN)
    pks = _theirs(access, result["assets"]) if result is not None else []
    failed = MediaAsset.objects.filter(pk__in=pks, generation_state=GenerationState.FAILED)
    bought = GenerationAttempt.objects.filter(asset__pk__in=[uuid.UUID(pk) for pk in pks]).exclude(
        outcome__in=NOTHING_BOUGHT
    )
    return [] if failed.count() == len(pks) and not bought.exists() else pks


def _theirs(access: Access, pks: Sequence[str]) -> list[str]:
    found = {str(pk) for pk in idempotency.still_theirs(access).filter(pk__in=pks).values_list("pk", flat=True)}
    return [pk for pk in pks if pk in found]


def _digest(wanted: Wanted, sources: Sources | None) -> str:
    """What makes two requests the same."""
    sent = [] if sources is None else [*sources.images, *([sources.mask] if sources.mask is not None else [])]
    contents = []
    for file in sent:
        contents.append(hashlib.sha256(file.read()).hexdigest())
        file.seek(0)
    return idempotency.digest("openai", asdict(wanted), contents)


def _task(work: Coroutine[Any, Any, MediaAsset]) -> asyncio.Task[MediaAsset]:
    # Not in the caller's context: the thread for his request's database work ends with the request.
    task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
    _under_way.add(task)
    task.add_done_callback(_ended)
    return task


async def _awaited(pk: str) -> MediaAsset:
    """An asset that another request has begun, once it is over; a refusal when it has no picture then."""
    while True:
        asset = await in_database(MediaAsset.objects.filter(pk=pk).first)
        if asset is None or asset.generation_state not in OPEN:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    if asset is None or not asset.is_ready:
        text = asset.failure if asset is not None and asset.failure else "The picture of the first request is gone."
        raise Refusal(502, text, SERVER, code="generation_failed", headers=NO_RETRY)
    return asset


def _ended(task: asyncio.Task[MediaAsset]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # kept in the asset's row, and told to whoever still waits


async def all_of(tasks: Sequence[asyncio.Task[MediaAsset]]) -> list[MediaAsset]:
    """Those that were made, in order; when none was, the first one's error."""
    results = await asyncio.gather(*(asyncio.shield(task) for task in tasks), return_exceptions=True)
    made = [result for result in results if isinstance(result, MediaAsset)]
    if not made:
        raise next(result for result in results if isinstance(result, BaseException))
    return made


async def wait(tasks: Sequence[asyncio.Task[MediaAsset]], longest_s: float, *, may_repeat: bool) -> None:
    """Until all are over; a refusal when that takes longer. `may_repeat`: the same request, sent again, joins them."""
    _, left = await asyncio.wait(tasks, timeout=longest_s)
    for task in left:
        task.cancel()  # it only waits: what it waits for goes on
    if left and may_repeat:
        text = "The picture is still being made. The same request, sent again, waits for it and buys nothing."
        again = {"Retry-After": "1", "x-should-retry": "true"}
        raise Refusal(503, text, SERVER, code="still_being_made", headers=again)
    if left:
        text = (
            "The picture is still being made, for longer than this server lets a request wait. It will be in the "
            "library. Send an Idempotency-Key, so that the same request can be sent again to wait for it."
        )
        raise Refusal(503, text, SERVER, code="still_being_made", headers=NO_RETRY)


async def as_they_come(tasks: Sequence[asyncio.Task[MediaAsset]], every_s: float) -> AsyncIterator[Any]:
    """Each asset, or the exception it ended with, as soon as it is there; None whenever nothing came for so long."""
    left = set(tasks)
    while left:
        done, left = await asyncio.wait(left, timeout=every_s, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            yield None
        for task in done:
            yield asyncio.CancelledError() if task.cancelled() else task.exception() or task.result()


async def encoded(asset: MediaAsset, format: str) -> str:
    """The picture as base64, in the format that was asked for ("": as it is), whatever the provider delivered."""
    if format and format != asset.format:
        content = await in_database(_converted, asset, format)
    else:
        content = storage.leaving(asset, await storage.read_file(asset))
    return base64.b64encode(content).decode()


def address(asset: MediaAsset, format: str) -> str:
    """A signed path to the picture in that format, for an hour; "" in a site that has none of our addresses."""
    other = format if format != asset.format else ""
    return links.signed_url(asset, expires_s=URL_LIFETIME_S, format=other or None)


def _converted(asset: MediaAsset, format: str) -> bytes:
    return renditions.content_of(asset, renditions.rendition(asset, format=format))


def described(asset: MediaAsset) -> dict[str, Any]:
    """What OpenAI's answer has no place for: which asset it is, who made it, what it cost."""
    return {
        "asset": asset.asset_id,
        "provider": asset.provider_name,
        "model": asset.model_name,
        "cost": None if asset.cost is None else str(asset.cost),
        "is_placeholder": asset.is_placeholder,
        "dry_run": asset.dry_run,
        "fit_report": asset.fit_report,
    }


def revised_prompt(asset: MediaAsset) -> dict[str, str]:
    """As OpenAI's answer says it, when the provider rewrote the prompt; else nothing."""
    entry = (asset.fit_report or {}).get("prompt")
    used = entry.get("made") if isinstance(entry, dict) else None
    return {"revised_prompt": used} if isinstance(used, str) else {}


def now_s() -> int:
    return int(time.time())
