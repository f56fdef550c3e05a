from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.db import connection
from django.test import AsyncClient
from django.utils import timezone

from mediagen.errors import Refused, Unavailable
from mediagen.models import (
    GenerationAttempt,
    IdempotentRequest,
    MediaAsset,
    MediaLibrary,
    ProviderConfig,
    ProviderHealth,
)
from tests.api.callers import EVERYTHING, SCOPES, Caller, problem
from tests.engine.work.serving_thread import in_server, wait_until  # noqa: F401 - a fixture
from tests.engine.work.working import use_local, work
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, MediaLibraryFactory, UserFactory

URL = "/api/v1/generations/"
ASK: dict[str, Any] = {"prompt": "a lighthouse", "width": 16, "height": 16}


@pytest.fixture
def caller(db) -> Caller:
    return Caller()


@pytest.fixture
def other_library(db) -> MediaLibrary:
    return MediaLibraryFactory(owner=UserFactory())


class TestAsking:
    def test_answers_at_once_with_the_pending_asset(self, caller):
        response = caller.send(URL, {**ASK, "name": "North", "tags": ["sea"], "alt_text": "A tower."})

        body = response.json()
        assert (response.status_code, body["state"]) == (202, "pending")
        assert response["Location"] == body["url"]
        nothing = {"cost": "0.000000", "unsettled": 0, "possible_cost": "0.000000", "of_unknown_cost": 0}
        assert caller.get(body["url"]).json() == {**body, "estimate": None, "billing": nothing}
        [asset] = body["assets"]
        kept = MediaAsset.objects.get(pk=asset["id"])
        assert (kept.generation_state, kept.prompt, kept.name, kept.tag_names) == (
            "pending", "a lighthouse", "North", ["sea"],
        )  # fmt: skip
        assert (kept.created_by, str(kept.generation_id)) == (caller.user, body["id"])
        assert body["estimate"]["is_free"] is True

    def test_several_at_once_with_following_seeds(self, caller):
        body = caller.send(URL, {**ASK, "count": 3, "seed": 7}).json()

        assert [asset["seed"] for asset in body["assets"]] == [7, 8, 9]
        assert {asset["generation_id"] for asset in body["assets"]} == {body["id"]}
        assert body["estimate"]["pictures"] == 3

    @pytest.mark.parametrize(
        ("asked", "size"),
        [
            ({}, (1024, 1024)),
            ({"width": 640}, (640, 1024)),
            ({"aspect_ratio": "16:9"}, (1368, 768)),
            ({"aspect_ratio": "1:1"}, (1024, 1024)),
            ({"aspect_ratio": "2:3", "width": 800}, (800, 1200)),
            ({"aspect_ratio": "2:3", "height": 900}, (600, 900)),
            ({"width": None, "height": None, "seed": None, "dry_run": None, "library": None}, (1024, 1024)),
        ],
    )
    def test_sizes(self, caller, asked, size):
        [asset] = caller.send(URL, {"prompt": "a lighthouse", **asked}).json()["assets"]

        assert (asset["parameters"]["width"], asset["parameters"]["height"]) == size

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"prompt": ""}, "prompt"),
            ({"prompt": "   "}, "prompt"),
            ({"prompt": 5}, "prompt"),
            ({"prompt": None}, "prompt"),
            ({"prompt": "a\x00b"}, "prompt"),
            ({"prompt": "a\ud800b"}, "prompt"),
            ({"prompt": "x" * 32_001}, "prompt"),
            ({"width": 0}, "width"),
            ({"width": 10**9}, "width"),
            ({"width": 10**400}, "width"),
            ({"width": "16"}, "width"),
            ({"width": 16.5}, "width"),
            ({"width": True}, "width"),
            ({"height": -1}, "height"),
            ({"aspect_ratio": "16:9"}, "aspect_ratio"),
            ({"height": None, "aspect_ratio": "0:9"}, "aspect_ratio"),
            ({"height": None, "aspect_ratio": "wide"}, "aspect_ratio"),
            ({"height": None, "aspect_ratio": "99999:1"}, "aspect_ratio"),
            ({"count": 0}, "count"),
            ({"count": 11}, "count"),
            ({"seed": -1}, "seed"),
            ({"seed": 2**63 - 1, "count": 2}, "seed"),
            ({"library": "nowhere"}, "library"),
            ({"library": str(uuid4())}, "library"),
            ({"library": "\x00"}, "library"),
            ({"provider": "nobody"}, "providers"),
            ({"providers": ["sdxl", "nobody"]}, "providers"),
            ({"provider": "sdxl", "providers": ["flux"]}, "providers"),
            ({"options": {"no_such_option": 1}}, "options"),
            ({"options": {"style_preset": "animee"}, "provider": "sdxl"}, "options"),
            ({"options": [1]}, "options"),
            ({"options": {"style_preset": {"a": [{}] * 3}}, "provider": "sdxl"}, "options"),
            ({"dry_run": "yes"}, "dry_run"),
            ({"on_placeholder": "maybe"}, "on_placeholder"),
            ({"on_placeholder": "fail", "provider": "noop_media"}, "on_placeholder"),
            ({"tags": ["x" * 101]}, "tags"),
            ({"tags": "sea"}, "tags"),
            ({"name": "x" * 256}, "name"),
            ({"widht": 16}, "widht"),
        ],
    )
    def test_what_cannot_be_is_refused_by_its_field(self, caller, wrong, field):
        response = caller.send(URL, {**ASK, **wrong})

        assert (response.status_code, problem(response)) == (400, "invalid")
        assert response.json()["field"].partition(".")[0] == field
        assert not MediaAsset.objects.exists()

    def test_options_too_deep_for_anybody(self, caller):
        deep: Any = 1
        for _ in range(500):
            deep = {"a": deep}

        assert caller.send(URL, {**ASK, "options": {"x": deep}}).json()["field"] == "options"

    def test_a_prompt_of_ten_megabytes(self, caller):
        response = caller.send(URL, {**ASK, "prompt": "x" * 10_000_000})

        assert (response.status_code, problem(response)) == (413, "too-large")

    def test_stand_ins_may_be_refused(self, caller):
        [asset] = caller.send(URL, {**ASK, "on_placeholder": "fail"}).json()["assets"]

        assert "noop_media" not in asset["parameters"]["providers"]
        assert asset["parameters"]["providers"][0] == "sdxl"


