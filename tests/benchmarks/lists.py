"""Lists at 10,000 and at 1,000,000 rows for three people, beside a bare view, and a rendition beside bare Pillow."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks.children import child, run

PAGES = {
    "first page": "",
    "deep page": "",
    "of one library": "",
    "approved ones": "review=approved",
    "failed ones": "state=failed",
    "of one provider": "provider=flux",
    "of a rare tag": "tag=rare",
    "of a frequent tag": "tag=frequent",
    "a word that many have": "q=lighthouse",
    "a word that 20 have": "q=zeppelin",
    "a word that none has": "q=nowhere",
    "counted": "count=true",
}
PEOPLE = {"superuser": "sees all", "owner": "of 10 libraries of 50", "member": "of 3 of them"}
"""without ANALYZE, as new sites are"""


def lists(quick: bool) -> None:
    """CPU ms a page of 50 of `GET assets/`, through Django's whole stack in one process; the bare view answers keyset
    `.values()` of the same columns as JSON, without sign-in. All pages in turn, so that a busy machine slows each."""
    few, many = (2_000, 20_000) if quick else (10_000, 1_000_000)
    measured = {}
    for rows in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            run("lists", {"action": "prepare", "rows": rows}, data_dir=folder)
            measured[rows] = run("lists", {"action": "measure"}, data_dir=folder)["ms"]
    for who, what in PEOPLE.items():
        print(f"\n## {who}, {what}: a page of 50 assets, CPU ms (median of 20), SQLite, {few:,} and {many:,} rows\n")
        print(f"| page | {few:,} | {many:,} | ratio |\n|---|---|---|---|")
        for name in measured[few][who]:
            small, large = measured[few][who][name], measured[many][who][name]
            print(f"| {name} | {small:.1f} | {large:.1f} | {large / small:.2f} |")
    of_all = measured[many]["superuser"]
    bare, ours, four = of_all["bare view, first page"], of_all["first page"], of_all["first page, four fields"]
    print(f"\nFirst page at {many:,} rows over the bare view: {ours / bare:.2f}, four fields of it: {four / bare:.2f}")


def renditions(quick: bool) -> None:
    """ms for 1024 px PNG to 400 px WebP: Pillow's `thumbnail` and `save` into memory, and ours with file and row."""
    with tempfile.TemporaryDirectory() as folder:
        result = run("lists", {"action": "renditions", "count": 10 if quick else 60}, data_dir=folder)
    print("\n## A rendition, 1024 px PNG to 400 px WebP\n")
    print("| program | ms |\n|---|---|")
    print(f"| Pillow, thumbnail and save | {result['bare_ms']:.1f} |")
    print(f"| ours, with file and row | {result['ours_ms']:.1f} |")
    print(f"| ours, made before | {result['again_ms']:.2f} |")
    print(f"\nRatio: {result['ours_ms'] / result['bare_ms']:.2f}")


# ---------------------------------------------------------------------- in the measured processes


def work(job: dict[str, Any]) -> dict[str, Any]:
    import os

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.serving_settings"
    os.environ["SECURE_SSL_REDIRECT"] = "false"
    import django

    django.setup()
    return {"prepare": prepare, "measure": measure, "renditions": rendition}[job["action"]](job)


def prepare(job: dict[str, Any]) -> dict[str, Any]:
    """A database with so many ready assets in 50 libraries, a tag on every second and one on every 5,000th."""
    from django.contrib.auth.models import Group, Permission, User
    from django.core.management import call_command

    from mediagen.models import MediaAsset, MediaLibrary, MediaTag

    call_command("migrate", verbosity=0)
    people = {name: User.objects.create_user(name, is_superuser=name == "superuser") for name in PEOPLE}
    group = Group.objects.create(name="members")
    people["member"].groups.add(group)
    for name in ("owner", "member"):
        people[name].user_permissions.set(Permission.objects.filter(codename="view_mediaasset"))
    owners = [people["superuser" if number % 5 else "owner"] for number in range(50)]
    libraries = [MediaLibrary.objects.create(name=f"library {n}", owner=owner) for n, owner in enumerate(owners)]
    for library in (libraries[3], *libraries[6:8]):
        library.viewer_groups.add(group)
    frequent, rare = MediaTag.objects.ensure(["frequent", "rare"])
    through = MediaAsset.tags.through
    for start in range(0, job["rows"], 5_000):
        rows = [
            MediaAsset(
                library=libraries[number % 50],
                prompt=f"a {'zeppelin' if number % (job['rows'] // 20) == 0 else 'lighthouse'} in the fog, {number}",
                name=f"lighthouse {number}",
                file=f"mediagen/2026/11/{number}.png",
                format="png",
                width=1024,
                height=1024,
                file_size=1_500_000,
                content_hash=f"{number:064x}",
                generation_state="ready",
                status="approved" if number % 7 == 0 else "draft",
                provider_name=("sdxl", "flux", "openai_images")[number % 3],
                parameters={"width": 1024, "height": 1024},
            )
            for number in range(start, min(start + 5_000, job["rows"]))
        ]
        MediaAsset.objects.bulk_create(rows)
        tagged = [through(mediaasset_id=row.pk, mediatag_id=frequent.pk) for row in rows[::2]]
        through._default_manager.bulk_create([*tagged, through(mediaasset_id=rows[0].pk, mediatag_id=rare.pk)])
    return {}


