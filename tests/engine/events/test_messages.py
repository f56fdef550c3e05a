"""Messages for webhooks: rows of the transaction that they tell of, for those who may know, and nobody else."""

from __future__ import annotations

import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from mediagen.engine import get_media_engine
from mediagen.engine.batches import lifecycle
from mediagen.engine.events import announcements, messages
from mediagen.errors import GenerationFailed, Refused
from mediagen.models import AssetExport, WebhookMessage
from mediagen.models.routing import atomic
from tests.engine.work.working import batch_of, commits_fail, use_local, work
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory, WebhookEndpointFactory

engine = get_media_engine()


@pytest.fixture(autouse=True)
def nobody_sends(settings):
    settings.MEDIAGEN = {"RUN_IN_SERVER": False}


def told():
    return sorted(WebhookMessage.objects.values_list("event", "endpoint__name"))


@pytest.mark.django_db
class TestWhoIsTold:
    def test_by_event_library_and_switch(self):
        mine, other = MediaLibraryFactory(), MediaLibraryFactory()
        WebhookEndpointFactory(name="all")
        WebhookEndpointFactory(name="failures", events=["asset.failed"])
        WebhookEndpointFactory(name="mine", library=mine, events=["asset.ready", "asset.failed"])
        WebhookEndpointFactory(name="other", library=other)
        WebhookEndpointFactory(name="off", enabled=False)
        asset = MediaAssetFactory(ready=True, library=mine)
        export = AssetExport.objects.create(asset=asset, target="figma")
        announcements.assets_ready([asset.pk])
        announcements.assets_failed([asset.pk])
        announcements.export_placed(export.pk)

        assert told() == [
            ("asset.failed", "all"),
            ("asset.failed", "failures"),
            ("asset.failed", "mine"),
            ("asset.ready", "all"),
            ("asset.ready", "mine"),
            ("export.placed", "all"),
        ]

    def test_of_a_batch_only_who_may_see_all_of_it(self, settings, tmp_path):
        use_local(settings, RUN_IN_SERVER=False)
        mine, other = MediaLibraryFactory(), MediaLibraryFactory()
        for name, library in (("all", None), ("mine", mine), ("other", other)):
            WebhookEndpointFactory(name=name, library=library, events=["batch.finished"])
        batch = batch_of(tmp_path, 2, defaults={"library": mine.name})
        mixed = batch_of(tmp_path, 3, name="mixed.txt", defaults={"library": mine.name})
        mixed.assets.filter(pk=mixed.assets.first().pk).update(library=other)
        for started in (batch, mixed):
            work(started)

        assert told() == [("batch.finished", "all"), ("batch.finished", "all"), ("batch.finished", "mine")]
        body = WebhookMessage.objects.filter(endpoint__name="mine").get().payload
        assert body["data"]["batch"]["id"] == str(batch.pk)
        assert (body["data"]["batch"]["ready"], body["data"]["batch"]["total"]) == (2, 2)

    def test_nobody_listening_costs_one_query(self):
        asset = MediaAssetFactory(ready=True)
        with CaptureQueriesContext(connection) as queries:
            messages.write("asset.ready", type(asset), [asset.pk])

        assert len(queries) == 1

    def test_many_rows_cost_no_more_queries_than_one(self):
        WebhookEndpointFactory()
        assets = MediaAssetFactory.create_batch(10, ready=True)
        counts = []
        for chosen in (assets[:1], assets):
            with CaptureQueriesContext(connection) as queries:
                messages.write("asset.ready", type(assets[0]), [asset.pk for asset in chosen])
            counts.append(len(queries))

        assert counts[0] == counts[1]


@pytest.mark.django_db
def test_what_is_said_of_an_asset():
    WebhookEndpointFactory()
    asset = MediaAssetFactory(ready=True, name="Lighthouse", alt_text="A lighthouse", seed=7)
    asset.tags.add(MediaTagFactory(name="coast"), MediaTagFactory(name="Autumn"))
    announcements.assets_ready([asset.pk])

    body = WebhookMessage.objects.get().payload
    said = body["data"]["asset"]
    assert body["type"] == "asset.ready"
    assert body["timestamp"].endswith("Z")
    assert said["id"] == asset.asset_id
    assert said["library"] == {"id": str(asset.library_id), "name": asset.library.name, "slug": asset.library.slug}
    assert said["tags"] == ["Autumn", "coast"]
    assert (said["width"], said["height"], said["format"], said["seed"]) == (64, 48, "png", 7)
    assert said["cost"] == "0.030000"
    assert said["content_hash"] == asset.content_hash
    assert json.loads(json.dumps(body)) == body


@pytest.mark.django_db
def test_what_is_said_of_a_failure_and_of_an_export(settings):
    async def refuse(prompt):
        raise Refused("local: not that.")

    use_local(settings, refuse, RUN_IN_SERVER=False)
    WebhookEndpointFactory()
    with pytest.raises(GenerationFailed):
        engine.generate_asset_sync("a lighthouse", 16, 16)
    export = AssetExport.objects.create(
        asset=MediaAssetFactory(ready=True), target="figma", state="failed", message="No such file."
    )
    announcements.export_failed(export.pk)

    of_asset, of_export = (message.payload for message in WebhookMessage.objects.order_by("id"))
    assert "not that" in of_asset["data"]["asset"]["failure"]["detail"]
    assert of_asset["data"]["asset"]["cost"] is None
    assert of_export["data"]["export"]["message"] == "No such file."
    assert of_export["data"]["export"]["asset"] == str(export.asset_id)


@pytest.mark.django_db(transaction=True)
class TestWithItsTransaction:
    def test_rolled_back_with_it(self):
        WebhookEndpointFactory()
        asset = MediaAssetFactory(ready=True)
        with atomic():
            announcements.assets_ready([asset.pk])
            transaction.set_rollback(True)

        assert not WebhookMessage.objects.exists()

    @pytest.mark.parametrize("although_done", [False, True])
    @pytest.mark.parametrize("commits_before", range(4))
    def test_whatever_commit_fails_there_is_one_message_for_one_picture(
        self, settings, monkeypatch, commits_before, although_done
    ):
        use_local(settings, RUN_IN_SERVER=False)
        WebhookEndpointFactory(events=["asset.ready"])
        asset = engine.enqueue_sync("a lighthouse", 16, 16)
        with commits_fail(monkeypatch, 1, after=commits_before, although_done=although_done):
            work()

        asset.refresh_from_db()
        assert asset.is_ready
        assert [message.payload["data"]["asset"]["id"] for message in WebhookMessage.objects.all()] == [asset.asset_id]

    def test_a_whole_batch_through_the_worker(self, settings, tmp_path):
        use_local(settings, RUN_IN_SERVER=False)
        WebhookEndpointFactory(name="shop")
        batch = batch_of(tmp_path, 20)
        work(batch)
        lifecycle.finish_if_done(batch.pk)

        assert told() == [("asset.ready", "shop")] * 20 + [("batch.finished", "shop")]
        named = {m.payload["data"]["asset"]["row_key"] for m in WebhookMessage.objects.filter(event="asset.ready")}
        assert named == set(batch.assets.values_list("row_key", flat=True))