class TestLibraries:
    @pytest.mark.parametrize("word", ["pk", "slug", "name"])
    def test_by_id_slug_or_name(self, caller, word):
        library = MediaLibraryFactory(name="Sea and sky")

        body = caller.send(URL, {**ASK, "library": str(getattr(library, word))}).json()

        assert body["assets"][0]["library"] == str(library.pk)

    def test_one_of_somebody_else_is_as_if_it_were_not_there(self, caller, other_library):
        hidden = caller.send(URL, {**ASK, "library": str(other_library.pk)})
        absent = caller.send(URL, {**ASK, "library": str(uuid4())})

        assert hidden.json() == absent.json()
        assert hidden.status_code == absent.status_code == 400

    def test_one_that_may_only_be_looked_into(self, caller, other_library):
        from tests.factories import GroupFactory

        group = GroupFactory()
        caller.user.groups.add(group)
        other_library.viewer_groups.add(group)

        response = caller.send(URL, {**ASK, "library": other_library.slug})

        assert (response.status_code, problem(response)) == (403, "forbidden")

    def test_the_default_one_may_be_closed(self, caller):
        MediaLibraryFactory(name="Default", owner=UserFactory())

        assert caller.send(URL, ASK).status_code == 403

    def test_a_token_of_one_library_stays_in_it(self, db):
        library, other = MediaLibraryFactory(), MediaLibraryFactory()
        caller = Caller(library=library)

        assert caller.send(URL, ASK).json()["assets"][0]["library"] == str(library.pk)
        assert caller.send(URL, {**ASK, "library": other.slug}).status_code == 400


