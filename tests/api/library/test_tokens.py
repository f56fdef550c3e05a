"""tokens/: a text is told once, and a token never makes one that may more than itself; tokens for tests buy nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from mediagen.engine.library import tokens
from mediagen.engine.work import jobs
from mediagen.errors import InvalidRequest
from mediagen.models import ApiToken, AssetExport, GenerationState, MediaAsset
from mediagen.models.clock import db_now
from tests.api.callers import EVERYTHING, SCOPES, Caller
from tests.engine.work.working import use_local
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

API = "/api/v1/"
TOKENS = f"{API}tokens/"
MAY = [*EVERYTHING, "view_apitoken", "add_apitoken", "change_apitoken"]


def caller(**fields: Any) -> Caller:
    return Caller(UserFactory(may=MAY), **{"scopes": (*SCOPES, "manage"), **fields})


def bearer(text: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"})


class TestMaking:
    def test_its_text_is_in_one_answer(self):
        mine = caller()
        response = mine.send(TOKENS, {"name": " shop ", "scopes": ["read"]})
        body = response.json()
        assert response.status_code == 201, body
        assert (body["name"], body["scopes"], body["state"], body["is_test"]) == ("shop", ["read"], "valid", False)
        assert bearer(body["token"]).get(f"{API}me/").json()["token"]["id"] == body["id"]
        for path in (TOKENS, body["url"]):
            assert body["token"] not in mine.get(path).text
        assert response["Cache-Control"] == "private, no-store"

    @pytest.mark.parametrize(
        ("field", "given"),
        [
            ("scopes", {"scopes": ["read", "approve"]}),
            ("library", {"library": None}),
            ("expires_at", {"expires_at": None}),
            ("expires_at", {"expires_at": "2999-01-01T00:00:00Z"}),
            ("is_test", {"is_test": False}),
            ("user", {"user": "somebody"}),
        ],
    )
    def test_never_more_than_the_token_that_asks(self, field, given):
        end = db_now() + timedelta(hours=2)
        own = MediaLibraryFactory()
        mine = caller(scopes=("read", "manage"), library=own, expires_at=end, is_test=True)
        fits = {"name": "x", "scopes": ["read"], "is_test": True, "expires_at": (end - timedelta(hours=1)).isoformat()}
        other = MediaLibraryFactory()
        asked = {**fits, **({"library": str(other.pk)} if field == "library" else given)}
        response = mine.send(TOKENS, asked)
        assert (response.status_code, response.json()["field"]) == (400, field)
        body = mine.send(TOKENS, fits).json()
        assert body["library"]["id"] == str(own.pk)

    def test_a_superuser_makes_one_for_somebody_else(self):
        boss, other = Caller(UserFactory(is_superuser=True), scopes=("manage", "read")), UserFactory()
        body = boss.send(TOKENS, {"name": "x", "scopes": ["read"], "user": other.username}).json()
        assert body["user"] == other.username

    def test_wrong_times_and_names(self):
        for given in ({"expires_at": "soon"}, {"expires_at": "2020-01-01T00:00:00Z"}, {"library": "none such"}):
            response = caller().send(TOKENS, {"name": "x", "scopes": ["read"], **given})
            assert (response.status_code, response.json()["field"]) == (400, *given)


class TestEnding:
    def test_a_token_sees_itself_and_its_own_and_they_end_with_it(self):
        mine = caller()
        child = mine.send(TOKENS, {"name": "child", "scopes": ["read", "manage"]}).json()
        grandchild = bearer(child["token"]).post(
            TOKENS, {"name": "grandchild", "scopes": ["read"]}, content_type="application/json"
        )
        other, _ = ApiToken.objects.issue(mine.user, "strong", scopes=["approve"])
        assert [row["name"] for row in mine.get(TOKENS).json()["results"]] == ["grandchild", "child", "test"]
        assert mine.send(f"{TOKENS}{other.pk}/rotate/", {}).status_code == 404

        assert mine.send(f"{child['url']}revoke/", {}).json()["state"] == "revoked"

        for text in (child["token"], grandchild.json()["token"]):
            assert bearer(text).get(f"{API}me/").status_code == 401
        assert mine.send(f"{child['url']}rotate/", {}).status_code == 409

    def test_rotated(self):
        mine = caller()
        child = mine.send(TOKENS, {"name": "child", "scopes": ["read"], "is_test": True}).json()
        again = mine.send(f"{child['url']}rotate/", {}).json()
        assert again["token"].startswith("mgt_test_")
        assert bearer(child["token"]).get(f"{API}me/").status_code == 401
        assert bearer(again["token"]).get(f"{API}me/").json()["is_dry"] is True

    def test_those_that_were_made_with_one_go_with_its_row(self):
        mine = caller()
        child = mine.send(TOKENS, {"name": "child", "scopes": ["read"]}).json()["token"]
        mine.token.delete()
        assert bearer(child).get(f"{API}me/").status_code == 401

    def test_none_is_made_with_one_that_ended_meanwhile(self):
        mine = caller()
        tokens.revoke([ApiToken.objects.get(pk=mine.token.pk).pk])
        with pytest.raises(InvalidRequest, match="was revoked"):
            tokens.issue(mine.user, "late", scopes=["read"], made_by=mine.token)

    def test_a_session_has_all_of_its_own(self, client):
        user = UserFactory(may=MAY)
        client.force_login(user)
        ApiToken.objects.issue(user, "one", scopes=["read"])
        ApiToken.objects.issue(UserFactory(), "another's", scopes=["read"])
        assert [row["name"] for row in client.get(TOKENS).json()["results"]] == ["one"]


class TestForTests:
    """Every door that could buy: with a token for tests nothing is sent."""

    @pytest.fixture(autouse=True)
    def live_site(self, settings):
        async def bought(prompt):
            raise AssertionError("a token for tests has bought")

        use_local(settings, bought)
        settings.MEDIAGEN = {**settings.MEDIAGEN, "DRY_RUN": False}

    @pytest.fixture
    def mine(self):
        return Caller(scopes=SCOPES, is_test=True)

    def test_pictures_are_placeholders(self, mine):
        for path, body in (
            ("generations/", {"prompt": "a fox"}),
            ("openai/v1/images/generations", {"prompt": "a fox"}),
            ("batches/", {"manifest": "prompt\na fox\n", "paused": True}),
        ):
            response = mine.send(f"{API}{path}", body)
            assert response.status_code < 300, response.content
        assert {asset.parameters["dry_run"] for asset in MediaAsset.objects.all()} == {True}
        response = mine.send(f"{API}generations/", {"prompt": "a fox", "dry_run": False})
        assert (response.status_code, response.json()["field"]) == (400, "dry_run")
        assert mine.send(f"{API}generations/estimate/", {"prompt": "a fox"}).json()["is_free"] is True

    def test_an_option_does_not_take_the_tokens_place(self, mine):
        body = {"manifest": "prompt\na cow\n", "defaults": {"options": {"dry_run": False}}}
        response = mine.send(f"{API}batches/", body)
        assert (response.status_code, response.json()["field"]) == (400, "options")
        assert not MediaAsset.objects.exists()

    def test_what_was_asked_for_live_is_not_tried_again(self, mine):
        failed = MediaAssetFactory(generation_state=GenerationState.FAILED, created_by=mine.user)
        assert mine.send(f"{API}generations/{failed.pk}/retry/", {}).status_code == 403
        live = Caller(mine.user)
        batch = live.send(f"{API}batches/", {"manifest": "prompt\na cat\n", "paused": True}).json()
        for action in ("start", "resume", "retry"):
            assert mine.send(f"{batch['url']}{action}/", {}).status_code == 403
        failed.refresh_from_db()
        assert failed.generation_state == GenerationState.FAILED

    def test_jobs(self, mine):
        ready = MediaAssetFactory(ready=True, prompt="a fox", source="generated")
        failed = MediaAssetFactory(generation_state=GenerationState.FAILED)
        again = mine.send(f"{API}jobs/", {"kind": "generate_again", "asset_ids": [str(ready.pk)]}).json()
        retried = mine.send(f"{API}jobs/", {"kind": "retry_failed", "asset_ids": [str(failed.pk)]}).json()
        jobs.work_off()
        child = MediaAsset.objects.get(parent=ready)
        assert child.parameters["dry_run"] is True
        assert mine.get(again["url"]).json()["made"] == [str(child.pk)]
        assert "for tests" in mine.get(retried["url"]).json()["errors"][0]["message"]

    def test_exports(self, mine):
        asset = MediaAssetFactory(ready=True)
        body = {"asset": str(asset.pk), "target": "canva"}
        assert mine.send(f"{API}exports/", body).status_code == 202
        assert AssetExport.objects.get().options["dry_run"] is True
        assert mine.send(f"{API}exports/", {**body, "dry_run": False}).json()["field"] == "dry_run"
        AssetExport.objects.update(state="failed", options={})
        assert mine.send(f"{API}exports/{AssetExport.objects.get().pk}/retry/", {}).status_code == 403
