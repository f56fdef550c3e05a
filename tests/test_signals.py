"""What code in the same process is told: after the commit, once, and at nobody's expense."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from mediagen import signals
from mediagen.engine import get_media_engine
from mediagen.engine.batches import lifecycle
from mediagen.engine.events import announcements
from mediagen.errors import GenerationFailed, Refused
from mediagen.models import AssetExport, GenerationBatch, MediaAsset
from mediagen.models.routing import atomic
from tests.engine.work.working import batch_of, commits_fail, use_local, work
from tests.factories import MediaAssetFactory

pytestmark = pytest.mark.django_db(transaction=True)

SIGNALS = {
    name: getattr(signals, name)
    for name in ("asset_ready", "asset_failed", "batch_finished", "export_placed", "export_failed")
}
engine = get_media_engine()


@pytest.fixture
def told() -> Iterator[list[tuple[str, object]]]:
    """(signal, row) of every signal, as it was when the receiver was called."""
    heard: list[tuple[str, object]] = []
    receivers = {}
    for name, signal in SIGNALS.items():

        def receive(sender, signal, name=name, **kwargs):
            (row,) = kwargs.values()
            assert isinstance(row, sender)
            assert not connection.in_atomic_block
            heard.append((name, row))

        receivers[name] = receive
        signal.connect(receive)
    yield heard
    for name, receive in receivers.items():
        SIGNALS[name].disconnect(receive)


async def refuse(prompt: str) -> None:
    raise Refused("local: not that.")


def test_a_made_asset_is_told_with_its_picture_and_library(told, settings):
    use_local(settings)
    asset = engine.generate_asset_sync("a lighthouse", 16, 16)

    [(name, row)] = told
    assert (name, row.pk, row.generation_state) == ("asset_ready", asset.pk, "ready")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert row.library.name == "Default"
        assert row.file.name
    assert len(queries) == 0


def test_a_failed_asset_is_told_with_its_reason(told, settings):
    use_local(settings, refuse)
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 16, 16)

    [(name, row)] = told
    assert (name, row.generation_state) == ("asset_failed", "failed")
    assert "not that" in row.failure


def test_a_placeholder_that_could_not_be_replaced_is_no_failed_asset(told, settings):
    use_local(settings, refuse)
    asset = MediaAssetFactory(placeholder=True)
    with pytest.raises(GenerationFailed):
        engine.regenerate_asset_sync(asset.pk)

    assert told == []


def test_a_batch_tells_of_each_row_and_once_of_itself(told, settings, tmp_path):
    async def answer(prompt: str) -> None:
        if prompt.endswith("2"):
            raise Refused("local: not that.")

    use_local(settings, answer)
    batch = batch_of(tmp_path, 4)
    work(batch)
    lifecycle.finish_if_done(batch.pk)

    assert sorted(name for name, _ in told) == [
        "asset_failed",
        "asset_ready",
        "asset_ready",
        "asset_ready",
        "batch_finished",
    ]
    name, row = told[-1]
    assert (name, row.pk, row.state) == ("batch_finished", batch.pk, "finished")


def test_a_row_that_cannot_be_made_at_all_is_told(told, settings, tmp_path):
    use_local(settings)
    asset = MediaAssetFactory(parameters={"width": 0, "height": 0})
    work()

    assert [(name, row.pk) for name, row in told] == [("asset_failed", asset.pk)]


@pytest.mark.parametrize("commits_before", range(4))
def test_a_commit_whose_answer_was_lost_is_told_of_once(told, settings, monkeypatch, commits_before):
    use_local(settings)
    asset = engine.enqueue_sync("a lighthouse", 16, 16)
    with commits_fail(monkeypatch, 1, after=commits_before, although_done=True):
        work()

    asset.refresh_from_db()
    assert asset.is_ready
    assert [(name, row.pk) for name, row in told] == [("asset_ready", asset.pk)]


def test_what_is_rolled_back_is_told_to_nobody(told):
    asset = MediaAssetFactory(ready=True)
    with atomic():
        announcements.assets_ready([asset.pk])
        transaction.set_rollback(True)

    assert told == []


def test_exports_are_told_of(told):
    export = AssetExport.objects.create(asset=MediaAssetFactory(ready=True), target="figma")
    with atomic():
        announcements.export_placed(export.pk)
        announcements.export_failed(export.pk)
        assert told == []

    assert [(name, row.pk) for name, row in told] == [("export_placed", export.pk), ("export_failed", export.pk)]


def test_a_receiver_that_raises_costs_no_picture_and_is_logged(settings, caplog):
    def receive(**kwargs):
        raise ZeroDivisionError("a receiver of the site's")

    use_local(settings)
    signals.asset_ready.connect(receive)
    try:
        with caplog.at_level(logging.ERROR):
            asset = engine.generate_asset_sync("a lighthouse", 16, 16)
    finally:
        signals.asset_ready.disconnect(receive)

    assert asset.is_ready
    assert "a receiver of the site's" in caplog.text


def test_without_receivers_and_endpoints_there_is_one_query():
    asset = MediaAssetFactory(ready=True)
    with CaptureQueriesContext(connection) as queries:
        announcements.assets_ready([asset.pk])

    assert len(queries) == 1


def test_a_row_that_is_gone_meanwhile_is_passed_over(told):
    asset = MediaAssetFactory(ready=True)
    batch = GenerationBatch.objects.create(name="b", fingerprint="f")
    with atomic():
        announcements.assets_ready([asset.pk])
        announcements.batch_finished(batch.pk)
        MediaAsset.objects.filter(pk=asset.pk).delete()

    assert [name for name, _ in told] == ["batch_finished"]
