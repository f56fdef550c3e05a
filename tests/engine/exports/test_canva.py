"""An asset on its way to Canva: its row, the job that outlives a process, limits waited out, and the way back."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync

from mediagen.engine import get_media_engine
from mediagen.engine.exports import canva, rows, sending
from mediagen.engine.library.access import Access
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.models import AssetExport, ExportState, GenerationAttempt, MediaAsset, ProviderConfig
from mediagen.models.clock import db_now
from mediagen.providers import canva_api
from mediagen.signals import export_failed, export_placed
from tests.engine.work.serving_thread import in_server, wait_until
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.servers import CanvaServer, Fault

__all__ = ["in_server"]
pytestmark = pytest.mark.django_db

engine = get_media_engine()
KEYS = {
    "export_id", "asset_id", "canva_asset_id", "canva_design_id", "edit_url", "title", "folder", "status", "notes",
}  # fmt: skip


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(canva_api, "POLL_INTERVAL_S", 0.005)
    monkeypatch.setattr(canva_api, "POLL_SETTLE_S", 0.05)
    monkeypatch.setattr(canva_api, "STEP_BACKOFF_S", 0.005)
    monkeypatch.setattr("mediagen.http.service.FETCH_BACKOFF_S", 0.005)


@pytest.fixture
def asset(db):
    return MediaAssetFactory(ready=True, name="Red fox", alt_text="A fox")


@pytest.fixture
def server(canva_server, db) -> CanvaServer:
    """Canva, live, by a token set by hand."""
    ProviderConfig.objects.update_or_create(
        name="canva_api",
        defaults={
            "adapter": "canva_api",
            "base_url": canva_server.base_url,
            "credentials": canva_server.key,
            "dry_run": False,
            "timeout_s": 2.0,
        },
    )
    return canva_server


def export(asset, **options):
    return engine.export_to_canva_sync(asset.asset_id, **options)


def begun(asset, **options) -> AssetExport:
    return canva.begin(asset.pk, **options)


def work_off(*exports: AssetExport) -> int:
    return async_to_sync(canva.work_off)([row.pk for row in exports])


def fresh(row: AssetExport, **changes) -> AssetExport:
    if changes:
        AssetExport.objects.filter(pk=row.pk).update(**changes)
    return AssetExport.objects.get(pk=row.pk)


def uploads(server: CanvaServer) -> int:
    return len([request for request in server.requests_for("submit") if request.accepted])


def attempts(asset) -> list[tuple[str, str]]:
    found = GenerationAttempt.objects.of(asset).exclude(state="skipped")
    return list(found.values_list("state", "outcome"))


class TestDry:
    def test_is_predictable_and_marked(self, asset):
        first, second = export(asset), export(asset)
        assert set(first) == KEYS
        assert (first["status"], first["title"]) == ("dry_run", "Red fox")
        assert first["canva_design_id"].startswith("dry-")
        assert first["canva_design_id"] == second["canva_design_id"]
        row = AssetExport.objects.get(pk=first["export_id"])
        assert (row.state, row.dry_run, row.design_id) == (ExportState.PLACED, True, first["canva_design_id"])
        assert "canva_exported" not in asset.tag_names
        assert attempts(asset)[0] == ("succeeded", "succeeded")

    def test_the_call_may_say_dry_where_the_site_is_live(self, asset, server):
        assert export(asset, dry_run=True)["status"] == "dry_run"
        assert server.requests == []


class TestLive:
    def test_is_uploaded_put_into_a_design_and_told(self, asset, server, django_capture_on_commit_callbacks):
        told = []
        export_placed.connect(lambda **told_of: told.append(told_of["export"].pk), weak=False, dispatch_uid="test")
        user = UserFactory()
        try:
            with django_capture_on_commit_callbacks(execute=True):
                found = export(asset, title="Spring", folder="FAtest", by=user)
        finally:
            export_placed.disconnect(dispatch_uid="test")
        assert found["status"] == "placed"
        assert server.folders["FAtest"] == [found["canva_design_id"]]
        assert found["edit_url"] == server.designs[found["canva_design_id"]]["design"]["urls"]["edit_url"]
        row = AssetExport.objects.get(pk=found["export_id"])
        assert (row.state, row.external_id, row.design_id, row.provider_name, row.created_by) == (
            ExportState.PLACED, found["canva_asset_id"], found["canva_design_id"], "canva_api", user,
        )  # fmt: skip
        assert timedelta(days=29) < row.expires_at - db_now() <= timedelta(days=30)
        assert (row.lease_worker, row.message) == ("", "")
        assert row.job_id == next(job.id for job in server.jobs.values())
        assert "canva_exported" in asset.tag_names
        assert told == [row.pk]
        [attempt] = GenerationAttempt.objects.of(asset).exclude(state="skipped")
        assert (attempt.operation, attempt.provider_job_id, attempt.dry_run) == ("export_to_canva", row.job_id, False)

    def test_what_was_changed_is_noted(self, asset, server):
        found = export(asset, folder="FAgone")
        assert found["status"] == "placed"
        assert "folder_not_found" in found["notes"][0]

    def test_a_failure_is_told_and_stays_in_the_row(self, asset, server, django_capture_on_commit_callbacks):
        server.fault("poll", Fault.job_failed("Too big.", status="file_too_big"))
        failed = []
        export_failed.connect(lambda **told: failed.append(told["export"].message), weak=False, dispatch_uid="test")
        try:
            with django_capture_on_commit_callbacks(execute=True), pytest.raises(GenerationFailed) as raised:
                export(asset)
        finally:
            export_failed.disconnect(dispatch_uid="test")
        row = AssetExport.objects.get()
        assert row.state == ExportState.FAILED
        assert "file_too_big" in row.message
        assert failed == [row.message] == [str(raised.value)]
        assert "goes on from there" not in row.message
        assert [attempt.outcome for attempt in raised.value.attempts if attempt.outcome != "skipped"] == ["unsupported"]
        # The job has failed: to go on is to upload once more.
        work_off(canva.retry(row.pk))
        assert (fresh(row).state, uploads(server)) == (ExportState.PLACED, 2)

    def test_none_when_nobody_can(self, asset, server):
        server.expire_access_token()
        assert engine.export_asset_to_canva_sync(asset.asset_id) is None
        assert "four hours" in AssetExport.objects.get().message

    @pytest.mark.parametrize(
        ("options", "field"),
        [({"title": "x" * 256}, "title"), ({"folder": "a b"}, "folder"), ({"create_design": "yes"}, "create_design")],
    )
    def test_what_cannot_be_makes_no_row(self, asset, options, field):
        with pytest.raises(InvalidRequest) as raised:
            export(asset, **options)
        assert raised.value.field == field
        assert not AssetExport.objects.exists()

    def test_an_asset_without_a_picture(self):
        with pytest.raises(InvalidRequest, match="no picture"):
            export(MediaAssetFactory(failed=True))


class TestAfterADeath:
    def left_behind(self, asset, server, **known) -> AssetExport:
        """An export whose process died; its lease is over."""
        row = begun(asset)
        return fresh(
            row, state=ExportState.RUNNING, lease_token=1, lease_until=db_now() - timedelta(seconds=1), **known
        )

    def test_the_job_is_gone_on_with(self, asset, server):
        server.fault("design", Fault.http(503), times=None)
        with pytest.raises(GenerationFailed, match="a retry goes on from there"):
            export(asset)
        server.clear_faults()
        row = AssetExport.objects.get()
        assert (row.state, row.external_id in server.assets) == (ExportState.FAILED, True)
        row = fresh(row, state=ExportState.RUNNING, lease_until=db_now() - timedelta(seconds=1))
        assert work_off(row) == 1
        assert fresh(row).state == ExportState.PLACED
        assert (uploads(server), len(server.designs)) == (1, 1)

    def test_without_a_job_and_with_an_open_attempt_nothing_is_sent_again(self, asset, server):
        row = self.left_behind(asset, server)
        GenerationAttempt.objects.create(
            asset=asset, library=asset.library, provider_name="canva_api", operation="export_to_canva", position=1,
            state="submitted", started_at=db_now(),
        )  # fmt: skip
        work_off(row)
        row = fresh(row)
        assert (row.state, server.requests) == (ExportState.FAILED, [])
        assert "may have left" in row.message
        assert attempts(asset) == [("unknown", "unknown")]
        # A person has looked, and says: once more.
        assert work_off(canva.retry(row.pk)) == 1
        assert fresh(row).state == ExportState.PLACED

    def test_who_died_before_anything_was_sent(self, asset, server):
        row = self.left_behind(asset, server)
        work_off(row)
        assert (fresh(row).state, uploads(server)) == (ExportState.PLACED, 1)

    def test_what_somebody_holds_is_left_to_them(self, asset, server):
        row = fresh(begun(asset), state=ExportState.RUNNING, lease_token=1, lease_until=db_now() + timedelta(minutes=1))
        assert work_off(row) == 0
        assert server.requests == []

    def test_who_is_cancelled_lets_go_and_the_next_one_goes_on(self, asset, server):
        server.fault("poll", Fault.hang())
        row = begun(asset)

        async def cancelled() -> None:
            task = asyncio.ensure_future(canva.work_off([row.pk]))
            while not server.requests_for("poll"):
                await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        async_to_sync(cancelled)()
        server.release()
        assert work_off(row) == 1
        assert (fresh(row).state, uploads(server)) == (ExportState.PLACED, 1)


class TestRetry:
    def test_goes_on_with_the_upload(self, asset, server):
        server.fault("design", Fault.http(403))
        with pytest.raises(GenerationFailed):
            export(asset)
        row = canva.retry(AssetExport.objects.get().pk)
        assert (row.state, row.message) == (ExportState.PENDING, "")
        ProviderConfig.objects.filter(name="canva_api").update(model="other")  # as a changed setting closes the breaker
        assert work_off(row) == 1
        assert (fresh(row).state, uploads(server), len(server.designs)) == (ExportState.PLACED, 1, 1)

    def test_a_design_that_may_have_been_made_is_made_again_when_a_person_says_so(self, asset, server):
        server.fault("design", Fault.reset_after_body_read())
        with pytest.raises(GenerationFailed):
            export(asset)
        row = AssetExport.objects.get()
        fresh(row, state=ExportState.PENDING)
        work_off(row)
        assert "may have been made" in fresh(row).message
        assert len(server.designs) == 1
        work_off(canva.retry(row.pk))
        assert (fresh(row).state, uploads(server), len(server.designs)) == (ExportState.PLACED, 1, 2)

    def test_a_job_that_canva_has_forgotten_is_uploaded_again(self, asset, server):
        server.fault("poll", Fault.task_not_found(), times=None)
        with pytest.raises(GenerationFailed):
            export(asset)
        row = AssetExport.objects.get()
        work_off(canva.retry(row.pk))
        assert "does not know the upload's job" in fresh(row).message
        server.clear_faults()
        work_off(canva.retry(row.pk))
        assert (fresh(row).state, uploads(server)) == (ExportState.PLACED, 2)

    def test_only_what_is_over_can_be_retried(self, asset, server):
        row = begun(asset)
        with pytest.raises(rows.ExportConflict, match="nothing to retry"):
            canva.retry(row.pk)
        work_off(row)
        with pytest.raises(rows.ExportConflict, match="placed"):
            canva.retry(row.pk)
        rows.cancel([row.pk])
        assert fresh(row).state == ExportState.PLACED

    def test_a_cancelled_export_is_not_sent_and_can_be_retried(self, asset, server):
        row = begun(asset)
        assert rows.cancel([row.pk]) == 1
        assert work_off(row) == 0
        work_off(canva.retry(row.pk))
        assert fresh(row).state == ExportState.PLACED

    @pytest.mark.parametrize("pk", ["nonsense", "00000000-0000-7000-8000-000000000000"])
    def test_an_export_that_is_not_there(self, pk):
        with pytest.raises(InvalidRequest):
            canva.retry(pk)


class TestWaiting:
    def test_a_limit_is_waited_out(self, asset, server):
        server.fault("submit", Fault.rate_limited(1))
        row = begun(asset)
        assert work_off(row) == 2
        row = fresh(row)
        assert (row.state, row.options["put_off"]) == (ExportState.PLACED, 1)
        assert attempts(asset) == [("failed", "rate_limited"), ("succeeded", "succeeded")]

    def test_a_caller_who_waits_for_it_is_told_of_the_limit(self, asset, server):
        server.fault("submit", Fault.rate_limited(30))
        with pytest.raises(GenerationFailed, match="rate_limited"):
            export(asset)
        assert AssetExport.objects.get().state == ExportState.FAILED

    def test_many_wait_for_one_limit(self, server):
        exports = [begun(MediaAssetFactory(ready=True)) for _ in range(3)]
        server.fault("submit", Fault.rate_limited(1), after=1)
        work_off(*exports)
        assert {fresh(row).state for row in exports} == {ExportState.PLACED}
        assert uploads(server) == 4

    def test_what_waits(self, asset):
        row = begun(asset)
        assert canva.waiting() == [str(row.pk)]
        fresh(row, lease_until=db_now() + timedelta(minutes=1))
        assert canva.waiting() == []
        fresh(row, state=ExportState.RUNNING, lease_until=db_now() - timedelta(minutes=1))
        assert canva.waiting() == [str(row.pk)]

    def test_maintenance_fails_no_export_that_waits(self, asset):
        row = fresh(begun(asset), lease_until=db_now() - timedelta(days=1))
        rows.expire()
        assert fresh(row).state == ExportState.PENDING

    @pytest.mark.django_db(transaction=True)
    def test_a_server_sends_what_it_was_told_of(self, in_server, server):
        asset = MediaAssetFactory(ready=True)
        row = engine.enqueue_export_to_canva_sync(asset.pk, title="Spring")
        wait_until(lambda: fresh(row).state == ExportState.PLACED)
        assert uploads(server) == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_server_sends_what_a_dead_one_left(self, in_server, server):
        left = begun(MediaAssetFactory(ready=True))
        asked = engine.enqueue_export_to_canva_sync(MediaAssetFactory(ready=True).pk)
        wait_until(lambda: fresh(left).state == fresh(asked).state == ExportState.PLACED)

    def test_a_worker_sends_what_waits_until_it_is_told_to_stop(self, server):
        waiting = [begun(MediaAssetFactory(ready=True)) for _ in range(2)]

        async def work() -> None:
            stop = asyncio.Event()
            beside = asyncio.create_task(sending.keep_sending(stop))
            while len(server.designs) < 2:
                await asyncio.sleep(0.01)
            stop.set()
            await beside

        async_to_sync(work)()
        assert {fresh(row).state for row in waiting} == {ExportState.PLACED}

    def test_without_anybody_who_works_it_waits(self, asset, server):
        row = engine.enqueue_export_to_canva_sync(asset.pk)
        assert fresh(row).state == ExportState.PENDING
        assert sending.work_off(canva.waiting()) == 1
        assert fresh(row).state == ExportState.PLACED


class TestBack:
    def test_a_page_becomes_the_child_of_what_was_exported(self, asset, server):
        found = export(asset, title="Spring")
        address = f"https://www.canva.com/design/{found['canva_design_id']}/edit"
        user = UserFactory()
        child = engine.import_from_canva_sync(address, by=user, tags=["spring"])
        assert (child.parent, child.library, child.source, child.created_by) == (
            asset, asset.library, "imported", user,
        )  # fmt: skip
        assert (child.name, child.alt_text, child.format) == ("Spring", "A fox", "png")
        assert (child.width, child.height) == (64, 48)
        assert child.tag_names == ["canva_imported", "spring"]
        assert child.parameters["canva"]["design_id"] == found["canva_design_id"]
        assert child.is_ready
        [attempt] = GenerationAttempt.objects.filter(operation="import_from_canva").exclude(state="skipped")
        assert (attempt.asset, attempt.state) == (child, "succeeded")

    def test_a_design_that_nobody_exported_here(self, server):
        library = MediaLibraryFactory()
        server.designs["DAother"] = {
            "design": {"id": "DAother", "title": "Made there"}, "size": (300, 200),
        }  # fmt: skip
        child = engine.import_from_canva_sync("DAother", library.pk)
        assert (child.parent, child.library, child.name) == (None, library, "Made there")

    def test_a_failure_leaves_no_asset(self, asset, server):
        with pytest.raises(GenerationFailed, match="design_not_found"):
            engine.import_from_canva_sync("DAgone", asset.library.pk)
        assert MediaAsset.objects.count() == 1
        assert GenerationAttempt.objects.filter(operation="import_from_canva", state="failed").exists()

    def test_what_one_may_not_read_is_no_parent_and_no_place(self, server):
        asset = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
        found = export(asset)
        stranger = UserFactory(may=["view_mediaasset", "add_mediaasset"])
        with pytest.raises(InvalidRequest, match="may add to"):
            engine.import_from_canva_sync(found["canva_design_id"], asset.library.pk, access=Access(stranger))
        mine = MediaLibraryFactory(owner=stranger)
        child = engine.import_from_canva_sync(found["canva_design_id"], mine.pk, access=Access(stranger))
        assert child.parent is None

    def test_dry(self, asset):
        child = engine.import_from_canva_sync("DAsome", asset.library.pk)
        assert (child.is_placeholder, child.dry_run, child.name) == (True, True, "Canva DAsome 1")
