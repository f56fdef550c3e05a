"""A site's own tests: what the API, pages and code ask for is made at once, where the test can see it."""

from __future__ import annotations

import threading

from django.test import TestCase, TransactionTestCase, override_settings

from mediagen.engine import get_media_engine
from mediagen.engine.work import in_server
from mediagen.models import MediaAsset
from tests.api.callers import Caller

URL = "/api/v1/generations/"
ASK = {"prompt": "a lighthouse", "width": 64, "height": 48}


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name == "mediagen"}


@override_settings(MEDIAGEN={})
class InATestCase(TestCase):
    """A site's: with the settings that a site has."""

    def test_a_generation_of_the_api_is_ready(self) -> None:
        caller = Caller()
        for headers in ({}, {"Prefer": "wait=5"}, {"Accept": "text/event-stream"}):
            response = caller.send(
                "/api/v1/generations/", {"prompt": "a lighthouse", "width": 64, "height": 48}, **headers
            )
            b"".join(response)
            assert caller.get(response["Location"]).json()["state"] == "ready"
        assert not threads()

    def test_work_that_is_asked_for_by_code_is_done(self) -> None:
        asset = get_media_engine().enqueue_sync("a lighthouse", 64, 48)
        in_server.work_soon([asset.pk])
        asset.refresh_from_db()
        assert asset.is_ready
        assert not threads()


@override_settings(MEDIAGEN={"RUN_IN_SERVER": "at_once"})
class WithTheSetting(TransactionTestCase):
    def test_a_generation_of_the_api_is_ready(self) -> None:
        before = threads()  # of a test that had a server's own
        response = Caller().send(URL, ASK)
        assert MediaAsset.objects.get().is_ready, response.content
        assert threads() == before