class TestMoney:
    def test_an_estimate_makes_nothing(self, caller, settings):
        use_local(settings, price=Decimal("0.10"))

        body = caller.send(URL + "estimate/", {**ASK, "count": 4}).json()

        assert (body["cheapest"], body["dearest"], body["is_free"]) == ("0.40", "0.40", False)
        assert body["prices"] == [{"provider": "local", "usd": "0.10", "at_most": ""}]
        assert not MediaAsset.objects.exists()

    def test_a_library_whose_budget_does_not_leave_it(self, caller, settings):
        use_local(settings, price=Decimal("0.10"), RUN_IN_SERVER=False)
        library = MediaLibraryFactory(budget_limit=Decimal("0.25"))

        assert caller.send(URL, {**ASK, "library": library.slug, "count": 2}).status_code == 202
        response = caller.send(URL, {**ASK, "library": library.slug, "count": 3})

        assert (response.status_code, problem(response)) == (402, "budget-used-up")
        assert "$0.25" in response.json()["detail"]
        assert MediaAsset.objects.count() == 2

    def test_a_provider_whose_budget_is_used_up(self, caller, settings):
        settings.MEDIAGEN = {"DRY_RUN": False}
        ProviderConfig.objects.exclude(name="sdxl").update(enabled=False)
        ProviderConfig.objects.filter(name="sdxl").update(budget_limit=Decimal("0.01"))
        sdxl = ProviderConfig.objects.get(name="sdxl")
        sdxl.credentials = "made-up-key"
        sdxl.save()

        response = caller.send(URL, {"prompt": "a lighthouse"})

        assert (response.status_code, problem(response)) == (402, "budget-used-up")

    def test_everybody_is_cooling_down(self, caller, settings):
        use_local(settings, RUN_IN_SERVER=False)
        ProviderHealth.objects.create(
            provider_name="local",
            operation="generate_image",
            state="open",
            open_until=timezone.now() + timedelta(seconds=90),
            failures=5,
            openings=1,
        )

        response = caller.send(URL, ASK)

        assert (response.status_code, problem(response)) == (503, "providers-cooling-down")
        assert 80 <= int(response["Retry-After"]) <= 90
        assert not MediaAsset.objects.exists()
        assert caller.send(URL, {**ASK, "dry_run": True}).status_code == 202


@pytest.mark.usefixtures("in_server")
class TestWaiting:
    def test_for_the_finished_pictures(self, settings):
        use_local(settings)

        response = Caller().send(URL, {**ASK, "count": 2}, Prefer="respond-async, wait=20")

        body = response.json()
        assert (response.status_code, body["state"]) == (201, "ready")
        assert response["Preference-Applied"] == "wait=5", "a sync server's worker is not held for longer"
        assert {asset["provider"] for asset in body["assets"]} == {"local"}
        assert all(asset["file_url"] and Decimal(asset["cost"]) == Decimal("0.10") for asset in body["assets"])

    def test_no_longer_than_asked(self, settings):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": False}

        response = Caller().send(URL, ASK, Prefer="wait=1")

        assert (response.status_code, response.json()["state"]) == (202, "pending")

    def test_a_stream_of_a_sync_server_ends_early_and_says_when_to_come_back(self, settings, monkeypatch):
        settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": False}
        monkeypatch.setattr("mediagen.api.generation.generations.WSGI_WAIT_S", 0.1)
        caller = Caller()

        response = caller.send(URL, ASK, Accept="text/event-stream")

        text = b"".join(response).decode()
        assert ("retry: 2000" in text, "event: asset" in text, "event: done" in text) == (True, True, False)
        again = b"".join(caller.get(f"{response['Location']}events")).decode()
        assert ("event: asset" in again, "event: done" in again) == (True, False)

    def test_a_failure_is_told_as_soon_as_it_is_known(self, settings):
        async def answer(prompt):
            raise Refused("local: moderation refused it.")

        use_local(settings, answer)
        response = Caller().send(URL, ASK, Prefer="wait=60")

        body = response.json()
        assert (response.status_code, body["state"]) == (202, "failed")
        assert "moderation" in body["assets"][0]["failure"]["detail"]

    @pytest.mark.parametrize("prefer", ["wait=x", "wait=-1", "wait=", "handling=lenient", "wait", "wait=1.5", "=", ";"])
    def test_a_preference_that_is_none_is_left_aside(self, settings, prefer):
        response = Caller().send(URL, ASK, Prefer=prefer)

        assert response.status_code == 202
        assert "Preference-Applied" not in response


