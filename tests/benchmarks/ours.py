"""Ours: the real worker over the waiting rows of a batch, on an SQLite file and a FileSystemStorage."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from tests.benchmarks.children import Used, child, peak_rss_bytes


def work(job: dict[str, Any]) -> dict[str, Any]:
    """`action` "prepare" makes the database with a batch of rows, "run" works it off."""
    import django

    django.setup()
    return {"prepare": prepare, "run": run}[job["action"]](job)


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """A database in the data folder with `rows` waiting pictures of `side` pixels, and these `providers`: a list of
    {"name", "base_url"} and whatever else a ProviderConfig takes."""
    from django.conf import settings
    from django.core.management import call_command

    from mediagen.engine.batches import lifecycle
    from mediagen.engine.batches.manifests import open_manifest
    from mediagen.models import ProviderConfig

    call_command("migrate", verbosity=0)
    ProviderConfig.objects.all().delete()
    for position, values in enumerate(job["providers"], start=1):
        ProviderConfig.objects.create(
            adapter="openai_images", position=position, credentials="sk-benchmark-0123456789", **values
        )
    side = job.get("side", 1024)
    path = Path(settings.DATA_DIR) / "prompts.jsonl"
    with path.open("w") as file:
        for number in range(job["rows"]):
            row = {"prompt": f"picture {number} of a lighthouse", "width": side, "height": side}
            file.write(json.dumps({**row, "options": {"quality": "low"}} if job.get("live", True) else row) + "\n")
    with open_manifest(str(path)) as manifest:
        batch, _ = lifecycle.open_batch(manifest, {"dry_run": not job.get("live", True)})
        lifecycle.load(batch, manifest.rows({"dry_run": not job.get("live", True)}))
    return {"batch": str(batch.pk)}


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Work `batch` off with `concurrency`; `sync`: whether purchases and pictures wait for the disk. `failed` are rows
    without a picture; `seconds` how long each one took, in the order in which they ended."""
    from asgiref.sync import async_to_sync
    from django.conf import settings

    from mediagen.engine.work.worker import Event, Until, Worker
    from mediagen.models import GenerationAttempt, MediaAsset

    settings.MEDIAGEN = {**settings.MEDIAGEN, "SYNC_TO_DISK": job.get("sync", True)}
    ended: list[float] = []
    providers: dict[str, int] = {}

    def watch(event: Event) -> None:
        if event.kind != "started":
            ended.append(event.seconds)

    worker = Worker(batch_id=job["batch"], concurrency=job["concurrency"], watch=watch)
    rss_at_start = peak_rss_bytes()
    used = Used()
    async_to_sync(worker.run)(Until.DONE)
    result = used.result()
    assets = MediaAsset.objects.filter(batch=job["batch"])
    for name in GenerationAttempt.objects.exclude(state="skipped").values_list("provider_name", flat=True):
        providers[name] = providers.get(name, 0) + 1
    return {
        **result,
        "rss_at_start_bytes": rss_at_start,
        "pictures": assets.filter(generation_state="ready", is_placeholder=not job.get("live", True)).count(),
        "failed": assets.exclude(generation_state="ready").count(),
        "asked": providers,
        "seconds": ended,
        "median_s": statistics.median(ended),
    }


if __name__ == "__main__":
    child(work)