def measure(job: dict[str, Any]) -> dict[str, Any]:
    from django.contrib.auth.models import User
    from django.http import JsonResponse
    from django.test import Client, RequestFactory

    from mediagen.api.pagination import encode
    from mediagen.engine.library import Access
    from mediagen.models import ApiToken, MediaAsset

    def client_of(who: str) -> Client:
        _, token = ApiToken.objects.issue(User.objects.get(username=who), "benchmark", scopes=["read"])
        return Client(SERVER_NAME="localhost", HTTP_AUTHORIZATION=f"Bearer {token}")

    columns = [field.attname for field in MediaAsset._meta.concrete_fields if not field.attname.startswith("lease")]
    middle = MediaAsset.objects.order_by("id").values_list("pk", flat=True)[MediaAsset.objects.count() // 2]

    def bare(request: Any) -> JsonResponse:
        rows = MediaAsset.objects.order_by("-id")
        if "before" in request.GET:
            rows = rows.filter(pk__lt=request.GET["before"])
        return JsonResponse({"results": list(rows.values(*columns)[:50])})

    def calls_of(who: str) -> dict[str, Callable[[], Any]]:
        client = client_of(who)
        library = Access(User.objects.get(username=who)).libraries().order_by("pk").values_list("pk", flat=True)[0]

        def get(address: str) -> Callable[[], Any]:
            return lambda: client.get(f"/api/v1/{address}")

        queries = {**PAGES, "deep page": f"cursor={encode(middle)}", "of one library": f"library={library}"}
        return {
            **{name: get(f"assets/?{query}") for name, query in queries.items()},
            "first page, four fields": get("assets/?fields=id,name,review,thumbnail_url"),
            "a library": get(f"libraries/{library}/"),
        }

    factory = RequestFactory()
    calls = {(who, name): call for who in PEOPLE for name, call in calls_of(who).items()}
    calls["superuser", "bare view, first page"] = lambda: bare(factory.get("/"))
    calls["superuser", "bare view, deep page"] = lambda: bare(factory.get("/", {"before": str(middle)}))
    for call in calls.values():
        answer = call()
        assert answer.status_code == 200, answer.content[:500]
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    for _ in range(20):
        for key, call in calls.items():
            began = time.process_time()
            call()
            taken[key].append((time.process_time() - began) * 1000)
    return {
        "ms": {who: {name: statistics.median(ms) for (of, name), ms in taken.items() if of == who} for who in PEOPLE}
    }


def rendition(job: dict[str, Any]) -> dict[str, Any]:
    from django.core.management import call_command
    from PIL import Image

    from mediagen.engine.files import uploads
    from mediagen.engine.files.renditions import rendition as make
    from mediagen.engine.library.libraries import get_or_create_library
    from mediagen.models import Rendition
    from tests import pictures

    call_command("migrate", verbosity=0)
    content = pictures.png(1024, 1024)
    asset = uploads.upload(content, library=get_or_create_library("Benchmark"), by=None)

    def bare() -> None:
        image = Image.open(io.BytesIO(content))
        image.thumbnail((400, 400))
        image.save(io.BytesIO(), "WEBP")

    bare_ms, ours_ms = [], []
    for _ in range(job["count"]):  # in turn, so that a busy machine slows both
        bare_ms.append(once_ms(bare))
        Rendition.objects.all().delete()
        ours_ms.append(once_ms(lambda: make(asset, width=400)))
    return {
        "bare_ms": statistics.median(bare_ms),
        "ours_ms": statistics.median(ours_ms),
        "again_ms": median_ms(lambda: make(asset, width=400), 100),
    }


def once_ms(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def median_ms(call: Callable[[], Any], count: int) -> float:
    answer = call()
    assert getattr(answer, "status_code", 200) == 200, answer.content[:500]
    return statistics.median(once_ms(call) for _ in range(count))


if __name__ == "__main__":
    child(work)