class TestIdempotency:
    KEY = {"Idempotency-Key": "7f1c"}

    def test_the_same_request_gives_the_same_assets(self, caller):
        first = caller.send(URL, {**ASK, "count": 2}, **self.KEY)
        second = caller.send(URL, {"count": 2, **ASK}, **self.KEY)

        assert (first.status_code, second.status_code) == (202, 202)
        assert [a["id"] for a in second.json()["assets"]] == [a["id"] for a in first.json()["assets"]]
        assert (first.headers.get("Idempotency-Replayed"), second["Idempotency-Replayed"]) == (None, "true")
        assert MediaAsset.objects.count() == 2

    def test_another_body_is_refused(self, caller):
        caller.send(URL, ASK, **self.KEY)
        response = caller.send(URL, {**ASK, "prompt": "a tower"}, **self.KEY)

        assert (response.status_code, problem(response)) == (409, "idempotency-key-reused")
        assert MediaAsset.objects.count() == 1

    def test_keys_are_each_persons_own(self, caller):
        first, second = caller.send(URL, ASK, **self.KEY), Caller().send(URL, ASK, **self.KEY)

        assert first.json()["id"] != second.json()["id"]

    def test_keys_are_each_tokens_own(self, caller, other_library):
        first = caller.send(URL, ASK, **self.KEY)
        bound = Caller(caller.user, library=MediaLibraryFactory(owner=caller.user)).send(URL, ASK, **self.KEY)

        assert (bound.status_code, bound.headers.get("Idempotency-Replayed")) == (202, None)
        assert bound.json()["id"] != first.json()["id"]

    def test_whoever_was_removed_from_the_library_gets_nothing_again(self, caller):
        group = Group.objects.create(name="guests")
        library = MediaLibraryFactory(owner=UserFactory())
        library.editor_groups.add(group)
        caller.user.groups.add(group)
        ask = {**ASK, "library": str(library.pk)}
        first = caller.send(URL, ask, **self.KEY).json()
        caller.user.groups.remove(group)
        refusal = caller.send(URL, ask, **self.KEY)

        assert (refusal.status_code, problem(refusal)) == (403, "forbidden")
        assert first["id"] not in refusal.content.decode()
        assert MediaAsset.objects.count() == 1

    def test_what_was_moved_out_of_reach_is_not_shown_again(self, caller, other_library):
        caller.send(URL, {**ASK, "count": 2}, **self.KEY)
        MediaAsset.objects.filter(pk=MediaAsset.objects.first().pk).update(library=other_library)
        left = caller.send(URL, {**ASK, "count": 2}, **self.KEY).json()["assets"]

        assert [asset["id"] for asset in left] == [
            str(pk) for pk in MediaAsset.objects.exclude(library=other_library).values_list("pk", flat=True)
        ]

    def test_a_refused_request_does_not_use_the_key_up(self, caller):
        assert caller.send(URL, {**ASK, "library": "nowhere"}, **self.KEY).status_code == 400
        assert caller.send(URL, ASK, **self.KEY).status_code == 202

    def test_after_a_day_the_key_is_free(self, caller):
        first = caller.send(URL, ASK, **self.KEY).json()
        IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(hours=25))

        assert caller.send(URL, {**ASK, "prompt": "a tower"}, **self.KEY).json()["id"] != first["id"]

    def test_a_repetition_is_answered_when_the_budget_has_gone_meanwhile(self, caller, settings):
        use_local(settings, RUN_IN_SERVER=False)
        first = caller.send(URL, ASK, **self.KEY).json()
        MediaLibrary.objects.update(budget_limit=0)

        assert caller.send(URL, ASK).status_code == 402
        assert caller.send(URL, ASK, **self.KEY).json()["id"] == first["id"]

    @pytest.mark.parametrize("key", ["x" * 256, "\x07", "é\x00"])
    def test_a_key_that_is_none(self, caller, key):
        assert caller.send(URL, ASK, **{"Idempotency-Key": key}).status_code == 400

    @pytest.mark.django_db(transaction=True)
    def test_at_the_same_moment(self):
        caller = Caller()
        header = caller.defaults["HTTP_AUTHORIZATION"]

        def ask(number: int) -> Any:
            try:
                client = Caller.__new__(Caller)
                super(Caller, client).__init__()
                client.defaults["HTTP_AUTHORIZATION"] = header
                return client.send(URL, {**ASK, "count": 2}, **self.KEY).json()["id"]
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as threads:
            ids = set(threads.map(ask, range(8)))

        assert len(ids) == 1
        assert MediaAsset.objects.count() == 2


