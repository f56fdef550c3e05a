"""A connection that breaks off, or a caller who leaves, at the very commit that makes a row: what is asked for again is
no second picture, and what nobody waits for is not made later."""

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError

from mediagen.api.openai import making
from mediagen.engine import get_media_engine
from mediagen.engine.database import patience
from mediagen.engine.generation import beginning, queue, requests
from mediagen.models import MediaAsset
from tests.api.callers import Caller
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db(transaction=True)

engine = get_media_engine()


@pytest.fixture
def lost(monkeypatch):
    """lost(module, name): its first call commits, and nobody hears of it."""
    monkeypatch.setattr(patience, "may_pass", lambda exc: True)
    monkeypatch.setattr(patience.time, "sleep", lambda s: None)

    def lose(module, name):
        real, calls = getattr(module, name), []

        def once(*args, **kwargs):
            result = real(*args, **kwargs)
            calls.append(result)
            if len(calls) == 1:
                raise OperationalError("server closed the connection unexpectedly")
            return result

        once.prepare = getattr(real, "prepare", lambda items: None)
        monkeypatch.setattr(module, name, once)
        return calls

    return lose


def edit(**options):
    return engine.edit_asset_sync(MediaAssetFactory(ready=True, name="the source").pk, "at night", name="it", **options)


def generate(**options):
    return engine.generate_asset_sync("x", 64, 64, name="it", **options)


@pytest.mark.parametrize("make", [generate, edit])
@pytest.mark.parametrize("options", [{}, {"idempotency_key": "k", "tags": ["sea"]}])
def test_of_a_picture_that_is_begun_here(make, options, lost):
    calls = lost(beginning, "begin_together")
    asset = make(**options)
    assert (len(calls), asset.is_ready) == (2, True)
    assert MediaAsset.objects.filter(name="it").get() == asset


@pytest.mark.parametrize("operation", ["", "vary_image"])
def test_of_a_picture_that_is_to_wait(operation, lost):
    calls = lost(queue.Enqueuing, "__call__")
    source = MediaAssetFactory(ready=True, name="the source")
    if operation:
        asset = engine.enqueue_work_sync(operation, source.pk, name="it")
    else:
        asset = engine.enqueue_sync("x", 64, 64, name="it")
    assert len(calls) == 2
    assert MediaAsset.objects.filter(name="it").get() == asset


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}])
def test_of_pictures_that_the_api_is_asked_for(key, lost):
    calls = lost(requests, "place")
    answer = Caller().send("/api/v1/generations/", {"prompt": "x", "count": 2, "width": 64, "height": 64}, **key)
    assert (len(calls), answer.status_code) == (2, 202)
    made = MediaAsset.objects.order_by("pk").values_list("pk", flat=True)
    assert [asset["id"] for asset in answer.json()["assets"]] == [str(pk) for pk in made]


@pytest.mark.parametrize("headers", [{}, {"x-stainless-retry-count": "0"}])
def test_of_pictures_that_openais_client_asks_for(headers, lost):
    calls = lost(making, "_rows")
    answer = Caller().send("/api/v1/openai/v1/images/generations", {"prompt": "x", "n": 2, "size": "64x64"}, **headers)
    assert (len(calls), answer.status_code) == (2, 200), answer.content
    assert MediaAsset.objects.filter(generation_state="ready").count() == MediaAsset.objects.count() == 2


def test_of_a_caller_who_is_cancelled_then(monkeypatch):
    real = beginning.begin_together

    async def leave():
        task = asyncio.ensure_future(engine.generate_asset("x", 64, 64))
        loop = asyncio.get_running_loop()

        def begun(items):
            jobs = real(items)
            loop.call_soon_threadsafe(task.cancel)
            return jobs

        begun.prepare = real.prepare
        monkeypatch.setattr(beginning, "begin_together", begun)
        with pytest.raises(asyncio.CancelledError):
            await task

    async_to_sync(leave)()
    assert MediaAsset.objects.get().generation_state == "cancelled"
