from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from mediagen.engine import get_media_engine
from mediagen.engine.events import progress
from mediagen.engine.events.progress import Story, news, watching
from mediagen.models import GenerationAttempt, MediaAsset
from tests.engine.work.working import use_local, work
from tests.factories import GenerationAttemptFactory, MediaAssetFactory

engine = get_media_engine()


def story(asset: MediaAsset) -> Story:
    return Story(MediaAsset.objects.get(pk=asset.pk), tuple(GenerationAttempt.objects.of(asset)))


def told(stories, position=""):
    """([(provider and state of an attempt, or state of the asset)], the last position)."""
    found = list(news(stories, position))
    words = [
        f"{one.attempt.provider_name} {one.attempt.state}" if one.attempt else str(one.story.asset.generation_state)
        for one in found
    ]
    return words, found[-1].position if found else position


@pytest.mark.django_db
class TestNews:
    def test_each_thing_is_told_once(self):
        asset = MediaAssetFactory()
        words, position = told([story(asset)])
        assert words == ["pending"]

        MediaAsset.objects.filter(pk=asset.pk).update(generation_state="running", lease_token=1)
        attempt = GenerationAttemptFactory(asset=asset, in_flight=True)
        words, position = told([story(asset)], position)
        assert words == ["sdxl submitted", "running"]

        GenerationAttempt.objects.filter(pk=attempt.pk).update(state="failed", outcome="unavailable")
        GenerationAttemptFactory(asset=asset, provider_name="flux", position=2, in_flight=True)
        words, position = told([story(asset)], position)
        assert words == ["sdxl failed", "flux submitted"]
        assert told([story(asset)], position) == ([], position)

    def test_a_row_that_is_written_late_is_not_missed(self):
        """A skip is written together with what comes after it, and stands before it."""
        asset = MediaAssetFactory()
        GenerationAttemptFactory(asset=asset, position=2, in_flight=True)
        _, position = told([story(asset)])
        GenerationAttemptFactory(asset=asset, position=1, provider_name="canva_api", skipped=True)

        assert told([story(asset)], position)[0] == ["canva_api skipped"]

    def test_from_the_middle_after_a_break(self):
        first, second = MediaAssetFactory(), MediaAssetFactory()
        GenerationAttemptFactory(asset=first)
        both = [story(first), story(second)]
        all_news = list(news(both))

        for number, one in enumerate(all_news):
            assert told(both, one.position)[0] == told(both)[0][number + 1 :]

    def test_an_asset_that_is_made_again_is_told_again(self):
        asset = MediaAssetFactory(failed=True)
        _, position = told([story(asset)])
        MediaAsset.objects.filter(pk=asset.pk).update(lease_token=1)

        assert told([story(asset)], position)[0] == ["failed"]

    @pytest.mark.parametrize("position", ["x", ";;", "ready1:;ready2:", "0" * 9000, "é", ":,*"])
    def test_a_position_that_is_none_counts_as_the_beginning(self, position):
        assert told([story(MediaAssetFactory())], position)[0] == ["pending"]


async def until_over(asset_ids, timeout_s) -> bool:
    """Wait until nothing of these is to be made any more; False when that takes longer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s), watching(asset_ids) as watch:
            while not watch.is_over:
                await watch.change(timeout_s)
            return True
    return False


@pytest.mark.django_db(transaction=True)
class TestWatching:
    def test_work_in_this_process_is_seen_before_the_next_look(self, settings, monkeypatch):
        monkeypatch.setattr(progress, "LOOK_S", 30.0)
        use_local(settings)
        asset = engine.enqueue_sync("lighthouse", 16, 16)

        async def main():
            heard, position = [], ""
            async with watching([asset.pk]) as watch:
                thread = threading.Thread(target=work)
                while True:
                    for one in news(watch.stories, position):
                        heard.append(one.attempt.state if one.attempt else str(one.story.asset.generation_state))
                        position = one.position
                    if watch.is_over:
                        break
                    if thread.ident is None:
                        thread.start()
                    await watch.change(20)
                await sync_to_async(thread.join)()
            return heard

        heard = async_to_sync(main)()

        assert heard[0] == "pending"
        assert heard[-1] == "ready"
        assert "succeeded" in heard

    def test_work_of_others_is_seen_at_the_next_look(self, monkeypatch):
        monkeypatch.setattr(progress, "LOOK_S", 0.05)
        asset = MediaAssetFactory()

        async def main():
            async with watching([asset.pk]) as watch:
                await watch.change(0.2)  # the reading at the beginning may be news
                await MediaAsset.objects.filter(pk=asset.pk).aupdate(generation_state="cancelled")
                assert await watch.change(20)
                return watch.is_over

        assert async_to_sync(main)() is True

    def test_many_watches_cost_one_look(self, monkeypatch):
        monkeypatch.setattr(progress, "LOOK_S", 0.05)
        asset = MediaAssetFactory()
        looks = []
        look = progress._signatures
        monkeypatch.setattr(progress, "_signatures", lambda ids: looks.append(ids) or look(ids))

        async def one():
            return await until_over([asset.pk], 20)

        async def main():
            tasks = [asyncio.create_task(one()) for _ in range(50)]
            while len(looks) < 3:
                await asyncio.sleep(0.02)
            await MediaAsset.objects.filter(pk=asset.pk).aupdate(generation_state="cancelled")
            return await asyncio.gather(*tasks)

        assert async_to_sync(main)() == [True] * 50
        assert all(ids == [asset.pk] for ids in looks)

    def test_a_wait_ends_when_its_time_is_over(self):
        assert async_to_sync(until_over)([MediaAssetFactory().pk], 0.05) is False

    def test_an_asset_that_is_gone_holds_nobody(self, monkeypatch):
        monkeypatch.setattr(progress, "LOOK_S", 0.05)
        asset = MediaAssetFactory()

        async def main():
            async with asyncio.timeout(20), watching([asset.pk]) as watch:
                await MediaAsset.objects.filter(pk=asset.pk).adelete()
                while not watch.is_over:
                    await watch.change(1)
                return watch.stories

        assert async_to_sync(main)() == []

    def test_nothing_is_left_when_nobody_watches(self):
        asset = MediaAssetFactory()

        async def main():
            async with watching([asset.pk]):
                hub = progress._hubs.here()
                assert hub.stories
            while hub in progress._hubs._hubs.values():
                await asyncio.sleep(0.02)
            return hub.stories

        assert async_to_sync(main)() == {}
