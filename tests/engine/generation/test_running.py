"""One prompt, one asset: through the real chain, real adapters, real sockets, and every way in which it can break."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import IntegrityError

from mediagen.engine import get_media_engine
from mediagen.engine.files import storage
from mediagen.engine.generation import running
from mediagen.errors import ConfigurationError, GenerationFailed, InvalidRequest, LeaseLost, StorageFailed
from mediagen.factory import get_media_generator_chain
from mediagen.models import GenerationAttempt, MediaAsset, MediaLibrary, MediaTag, ProviderConfig, ProviderHealth
from mediagen.types import utcnow
from tests.fakes import Duck, JobDuck, picture
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()


def make(prompt="a lighthouse", width=64, height=64, **options):
    return engine.generate_asset_sync(prompt, width, height, **options)


def attempts(asset):
    return [(a.provider_name, a.state, a.outcome) for a in GenerationAttempt.objects.of(asset)]


def stored(media_root: Path) -> list[Path]:
    return [path for path in media_root.rglob("*") if path.is_file()]


class Scripted(Duck):
    """A foreign provider whose script a test sets on the class."""

    script: list = []

    def __init__(self):
        super().__init__("scripted", *self.script)
        type(self).last = self


class ScriptedJob(JobDuck):
    script: list = []

    def __init__(self):
        super().__init__("scripted", *self.script)
        type(self).last = self


@pytest.fixture
def scripted(settings):
    def make(*script, cls=Scripted):
        cls.script = list(script)
        settings.MEDIAGEN = {
            "DRY_RUN": False,
            "BACKOFF_S": 0.001,
            "PROVIDERS": {"scripted": f"tests.engine.generation.test_running.{cls.__name__}"},
        }
        ProviderConfig.objects.update(enabled=False)
        return cls

    return make


class TestDryRun:
    def test_it_works_with_nothing_set_up(self, media_root):
        asset = engine.generate_asset_from_prompt_sync("a lighthouse", 320, 200)
        assert (asset.generation_state, asset.provider_name, asset.dry_run, asset.is_placeholder) == (
            "ready", "sdxl", True, True,
        )  # fmt: skip
        assert (asset.width, asset.height, asset.format, asset.cost) == (320, 200, "png", Decimal(0))
        assert asset.tag_names == ["generated", "generated-sdxl"]
        assert asset.library.name == "Default"
        assert asset.asset_id == str(asset.pk)
        assert [path.stat().st_size for path in stored(media_root)] == [asset.file_size]
        assert attempts(asset) == [("sdxl", "succeeded", "succeeded")]

    def test_what_is_returned_is_what_is_stored(self):
        asset = make(tags=["Sea"], name="Light", alt_text="A tower", description="d", seed=7)
        row = MediaAsset.objects.get(pk=asset.pk)
        concrete = [f.attname for f in MediaAsset._meta.concrete_fields if f.attname not in ("updated_at", "file")]
        assert {name: getattr(asset, name) for name in concrete} == {name: getattr(row, name) for name in concrete}
        assert asset.file.name == row.file.name
        assert row.tag_names == ["Sea", "generated", "generated-sdxl"]

    def test_the_default_library_is_made_once(self):
        assert make().library_id == make().library_id
        assert MediaLibrary.objects.count() == 1

    def test_a_librarys_default_tags(self):
        library = MediaLibrary.objects.create(name="Autumn")
        library.default_tags.add(*MediaTag.objects.ensure(["season"]))
        assert "season" in make(library_id=library.pk).tag_names

    def test_few_statements(self, django_assert_max_num_queries):
        make()
        with django_assert_max_num_queries(22):
            make()


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"prompt": " "}, "prompt"),
            ({"width": 0}, "width"),
            ({"library_id": "no-uuid"}, "library_id"),
            ({"library_id": "00000000-0000-4000-8000-000000000000"}, "library_id"),
            ({"providers": ["nobody"]}, "providers"),
            ({"name": "x" * 300}, "name"),
            ({"tags": [" "]}, "tags"),
            ({"dry_run": "yes"}, "dry_run"),
        ],
    )
    def test_is_refused_before_a_row_is_made(self, arguments, field):
        with pytest.raises(InvalidRequest) as refused:
            make(**arguments)
        assert refused.value.field == field
        assert not MediaAsset.objects.exists()

    def test_a_wrong_setting_is_said_before_a_row_is_made(self):
        ProviderConfig.objects.filter(name="flux").update(options={"nonsense": 1})
        with pytest.raises(ConfigurationError, match="nonsense"):
            make()
        assert not MediaAsset.objects.exists()


class TestLive:
    def test_a_picture_is_bought_once_and_its_price_kept(self, live, media_root):
        (server,) = live("openai_images")
        asset = make(width=1024, height=1024)
        assert len(server.purchases) == 1
        assert (asset.provider_name, asset.model_name, asset.dry_run, asset.is_placeholder) == (
            "openai_images", "gpt-image-2", False, False,
        )  # fmt: skip
        assert asset.cost > 0
        assert GenerationAttempt.objects.get().cost == asset.cost
        assert stored(media_root)[0].read_bytes()[:4] == b"\x89PNG"

    def test_failover_tells_the_whole_story(self, live):
        sdxl, openai = live("sdxl", "openai_images")
        sdxl.fault("submit", Fault.http(401), times=None)
        asset = make(width=1024, height=1024)
        assert attempts(asset) == [("sdxl", "failed", "misconfigured"), ("openai_images", "succeeded", "succeeded")]
        assert asset.tag_names == ["generated", "generated-openai_images"]
        assert len(openai.purchases) == 1

    def test_what_could_not_be_honoured_is_reported(self, live):
        live("openai_images")
        asset = make(width=1000, height=1000, seed=5, negative_prompt="fog")
        assert asset.fit_report["seed"]["honoured"] is False
        assert asset.fit_report["negative_prompt"]["honoured"] is False
        assert (asset.width, asset.height) == (1000, 1000)
        assert asset.fit_report["size"]["asked"] == [1000, 1000]

    def test_nobody_delivers(self, live):
        sdxl, openai = live("sdxl", "openai_images")
        sdxl.fault("submit", Fault.http(402), times=None)
        openai.fault("submit", Fault.moderation(), times=None)
        with pytest.raises(GenerationFailed) as failed:
            make()
        assert [(a.provider_name, a.outcome) for a in failed.value.attempts] == [
            ("sdxl", "misconfigured"),
            ("openai_images", "refused"),
        ]
        row = MediaAsset.objects.get()
        assert (row.asset_id, row.generation_state, row.prompt) == (failed.value.asset_id, "failed", "a lighthouse")
        assert "refused" in row.failure
        assert GenerationAttempt.objects.count() == 2

    def test_the_quiet_form_gives_none_and_keeps_the_row(self, live):
        (server,) = live("openai_images")
        server.fault("submit", Fault.moderation(), times=None)
        assert engine.generate_asset_from_prompt_sync("x") is None
        assert MediaAsset.objects.get().generation_state == "failed"

    def test_no_answer_is_unknown_and_never_asked_again(self, live):
        (server,) = live("openai_images")
        server.fault("submit", Fault.reset_after_body_read(), times=None)
        with pytest.raises(GenerationFailed):
            make()
        assert len(server.purchases) == 1
        assert attempts(MediaAsset.objects.get()) == [("openai_images", "unknown", "unknown")]

    def test_a_planted_key_is_found_nowhere(self, live, caplog):
        caplog.set_level(0)
        servers = live("sdxl", "openai_images", "flux", "replicate_sdxl", model="")
        planted = "sekrit-planted-0123456789"
        for config in ProviderConfig.objects.filter(enabled=True):
            config.credentials = planted
            if config.name == "sdxl":
                config.model = "stable-diffusion-xl-1024-v1-0"  # its 401 repeats the key
            config.save()
        with pytest.raises(GenerationFailed) as failed:
            make(width=1024, height=1024)
        assert len(failed.value.attempts) == len(servers)
        rows = [str(list(model.objects.values())) for model in (MediaAsset, GenerationAttempt, ProviderConfig)]
        texts = [caplog.text, str(failed.value), repr(failed.value), repr(failed.value.attempts), *rows]
        assert not [text for text in texts if planted in text]
        assert all(any(planted in str(r.headers) for r in server.requests) for server in servers)


class TestEveryAttemptIsARowFirst:
    def test_it_is_there_while_the_provider_is_asked(self, scripted):
        seen = []

        async def look():
            seen.extend([(a.provider_name, a.state) async for a in GenerationAttempt.objects.all()])
            return picture(64, 64)

        scripted(look)
        make()
        assert seen == [("scripted", "submitted")]

    def test_the_job_is_there_before_it_is_polled(self, scripted):
        seen = []

        async def look():
            seen.extend([(a.provider_job_id, a.provider_job) async for a in GenerationAttempt.objects.all()])
            return picture(64, 64)

        scripted(look, cls=ScriptedJob)
        make()
        assert seen == [("job-1", {"polling_url": "https://example.test/1"})]


class TestNothingHalfDone:
    def test_a_file_whose_row_was_not_written_is_removed(self, monkeypatch, media_root):
        def broken(*args, **kwargs):
            raise IntegrityError("no")

        monkeypatch.setattr(running, "tag_served", broken)
        with pytest.raises(IntegrityError):
            make()
        assert stored(media_root) == []
        row = MediaAsset.objects.get()
        assert (row.generation_state, row.file.name, row.tag_names) == ("failed", "", [])

    def test_a_paid_picture_whose_row_was_not_written_is_taken_by_the_next_try(
        self, scripted, settings, tmp_path, monkeypatch
    ):
        def broken(*args, **kwargs):
            raise IntegrityError("no")

        scripted(picture(64, 64))
        settings.MEDIAGEN = {**settings.MEDIAGEN, "RESCUE_DIR": str(tmp_path / "rescued")}
        with monkeypatch.context() as once:
            once.setattr(running, "tag_served", broken)
            with pytest.raises(IntegrityError):
                make()
        row = MediaAsset.objects.get()
        assert (row.generation_state, attempts(row)) == ("failed", [("scripted", "submitted", "")])
        again = engine.regenerate_asset_sync(row.pk)
        assert (again.is_ready, attempts(row)) == (True, [("scripted", "adopted", "succeeded")])
        assert list((tmp_path / "rescued").iterdir()) == []

    def test_a_seed_that_no_column_holds_costs_no_picture(self, scripted):
        scripted(replace(picture(64, 64), seed=2**64 - 1))
        assert (make(seed=7).seed, MediaAsset.objects.get().seed) == (7, 7)

    def test_a_storage_that_fails_leaves_a_row_that_says_so(self, monkeypatch):
        def full(name, content):
            raise OSError("No space left on device")

        monkeypatch.setattr(storage, "_save", full)
        with pytest.raises(StorageFailed, match="OSError"):
            make()
        row = MediaAsset.objects.get()
        assert (row.generation_state, row.failure_code) == ("failed", "storage")
        assert "OSError" in row.failure
        assert attempts(row) == [("sdxl", "succeeded", "succeeded")]

    def test_who_has_lost_the_lease_writes_nothing(self, scripted, media_root):
        async def another_worker_takes_over():
            await MediaAsset.objects.all().aupdate(lease_token=99)
            return picture(64, 64)

        scripted(another_worker_takes_over)
        with pytest.raises(LeaseLost):
            make()
        row = MediaAsset.objects.get()
        assert (row.generation_state, row.lease_token, row.file.name) == ("running", 99, "")
        assert stored(media_root) == []

    def test_a_lost_lease_ends_the_work_while_it_is_under_way(self, scripted, settings):
        async def slow():
            await MediaAsset.objects.all().aupdate(lease_token=99)
            await asyncio.sleep(30)

        scripted(slow)
        settings.MEDIAGEN = {**settings.MEDIAGEN, "LEASE_S": 0.1}
        with pytest.raises(LeaseLost):
            make()

    def test_the_lease_is_renewed_while_it_works(self, scripted, settings):
        ends = []

        async def slow():
            for _ in range(2):
                ends.append((await MediaAsset.objects.aget()).lease_until)
                await asyncio.sleep(0.15)
            return picture(64, 64)

        scripted(slow)
        settings.MEDIAGEN = {**settings.MEDIAGEN, "LEASE_S": 0.2}
        assert make().generation_state == "ready"
        assert ends[1] > ends[0]

    def test_cancelled_work_says_so(self, scripted):
        has_left = []

        async def hang():
            has_left.append(True)
            await asyncio.sleep(60)

        async def cancel_it():
            task = asyncio.ensure_future(engine.generate_asset("x", 64, 64))
            while not has_left:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        scripted(hang)
        async_to_sync(cancel_it)()
        row = MediaAsset.objects.get()
        assert (row.generation_state, "cancelled" in row.failure) == ("failed", True)
        assert row.failure_code == "unknown", "it may be paid for: no program is told to try again"
        assert attempts(row) == [("scripted", "unknown", "unknown")]


class TestAgain:
    def test_a_placeholder_becomes_real_under_the_same_id(self, live, media_root):
        asset = make(width=1024, height=1024)
        old = stored(media_root)
        live("openai_images")
        again = engine.regenerate_asset_sync(asset.asset_id)
        assert (again.pk, again.is_placeholder, again.dry_run) == (asset.pk, False, False)
        assert again.tag_names == ["generated", "generated-openai_images"]
        assert len(stored(media_root)) == 1
        assert stored(media_root) != old
        assert GenerationAttempt.objects.of(asset).count() == 2

    def test_and_stays_what_it_was_when_nobody_delivers(self, live, media_root):
        asset = make()
        (server,) = live("openai_images")
        server.fault("submit", Fault.moderation(), times=None)
        with pytest.raises(GenerationFailed):
            engine.regenerate_asset_sync(asset.asset_id)
        row = MediaAsset.objects.get()
        assert (row.generation_state, row.is_placeholder, len(stored(media_root))) == ("ready", True, 1)

    def test_a_real_picture_is_not_overwritten(self, live):
        live("openai_images")
        asset = make()
        with pytest.raises(InvalidRequest, match="no placeholder"):
            engine.regenerate_asset_sync(asset.asset_id)

    def test_somebody_elses_work_is_not_taken(self):
        asset = make()
        MediaAsset.objects.update(generation_state="running", lease_until=utcnow() + timedelta(seconds=60))
        with pytest.raises(InvalidRequest, match="works on it"):
            engine.regenerate_asset_sync(asset.asset_id)

    def test_a_dead_workers_job_is_fetched_and_not_bought_again(self, live):
        (server,) = live("flux")
        server.fault("poll", Fault.hang(), times=1)
        killed_while_polling(server)
        assert len(server.purchases) == 1
        server.clear_faults()
        server.release()
        asset = engine.regenerate_asset_sync(MediaAsset.objects.get().asset_id)
        assert (asset.generation_state, len(server.purchases)) == ("ready", 1)
        assert attempts(asset) == [("flux", "adopted", "succeeded")]
        assert GenerationAttempt.objects.get().cost == asset.cost

    def test_a_dead_workers_request_without_a_job_is_unknown(self, scripted):
        async def killed():
            raise KeyboardInterrupt

        scripted(killed)
        row = MediaAsset.objects.create(
            library=MediaLibrary.objects.create(name="L"), prompt="x", generation_state="running",
            lease_until=utcnow() - timedelta(seconds=1), parameters={"width": 64, "height": 64},
        )  # fmt: skip
        GenerationAttempt.objects.create(
            asset=row, provider_name="openai_images", operation="generate_image", position=1, state="submitted",
            started_at=utcnow(), cost_held="0.05",
        )  # fmt: skip
        scripted(picture(64, 64))
        assert engine.regenerate_asset_sync(row.pk).generation_state == "ready"
        assert attempts(row) == [("openai_images", "unknown", "unknown"), ("scripted", "succeeded", "succeeded")]


def killed_while_polling(server, begin=lambda: engine.generate_asset("x", 512, 512)):
    """Generate until the first poll hangs, then leave as a killed process does: without a last word."""

    async def go():
        task = asyncio.ensure_future(begin())
        await sync_to_async(server.wait_for_requests, thread_sensitive=False)("poll")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async_to_sync(go)()
    # What the cancelled task still wrote, a killed one would not have.
    made = MediaAsset.objects.filter(source="generated")
    made.update(generation_state="running", lease_until=utcnow() - timedelta(seconds=1), failure="")
    GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None, message="")


class TestIdempotency:
    def test_the_same_key_gives_the_same_asset(self):
        one, two = make(idempotency_key="k"), make("other", idempotency_key="k")
        assert one.pk == two.pk
        assert MediaAsset.objects.count() == 1


class TestOddOptions:
    @pytest.mark.parametrize(
        "options",
        [
            {"foo": object()},
            {"foo": b"x"},
            {"foo": float("nan")},
            {"foo": "a\x00"},
            {"recorder": 1},
            {"operation": "x"},
        ],
    )
    def test_are_refused_before_a_row_is_made(self, options):
        with pytest.raises(InvalidRequest):
            make(**options)
        assert not MediaAsset.objects.exists()


class TestHosts:
    def test_a_site_without_time_zones(self, settings, live):
        settings.USE_TZ = False
        (server,) = live("flux")
        server.fault("submit", Fault.http(503), times=1)
        asset = make(width=512, height=512)
        assert (asset.generation_state, asset.generated_at.tzinfo) == ("ready", None)
        assert [row.state for row in GenerationAttempt.objects.of(asset)] == ["failed", "succeeded"]
        assert ProviderHealth.objects.get().last_success_at.tzinfo is None

    def test_the_chain_can_be_had_inside_an_event_loop(self):
        async def ask():
            return [provider.get_name() for provider in get_media_generator_chain().providers]

        assert async_to_sync(ask)()[0] == "sdxl"


class TestOddProviders:
    def test_an_exception_that_cannot_be_printed(self, scripted):
        class Unprintable(Exception):
            def __str__(self):
                raise ZeroDivisionError

        scripted(Unprintable())
        with pytest.raises(GenerationFailed, match="cannot be printed"):
            make()

    def test_a_cancellation_that_nobody_asked_for(self, scripted):
        scripted(asyncio.CancelledError())
        with pytest.raises(GenerationFailed):
            make()
        assert attempts(MediaAsset.objects.get()) == [("scripted", "failed", "error")]
