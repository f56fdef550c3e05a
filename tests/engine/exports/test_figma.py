"""An asset on its way to Figma: what is asked, what is kept in its row, and what the caller is told."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from mediagen.chain import MediaGeneratorChain
from mediagen.engine import get_media_engine
from mediagen.engine.exports import rows
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.models import AssetExport, ExportState, GenerationAttempt, ProviderConfig
from mediagen.signals import export_failed
from mediagen.types import FigmaExportResult
from tests.factories import MediaAssetFactory, UserFactory
from tests.fakes import Duck
from tests.servers import Fault

pytestmark = pytest.mark.django_db

engine = get_media_engine()
KEY = "abcDEF123456789012345"
KEYS = {
    "figma_node_id", "figma_url", "figma_file_key", "page_id", "asset_id", "status", "export_id", "notes",
}  # fmt: skip


@pytest.fixture
def asset():
    return MediaAssetFactory(ready=True, name="Red fox")


def export(asset, file_key=KEY, page_id=None, **options):
    return engine.export_asset_to_figma_sync(asset.asset_id, file_key, page_id, **options)


class TestDry:
    def test_is_predictable_and_marked(self, asset, monkeypatch):
        monkeypatch.setenv("FIGMA_API_TOKEN", "made-up")
        first, second = export(asset, page_id="0:1"), export(asset, page_id="0-1")
        assert set(first) == KEYS
        assert (first["asset_id"], first["figma_file_key"], first["page_id"], first["status"]) == (
            asset.asset_id, KEY, "0:1", "dry_run",
        )  # fmt: skip
        assert first["figma_node_id"] == second["figma_node_id"]
        assert first["figma_node_id"].startswith("dry:")
        row = AssetExport.objects.get(pk=first["export_id"])
        assert (row.dry_run, row.state, row.external_id) == (True, ExportState.PLACED, first["figma_node_id"])
        assert "figma_exported" not in asset.tag_names
        attempt = GenerationAttempt.objects.filter(operation="export_to_figma", state="succeeded").first()
        assert (attempt.asset_id, attempt.provider_name, attempt.dry_run) == (asset.pk, "figma_api", True)


class TestLive:
    def test_waits_for_the_plugin_without_a_node_id(self, asset, live):
        (server,) = live("figma_api")
        user = UserFactory()
        found = export(
            asset, f"https://www.figma.com/design/{server.file_key}/Campaign?t=x", "0-2",
            frame_name="Hero", x=10, y=-20.5, comment="For you", by=user,
        )  # fmt: skip
        assert set(found) == KEYS
        assert (found["figma_node_id"], found["status"], found["page_id"]) == ("", "waiting_for_plugin", "0:2")
        row = AssetExport.objects.get(pk=found["export_id"])
        assert (row.state, row.file_key, row.page_id, row.frame_name, row.x, row.y, row.created_by) == (
            ExportState.WAITING, server.file_key, "0:2", "Hero", 10.0, -20.5, user,
        )  # fmt: skip
        assert (row.provider_name, row.external_id, row.dry_run) == ("figma_api", "", False)
        assert row.comment_id == server.comments[0]["id"]
        assert server.comments[0]["message"] == "For you"
        assert row.expires_at is not None
        assert GenerationAttempt.objects.get(operation="export_to_figma", state="succeeded").billable
        assert "figma_exported" not in asset.tag_names

    def test_the_layer_is_named_after_the_asset(self, asset, live):
        (server,) = live("figma_api")
        assert AssetExport.objects.get(pk=export(asset, server.file_key)["export_id"]).frame_name == "Red fox"

    @pytest.mark.parametrize(
        ("step", "fault", "says"),
        [
            ("read", Fault.http(403), "Check the credential"),
            ("read", Fault.rate_limited(400_000), "4.6 days"),
            ("read", Fault.html_200(), "HTML"),
        ],
    )
    def test_what_fails_has_a_row_that_says_why(self, asset, live, step, fault, says):
        (server,) = live("figma_api")
        server.fault(step, fault, times=None)
        told = []
        receiver = lambda sender, export, **kwargs: told.append(export.pk)  # noqa: E731
        export_failed.connect(receiver)
        assert export(asset, server.file_key) is None
        row = AssetExport.objects.get()
        assert (row.state, row.external_id) == (ExportState.FAILED, "")
        assert says in row.message

    def test_a_file_that_is_not_shared_with_the_token(self, asset, live):
        live("figma_api")
        with pytest.raises(GenerationFailed, match="not shared") as raised:
            engine.export_to_figma_sync(asset.asset_id, "otherKEY")
        assert raised.value.attempts[-1].provider_name == "figma_api"
        assert AssetExport.objects.get().state == ExportState.FAILED

    def test_a_page_that_is_not_there(self, asset, live):
        (server,) = live("figma_api")
        assert export(asset, server.file_key, "9:9") is None
        assert "It has: 0:1 (Page 1), 0:2 (Ideas)" in AssetExport.objects.get().message

    def test_without_a_token(self, asset):
        ProviderConfig.objects.filter(name="figma_api").update(dry_run=False)
        assert export(asset) is None
        assert "FIGMA_API_TOKEN" in AssetExport.objects.get().message

    def test_a_picture_that_figma_cannot_take_is_told_at_once(self, live):
        """Its row says WebP, and nobody can read it."""
        (server,) = live("figma_api")
        asset = MediaAssetFactory(ready=True, content=b"RIFF....WEBPbroken", format="webp")
        with pytest.raises(InvalidRequest, match="cannot be made into one that Figma takes"):
            export(asset, server.file_key)
        assert AssetExport.objects.get().state == ExportState.FAILED
        assert server.requests == []


class TestTheCallersFault:
    def test_a_missing_asset(self):
        with pytest.raises(InvalidRequest, match="no asset"):
            engine.export_to_figma_sync("00000000-0000-4000-8000-000000000000", KEY)

    def test_an_asset_without_a_picture(self):
        with pytest.raises(InvalidRequest, match="no picture to export"):
            export(MediaAssetFactory(failed=True))

    @pytest.mark.parametrize(
        ("place", "field"),
        [({"file_key": "not a key"}, "file_key"), ({"page_id": "one"}, "page_id"), ({"x": float("inf")}, "x")],
    )
    def test_leaves_no_row(self, asset, place, field):
        with pytest.raises(InvalidRequest) as raised:
            export(asset, **place, dry_run=False)
        assert raised.value.field == field
        assert not AssetExport.objects.exists()


class Direct(Duck):
    """A foreign provider that has a plugin of its own and knows the node at once."""

    def __init__(self):
        super().__init__("direct")

    async def export_to_figma(self, image, file_key, page_id=None):
        return FigmaExportResult("5:6", "https://www.figma.com/design/x?node-id=5-6", file_key, page_id)


class TestFailover:
    def test_the_next_provider_that_has_the_operation_is_asked(self, asset, live, settings):
        (server,) = live("figma_api")
        server.fault("read", Fault.http(403), times=None)
        settings.MEDIAGEN = {"DRY_RUN": False, "PROVIDERS": {"direct": "tests.engine.exports.test_figma.Direct"}}
        found = export(asset, server.file_key)
        assert (found["figma_node_id"], found["status"]) == ("5:6", "")
        row = AssetExport.objects.get()
        assert (row.state, row.external_id, row.provider_name) == (ExportState.PLACED, "5:6", "direct")
        assert "figma_exported" in asset.tag_names


async def test_the_chain_alone_asks_for_it_by_its_name():
    result = await MediaGeneratorChain([Direct()]).execute_export_figma(None, KEY)
    assert result.figma_node_id == "5:6"


def test_an_export_whose_process_was_killed_is_ended_by_maintenance(asset):
    row = rows.begin(asset, "figma", file_key=KEY)
    assert rows.expire() == 0
    AssetExport.objects.update(lease_until=rows.db_now().replace(year=2020))
    assert rows.expire() == 1
    row.refresh_from_db()
    assert (row.state, "Export the asset again" in row.message) == (ExportState.FAILED, True)


def test_a_cancelled_call_leaves_a_row_that_has_ended(asset, live):
    import asyncio

    (server,) = live("figma_api")
    server.fault("read", Fault.hang(), times=None)

    async def go():
        task = asyncio.ensure_future(engine.export_asset_to_figma(asset.asset_id, server.file_key))
        await asyncio.to_thread(server.wait_for_requests, "read")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async_to_sync(go)()
    assert (AssetExport.objects.get().state, AssetExport.objects.get().message) == (
        ExportState.FAILED, "It ended early: CancelledError.",
    )  # fmt: skip
