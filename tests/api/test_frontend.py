"""What a frontend asks first: who am I, what may I do, what did I ask for, why did it fail; and typing mistakes."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.utils import translation

from mediagen.api.shown import GENERATION_STATES
from mediagen.engine import get_media_engine
from mediagen.engine.generation import failures
from mediagen.engine.library import facets
from mediagen.engine.money.ledger import BudgetUsedUp
from mediagen.errors import (
    BadResponse,
    JobFailed,
    Misconfigured,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StorageFailed,
    UnsupportedRequest,
)
from mediagen.execution import ChainOutcome
from mediagen.models.asset import FailureCode
from mediagen.types import uuid7
from tests.api.callers import EVERYTHING, Caller
from tests.engine.work.working import use_local
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory, UserFactory

pytestmark = pytest.mark.django_db

API = "/api/v1/"
ASSETS = f"{API}assets/"
GENERATIONS = f"{API}generations/"


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


# ---------------------------------------------------------------------- who am I


class TestMe:
    def test_a_token_says_all_that_it_may(self, settings):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "API_RATES": {"user": "100/hour"}, "API_GENERATE_RATES": {}}
        library = MediaLibraryFactory(name="Press")
        caller = Caller(scopes=("read", "generate"), library=library)
        caller.get(ASSETS)

        body = caller.get(f"{API}me/").json()

        assert body["user"] == caller.user.username
        assert body["may"] == {"read": True, "generate": True, "change": False, "approve": False, "delete": False}
        assert (body["token"]["scopes"], body["token"]["library"]["name"]) == (["read", "generate"], "Press")
        assert (body["limits"]["requests"]["requests"], body["limits"]["requests"]["remaining"]) == (100, 98)
        assert body["limits"]["generations"] is None
        assert body["is_dry"] is True
        assert "mgt_" not in str(body)

    def test_a_session_has_no_token(self, client):
        client.force_login(UserFactory(may=["view_mediaasset"], is_staff=False))
        body = client.get(f"{API}me/").json()
        assert (body["token"], body["may"]["read"], body["may"]["generate"]) == (None, True, False)


class TestMay:
    def test_each_asset_says_what_may_be_done_with_it(self):
        caller = Caller(UserFactory(may=EVERYTHING, is_staff=False), scopes=("read", "change"))
        mine = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=caller.user))
        shared = MediaLibraryFactory(owner=UserFactory())
        group = caller.user.groups.create(name="viewers")
        shared.viewer_groups.add(group)
        theirs = MediaAssetFactory(ready=True, library=shared)

        rows = {row["id"]: row["may"] for row in caller.get(ASSETS).json()["results"]}

        may = {"change": True, "approve": False, "delete": True, "export": True, "generate": False}
        assert rows == {str(mine.pk): may, str(theirs.pk): dict.fromkeys(may, False)}
        assert caller.get(f"{ASSETS}{theirs.pk}/").json()["may"] == dict.fromkeys(may, False)

    def test_a_page_of_many_libraries_costs_no_query_more(self, django_assert_max_num_queries):
        caller = Caller(UserFactory(may=EVERYTHING, is_staff=False))
        for _ in range(8):
            owner = UserFactory()
            asset = MediaAssetFactory(ready=True, created_by=owner, reviewed_by=owner, failure="x")
            asset.tags.add(MediaTagFactory())
        with django_assert_max_num_queries(11):
            assert len(caller.get(ASSETS).json()["results"]) == 8


def test_who_did_what_is_shown_and_asked_for():
    caller = Caller()
    mine = MediaAssetFactory(ready=True, created_by=caller.user, original_name="pier.png", source="uploaded")
    theirs = MediaAssetFactory(ready=True, created_by=UserFactory(username="bob"))
    caller.send(f"{ASSETS}{theirs.pk}/approve/", {"notes": "good"})

    body = caller.get(f"{ASSETS}{theirs.pk}/").json()
    assert (body["created_by"], body["reviewed_by"], body["review_notes"]) == ("bob", caller.user.username, "good")
    assert body["reviewed_at"].endswith("Z")
    assert body["deleted_at"] is None
    assert caller.get(f"{ASSETS}{mine.pk}/").json()["original_name"] == "pier.png"
    for query, found in (
        ("mine=true", mine),
        ("created_by=bob", theirs),
        ("review=approved", theirs),
        (f"created_by={caller.user.username}", mine),
    ):
        assert [row["id"] for row in caller.get(f"{ASSETS}?{query}").json()["results"]] == [str(found.pk)], query
    assert caller.get(f"{ASSETS}?created_by=nobody").json()["results"] == []


# ---------------------------------------------------------------------- what did I ask for


class TestGenerations:
    def test_a_page_finds_its_work_after_a_reload(self, settings):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": False}
        caller = Caller()
        first = caller.send(GENERATIONS, {"prompt": "a fox", "count": 2}).json()
        second = caller.send(GENERATIONS, {"prompt": "a hen"}).json()
        Caller().send(GENERATIONS, {"prompt": "somebody else's"})

        body = caller.get(GENERATIONS).json()

        assert [one["id"] for one in body["results"]] == [second["id"], first["id"]]
        assert [len(one["assets"]) for one in body["results"]] == [1, 2]
        page = caller.get(GENERATIONS, {"page_size": 1}).json()
        assert [one["id"] for one in caller.get(page["next"]).json()["results"]] == [first["id"]]

    @pytest.mark.parametrize(
        ("states", "word"),
        [
            (("pending", "pending"), "pending"),
            (("pending", "ready"), "running"),
            (("running",), "running"),
            (("ready", "ready"), "ready"),
            (("ready", "failed"), "partial"),
            (("failed", "cancelled"), "failed"),
            (("cancelled",), "cancelled"),
            (("interrupted", "cancelled"), "interrupted"),
            (("interrupted", "ready"), "partial"),
        ],
    )
    def test_by_state(self, states, word):
        caller, pk = Caller(), uuid7()
        for state in states:
            ready = {"ready": True} if state == "ready" else {"generation_state": state}
            MediaAssetFactory(created_by=caller.user, generation_id=pk, **ready)
        every = GENERATION_STATES
        found = {one: caller.get(GENERATIONS, {"state": one}).json()["results"] for one in every}
        assert [one for one in every if found[one]] == [word]
        assert found[word][0]["state"] == word
        assert len(caller.get(GENERATIONS, {"state": ",".join(every)}).json()["results"]) == 1

    def test_another_word_is_refused_with_the_choices(self):
        response = Caller().get(GENERATIONS, {"state": "soon"})
        assert (response.status_code, response.json()["field"]) == (400, "state")
        assert "partial" in response.json()["detail"]

    def test_a_library_that_was_left_shows_nothing(self):
        caller = Caller()
        library = MediaLibraryFactory(owner=caller.user)
        MediaAssetFactory(library=library, created_by=caller.user, generation_id=uuid7())
        library.owner = UserFactory()
        library.save()
        assert caller.get(GENERATIONS).json()["results"] == []


def test_a_token_that_only_generates_watches_what_it_made(settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": False}
    caller = Caller(scopes=("generate",))
    other = MediaAssetFactory(created_by=UserFactory(), generation_id=uuid7())
    made = caller.send(GENERATIONS, {"prompt": "a fox"}).json()

    assert caller.get(made["url"]).json()["state"] == "pending"
    assert [one["id"] for one in caller.get(GENERATIONS).json()["results"]] == [made["id"]]
    assert caller.get(f"{GENERATIONS}{other.generation_id}/").status_code == 404
    assert caller.get(ASSETS).status_code == 403
    assert Caller(caller.user, scopes=("change",)).get(made["url"]).status_code == 403


# ---------------------------------------------------------------------- why did it fail


class TestFailure:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (Refused, "moderation"),
            (JobFailed, "outage"),
            (RateLimited, "rate_limited"),
            (OutcomeUnknown, "unknown"),
            (UnsupportedRequest, "unsupported"),
            (Misconfigured, "misconfigured"),
            (BadResponse, "outage"),
            (RuntimeError, "error"),
        ],
    )
    def test_what_a_provider_said_becomes_a_code(self, settings, error, code):
        async def answer(prompt):
            raise error("it said so")

        use_local(settings, answer)
        assert get_media_engine().generate_asset_from_prompt_sync("a fox") is None
        assert Caller().get(ASSETS).json()["results"][0]["failure"]["code"] == code

    def test_a_used_up_budget_and_a_full_storage(self):
        outcome = ChainOutcome("generate_image", None, [], vetoes=[BudgetUsedUp("used up")])
        assert failures.of_outcome(outcome) == "budget"
        assert failures.of_exception(StorageFailed("full")) == "storage"

    def test_a_code_beside_the_text(self):
        asset = MediaAssetFactory(generation_state="failed", failure="sdxl: secret words", failure_code="moderation")
        failure = Caller().get(f"{ASSETS}{asset.pk}/").json()["failure"]
        assert (failure["code"], failure["retryable"], failure["detail"]) == ("moderation", False, "sdxl: secret words")
        assert failure["message"] == "The request was refused by a provider's moderation."
        assert failure["hint"]
        assert Caller().get(failure["attempts_url"]).status_code == 200

    def test_nothing_went_wrong(self):
        assert Caller().get(f"{ASSETS}{MediaAssetFactory(ready=True).pk}/").json()["failure"] is None

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"generation_state": "cancelled", "failure_code": "outage"}, "cancelled"),
            ({"generation_state": "pending", "failure": "later"}, "waiting"),
            ({"generation_state": "failed", "failure": "old row"}, "error"),
        ],
    )
    def test_the_state_goes_first(self, fields, code):
        asset = MediaAssetFactory(**fields)
        assert Caller().get(f"{ASSETS}{asset.pk}/").json()["failure"]["code"] == code

    def test_every_code_has_words(self):
        assert set(failures.MEANINGS) == set(FailureCode)
        with translation.override("de"):
            assert failures.told("moderation")["code"] == "moderation"


# ---------------------------------------------------------------------- typing mistakes


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("assets/?libary=press", "library"),
        ("assets/?status=draft", "state"),
        ("assets/?generation_state=ready", "state"),
        ("libraries/?pagesize=2", "page_size"),
        ("stats/?perod=30d", "period"),
        ("generations/?stat=ready", "state"),
        ("batches/?x=1", "There are"),
        ("me/?x=1", "There are none"),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_near_ones(path, near):
    response = Caller().get(f"{API}{path}")
    assert (response.status_code, response.json()["type"]) == (400, "urn:mediagen:problem:invalid")
    assert response.json()["field"] == path.partition("?")[2].partition("=")[0]
    assert near in response.json()["detail"]


def test_an_unknown_field_too():
    response = Caller().send(GENERATIONS, {"promt": "a fox", "prompt": "a fox"})
    assert response.json()["errors"] == [{"field": "promt", "detail": "There is no such field. Did you mean prompt?"}]
    response = Caller().post(ASSETS, {"libary": "x"})
    assert {"libary", "file"} >= {error["field"] for error in response.json()["errors"]}
    assert "Did you mean library" in str(response.json())


def test_tags_are_set_by_patch():
    caller, asset = Caller(), MediaAssetFactory(ready=True)
    asset.tags.add(MediaTagFactory(name="old"))
    body = caller.send(f"{ASSETS}{asset.pk}/", {"tags": ["sea", "Sea", "fox"], "name": "Pier"}, "patch").json()
    assert (body["name"], {tag.casefold() for tag in body["tags"]}) == ("Pier", {"fox", "sea"})
    assert caller.send(f"{ASSETS}{asset.pk}/", {"tags": []}, "patch").json()["tags"] == []
    assert caller.send(f"{ASSETS}{asset.pk}/", {"tags": ["a" * 101]}, "patch").status_code == 400


# ---------------------------------------------------------------------- lists


class TestLists:
    def test_what_there_is_to_filter_by(self):
        caller = Caller()
        sea = MediaTagFactory(name="sea")
        for provider in ("sdxl", "sdxl", "flux"):
            MediaAssetFactory(ready=True, provider_name=provider, model_name="core").tags.add(sea)
        MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()), provider_name="hidden")

        body = caller.get(f"{ASSETS}facets/").json()

        assert body["providers"] == [{"name": "sdxl", "count": 2}, {"name": "flux", "count": 1}]
        assert (body["tags"], body["models"]) == ([{"name": "sea", "count": 3}], [{"name": "core", "count": 3}])
        assert (body["counted"], body["is_capped"]) == (3, False)
        assert caller.get(f"{ASSETS}facets/?provider=flux").json()["tags"] == [{"name": "sea", "count": 1}]

    def test_the_newest_are_counted_of_many(self, monkeypatch):
        monkeypatch.setattr(facets, "MOST_ASSETS", 2)
        for provider in ("old", "new", "new"):
            MediaAssetFactory(ready=True, provider_name=provider)
        body = Caller().get(f"{ASSETS}facets/").json()
        assert (body["providers"], body["counted"], body["is_capped"]) == ([{"name": "new", "count": 2}], 2, True)

    def test_the_oldest_first_through_all_pages(self):
        caller, pks = Caller(), [str(MediaAssetFactory().pk) for _ in range(5)]
        page = caller.get(ASSETS, {"ordering": "created_at", "page_size": 2, "count": "true"}).json()
        found = [row["id"] for row in page["results"]]
        assert page["count"] == 5
        while page["next"]:
            page = caller.get(page["next"]).json()
            found += [row["id"] for row in page["results"]]
        assert found == pks
        assert "count" not in caller.get(ASSETS).json()
        assert caller.get(ASSETS, {"ordering": "name"}).json()["field"] == "ordering"
        assert caller.get(ASSETS, {"count": "yes"}).json()["field"] == "count"

    def test_a_picture_in_several_widths(self, client):
        asset = MediaAssetFactory(ready=True, alt_text="A pier")
        asset.width, asset.height = 1000, 500
        asset.save()
        body = Caller().get(f"{ASSETS}{asset.pk}/srcset/").json()
        assert [one["width"] for one in body["sources"]] == [320, 640, 960, 1000]
        assert [one["height"] for one in body["sources"]] == [160, 320, 480, 500]
        assert (body["alt"], body["srcset"].count("w, ") + 1) == ("A pier", 4)
        real = Caller().get(f"{ASSETS}{MediaAssetFactory(ready=True).pk}/srcset/").json()
        assert client.get(real["src"])["Content-Type"] == "image/webp"
        assert Caller().get(f"{ASSETS}{asset.pk}/srcset/?format=bmp").status_code == 400
        assert Caller().get(f"{ASSETS}{MediaAssetFactory().pk}/srcset/").status_code == 409
