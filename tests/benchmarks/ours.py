"""Ours: pictures from nothing but prompts, by each of the ways in which a site makes them, on local files. The rows of
assets are made while the clock runs."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.children import Used, child, peak_rss_bytes


def work(job: dict[str, Any]) -> dict[str, Any]:
    """`action` "prepare" makes the database, "load" a batch in it, "run" pictures, "count" says what one costs."""
    import django

    django.setup()
    return {"prepare": prepare, "load": load, "run": run, "count": count}[job["action"]](job)


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """An empty database with these `providers`: a list of {"name", "base_url"} and whatever else a ProviderConfig
    takes. Gives a `token` for the API."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from mediagen.models import ApiToken, MediaAsset, ProviderConfig

    call_command("migrate", verbosity=0)
    if MediaAsset.objects.exists():  # a server's database, from the run before
        call_command("flush", verbosity=0, interactive=False)
    ProviderConfig.objects.all().delete()
    for position, values in enumerate(job["providers"], start=1):
        ProviderConfig.objects.create(
            adapter="openai_images", position=position, credentials="sk-benchmark-0123456789", **values
        )
    user = get_user_model().objects.create_superuser("benchmark")
    _, token = ApiToken.objects.issue(user, "benchmark", scopes=["read", "generate", "change"])
    return {"token": token}


def load(job: dict[str, Any]) -> dict[str, Any]:
    """A batch of `pictures` waiting rows of `side` pixels."""
    from django.conf import settings

    from mediagen.engine.batches import lifecycle
    from mediagen.engine.batches.manifests import open_manifest

    side, is_live = job.get("side", 1024), job.get("live", True)
    path = Path(settings.DATA_DIR) / "prompts.jsonl"
    with path.open("w") as file:
        for number in range(job["pictures"]):
            row = {"prompt": f"picture {number} of a lighthouse", "width": side, "height": side}
            file.write(json.dumps({**row, "options": {"quality": "low"}} if is_live else row) + "\n")
    with open_manifest(str(path)) as manifest:
        batch, _ = lifecycle.open_batch(manifest, {"dry_run": not is_live})
        lifecycle.load(batch, manifest.rows({"dry_run": not is_live}))
    return {"batch": str(batch.pk)}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Make `pictures` with `concurrency`, by `how`: "command" (or work off `batch`), "coroutine". `sync`: whether
    purchases and pictures wait for the disk. `failed` are those that did not come; `seconds` how long each one took, in
    the order in which they ended."""
    from django.conf import settings

    from mediagen.models import GenerationAttempt, MediaAsset

    settings.MEDIAGEN = {**settings.MEDIAGEN, "SYNC_TO_DISK": job.get("sync", True)}
    ended: list[float] = []
    rss_at_start = peak_rss_bytes()
    used = Used()
    (by_coroutine if job.get("how") == "coroutine" else by_command)(job, ended)
    result = used.result()
    providers: dict[str, int] = {}
    for name in GenerationAttempt.objects.exclude(state="skipped").values_list("provider_name", flat=True):
        providers[name] = providers.get(name, 0) + 1
    made = MediaAsset.objects.filter(generation_state="ready", is_placeholder=not job.get("live", True)).count()
    return {
        **result,
        "rss_at_start_bytes": rss_at_start,
        "pictures": made,
        "failed": job["pictures"] - made,
        "asked": providers,
        "seconds": ended,
        "median_s": statistics.median(ended),
    }


def by_command(job: dict[str, Any], ended: list[float]) -> None:
    from asgiref.sync import async_to_sync

    from mediagen.engine.work.worker import Event, Until, Worker

    def watch(event: Event) -> None:
        if event.kind != "started":
            ended.append(event.seconds)

    batch = job.get("batch") or load(job)["batch"]
    async_to_sync(Worker(batch_id=batch, concurrency=job["concurrency"], watch=watch).run)(Until.DONE)


def by_coroutine(job: dict[str, Any], ended: list[float]) -> None:
    """As the README has it: `await engine.generate_asset(...)`, so many at once."""
    from mediagen.engine import get_media_engine

    engine, numbers = get_media_engine(), iter(range(job["pictures"]))

    async def some() -> None:
        for number in numbers:
            began = time.monotonic()
            await engine.generate_asset(f"picture {number} of a lighthouse", quality="low")
            ended.append(time.monotonic() - began)

    async def all_of_them() -> None:
        await asyncio.gather(*(some() for _ in range(job["concurrency"])))

    asyncio.run(all_of_them())


def count(job: dict[str, Any]) -> dict[str, Any]:
    """Statements, commits, trips to threads and Python calls a picture, after one that is not counted."""
    from tests.counting import counted

    make = by_coroutine if job["how"] == "coroutine" else by_command
    with counted(calls=True) as counts:
        make({**job, "pictures": 1}, [])
        counts.begin()
        make(job, [])
    return counts.per(job["pictures"])


if __name__ == "__main__":
    child(work)
