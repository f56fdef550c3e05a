"""What a process keeps between pictures, and what a picture costs then. Numbers that no load of a machine moves."""

from __future__ import annotations

import asyncio
import base64
from decimal import Decimal

import pytest
from asgiref.sync import async_to_sync

from mediagen import circuits, http
from mediagen.engine import get_media_engine
from mediagen.errors import GenerationFailed
from mediagen.http.client import httpx
from mediagen.models import GenerationAttempt, MediaLibrary, MediaTag, ProviderConfig, ProviderHealth
from mediagen.types import utcnow
from tests.counting import Counts, counted
from tests.pictures import png

pytestmark = pytest.mark.django_db(transaction=True)

ANSWER = {"data": [{"b64_json": base64.b64encode(png(64, 64)).decode()}], "output_format": "png", "size": "1024x1024"}


@pytest.fixture(autouse=True)
def live(settings):
    settings.MEDIAGEN = {"DRY_RUN": False}
    ProviderConfig.objects.all().delete()
    for position, name in enumerate(("first", "second")):
        ProviderConfig.objects.create(
            name=name, adapter="openai_images", position=position, credentials="sk-0123456789abcdef", prices={}
        )
    with http.override_transport(httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))):
        yield


def make(**options):
    return async_to_sync(get_media_engine().generate_asset)("a lighthouse", quality="low", **options)


def made_at_once(pictures: int, at_once: int) -> Counts:
    numbers = iter(range(pictures))

    async def some() -> None:
        for number in numbers:
            await get_media_engine().generate_asset(f"lighthouse {number}", quality="low")

    async def all_of_them() -> None:
        await asyncio.gather(*(some() for _ in range(at_once)))

    with counted(calls=True) as counts:
        async_to_sync(all_of_them)()
    return counts


class TestWhatAPictureCosts:
    def test_of_many_made_by_the_engine_at_once(self):
        make()  # imports, statements' texts
        each = made_at_once(48, 16).per(48)
        assert each["statements"] <= 6, each
        assert each["commits"] <= 0.6, each
        assert each["hops"] <= 3, each
        assert each["calls"] <= 4_200, each

    def test_of_one_alone(self):
        make()
        each = made_at_once(4, 1).per(4)
        assert each["statements"] <= 26, each
        assert (each["commits"], each["hops"]) <= (3, 6), each
        assert each["calls"] <= 9_000, each


class TestAChangeCountsAtTheNextPicture:
    """Also by those who save no instance: the rows are compared, whoever wrote them."""

    @pytest.mark.parametrize(
        ("change", "served_by"),
        [
            ({"enabled": False}, "second"),
            ({"position": 9}, "second"),
            ({"credentials": ""}, "second"),
            ({"dry_run": True}, "first"),
        ],
    )
    def test_of_a_provider(self, change, served_by):
        assert make().provider_name == "first"
        ProviderConfig.objects.filter(name="first").update(**change)
        asset = make()
        assert (asset.provider_name, asset.dry_run) == (served_by, "dry_run" in change)

    def test_of_the_settings(self, settings):
        assert not make().dry_run
        settings.MEDIAGEN = {"DRY_RUN": True}
        assert make().dry_run

    def test_of_a_library(self):
        library = MediaLibrary.objects.create(name="Autumn")
        assert "season" not in make(library_id=library.pk).tag_names
        library.default_tags.add(*MediaTag.objects.ensure(["season"]))
        assert "season" in make(library_id=library.pk).tag_names
        MediaLibrary.objects.filter(pk=library.pk).update(budget_limit=Decimal(0))
        with pytest.raises(GenerationFailed, match="has \\$0 left"):
            make(library_id=library.pk)
        library.assets.all().delete()
        MediaLibrary.objects.filter(pk=library.pk).delete()
        with pytest.raises(Exception, match="There is no media library"):
            make(library_id=library.pk)

    def test_of_a_breaker_that_another_process_has_opened_or_closed(self):
        make()
        model = GenerationAttempt.objects.first().model_name
        opened = {"state": "open", "reason": "down", "open_until": utcnow().replace(year=2999)}
        ProviderHealth.objects.create(provider_name="first", model_name=model, operation="generate_image", **opened)
        assert make().provider_name == "second"
        circuits.reset_breakers("first")
        assert make().provider_name == "first"
