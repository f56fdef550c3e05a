"""The file as its vendor sent it, kept where another was made of it in the size that was asked for."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from PIL import Image, ImageChops, ImageStat

from mediagen import http
from mediagen.engine import get_media_engine
from mediagen.engine.files import originals, storage
from mediagen.engine.files.renditions import content_of, rendition
from mediagen.engine.files.variants import make_variants
from mediagen.engine.library import trash
from mediagen.engine.maintenance.sweep import maintain
from mediagen.engine.work import jobs
from mediagen.http.client import httpx
from mediagen.models import AssetOriginal, GenerationAttempt, MediaAsset, ProviderConfig, Rendition, asset_storage
from tests import pictures
from tests.factories import MediaAssetFactory, UserFactory

pytestmark = pytest.mark.django_db

CAME = pictures.png(192, 96, seed=5)


@pytest.fixture(autouse=True)
def live(settings):
    settings.MEDIAGEN = {"DRY_RUN": False, "STORAGE_PATIENCE_S": 0.0}
    ProviderConfig.objects.all().delete()
    ProviderConfig.objects.create(name="first", adapter="openai_images", credentials="sk-0123456789abcdef", prices={})
    answer = {"data": [{"b64_json": base64.b64encode(CAME).decode()}], "output_format": "png"}
    with http.override_transport(httpx.MockTransport(lambda request: httpx.Response(200, json=answer))):
        yield


def fitted() -> MediaAsset:
    asset = get_media_engine().generate_asset_sync("a pier", 64, 64)
    assert (asset.width, asset.height) == (64, 64)
    return MediaAsset.objects.get(pk=asset.pk)


def kept_files() -> list[str]:
    return [name for name in _files() if "originals/" in name]


def _files(folder: str = "mediagen") -> list[str]:
    try:
        folders, names = asset_storage().listdir(folder)
    except FileNotFoundError:
        return []
    return [f"{folder}/{name}" for name in names] + [one for each in folders for one in _files(f"{folder}/{each}")]


def test_it_is_kept_to_the_last_byte_and_given_to_whoever_may_read_the_asset(settings):
    asset = fitted()
    row = asset.original
    assert (row.width, row.height, row.file_size, row.content_hash) == (
        192, 96, len(CAME), hashlib.sha256(CAME).hexdigest()
    )  # fmt: skip
    assert str(asset.pk) in row.file.name
    assert asset.file.name.rpartition("/")[2].partition(".")[0] + "-original" not in row.file.name
    client = Client()
    address = reverse("mediagen:asset-original", args=[asset.pk])
    assert client.get(address).status_code == 302
    client.force_login(UserFactory())
    assert client.get(address).status_code in (403, 404)
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    got = client.get(address)
    assert (got.content, got["Content-Type"]) == (CAME, "image/png")
    assert got["Content-Disposition"].startswith("attachment")
    assert client.get(address, headers={"if-none-match": got["ETag"]}).status_code == 304
    assert "192×96" in client.get(reverse("mediagen:asset", args=[asset.pk])).text
    assert "192×96" in client.get(reverse("admin:mediagen_mediaasset_change", args=[asset.pk])).text
    other = MediaAssetFactory(ready=True)
    assert client.get(reverse("mediagen:asset-original", args=[other.pk])).status_code == 404
    job = jobs.start("zip", {"asset_ids": [asset.pk]}, by=UserFactory(is_superuser=True))
    jobs.work_off()
    job.refresh_from_db()
    with asset_storage().open(job.file.name) as file, zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        assert CAME not in [archive.read(name) for name in archive.namelist()]


@pytest.mark.parametrize(
    "wish", [{"width": 48}, {"width": 24, "height": 48, "fit": "cover", "focus": (0.2, 0.5)}], ids=["inside", "cover"]
)
def test_renditions_are_made_of_it_and_show_what_the_asset_shows(wish):
    asset = fitted()
    made = Image.open(io.BytesIO(content_of(asset, rendition(asset, format="png", **wish)))).convert("RGB")
    AssetOriginal.objects.all().delete()
    Rendition.objects.all().delete()
    of_fitted = Image.open(io.BytesIO(content_of(asset, rendition(asset, format="png", **wish)))).convert("RGB")
    assert made.size == of_fitted.size
    # The same part of the picture; not the same pixels, because it was scaled once and not twice.
    assert made.tobytes() != of_fitted.tobytes()
    assert max(ImageStat.Stat(ImageChops.difference(made, of_fitted)).mean) < 12
    mirrored = made.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert max(ImageStat.Stat(ImageChops.difference(mirrored, of_fitted)).mean) > 12


def test_one_that_is_gone_or_damaged_is_passed_over():
    asset = fitted()
    asset_storage().delete(asset.original.file.name)
    assert rendition(asset, width=20).width == 20
    storage.remove_file(asset.original.file.name)
    asset_storage().save(asset.original.file.name, io.BytesIO(pictures.undecodable_png(192, 96)))
    assert rendition(asset, width=22).width == 22
    (variant,) = make_variants(asset, ["20x20"], None)
    assert (variant.width, variant.height) == (20, 20)


def test_a_storage_that_takes_no_more_costs_the_original_and_not_the_picture(monkeypatch, caplog):
    save = storage.save_file

    async def full(name, content, **how):
        if "original" in name:
            raise OSError(28, "No space left on device")
        return await save(name, content, **how)

    monkeypatch.setattr(storage, "save_file", full)
    asset = fitted()
    assert (asset.generation_state, asset.fit_report["original"]) == ("ready", originals.LOST["original"])
    assert GenerationAttempt.objects.get().state == "succeeded"
    assert not AssetOriginal.objects.exists()
    assert "original of asset" in caplog.text


def test_how_long_it_is_kept(settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_ORIGINALS_DAYS": 0}
    assert "original" not in fitted().fit_report
    assert kept_files() == []
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_ORIGINALS_DAYS": None}
    asset = fitted()
    AssetOriginal.objects.update(created_at=asset.created_at - timedelta(days=8))
    report = maintain()
    assert (report.originals_removed, report.files_removed, report.failed) == (0, 0, [])
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_ORIGINALS_DAYS": 9}
    assert maintain().originals_removed == 0
    assert len(kept_files()) == 1
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_ORIGINALS_DAYS": 7}
    assert maintain().originals_removed == 1
    assert kept_files() == []
    assert not AssetOriginal.objects.exists()


def test_it_goes_with_its_asset(settings, django_capture_on_commit_callbacks):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_DELETED_DAYS": 0}
    asset = fitted()
    trash.delete([asset.pk], None)
    MediaAsset.objects.update(deleted_at=asset.created_at - timedelta(days=1))
    with django_capture_on_commit_callbacks(execute=True):
        assert trash.purge() == 1
    assert _files() == []


def test_what_a_killed_worker_left_beside_its_picture_is_kept_with_it(monkeypatch):
    """Stored, and no row of either is written: the next worker, or the sweep, takes both."""
    asset = fitted()
    name, beside = asset.file.name, asset.original.file.name
    AssetOriginal.objects.all().delete()
    MediaAsset.objects.filter(pk=asset.pk).update(generation_state="pending", file="", content_hash="", lease_token=2)
    GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None)
    assert maintain().pictures_kept == 1
    asset.refresh_from_db()
    row = AssetOriginal.objects.get()
    assert asset.generation_state == "ready"
    assert originals.read(row) == CAME
    assert {name, beside}.isdisjoint(_files())
    assert {asset.file.name, row.file.name} == set(_files())
