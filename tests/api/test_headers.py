"""What stands in the headers: whose request it was, how many are left, which version of a thing it is."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from mediagen.models import AssetUsage
from tests.api.callers import EVERYTHING, Caller, problem
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

API = "/api/v1/"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def caller():
    return Caller(UserFactory(may=[*EVERYTHING, "change_medialibrary"], is_staff=False))


def test_every_answer_names_its_request(caller):
    assert caller.get(f"{API}assets/", headers={"X-Request-Id": "from-the-app:1"})["X-Request-Id"] == "from-the-app:1"
    made = caller.get(f"{API}nowhere/", headers={"X-Request-Id": "a b<script>"})["X-Request-Id"]
    assert len(made) == 32
    assert made != caller.get(f"{API}assets/")["X-Request-Id"]


def test_how_many_requests_are_left(caller, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "API_RATES": {"user": "2/hour"}}
    answers = [caller.get(f"{API}assets/") for _ in range(3)]
    assert [(one.status_code, one["RateLimit-Remaining"]) for one in answers] == [(200, "1"), (200, "0"), (429, "0")]
    assert (answers[0]["RateLimit-Limit"], 0 < int(answers[0]["RateLimit-Reset"]) <= 3600) == ("2", True)
    settings.MEDIAGEN = {**settings.MEDIAGEN, "API_RATES": {}}
    assert "RateLimit-Limit" not in caller.get(f"{API}assets/")


@pytest.mark.parametrize("kind", ["assets", "libraries"])
def test_a_change_of_what_somebody_else_changed_is_refused(caller, kind):
    library = MediaLibraryFactory(owner=caller.user)
    row = MediaAssetFactory(ready=True, library=library) if kind == "assets" else library
    path = f"{API}{kind}/{row.pk}/"
    first = caller.get(path)["ETag"]

    changed = caller.send(path, {"description": "one"}, "patch", **{"If-Match": first})
    late = caller.send(path, {"description": "two"}, "patch", **{"If-Match": first})

    assert changed.status_code == 200
    assert changed["ETag"] == late["ETag"] == caller.get(path)["ETag"] != first
    assert (late.status_code, problem(late)) == (412, "outdated")
    assert caller.get(path).json()["description"] == "one"
    for fits in ("*", f'"x", {late["ETag"]}'):
        assert caller.send(path, {"description": fits}, "patch", **{"If-Match": fits}).status_code in (200, 412)
    assert caller.send(path, {"description": "three"}, "patch").status_code == 200


def test_clicks_are_counted_once(caller):
    asset = MediaAssetFactory(ready=True)
    path, body = f"{API}assets/{asset.pk}/metrics/", {"campaign": "Spring", "add": {"clicks": 3}}

    answers = [caller.send(path, body, **{"Idempotency-Key": "k1"}) for _ in range(2)]

    assert [one.json()["clicks"] for one in answers] == [3, 3]
    assert [one.get("Idempotency-Replayed") for one in answers] == [None, "true"]
    assert AssetUsage.objects.get().clicks == 3
    other = caller.send(path, {**body, "add": {"clicks": 4}}, **{"Idempotency-Key": "k1"})
    assert problem(other) == "idempotency-key-reused"
    assert caller.send(path, body, **{"Idempotency-Key": "k2"}).json()["clicks"] == 6


@pytest.mark.parametrize("path", ["assets/{}/approve/", "assets/{}/tags/", "assets/{}/usages/", "jobs/", "libraries/"])
def test_where_a_key_is_not_honoured_it_is_refused(caller, path):
    asset = MediaAssetFactory(ready=True)
    response = caller.send(API + path.format(asset.pk), {}, **{"Idempotency-Key": "k1"})
    assert (response.status_code, response.json()["field"]) == (400, "Idempotency-Key")
    asset.refresh_from_db()
    assert asset.status == "draft"
