"""Many streams at once: few threads while they begin, none afterwards, and what they have in common is there once."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync
from django.test import AsyncClient

from mediagen.api.generation.generations import EventsView
from mediagen.engine.database import hops
from mediagen.engine.events import watching
from tests.api.callers import Caller
from tests.factories import GenerationBatchFactory, MediaAssetFactory, MediaLibraryFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_few_begin_at_once_and_none_keeps_a_thread(settings, monkeypatch):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": False}
    caller, assets = Caller(), [MediaAssetFactory() for _ in range(hops.AT_ONCE + 4)]
    under_way, most = 0, 0
    begin = EventsView._begin

    def counted(view, *args, **kwargs):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            begin(view, *args, **kwargs)
        finally:
            under_way -= 1

    monkeypatch.setattr(EventsView, "_begin", counted)

    async def opened(pk):
        async with ThreadSensitiveContext():  # as Django's handler does for each request
            headers = {"Authorization": caller.defaults["HTTP_AUTHORIZATION"]}
            response = await AsyncClient().get(f"/api/v1/generations/{pk}/events", headers=headers)
            stream = aiter(response.streaming_content)
            first = [await anext(stream) for _ in range(2)]
            threads = len(SyncToAsync.context_to_thread_executor)
            await stream.aclose()
            return b"event: asset" in first[1], threads

    async def main():
        return await asyncio.gather(*(opened(asset.pk) for asset in assets))

    found = async_to_sync(main)()

    assert all(told for told, _ in found)
    assert 1 <= most <= hops.AT_ONCE
    assert found[-1][1] <= hops.AT_ONCE


def test_assets_that_are_watched_share_their_library_and_batch():
    library, batch = MediaLibraryFactory(), GenerationBatchFactory()
    ids = [MediaAssetFactory(library=library, batch=batch, row_key=str(number)).pk for number in range(5)]

    async def main():
        async with watching(ids[:2]) as first, watching(ids[2:]) as second:  # read one after the other
            assets = [story.asset for story in (*first.stories, *second.stories)]
            return {id(asset.library) for asset in assets}, {id(asset.batch) for asset in assets}

    libraries, batches = async_to_sync(main)()
    assert (len(libraries), len(batches)) == (1, 1)
