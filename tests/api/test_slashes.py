"""Both forms of every address, and nothing else."""

from __future__ import annotations

import pytest
from django.db import connections
from django.test import Client
from django.urls import get_resolver

from tests.api.callers import Caller
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db

BASE = "/api/v1"


def test_every_route_answers_in_both_forms():
    client = Client(headers={"Authorization": Caller().defaults["HTTP_AUTHORIZATION"]})
    asset = MediaAssetFactory(ready=True)
    routes = {str(one.pattern) for one in get_resolver("mediagen.api.urls").url_patterns if one.name}
    for route in sorted(routes):
        path = route.replace("<uuid:pk>", str(asset.pk)).replace("<str:token>", "x").replace("<str:name>", "x")
        other = path[:-1] if path.endswith("/") else f"{path}/"
        answers = [client.get(f"{BASE}/{form}") for form in (path, other)]
        assert answers[0].status_code == answers[1].status_code, route
        assert answers[0].get("Content-Type") == answers[1].get("Content-Type"), route


def test_a_post_arrives_whole():
    answer = Caller().send(f"{BASE}/generations/estimate", {"prompt": "A lighthouse"})
    assert (answer.status_code, answer.json()["pictures"]) == (200, 1)


def test_what_does_not_exist_still_does_not():
    for path in ("nothing", "nothing/", "assets//", "openai/v1/nothing/"):
        assert Caller().get(f"{BASE}/{path}").status_code == 404


@pytest.mark.parametrize("path", ["libraries", "generations", "nothing", "openai/v1/models/"])
def test_a_sites_own_transactions_and_sign_in_do_not_bar_the_other_form(path, settings, monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert Caller().get(f"{BASE}/{path}").status_code == (404 if path == "nothing" else 200)
