"""Descriptions by the API: asked for like an edit, seen and answered by whoever may."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import Group

from mediagen.engine.files import uploads
from mediagen.engine.work import jobs
from mediagen.models import AssetDescription, BackgroundJob, MediaAsset, MediaLibrary, ProviderConfig
from tests.api.callers import EVERYTHING, Caller, problem
from tests.engine.generation.test_asset_works import disc
from tests.factories import MediaLibraryFactory, UserFactory
from tests.servers import Fault

DESCRIPTIONS = "/api/v1/descriptions/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def caller(media_root) -> Caller:
    return Caller()


@pytest.fixture
def source(caller) -> MediaAsset:
    return uploads.upload(disc(), library=MediaLibrary.objects.create(name="Mine", owner=caller.user), by=caller.user)


@pytest.fixture
def sees(live):
    (server,) = live("openai_images")
    ProviderConfig.objects.exclude(name="openai_images").update(enabled=False)
    config = ProviderConfig.objects.get(name="openai_images")
    config.options = {"describe_model": "gpt-sees", "describe_input_price": 2, "describe_output_price": 8}
    config.save()
    return server


def test_it_is_asked_for_watched_and_accepted(caller, source, sees):
    response = caller.send(DESCRIPTIONS, {"source": str(source.pk), "language": "de", "max_chars": 90})
    placed = response.json()
    assert (response.status_code, response["Location"], placed["state"]) == (202, placed["url"], "pending")
    assert Decimal(placed["estimate"]["dearest"]) > 0
    jobs.work_off()
    said = caller.get(placed["url"]).json()
    assert (said["state"], said["text"], said["answer"]) == ("ready", "A lighthouse at dawn.", "")
    assert Decimal(said["cost"]) > 0
    shown = caller.get(said["asset_url"]).json()
    assert (shown["alt_text"], shown["alt_text_suggestion"], shown["alt_text_state"]) == ("", said["text"], "suggested")
    assert [row["id"] for row in caller.get(f"{DESCRIPTIONS}?waiting=true").json()["results"]] == [said["id"]]

    done = caller.send(f"{said['url']}accept/", {"text": "A red disc."}).json()
    assert done["answer"] == "changed"
    assert caller.get(said["asset_url"]).json()["alt_text"] == "A red disc."
    assert problem(caller.send(f"{said['url']}reject/", {})) == "conflict"
    assert caller.get(f"{DESCRIPTIONS}?waiting=true").json()["results"] == []


def test_a_text_that_is_there_is_not_replaced_unasked(caller, source, sees):
    MediaAsset.objects.update(alt_text="By hand.")
    placed = caller.send(DESCRIPTIONS, {"source": str(source.pk)}).json()
    jobs.work_off()
    assert problem(caller.send(f"{placed['url']}accept/", {})) == "conflict"
    assert caller.send(f"{placed['url']}accept/", {"replace": True}).status_code == 200
    assert MediaAsset.objects.get().alt_text == "A lighthouse at dawn."


def test_the_same_key_buys_once(caller, source, sees):
    body = {"source": str(source.pk)}
    first, second = (caller.send(DESCRIPTIONS, body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert second["Idempotency-Replayed"] == "true"
    jobs.work_off()
    assert len(sees.purchases) == 1
    assert problem(caller.send(DESCRIPTIONS, {**body, "language": "fr"}, **{"Idempotency-Key": "k"})) != ""


def test_whoever_prefers_to_wait_gets_the_text(caller, source, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RUN_IN_SERVER": "at_once"}
    response = caller.send(DESCRIPTIONS, {"source": str(source.pk)}, Prefer="wait=1")
    jobs.work_off()
    assert response["Preference-Applied"] == "wait=1"
    assert response.status_code in (201, 202)
    said = caller.get(response.json()["url"]).json()
    assert (said["dry_run"], said["cost"]) == (True, "0.000000")


def test_a_refusal_has_its_code(caller, source, sees):
    sees.fault("submit", Fault.moderation())
    placed = caller.send(DESCRIPTIONS, {"source": str(source.pk)}).json()
    jobs.work_off()
    said = caller.get(placed["url"]).json()
    assert (said["state"], said["failure"]["code"], said["text"]) == ("failed", "moderation", "")


def test_a_budget_refuses_before_anybody_is_asked(caller, source, sees):
    MediaLibrary.objects.filter(pk=source.library_id).update(budget_limit="0.001")
    response = caller.send(DESCRIPTIONS, {"source": str(source.pk)})
    assert response.status_code == 402
    assert not AssetDescription.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "source"),
        ({"source": "01a204c9-8da1-7f3b-a702-9254e98a762d"}, "source"),
        ({"source": "mine", "language": "nonsense!"}, "language"),
        ({"source": "mine", "max_chars": 3}, "max_chars"),
        ({"source": "mine", "providers": ["figma_api"]}, "providers"),
        ({"source": "mine", "prompt": "x"}, "prompt"),
    ],
)
def test_what_cannot_be_names_its_field(caller, source, body, field):
    if body.get("source") == "mine":
        body = {**body, "source": str(source.pk)}
    response = caller.send(DESCRIPTIONS, body)
    assert (problem(response), response.json()["field"].split(".")[0]) == ("invalid", field)
    assert not AssetDescription.objects.exists()


def test_who_may_only_look_neither_asks_nor_answers(source, caller):
    placed = caller.send(DESCRIPTIONS, {"source": str(source.pk)}).json()
    jobs.work_off()
    viewer, stranger = (UserFactory(may=EVERYTHING, is_staff=False) for _ in range(2))
    group = Group.objects.create(name="viewers")
    viewer.groups.add(group)
    source.library.viewer_groups.add(group)
    MediaLibraryFactory(owner=viewer)

    looks = Caller(viewer)
    assert looks.get(placed["url"]).status_code == 200
    assert problem(looks.send(DESCRIPTIONS, {"source": str(source.pk)})) == "forbidden"
    assert problem(looks.send(f"{placed['url']}accept/", {})) == "forbidden"
    assert Caller(stranger).get(placed["url"]).status_code == 404
    assert (
        Caller(caller.user, scopes=("read", "change")).send(DESCRIPTIONS, {"source": str(source.pk)}).status_code == 403
    )
    assert Caller(caller.user, scopes=("generate",)).get(placed["url"]).status_code == 200


def test_many_are_counted_and_priced_before_and_end_with_their_errors(caller, source, sees):
    others = [uploads.upload(disc(), library=source.library, by=None) for _ in range(2)]
    waiting = MediaAsset.objects.create(library=source.library, prompt="x")
    ids = [str(one.pk) for one in (source, *others, waiting)]
    said = caller.send("/api/v1/jobs/count/", {"kind": "describe", "asset_ids": ids}).json()
    assert (said["count"], said["estimate"]["pictures"]) == (4, 4)
    job = caller.send("/api/v1/jobs/", {"kind": "describe", "asset_ids": ids, "language": "de"}).json()
    jobs.work_off()
    done = caller.get(job["url"]).json()
    assert (done["state"], done["done"], done["failed"]) == ("done", 3, 1)
    assert "no picture" in done["errors"][0]["message"]
    assert len(sees.purchases) == 3

    short = caller.send("/api/v1/jobs/", {"kind": "describe", "asset_ids": ids[:2], "max_cost": "0.05"}).json()
    jobs.work_off()
    left = caller.get(short["url"]).json()
    assert (left["state"], left["done"]) == ("failed", 0)
    assert "the rest is left" in left["message"]
    assert len(sees.purchases) == 3


def test_a_job_that_is_begun_again_asks_for_nothing_twice(caller, source, sees):
    job = caller.send("/api/v1/jobs/", {"kind": "describe", "asset_ids": [str(source.pk)]}).json()
    jobs.work_off()
    BackgroundJob.objects.update(state="pending", done=0, result={})
    jobs.work_off()
    assert (caller.get(job["url"]).json()["done"], len(sees.purchases)) == (1, 1)
