"""What an earlier run has left of the same command: found, taken first, made once."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.utils import timezone

from mediagen.engine.generation import claims, earlier
from mediagen.engine.generation.orders import AssetOrder
from mediagen.engine.library.cancelling import cancel
from mediagen.engine.library.libraries import get_library
from mediagen.engine.work.for_caller import CallersWorker
from mediagen.models import GenerationAttempt, MediaAsset
from tests.factories import GenerationAttemptFactory
from tests.management.test_commands import events, run

pytestmark = pytest.mark.django_db
LAST = {"lease_token": 3, "generation_state": "pending"}


def orders(*prompts, **more):
    library = get_library(None)
    return [replace(AssetOrder.of(prompt, 64, 64, **more), library_id=library.pk) for prompt in prompts]


def interrupted(wanted, count):
    """A run that was stopped when so many pictures were made."""
    worker = CallersWorker.of(earlier.anew(wanted).todo, 1)
    worker.limit = count
    async_to_sync(worker.run)()
    assert MediaAsset.objects.filter(generation_state="interrupted").count() == len(wanted) - count


def test_the_same_command_goes_on_and_makes_nothing_again():
    interrupted(orders("a cat", "a dog", "a cat"), 1)
    before = set(MediaAsset.objects.values_list("pk", flat=True))
    code, out, _ = run("generate_assets", "a cat", "a dog", "a cat", "--size", "64x64", "--json")
    first, *_, summary = events(out)
    assert code == 0
    assert (first["event"], first["waiting"], first["made"], first["bought"]) == ("resumed", 2, 1, 0)
    assert (summary["made"], summary["earlier"], summary["waiting"]) == (2, 1, 0)
    assert set(MediaAsset.objects.values_list("pk", flat=True)) == before
    assert set(MediaAsset.objects.values_list("generation_state", flat=True)) == {"ready"}
    run("generate_assets", "a cat", "a dog", "a cat", "--size", "64x64")
    assert MediaAsset.objects.count() == 6, "a run that is over is not gone on with"


def test_again_leaves_what_waits():
    interrupted(orders("a cat", "a dog"), 1)
    code, out, _ = run("generate_assets", "a cat", "a dog", "--size", "64x64", "--again")
    assert code == 0
    assert "2 made, 0 failed, cost $0." in out
    assert sorted(MediaAsset.objects.values_list("generation_state", flat=True)) == ["interrupted", *["ready"] * 3]


def test_of_another_command_only_what_waits_is_taken():
    interrupted(orders("a cat", "a dog", "an owl"), 1)
    run("generate_assets", "a hen", "an owl", "--size", "64x64", "--tag", "bird")
    owl = MediaAsset.objects.get(prompt="an owl")
    assert owl.is_ready
    assert "bird" in owl.tag_names
    assert MediaAsset.objects.filter(generation_state="interrupted").count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"generation_state": "pending"},  # given to the workers, never begun
        {**LAST, "lease_until": timezone.now() + timedelta(hours=1)},  # put off by a worker
        {**LAST, "created_at": timezone.now() - timedelta(days=2)},
        {**LAST, "seed": 7},
        {**LAST, "parameters": {"width": 64, "height": 128}},
        {**LAST, "idempotency_key": "k"},
        {**LAST, "status": "deleted"},
        {**LAST, "generation_state": "failed"},
    ],
)
def test_what_is_not_of_a_run_like_this_is_left_alone(other):
    [order] = orders("a cat")
    asset, _ = claims.create(order, held=False)
    MediaAsset.objects.filter(pk=asset.pk).update(**LAST)
    assert earlier.look_back([order]) is not None
    MediaAsset.objects.filter(pk=asset.pk).update(**other, **({} if "lease_token" in other else {"lease_token": 0}))
    assert earlier.look_back([order]) is None


def test_an_interrupted_asset_is_no_work_for_a_worker_and_is_resumed_on_request():
    interrupted(orders("a cat", "a dog"), 1)
    asset = MediaAsset.objects.get(generation_state="interrupted")
    call_command("generate_worker", "--until-done")
    asset.refresh_from_db()
    assert asset.generation_state == "interrupted"
    claims.begin_again(asset.pk, {})
    asset.refresh_from_db()
    assert asset.generation_state == "running"


def test_one_that_may_be_bought_is_cancelled_when_its_job_was_looked_for():
    interrupted(orders("a cat", "a dog", "an owl"), 1)
    bought, other = MediaAsset.objects.filter(generation_state="interrupted")
    MediaAsset.objects.filter(pk=bought.pk).update(lease_token=1)
    GenerationAttemptFactory(asset=bought, in_flight=True)
    done = cancel([bought.pk, other.pk])
    assert (done.cancelled, done.ending) == ((other.pk,), (bought.pk,))
    bought.refresh_from_db()
    assert bought.generation_state == "pending"
    assert bought.cancel_requested_at is not None
    assert GenerationAttempt.objects.filter(asset=bought).exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("typed", "rows"), [("\n", 2), ("x\nagain\n", 4), ("", 2)])
def test_on_a_terminal_it_asks_before(monkeypatch, typed, rows):
    interrupted(orders("a cat", "a dog"), 1)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    command = ("generate_assets", "a cat", "a dog", "--size", "64x64", "--progress", "plain")
    call_command(*command, stdout=Terminal())
    assert MediaAsset.objects.count() == rows
