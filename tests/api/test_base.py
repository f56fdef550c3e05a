from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication

from mediagen.api.base import APIBase
from mediagen.api.pagination import encode
from mediagen.engine.library.access import Right
from mediagen.models import MediaAsset
from tests.api.callers import EVERYTHING, Caller, problem
from tests.factories import MediaAssetFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.api.small_urls")]
BOTH = pytest.mark.parametrize("path", ["/small/", "/async/"])


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@BOTH
class TestWhoAsks:
    def test_a_stranger_is_told_how_to_sign_in(self, path):
        response = Client().get(path)

        assert response.status_code == 401
        assert problem(response) == "not-signed-in"
        assert response["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("header", ["Bearer mgt_unknown", "bearer mgt_", "Bearer mgt_\xff"])
    def test_a_wrong_token(self, path, header):
        response = Client(headers={"Authorization": header}).get(path)

        assert (response.status_code, problem(response)) == (401, "not-signed-in")

    @pytest.mark.parametrize("field", ["revoked_at", "expires_at"])
    def test_a_token_that_is_over(self, path, field):
        caller = Caller(**{field: timezone.now()})

        assert caller.get(path).status_code == 401

    def test_a_token_of_somebody_who_has_left(self, path):
        caller = Caller(UserFactory(may=EVERYTHING, is_active=False))

        assert caller.get(path).status_code == 401

    def test_a_token(self, path):
        assert Caller().get(path).status_code == 200

    def test_a_session(self, path, client):
        client.force_login(UserFactory(may=EVERYTHING))

        assert client.get(path).status_code == 200

    def test_a_session_writes_with_the_csrf_token_only(self, path):
        client = Client(enforce_csrf_checks=True)
        client.force_login(UserFactory(may=EVERYTHING))

        response = client.post(path, {"number": 1}, content_type="application/json")

        assert (response.status_code, problem(response)) == (403, "forbidden")

    def test_the_site_may_have_its_own_way(self, path, settings):
        UserFactory(username="ada", may=EVERYTHING)
        settings.MEDIAGEN = {"API_AUTHENTICATION": ["tests.api.test_base.ByName"]}

        assert Client(headers={"X-Name": "ada"}).get(path).status_code == 200
        assert Client().get(path).status_code == 401

    def test_a_missing_right_is_named(self, path):
        caller = Caller(UserFactory(may=["view_mediaasset"]))

        response = caller.send(path, {"number": 1})

        assert (response.status_code, problem(response)) == (403, "forbidden")
        assert "mediagen.add_mediaasset" in response.json()["detail"]

    def test_a_scope_that_the_token_lacks(self, path):
        caller = Caller(scopes=("read",))

        assert caller.get(path).status_code == 200
        assert caller.send(path, {"number": 1}).status_code == 403


class ByName(BaseAuthentication):
    def authenticate(self, request):
        from django.contrib.auth import get_user_model

        name = request.headers.get("X-Name")
        return (get_user_model().objects.get(username=name), None) if name else None

    def authenticate_header(self, request):
        return "Name"


@BOTH
class TestBodies:
    def test_a_right_one(self, path):
        assert Caller().send(path, {"number": 3}).json() == {"number": 3}

    def test_every_wrong_field_is_named(self, path):
        response = Caller().send(path, {"number": 0, "tags": ["fine", "much too long"]})

        body = response.json()
        assert (response.status_code, body["field"]) == (400, "number")
        assert [error["field"] for error in body["errors"]] == ["number", "tags.1"]

    @pytest.mark.parametrize(
        "content",
        [
            b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"number": NaN}', b'{"number": ' + b"9" * 10_000 + b"}",
            b'"text"', b"[]", b"null", b"3",
        ],
    )  # fmt: skip
    def test_no_json_or_no_object(self, path, content):
        response = Caller().post(path, content, content_type="application/json")

        assert response.status_code == 400

    def test_a_large_one(self, path):
        response = Caller().send(path, {"number": 1, "tags": ["x" * 10_000_000]})

        assert (response.status_code, problem(response)) == (413, "too-large")

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "", "a" * 900]
    )
    def test_another_type(self, path, kind):
        response = Caller().post(path, b"number=1", content_type=kind)

        assert (response.status_code, problem(response)) == (415, "unsupported-media-type")

    def test_another_method(self, path):
        response = Caller().delete(path)

        assert (response.status_code, problem(response)) == (405, "method-not-allowed")
        assert "GET" in response["Allow"]


@BOTH
class TestErrors:
    @pytest.mark.parametrize(
        ("name", "status", "code"),
        [
            ("invalid", 400, "invalid"),
            ("settings", 503, "misconfigured"),
            ("picture", 415, "not-a-picture"),
            ("storage", 503, "unavailable"),
        ],
    )
    def test_our_errors_have_their_status(self, path, name, status, code):
        response = Caller().get(path, {"error": name})

        assert (response.status_code, problem(response)) == (status, code)
        assert b"secret" not in response.content

    def test_a_database_that_is_away(self, path, monkeypatch):
        caller = Caller()

        def away(*args):
            raise OperationalError("database is locked")

        monkeypatch.setattr("mediagen.models.token.ApiTokenQuerySet.find", away)

        response = caller.get(path)

        assert (response.status_code, problem(response)) == (503, "unavailable")
        assert int(response["Retry-After"]) > 0


