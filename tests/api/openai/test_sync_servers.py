"""The OpenAI-shaped door under WSGI, where a request that waits for long is killed with what it holds."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.test import Client

from mediagen.api.openai import making
from mediagen.engine.library import tokens
from mediagen.models import GenerationAttempt, MediaAsset
from tests.engine.work.serving_thread import in_server, wait_until  # noqa: F401 - the fixture
from tests.engine.work.working import use_local
from tests.factories import UserFactory

GENERATIONS = "/api/v1/openai/v1/images/generations"
ASK = {"prompt": "a lighthouse", "size": "64x48"}


@pytest.fixture
def ask(in_server):  # noqa: F811
    user = UserFactory(may=["view_mediaasset", "add_mediaasset"], is_staff=False)
    text = tokens.issue(user, "shop", scopes=["read", "generate"]).text.reveal()
    client = Client(headers={"Authorization": f"Bearer {text}"})

    def ask(**headers):
        return client.post(GENERATIONS, ASK, content_type="application/json", headers=headers)

    return ask


@pytest.fixture
def slow(settings, monkeypatch):
    """A provider that delivers when the event is set, and requests that wait for 0.2 s."""
    release = threading.Event()

    async def answer(prompt):
        while not release.is_set():
            await asyncio.sleep(0.01)

    local = use_local(settings, answer)
    monkeypatch.setattr(making, "WSGI_WAIT_S", 0.2)
    yield local, release
    release.set()


def test_a_long_picture_is_made_beside_the_request_and_joined_by_the_sdks_repeat(ask, slow, monkeypatch):
    local, release = slow
    first = ask(**{"x-stainless-retry-count": "0"})
    assert (first.status_code, first.json()["error"]["code"]) == (503, "still_being_made")
    assert (first["x-should-retry"], first["Retry-After"]) == ("true", "1")

    release.set()
    wait_until(lambda: MediaAsset.objects.get().is_ready)
    monkeypatch.setattr(making, "WSGI_WAIT_S", 20.0)
    second = ask(**{"x-stainless-retry-count": "1"})
    assert second.status_code == 200
    assert len(local.asked) == MediaAsset.objects.count() == GenerationAttempt.objects.count() == 1


def test_who_could_not_join_is_told_not_to_send_it_again(ask, slow):
    response = ask()
    assert (response.status_code, response["x-should-retry"]) == (503, "false")
    assert "Idempotency-Key" in response.json()["error"]["message"]


def test_a_quick_one_is_answered_as_ever(ask, settings):
    use_local(settings)
    assert ask().status_code == 200