class TestOneGeneration:
    def test_of_a_library_of_somebody_else(self, caller, other_library):
        asset = MediaAssetFactory(library=other_library, failed=True, generation_id=uuid4())

        for pk in (asset.generation_id, asset.pk, uuid4()):
            answers = [
                caller.get(f"{URL}{pk}/"),
                caller.get(f"{URL}{pk}/events"),
                caller.send(f"{URL}{pk}/cancel/", {}),
                caller.send(f"{URL}{pk}/retry/", {}),
            ]
            assert {answer.status_code for answer in answers} == {404}
            assert len({answer.content for answer in answers}) == 1

    def test_by_the_id_of_one_asset(self, caller):
        asset = MediaAssetFactory()

        assert caller.get(f"{URL}{asset.pk}/").json()["assets"][0]["id"] == str(asset.pk)

    @pytest.mark.parametrize(
        ("states", "state"),
        [
            (["pending", "pending"], "pending"),
            (["pending", "ready"], "running"),
            (["running", "failed"], "running"),
            (["ready", "ready"], "ready"),
            (["ready", "failed"], "partial"),
            (["failed", "cancelled"], "failed"),
            (["cancelled", "cancelled"], "cancelled"),
        ],
    )
    def test_how_far_it_is(self, caller, states, state):
        pk = uuid4()
        for one in states:
            MediaAssetFactory(generation_id=pk, **({"ready": True} if one == "ready" else {"generation_state": one}))

        assert caller.get(f"{URL}{pk}/").json()["state"] == state

    def test_cancel(self, caller):
        body = caller.send(URL, {**ASK, "count": 2}).json()

        response = caller.send(f"{URL}{body['id']}/cancel/", {})

        assert (response.status_code, response.json()["state"]) == (200, "cancelled")
        again = caller.send(f"{URL}{body['id']}/cancel/", {})
        assert (again.status_code, problem(again)) == (409, "conflict")

    def test_retry(self, caller):
        failed = MediaAssetFactory(failed=True, generation_id=uuid4())
        ready = MediaAssetFactory(ready=True, generation_id=failed.generation_id)

        response = caller.send(f"{URL}{failed.generation_id}/retry/", {})

        assert response.status_code == 202
        failed.refresh_from_db()
        ready.refresh_from_db()
        assert (failed.generation_state, ready.generation_state) == ("pending", "ready")
        MediaAsset.objects.filter(pk=failed.pk).update(generation_state="running")
        assert caller.send(f"{URL}{failed.generation_id}/retry/", {}).status_code == 409

    def test_those_who_may_only_look(self, caller, db):
        asset = MediaAssetFactory(failed=True)
        reader = Caller(UserFactory(may=["view_mediaasset"]), scopes=SCOPES)

        assert reader.get(f"{URL}{asset.pk}/").status_code == 200
        assert reader.send(f"{URL}{asset.pk}/retry/", {}).status_code == 403


def events(content: str) -> Iterator[tuple[str, str, Any]]:
    """(kind, id, data) of each event of a stream."""
    for block in content.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            yield lines["event"], lines["id"], json.loads(lines["data"])


async def stream(caller: Caller, path: str, **headers: str) -> tuple[Any, str]:
    headers["Authorization"] = caller.defaults["HTTP_AUTHORIZATION"]
    response = await AsyncClient().get(path, headers=headers)
    assert response.status_code in (200, 204), response.content
    content = b"".join([part async for part in response.streaming_content]) if response.streaming else b""
    return response, content.decode()


