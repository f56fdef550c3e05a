"""Answers that were paid for and held no usable picture: kept, read again, and removed when they are old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from mediagen import images
from mediagen.engine import get_media_engine
from mediagen.engine.files import answers, refusals
from mediagen.engine.generation import running, second_reading
from mediagen.engine.maintenance.sweep import maintain
from mediagen.engine.work.worker import Until
from mediagen.errors import BadResponse, Conflict, GenerationFailed, InvalidRequest, NotAPicture, StorageFailed
from mediagen.models import GenerationAttempt, KeptAnswer, MediaAsset, asset_storage
from mediagen.models.clock import db_now
from mediagen.providers.openai_images import OpenAIImagesAdapter
from tests.engine.work.working import work
from tests.factories import MediaAssetFactory
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()


@pytest.fixture
def strict(monkeypatch):
    """An earlier mediagen, that finds no picture in anything; `strict.undo()` is the update."""

    def no_picture(content, **limits):
        raise NotAPicture("a chunk that nobody knows")

    monkeypatch.setattr(images, "tidied", no_picture)
    return monkeypatch


def stored_answers(media_root):
    return list((media_root / "mediagen" / "answers").glob("*")) if media_root.exists() else []


def test_the_bytes_of_a_picture_are_kept_and_become_the_asset(live, strict, media_root):
    (server,) = live("sdxl")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    attempt, kept = GenerationAttempt.objects.get(), KeptAnswer.objects.get()
    assert (kept.attempt, kept.size_bytes) == (attempt, kept.file.size)
    assert attempt.outcome == "bad_response"

    with pytest.raises(BadResponse, match="a chunk that nobody knows"):
        second_reading.read_again_sync(kept.pk)
    kept.refresh_from_db()
    assert (kept.tried_at is not None, "chunk" in kept.trouble) == (True, True)

    strict.undo()
    asset = second_reading.read_again_sync(kept.pk)
    assert (asset.pk, asset.generation_state, asset.provider_name) == (attempt.asset_id, "ready", "sdxl")
    attempt.refresh_from_db()
    assert (attempt.state, attempt.outcome, asset.cost) == ("adopted", "succeeded", attempt.cost)
    assert (len(server.purchases), KeptAnswer.objects.count(), stored_answers(media_root)) == (1, 0, [])
    with pytest.raises(InvalidRequest, match="not kept any more"):
        second_reading.read_again_sync(kept.pk)


@pytest.mark.parametrize("is_edit", [False, True], ids=["words", "edit, its source gone"])
def test_an_answer_around_the_picture_is_read_by_its_provider(live, monkeypatch, is_edit):
    (server,) = live("openai_images")
    source = MediaAssetFactory(ready=True)
    make, of = (engine.edit_asset_sync, source.pk) if is_edit else (engine.generate_asset_sync, "a lighthouse")
    with monkeypatch.context() as earlier:

        def nothing(self, answer, response, cost):
            raise BadResponse("answered 200 without a picture in it.", http_status=200, cost=cost)

        earlier.setattr(OpenAIImagesAdapter, "_first", nothing)
        with pytest.raises(GenerationFailed):
            make(of, **({"prompt": "at night"} if is_edit else {}), width=1024, height=1024)
    source.delete()
    kept = KeptAnswer.objects.get()
    assert kept.content_type == "application/json"
    asset = second_reading.read_again_sync(kept.pk)
    assert (asset.generation_state, len(server.purchases)) == ("ready", 1)


def test_a_jobs_result_is_kept_and_read_although_its_address_is_gone(live, strict):
    (server,) = live("flux")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    strict.undo()
    server.fault("download", Fault.http(404), times=None)
    asset = second_reading.read_again_sync(KeptAnswer.objects.get().pk)
    assert (asset.generation_state, len(server.purchases)) == ("ready", 1)


def test_an_asset_that_another_provider_has_filled_keeps_its_picture(live, monkeypatch):
    sdxl, openai = live("sdxl", "openai_images")
    tidied, calls = images.tidied, []

    def strict_once(content, **limits):
        calls.append(1)
        if len(calls) == 1:
            raise NotAPicture("a chunk that nobody knows")
        return tidied(content, **limits)

    monkeypatch.setattr(images, "tidied", strict_once)
    first = engine.generate_asset_sync("a lighthouse", 1024, 1024)
    assert first.provider_name == "openai_images"
    MediaAsset.objects.update(lease_token=3)  # it had been made again before it got its picture
    beside = second_reading.read_again_sync(KeptAnswer.objects.get().pk)
    assert [(row.provider_name, row.state) for row in GenerationAttempt.objects.order_by("id")] == [
        ("sdxl", "adopted"),
        ("openai_images", "succeeded"),
    ]
    assert (beside.parent_id, beside.provider_name, beside.prompt) == (first.pk, "sdxl", "a lighthouse")
    assert (len(sdxl.purchases), len(openai.purchases), MediaAsset.objects.ready().count()) == (1, 1, 2)


def test_an_answer_whose_picture_the_storage_refuses_is_kept(live, strict, monkeypatch, settings, tmp_path):
    (server,) = live("sdxl")
    settings.MEDIAGEN = {**settings.MEDIAGEN, "RESCUE_DIR": str(tmp_path / "rescued"), "STORAGE_PATIENCE_S": 0.2}
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    strict.undo()

    def full(self, name, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(asset_storage().__class__, "_save", full)
        with pytest.raises(StorageFailed, match="Its answer is kept, to be read again"):
            second_reading.read_again_sync(KeptAnswer.objects.get().pk)
    refusals.taken()
    assert not (tmp_path / "rescued").exists()
    assert (GenerationAttempt.objects.get().outcome, MediaAsset.objects.get().failure_code) == (
        "bad_response",
        "storage",
    )
    assert second_reading.read_again_sync(KeptAnswer.objects.get().pk).is_ready
    assert len(server.purchases) == 1


@pytest.mark.parametrize("place", ["before it is stored", "before its rows are written", "beside a picture"])
def test_a_kill_while_one_is_read_again_leaves_the_answer_and_buys_nothing(live, strict, monkeypatch, place):
    (server,) = live("sdxl")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    strict.undo()
    if place == "beside a picture":
        engine.regenerate_asset_sync(MediaAsset.objects.get().pk)
    bought, states = len(server.purchases), sorted(MediaAsset.objects.values_list("generation_state", flat=True))

    class Killed(BaseException):
        pass

    def kill(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as killed:
        killed.setattr(running if place == "before its rows are written" else second_reading, *KILLED_AT[place], kill)
        killed.setattr(second_reading, "_give_back", lambda job: None)
        with pytest.raises(Killed):
            second_reading.read_again_sync(KeptAnswer.objects.get().pk)
    MediaAsset.objects.exclude(lease_worker="").update(lease_worker="gone", lease_until=db_now())
    maintain()
    work(until=Until.IDLE)
    left = MediaAsset.objects.exclude(pk=KeptAnswer.objects.get().pk).values_list("generation_state", flat=True)
    assert (len(server.purchases), sorted(left)) == (bought, states)

    assert second_reading.read_again_sync(KeptAnswer.objects.get().pk).is_ready
    assert not MediaAsset.objects.exclude(generation_state="ready").exists()
    assert (len(server.purchases), KeptAnswer.objects.count()) == (bought, 0)


KILLED_AT = {
    "before it is stored": ["store"],
    "before its rows are written": ["complete"],
    "beside a picture": ["store"],
}


def test_an_answer_is_used_once_and_the_slower_one_is_told(live, strict, monkeypatch):
    (server,) = live("sdxl")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    strict.undo()
    pk = KeptAnswer.objects.get().pk
    picture = second_reading._picture

    async def slowly(*args):
        found = await picture(*args)
        monkeypatch.setattr(second_reading, "_picture", picture)
        await second_reading.read_again(pk)
        return found

    monkeypatch.setattr(second_reading, "_picture", slowly)
    with pytest.raises(Conflict, match="has just used this answer"):
        second_reading.read_again_sync(pk)
    assert (len(server.purchases), MediaAsset.objects.get().generation_state) == (1, "ready")


def test_what_is_no_picture_stays_none(live):
    (server,) = live("sdxl")
    server.fault("submit", Fault.not_a_picture(), times=1)
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    with pytest.raises(BadResponse, match="without a usable picture"):
        second_reading.read_again_sync(KeptAnswer.objects.get().pk)
    assert len(server.purchases) <= 1
    assert MediaAsset.objects.get().generation_state == "failed"


@pytest.mark.parametrize("limit", [{"KEEP_ANSWERS_DAYS": 0}, {"KEEP_ANSWERS_BYTES": 10}])
def test_no_more_is_kept_than_the_settings_allow(live, strict, settings, limit, media_root):
    live("sdxl")
    settings.MEDIAGEN = {**settings.MEDIAGEN, **limit}
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    assert (KeptAnswer.objects.count(), stored_answers(media_root)) == (0, [])


def test_the_sweep_removes_old_ones_and_files_that_nobody_knows(live, strict, media_root):
    live("sdxl")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    assert (maintain().answers_removed, len(stored_answers(media_root))) == (0, 1)
    KeptAnswer.objects.update(created_at=db_now() - timedelta(days=31))
    assert (maintain().answers_removed, stored_answers(media_root)) == (1, [])
    (media_root / "mediagen" / "answers" / f"answer-{'a' * 32}.bin").write_bytes(b"x")
    assert answers.NAME.fullmatch(f"answer-{'a' * 32}.bin")
    maintain()
    assert stored_answers(media_root) == []


def test_the_admin_lists_them_and_reads_them_again(live, strict, client):
    live("sdxl")
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 1024, 1024)
    client.force_login(User.objects.create_superuser("root"))
    address = reverse("admin:mediagen_keptanswer_changelist")
    assert "a chunk that nobody knows" in client.get(address).text
    chosen = {"action": "read_again", "_selected_action": [str(KeptAnswer.objects.get().pk)]}
    assert "a chunk that nobody knows" in client.post(address, chosen, follow=True).text
    strict.undo()
    assert "has its picture now" in client.post(address, chosen, follow=True).text
    assert MediaAsset.objects.get().generation_state == "ready"
