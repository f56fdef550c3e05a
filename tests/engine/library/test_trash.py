"""Deleting: hidden at once, back for thirty days, then gone with its files."""

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from mediagen.engine import get_media_engine
from mediagen.engine.library import trash
from mediagen.engine.library.assets import get_asset
from mediagen.engine.maintenance import sweep
from mediagen.errors import AssetInUse, InvalidRequest
from mediagen.models import AssetUsage, GenerationAttempt, MediaAsset, Rendition, asset_storage
from tests.engine.work.working import use_local
from tests.factories import GenerationAttemptFactory, MediaAssetFactory, UserFactory, stored

pytestmark = pytest.mark.django_db


def long_ago(asset, days=31):
    MediaAsset.objects.filter(pk=asset.pk).update(deleted_at=timezone.now() - timedelta(days=days))


def test_a_deleted_asset_is_hidden_and_comes_back_as_it_was():
    user = UserFactory()
    asset = MediaAssetFactory(ready=True, status="approved")

    done = trash.delete([asset.pk], user)

    asset.refresh_from_db()
    assert (done.deleted, done.used) == ((asset.pk,), {})
    assert (asset.status, asset.status_before, asset.deleted_by) == ("deleted", "approved", user)
    assert asset_storage().exists(asset.file.name)
    with pytest.raises(InvalidRequest):
        get_asset(asset.pk)
    assert trash.delete([asset.pk], user).deleted == ()

    assert trash.undelete([asset.pk], user) == (asset.pk,)
    asset.refresh_from_db()
    assert (asset.status, asset.status_before, asset.deleted_by, asset.deleted_at) == ("approved", "", None, None)
    assert trash.undelete([asset.pk], user) == ()


def test_one_in_use_needs_a_second_yes_and_stops_the_others_too():
    used, other = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)
    AssetUsage.objects.create(asset=used, campaign="Spring", channel="mail")
    AssetUsage.objects.create(asset=other, campaign="Winter", ended_at=timezone.now())

    with pytest.raises(AssetInUse, match=r"in use: Spring \(mail\)") as caught:
        trash.delete([used.pk, other.pk], None)

    assert caught.value.used == {str(used.pk): ["Spring (mail)"]}
    assert not MediaAsset.objects.filter(status="deleted").exists()

    done = trash.delete([used.pk, other.pk], None, even_if_used=True)
    assert set(done.deleted) == {used.pk, other.pk}
    assert done.used == {str(used.pk): ["Spring (mail)"]}


def test_too_many_at_once_are_refused():
    with pytest.raises(InvalidRequest, match="too many"):
        trash.delete(range(1001), None)


def test_what_waits_is_cancelled_and_can_be_had_back():
    asset = MediaAssetFactory()

    trash.delete([asset.pk], None)
    trash.undelete([asset.pk], None)

    asset.refresh_from_db()
    assert (asset.status, asset.generation_state) == ("draft", "cancelled")


@pytest.mark.django_db(transaction=True)
def test_a_picture_that_is_being_paid_for_lands_in_the_trash(settings):
    async def answer(prompt):
        await sync_to_async(trash.delete)([(await MediaAsset.objects.aget(prompt=prompt)).pk], None)

    use_local(settings, answer)
    asset = get_media_engine().generate_asset_sync("a pier", width=16, height=16)

    asset.refresh_from_db()
    assert (asset.status, asset.generation_state) == ("deleted", "ready")
    assert asset_storage().exists(asset.file.name)
    trash.undelete([asset.pk], None)
    asset.refresh_from_db()
    assert (asset.status, asset.generation_state) == ("draft", "ready")


def test_a_deleted_one_is_not_generated_again():
    asset = MediaAssetFactory(failed=True)
    trash.delete([asset.pk], None)

    for again in (get_media_engine().enqueue_again_sync, get_media_engine().regenerate_asset_sync):
        with pytest.raises(InvalidRequest, match="There is no asset"):
            again(asset.pk)


@pytest.mark.django_db(transaction=True)
def test_after_its_time_row_and_files_go_and_the_money_stays_known():
    asset, young, child = (MediaAssetFactory(ready=True) for _ in range(3))
    MediaAsset.objects.filter(pk=child.pk).update(parent=asset)
    GenerationAttemptFactory(asset=asset)
    made = Rendition.objects.create(
        asset=asset, key="w1", file=stored(b"x", "mediagen/r.webp"), format="webp", width=1, height=1, file_size=1
    )
    trash.delete([asset.pk, young.pk], None)
    long_ago(asset)
    long_ago(young, days=29)

    report = sweep.maintain()

    assert report.deleted_purged == 1
    assert set(MediaAsset.objects.values_list("pk", flat=True)) == {young.pk, child.pk}
    assert not any(asset_storage().exists(name) for name in (asset.file.name, made.file.name))
    assert asset_storage().exists(young.file.name)
    assert GenerationAttempt.objects.get().asset is None


@pytest.mark.django_db(transaction=True)
def test_files_stay_when_the_rows_do(monkeypatch):
    asset = MediaAssetFactory(ready=True)
    trash.delete([asset.pk], None)
    long_ago(asset)
    monkeypatch.setattr(trash.MediaAsset.objects.none().__class__, "delete", boom)

    with pytest.raises(RuntimeError):
        trash.purge()

    assert asset_storage().exists(MediaAsset.objects.get().file.name)


def boom(*args, **kwargs):
    raise RuntimeError("the database went away")


def test_one_had_back_in_time_is_not_purged():
    asset = MediaAssetFactory(ready=True)
    trash.delete([asset.pk], None)
    long_ago(asset)
    trash.undelete([asset.pk], None)

    assert trash.purge() == 0
    assert MediaAsset.objects.filter(pk=asset.pk).exists()


def test_one_that_is_still_being_made_is_left(settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_DELETED_DAYS": 0}
    asset = MediaAssetFactory(generation_state="running", lease_token=1)
    trash.delete([asset.pk], None)
    long_ago(asset, days=1)

    assert trash.purge() == 0
    MediaAsset.objects.filter(pk=asset.pk).update(generation_state="cancelled")
    assert trash.purge() == 1
