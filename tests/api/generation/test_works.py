"""Work on pictures that are there, asked for by the API: like a generation, with the asker's own access."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from mediagen.engine.files import uploads
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary, ProviderConfig
from tests.api.callers import EVERYTHING, Caller, problem
from tests.engine.generation.test_asset_works import disc
from tests.engine.work.working import work
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

API = "/api/v1/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(media_root) -> Caller:
    return Caller()


@pytest.fixture
def source(caller) -> MediaAsset:
    return uploads.upload(disc(), library=MediaLibrary.objects.create(name="Mine", owner=caller.user), by=caller.user)


@pytest.mark.parametrize(
    ("address", "body", "operation", "size"),
    [
        ("edits", {"prompt": "a hat", "aspect_ratio": "2:1"}, "edit_image", (96, 48)),
        ("variations", {"width": 64, "height": 64}, "vary_image", (64, 64)),
        ("upscales", {"factor": 2.5}, "upscale_image", (240, 160)),
        ("background-removals", {}, "remove_background", (96, 64)),
        ("outpaints", {"up": 16, "right": 4}, "outpaint_image", (100, 80)),
    ],
)
def test_it_is_a_generation(caller, source, address, body, operation, size):
    response = caller.send(f"{API}{address}/", {**body, "source": str(source.pk), "tags": ["cut"]})
    placed = response.json()
    work()
    made = caller.get(placed["url"]).json()

    assert (response.status_code, response["Location"]) == (202, placed["url"])
    assert placed["estimate"]["pictures"] == 1
    [asset] = made["assets"]
    assert (made["state"], asset["parent"]) == ("ready", str(source.pk))
    assert (asset["width"], asset["height"], asset["library_name"]) == (*size, "Mine")
    assert set(GenerationAttempt.objects.values_list("operation", flat=True)) == {operation}


def test_several_of_several_pictures_and_once_for_a_key(caller, source):
    body = {"source": str(source.pk), "sources": [str(source.pk)], "mask": str(source.pk), "prompt": "x", "count": 2}
    first, second = (caller.send(f"{API}edits/", body, **{"Idempotency-Key": "k"}) for _ in range(2))

    assert first.json()["id"] == second.json()["id"]
    assert second["Idempotency-Replayed"] == "true"
    assert MediaAsset.objects.filter(parent=source).count() == 2
    assert caller.send(f"{API}variations/", body, **{"Idempotency-Key": "k"}).status_code == 400


def test_what_it_would_cost(caller, source, settings, provider_servers):
    settings.MEDIAGEN = {"DRY_RUN": False}
    ProviderConfig.objects.exclude(name="sdxl").update(enabled=False)
    config = ProviderConfig.objects.get(name="sdxl")
    config.base_url, config.credentials = provider_servers["sdxl"].base_url, "sk-x"
    config.save()
    answer = caller.send(f"{API}upscales/estimate/", {"source": str(source.pk)}).json()

    assert Decimal(answer["dearest"]) == Decimal("0.02")
    assert not MediaAsset.objects.filter(parent=source).exists()


@pytest.mark.parametrize(
    ("address", "body", "field"),
    [
        ("edits", {}, "prompt"),
        ("edits", {"prompt": "x", "sources": ["stranger"]}, "sources"),
        ("edits", {"prompt": "x", "mask": "stranger"}, "mask"),
        ("variations", {"source": "stranger"}, "source"),
        ("upscales", {"factor": 0.5}, "factor"),
        ("upscales", {"factor": 2, "width": 300}, "factor"),
        ("background-removals", {"width": 10}, "width"),
        ("outpaints", {}, "left"),
        ("outpaints", {"left": 5000}, "left"),
        ("variations", {"options": {"sources": ["x"]}}, "options"),
    ],
)
def test_what_cannot_be_names_its_field(caller, source, address, body, field):
    strangers = str(MediaAssetFactory(library=MediaLibraryFactory(owner=UserFactory()), ready=True).pk)
    named = {
        name: strangers if value == "stranger" else [strangers] if value == ["stranger"] else value
        for name, value in body.items()
    }
    response = caller.send(f"{API}{address}/", {"source": str(source.pk), **named})

    assert (problem(response), response.json()["field"].split(".")[0]) == ("invalid", field)
    assert not MediaAsset.objects.filter(generation_id__isnull=False).exists()


def test_a_library_that_they_may_only_look_into(source):
    viewer = UserFactory(may=EVERYTHING, is_staff=False)
    theirs = MediaLibraryFactory(owner=UserFactory(), name="Theirs")
    group = Group.objects.create(name="viewers")
    viewer.groups.add(group)
    theirs.viewer_groups.add(group)
    source.library = theirs
    source.save()
    MediaLibraryFactory(owner=viewer, name="Own")
    caller = Caller(viewer)

    assert problem(caller.send(f"{API}variations/", {"source": str(source.pk)})) == "forbidden"
    elsewhere = caller.send(f"{API}variations/", {"source": str(source.pk), "library": "Own"})
    assert elsewhere.status_code == 202
    assert elsewhere.json()["assets"][0]["library_name"] == "Own"