@pytest.mark.usefixtures("in_server")
class TestEvents:
    def test_attempt_by_attempt_until_the_asset(self, settings):
        async def answer(prompt):
            raise Unavailable("local: answered 503.")

        use_local(settings, answer, RETRIES=0)
        ProviderConfig.objects.create(name="second", adapter="sdxl", position=2, dry_run=True)
        caller = Caller()

        async def main():
            headers = {"Authorization": caller.defaults["HTTP_AUTHORIZATION"], "Accept": "text/event-stream"}
            response = await AsyncClient().post(URL, ASK, content_type="application/json", headers=headers)
            return response, b"".join([part async for part in response.streaming_content]).decode()

        response, content = async_to_sync(main)()

        told = list(events(content))
        assert (response.status_code, response["Content-Type"]) == (202, "text/event-stream")
        assert response["X-Accel-Buffering"] == "no"
        assert "/generations/" in response["Location"]
        assert told[0][0] == "asset"
        attempts = [(data["provider"], data["state"]) for kind, _, data in told if kind == "attempt"]
        assert ("local", "failed") in attempts
        assert ("second", "succeeded") in attempts
        assert [kind for kind, _, _ in told][-2:] == ["asset", "done"]
        assert told[-2][2]["state"] == told[-1][2]["state"] == "ready"

    def test_go_on_after_the_last_one_heard(self):
        asset = MediaAssetFactory(ready=True)
        for number in range(3):
            GenerationAttemptFactory(asset=asset, position=number + 1)
        caller = Caller()
        path = f"{URL}{asset.pk}/events"
        _, content = async_to_sync(stream)(caller, path)
        told = list(events(content))
        assert [kind for kind, _, _ in told] == ["attempt", "attempt", "attempt", "asset", "done"]

        for number, (_, position, _) in enumerate(told[:3]):
            _, rest = async_to_sync(stream)(caller, path, **{"Last-Event-ID": position})
            assert [data for _, _, data in events(rest)] == [data for _, _, data in told[number + 1 :]]

        response, _ = async_to_sync(stream)(caller, path, **{"Last-Event-ID": told[-1][1]})
        assert response.status_code == 204

    def test_a_position_that_is_none_begins_anew(self):
        asset = MediaAssetFactory(ready=True)

        _, content = async_to_sync(stream)(Caller(), f"{URL}{asset.pk}/events/", **{"Last-Event-ID": "garbage;*:,"})

        assert [kind for kind, _, _ in events(content)] == ["asset", "done"]

    def test_a_heartbeat_when_nothing_happens(self, monkeypatch):
        monkeypatch.setattr("mediagen.api.generation.generations.HEARTBEAT_S", 0.02)
        monkeypatch.setattr("mediagen.api.generation.generations.STREAM_S", 0.3)
        asset = MediaAssetFactory(generation_state="running")

        _, content = async_to_sync(stream)(Caller(), f"{URL}{asset.pk}/events")

        assert ": still here" in content
        assert "event: done" not in content

    def test_who_goes_away_leaves_the_generation_alone(self, settings):
        use_local(settings)
        caller = Caller()

        async def main():
            headers = {"Authorization": caller.defaults["HTTP_AUTHORIZATION"], "Accept": "text/event-stream"}
            response = await AsyncClient().post(URL, ASK, content_type="application/json", headers=headers)
            parts = response.streaming_content
            await anext(parts)
            await parts.aclose()

        async_to_sync(main)()

        wait_until(lambda: MediaAsset.objects.filter(generation_state="ready").exists())
        assert GenerationAttempt.objects.get().state == "succeeded"

    def test_a_waiting_asset_of_a_server_that_died_is_taken_up_again(self, settings):
        use_local(settings)
        asset = MediaAssetFactory()

        _, content = async_to_sync(stream)(Caller(), f"{URL}{asset.pk}/events")

        assert list(events(content))[-1][2]["state"] == "ready"


@pytest.mark.django_db
def test_work_is_left_to_workers_where_the_site_has_them(settings):
    use_local(settings, RUN_IN_SERVER=False)
    caller = Caller(UserFactory(may=EVERYTHING))
    body = caller.send(URL, ASK).json()

    assert body["state"] == "pending"
    work()
    assert caller.get(body["url"]).json()["state"] == "ready"
