"""Storage and rescue folder that take nothing: what is paid is not bought again, and nothing further is bought."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command

from mediagen.engine import get_media_engine
from mediagen.engine.batches import lifecycle
from mediagen.engine.files import refusals, storage
from mediagen.engine.maintenance.sweep import maintain
from mediagen.errors import StorageFailed
from mediagen.models import GenerationAttempt, MediaAsset
from tests.engine.work.working import PRICE, account_of, batch_of, states, use_local, work

engine = get_media_engine()


@pytest.fixture
def disk(settings, tmp_path, monkeypatch):
    """A disk that is full until it is told otherwise: `disk.is_full = False`. Rescue folder included."""

    class Disk:
        is_full = True
        tries = 0

        def __init__(self):
            self.rescued = tmp_path / "rescued"

        def configure(self, **mediagen):
            settings.MEDIAGEN = {
                **settings.MEDIAGEN,
                "STORAGE_PATIENCE_S": 0.0,
                "RESCUE_DIR": str(self.rescued),
                **mediagen,
            }

    disk = Disk()
    disk.configure()
    save, fsync = storage.asset_storage().__class__._save, os.fsync

    def full_save(self, name, content):
        disk.tries += 1
        if disk.is_full:
            raise OSError(28, "No space left on device")
        return save(self, name, content)

    def full_fsync(handle):
        if disk.is_full:
            raise OSError(28, "No space left on device")
        return fsync(handle)

    monkeypatch.setattr(storage.asset_storage().__class__, "_save", full_save)
    monkeypatch.setattr(os, "fsync", full_fsync)
    yield disk
    refusals.taken()


@pytest.mark.django_db
class TestOnePicture:
    def test_one_with_a_job_is_fetched_again_and_not_bought(self, live, disk):
        (server,) = live("flux")
        with pytest.raises(StorageFailed, match="is fetched, not bought"):
            engine.generate_asset_sync("x", 512, 512)
        asset, attempt = MediaAsset.objects.get(), GenerationAttempt.objects.get()
        assert (asset.generation_state, attempt.state, attempt.outcome) == ("failed", "submitted", "")
        assert "No space left on device" in attempt.message
        assert attempt.message in asset.failure
        with pytest.raises(StorageFailed, match="nothing was bought"):
            engine.regenerate_asset_sync(asset.pk)
        attempt.refresh_from_db()
        assert (attempt.state, "is fetched" in attempt.message) == ("submitted", True)
        maintain()
        attempt.refresh_from_db()
        assert (attempt.state, "died" in attempt.message) == ("unknown", False)
        disk.is_full = False
        asset = engine.regenerate_asset_sync(asset.pk)
        assert (asset.generation_state, len(server.purchases)) == ("ready", 1)

    def test_one_without_a_job_is_said_to_be_lost_with_what_it_cost(self, live, disk):
        (server,) = live("openai_images")
        with pytest.raises(StorageFailed, match="Paid and lost") as failed:
            engine.generate_asset_sync("x", 1024, 1024)
        attempt = GenerationAttempt.objects.get()
        assert (attempt.state, attempt.outcome, attempt.cost > 0) == ("failed", "error", True)
        assert "Paid and lost" in attempt.message
        assert (failed.value.asset.pk, failed.value.lost) == (attempt.asset_id, True)
        # What is made again is paid again: no program is told to try.
        assert MediaAsset.objects.get().failure_code == "unknown"
        assert len(server.purchases) == 1

    def test_a_rescued_one_is_taken_also_after_a_sweep_has_closed_its_attempt(self, live, disk, monkeypatch):
        (server,) = live("openai_images")
        monkeypatch.setattr(os, "fsync", lambda handle: None)
        with pytest.raises(StorageFailed, match="is kept in"):
            engine.generate_asset_sync("x", 1024, 1024)
        maintain()
        attempt = GenerationAttempt.objects.get()
        assert (attempt.state, "is kept in" in attempt.message) == ("unknown", True)
        disk.is_full = False
        asset = engine.regenerate_asset_sync(attempt.asset_id)
        assert (asset.generation_state, len(server.purchases)) == ("ready", 1)
        assert GenerationAttempt.objects.get().state == "adopted"
        assert list(disk.rescued.iterdir()) == []

    def test_a_rescued_one_is_neither_copied_nor_lost_while_the_storage_refuses_it(self, live, disk, monkeypatch):
        (server,) = live("openai_images")
        with monkeypatch.context() as room:
            room.setattr(os, "fsync", lambda handle: None)  # the rescue folder has room for one
            with pytest.raises(StorageFailed, match="is kept in"):
                engine.generate_asset_sync("x", 1024, 1024)
        [path] = disk.rescued.iterdir()
        for _ in range(2):
            with pytest.raises(StorageFailed, match="is kept in") as failed:
                engine.regenerate_asset_sync(MediaAsset.objects.get().pk)
            assert (failed.value.rescued, failed.value.lost) == (str(path), False)
            assert list(disk.rescued.iterdir()) == [path]
        disk.is_full = False
        asset = engine.regenerate_asset_sync(MediaAsset.objects.get().pk)
        assert (asset.generation_state, len(server.purchases)) == ("ready", 1)
        assert list(disk.rescued.iterdir()) == []

    def test_a_sweep_leaves_the_only_copy_of_a_picture_that_it_cannot_store(self, live, disk):
        (server,) = live("openai_images")
        disk.is_full = False
        asset = engine.generate_asset_sync("x", 1024, 1024)
        GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None)
        MediaAsset.objects.update(generation_state="pending", file="", content_hash="", generated_at=None)
        disk.is_full = True
        for _ in range(2):
            maintain()
            assert storage.asset_storage().exists(asset.file.name)
        disk.is_full = False
        assert maintain().pictures_kept == 1
        asset.refresh_from_db()
        assert (asset.is_ready, len(server.purchases)) == (True, 1)

    def test_a_rescue_file_is_whole_or_not_there(self, disk):
        assert async_to_sync(storage.put_aside)("a/x-1.png", b"picture") == ""
        assert list(disk.rescued.iterdir()) == []
        disk.is_full = False
        path = Path(async_to_sync(storage.put_aside)("a/x-1.png", b"picture"))
        assert list(disk.rescued.iterdir()) == [path]
        assert path.read_bytes() == b"picture"

    def test_the_command_shows_the_asset_the_attempts_and_what_it_cost(self, live, disk, capsys):
        live("openai_images")
        with pytest.raises(CommandError, match="1 of 1 assets failed"):
            call_command("generate_assets", "x", "--json")
        shown, summary = map(json.loads, capsys.readouterr().out.splitlines())
        asset, attempt = MediaAsset.objects.get(), GenerationAttempt.objects.get()
        assert (shown["asset_id"], shown["attempts"], shown["made"]) == (asset.asset_id, 1, False)
        assert Decimal(shown["cost"]) == Decimal(summary["cost"]) == attempt.cost
        assert "Paid and lost" in shown["error"]


@pytest.mark.django_db
class TestManyPictures:
    def test_nothing_further_is_begun_and_what_is_lost_is_not_bought_by_itself(self, tmp_path, settings, disk):
        local = use_local(settings)
        disk.configure()
        batch = batch_of(tmp_path, 8, max_cost=Decimal(1))
        work(batch, concurrency=2)
        lost = len(local.asked)
        assert lost <= 2
        assert (batch.state, "Paid and lost" in batch.state_reason) == ("paused", True)
        assert states(batch) == {"failed": lost, "pending": 8 - lost}
        assert (account_of(batch).spent, account_of(batch).held) == (lost * PRICE, 0)

        lifecycle.start(batch)
        work(batch, concurrency=2)
        assert len(local.asked) == lost, "the storage was tried, and nothing was bought"
        assert (batch.state, "nothing was bought" in batch.state_reason) == ("paused", True)

        disk.is_full = False
        lifecycle.start(batch)
        work(batch, concurrency=2)
        assert (states(batch), len(local.asked)) == ({"failed": lost, "ready": 8 - lost}, 8)

    def test_one_tries_and_the_others_wait(self, tmp_path, settings, disk):
        use_local(settings)
        disk.configure(STORAGE_PATIENCE_S=0.3)
        batch = batch_of(tmp_path, 8)
        refusals.refused(OSError(28, "No space left on device"), 100)
        work(batch, concurrency=8)
        assert disk.tries <= 3, "the wait is theirs together"
        assert states(batch) == {"pending": 8}
