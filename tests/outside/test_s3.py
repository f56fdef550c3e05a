"""A bucket, played by moto over HTTP and spoken to by boto3: pictures go there, come back, and are not lost."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.urls import reverse

from mediagen.engine import get_media_engine
from mediagen.engine.files import links, refusals
from mediagen.engine.maintenance.sweep import maintain
from mediagen.errors import StorageFailed
from mediagen.models import GenerationAttempt, MediaAsset
from tests.engine.work.working import use_local

pytestmark = [pytest.mark.outside, pytest.mark.django_db]
pytest.importorskip("moto")

BUCKET = "pictures"
engine = get_media_engine()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, settings, tmp_path) -> Iterator[Any]:
    import boto3

    keys = {"aws_access_key_id": "made-up", "aws_secret_access_key": "made-up", "region_name": "eu-central-1"}
    resource = boto3.resource("s3", endpoint_url=endpoint, **keys)
    found = resource.Bucket(BUCKET)
    found.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": BUCKET,
                "endpoint_url": endpoint,
                "access_key": "made-up",
                "secret_key": "made-up",
                "region_name": "eu-central-1",
                "querystring_auth": True,
                "object_parameters": {"CacheControl": "private, max-age=31536000, immutable"},
            },
        },
    }
    use_local(settings, RESCUE_DIR=str(tmp_path / "rescued"))
    yield found
    refusals.taken()
    if found.creation_date:
        found.objects.all().delete()
        found.delete()


def names(bucket: Any) -> list[str]:
    return sorted(entry.key for entry in bucket.objects.all())


def fetched(address: str) -> tuple[bytes, dict[str, str]]:
    with urllib.request.urlopen(address) as response:
        return response.read(), {name.lower(): value for name, value in response.headers.items()}


def test_a_picture_goes_there_and_its_signed_address_gives_it_back(bucket, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "SERVE_FILES": "storage"}
    asset = engine.generate_asset_sync("a lighthouse", 64, 48)
    assert names(bucket) == [asset.file.name]
    address = links.picture_url(asset)
    assert "Signature" in address
    content, headers = fetched(address)
    assert (len(content), headers["content-type"]) == (asset.file_size, "image/png")
    assert headers["cache-control"] == "private, max-age=31536000, immutable"


def test_renditions_are_made_there_and_asked_for_there(bucket, settings, client):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "SERVE_FILES": "storage"}
    asset = engine.generate_asset_sync("a lighthouse", 64, 48)
    client.force_login(User.objects.create_superuser("root"))
    response = client.get(links.thumbnail_url(asset, 32))
    assert (response.status_code, response["Cache-Control"]) == (302, "private, max-age=300")
    content, headers = fetched(response["Location"])
    assert (content[8:12], headers["content-type"]) == (b"WEBP", "image/webp")
    assert client.get(reverse("mediagen:asset-file", args=[asset.pk])).status_code == 200, "by our view too"
    assert len(names(bucket)) == 2


def test_a_bucket_that_is_gone_costs_no_picture(bucket, settings, tmp_path):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "STORAGE_PATIENCE_S": 0.0}
    bucket.delete()
    with pytest.raises(StorageFailed, match="is kept in"):
        engine.generate_asset_sync("a lighthouse", 64, 48)
    assert len(list((tmp_path / "rescued").iterdir())) == 1
    with pytest.raises(StorageFailed, match="nothing was bought"):
        engine.generate_asset_sync("another", 64, 48)
    bucket.create(CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    first, second = MediaAsset.objects.order_by("pk")
    for asset in (first, second):
        assert engine.regenerate_asset_sync(asset.pk).is_ready
    assert list((tmp_path / "rescued").iterdir()) == []
    assert GenerationAttempt.objects.filter(asset=first).get().state == "adopted"
    assert names(bucket) == sorted(MediaAsset.objects.values_list("file", flat=True))


def test_the_sweep_keeps_what_a_dead_worker_stored_and_removes_the_rest(bucket):
    asset = engine.generate_asset_sync("a lighthouse", 64, 48)
    kept = asset.file.name
    # As a worker leaves it that dies between storage and row.
    MediaAsset.objects.filter(pk=asset.pk).update(
        generation_state="pending", file="", content_hash="", lease_token=1, lease_until=None
    )
    GenerationAttempt.objects.update(state="submitted", outcome="", finished_at=None)
    stranger = f"{kept.rpartition('/')[0]}/01900000-0000-7000-8000-000000000000-1.png"
    storages["default"].save(stranger, ContentFile(b"whatever"))
    report = maintain()
    assert (report.pictures_kept, report.files_removed >= 1) == (1, True)
    asset.refresh_from_db()
    assert asset.is_ready
    assert names(bucket) == [asset.file.name]