@BOTH
class TestRates:
    def test_more_than_the_rate(self, path, settings):
        settings.MEDIAGEN = {"API_RATES": {"user": "2/hour"}}
        caller, other = Caller(), Caller()

        assert [caller.get(path).status_code for _ in range(3)] == [200, 200, 429]
        response = caller.get(path)
        assert problem(response) == "throttled"
        assert 1 <= int(response["Retry-After"]) <= 3600
        assert other.get(path).status_code == 200

    def test_the_most_generous_role_counts(self, path, settings):
        settings.MEDIAGEN = {"API_RATES": {"user": "1/day", "group:editors": "3/day"}}
        caller = Caller()
        caller.user.groups.add(Group.objects.create(name="editors"))

        assert [caller.get(path).status_code for _ in range(4)] == [200, 200, 200, 429]

    def test_a_role_without_a_limit(self, path, settings):
        settings.MEDIAGEN = {"API_RATES": {"user": "1/day", "staff": None}}
        caller = Caller(UserFactory(may=EVERYTHING, is_staff=True))

        assert [caller.get(path).status_code for _ in range(3)] == [200, 200, 200]

    def test_a_cache_that_is_away_keeps_nobody_out(self, path, settings):
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        settings.MEDIAGEN = {"API_RATES": {"user": "1/day"}}
        caller = Caller()

        assert [caller.get(path).status_code for _ in range(3)] == [200, 200, 200]


class TestPages:
    def test_through_all_pages(self):
        newest_first = [str(MediaAssetFactory().pk) for _ in range(5)][::-1]
        caller, found, address = Caller(), [], "/small/?page_size=2"

        while address:
            page = caller.get(address).json()
            found.append(page["results"])
            address = page["next"]

        assert [len(page) for page in found] == [2, 2, 1]
        assert [pk for page in found for pk in page] == newest_first

    @pytest.mark.parametrize("cursor", ["", "x", "A" * 23, "%00", "ÿ", "MDEyMzQ1Njc4OTAxMjM0NTY", "a" * 5000])
    def test_a_malformed_cursor(self, cursor):
        response = Caller().get("/small/", {"cursor": cursor})

        assert (response.status_code, problem(response)) == (400, "malformed-cursor")

    def test_a_cursor_of_an_asset_that_is_gone(self):
        first, second = MediaAssetFactory(), MediaAssetFactory()
        cursor = encode(second.pk)
        MediaAsset.objects.filter(pk=second.pk).delete()

        assert Caller().get("/small/", {"cursor": cursor}).json()["results"] == [str(first.pk)]

    @pytest.mark.parametrize("size", ["0", "-1", "201", "x", "", "9" * 5000, "٣"])
    def test_a_wrong_size(self, size):
        assert Caller().get("/small/", {"page_size": size}).json()["field"] == "page_size"


class TestOtherAddresses:
    @pytest.mark.parametrize("path", ["", "nothing/", "assets/1/", "schema//"])
    @pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
    def test_are_answered_in_the_same_form(self, path, method):
        response = getattr(Client(), method)(f"/deep/in/a/site/{path}")

        assert (response.status_code, problem(response)) == (404, "not-found")


class TestSchema:
    def test_names_this_include_and_no_other_host(self):
        response = Client().get("/deep/in/a/site/schema/")

        document = json.loads(response.content)
        assert response.status_code == 200
        assert document["openapi"] == "3.1.0"
        assert document["servers"] == [{"url": "/deep/in/a/site"}]

    def test_page_runs_no_script_of_its_own_and_no_foreign_one(self):
        page = Client().get("/deep/in/a/site/docs/")

        text = page.content.decode()
        assert page.status_code == 200
        assert 'data-schema="/deep/in/a/site/schema/"' in text
        assert "<script>" not in text
        assert "style=" not in text
        assert "//" not in text.replace("<!doctype html>", "")
        for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
            file = Client().get(f"/deep/in/a/site/docs/{name}")
            assert (file.status_code, len(b"".join(file.streaming_content)) > 50_000) == (200, True)
        assert Client().get("/deep/in/a/site/docs/other.js").status_code == 404


def test_a_method_without_a_right_is_no_class():
    with pytest.raises(TypeError, match="delete"):

        class Forgetful(APIBase):
            rights = {"GET": Right.READ}

            def get(self, request): ...
            def delete(self, request): ...


def test_the_documentation_lists_every_problem():
    from mediagen.api.problems import KINDS
    from tests.docs.pages import names_in, table

    listed = {names_in(row[0])[0]: int(row[1]) for row in table("docs/api.md", "problem", "status", "when")}

    assert listed == {kind.code: kind.status for kind in KINDS}
