"""Pages of the admin over many assets, on an SQLite file: queries, and CPU milliseconds a request of the test client.

SQLite works in the process that asks, so its time is in it; what other programs do at the same time is not.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from typing import Any

from tests.benchmarks.children import child, run

LIBRARIES = 10
CHUNK = 5000


def admin(quick: bool) -> None:
    """The same pages for a superuser, and for an editor who may see half of the libraries."""
    count = 2_000 if quick else 100_000
    with tempfile.TemporaryDirectory() as folder:
        found = run("admin_pages", {"count": count, "rounds": 3 if quick else 9}, data_dir=folder)
    print(f"\n## Pages of the admin with {count:,} assets, SQLite\n")
    print("| page | superuser: queries | CPU ms | editor: queries | CPU ms |\n|---|---|---|---|---|")
    for name in found["superuser"]:
        cells = [cell for who in ("superuser", "editor") for cell in found[who][name]]
        print(f"| {name} | {cells[0]} | {cells[1]:.0f} | {cells[2]} | {cells[3]:.0f} |")


def measure(job: dict[str, Any]) -> dict[str, Any]:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    asset = _fill(job["count"])
    late = min(200, job["count"] // 2 // 48)
    return {who: _pages(user, asset, late, job["rounds"]) for who, user in _people().items()}


def _fill(count: int) -> Any:
    """One attempt for each asset, a tag for each tenth, a use for each hundredth."""
    from decimal import Decimal

    from django.utils import timezone

    from mediagen import models

    shelves = [models.MediaLibrary.objects.create(name=f"Library {number}") for number in range(LIBRARIES)]
    (tag,) = models.MediaTag.objects.ensure(["sea"])
    batch = models.GenerationBatch.objects.create(name="large", fingerprint="0" * 64, state="finished", total=count)
    now = timezone.now()
    for start in range(0, count, CHUNK):
        assets = [
            models.MediaAsset(
                library=shelves[number % LIBRARIES],
                name=f"a lighthouse, number {number}",
                prompt=f"a lighthouse in the {'fog' if number % 3 else 'zzyzx' if number % 9999 == 0 else 'rain'}",
                generation_state="failed" if number % 50 == 0 else "ready",
                status="approved" if number % 4 == 0 else "draft",
                provider_name="sdxl" if number % 2 else "flux",
                file=f"mediagen/{number}.png",
                format="png",
                content_hash=f"{number:064}",
                width=1024,
                height=1024,
                file_size=1_000_000,
                cost=Decimal("0.03"),
                batch=batch if number % 10 == 0 else None,
                row_key=str(number) if number % 10 == 0 else "",
                generated_at=now,
            )
            for number in range(start, min(start + CHUNK, count))
        ]
        models.MediaAsset.objects.bulk_create(assets)
        through = models.MediaAsset.tags.through
        through._default_manager.bulk_create([through(mediaasset=each, mediatag=tag) for each in assets[::10]])
        models.AssetUsage.objects.bulk_create(
            [models.AssetUsage(asset=each, campaign="Spring") for each in assets[::100]]
        )
        models.GenerationAttempt.objects.bulk_create(
            models.GenerationAttempt(
                asset=each,
                library=each.library,
                provider_name=each.provider_name,
                operation="generate_image",
                position=1,
                state="succeeded",
                outcome="succeeded",
                started_at=now,
                cost=Decimal("0.03"),
            )
            for each in assets
        )
    return assets[-1]


def _people() -> dict[str, Any]:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group, Permission

    from mediagen.models import MediaLibrary

    users: Any = get_user_model().objects
    editor = users.create(username="editor", is_staff=True)
    ours = Permission.objects.filter(content_type__app_label="mediagen").exclude(codename="view_all_libraries")
    editor.user_permissions.set(ours)
    editors, others = Group.objects.create(name="editors"), Group.objects.create(name="others")
    editor.groups.add(editors)
    for number, library in enumerate(MediaLibrary.objects.all()):
        library.editor_groups.add(others if number % 2 else editors)
    return {"superuser": users.create(username="root", is_staff=True, is_superuser=True), "editor": editor}


def _pages(user: Any, asset: Any, late: int, rounds: int) -> dict[str, tuple[int, float]]:
    from django.db import connection, reset_queries
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    def address(model: str, view: str = "changelist", *args: Any) -> str:
        return reverse(f"admin:mediagen_{model}_{view}", args=args)

    readable = user.is_superuser or asset.library.editor_groups.filter(name="editors").exists()
    shown = asset if readable else type(asset).objects.filter(library__editor_groups__name="editors").first()
    assets = address("mediaasset")
    pages: dict[str, tuple[str, dict[str, Any]]] = {
        "assets": (assets, {}),
        "assets, a late page": (assets, {"p": late}),
        "assets of one library": (assets, {"library__id__exact": str(shown.library_id)}),
        "assets, failed": (assets, {"generation_state__exact": "failed"}),
        "assets, approved of one provider": (assets, {"status__exact": "approved", "provider": "sdxl"}),
        "assets with a tag": (assets, {"tag": "sea"}),
        "assets, frequent word": (assets, {"q": "lighthouse"}),
        "assets, rare word": (assets, {"q": "zzyzx"}),
        "one asset": (address("mediaasset", "change", shown.pk), {}),
        "generate": (address("mediaasset", "generate"), {}),
        "libraries": (address("medialibrary"), {}),
        "attempts": (address("generationattempt"), {}),
        "batches": (address("generationbatch"), {}),
        "uses": (address("assetusage"), {}),
    }
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    found = {}
    for name, (path, query) in pages.items():
        client.get(path, query, secure=True)  # templates are compiled once
        took = []
        for _ in range(rounds):
            reset_queries()
            began = time.process_time()
            response = client.get(path, query, secure=True)
            took.append((time.process_time() - began) * 1000)
            assert response.status_code == 200, (name, response.status_code)
        with CaptureQueriesContext(connection) as captured:
            client.get(path, query, secure=True)
        found[name] = (len(captured), statistics.median(took))
    return found


if __name__ == "__main__":
    child(measure)
