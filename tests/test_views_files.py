"""Files over HTTP: to whom, how, and never as something that runs."""

import asyncio

import pytest
from django.test import AsyncClient
from django.urls import reverse

from mediagen.engine.files import links, renditions
from mediagen.images import inspect
from mediagen.models import BackgroundJob, asset_storage
from tests import pictures
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client):
    client.force_login(UserFactory(may=["view_mediaasset"], is_staff=False))
    return client


def address(asset, **query):
    return reverse("mediagen:asset-rendition", args=[asset.pk], query=query)


def hidden_asset():
    return MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))


def test_a_rendition_is_sent_to_those_who_may_read_the_asset(reader):
    asset = MediaAssetFactory(ready=True)

    response = reader.get(address(asset, w=32, format="jpeg"))

    assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
    assert inspect(response.content).width == 32
    assert response["Cache-Control"] == "private, no-cache"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"].startswith("inline; filename=")
    assert (
        reader.get(address(asset, w=32, format="jpeg"), headers={"if-none-match": response["ETag"]}).status_code == 304
    )
    assert "immutable" in reader.get(address(asset, w=32, v=asset.content_hash[:8]))["Cache-Control"]
    assert "immutable" not in reader.get(address(asset, w=32, v="0" * 8))["Cache-Control"]


def test_to_nobody_else(reader, client):
    hidden = hidden_asset()

    assert reader.get(address(hidden, w=32)).status_code == 404
    assert reader.get(reverse("mediagen:asset-file", args=[hidden.pk])).status_code == 404
    client.logout()
    assert client.get(address(MediaAssetFactory(ready=True), w=32)).status_code == 404


def test_a_wish_that_cannot_be_is_said(reader):
    response = reader.get(address(MediaAssetFactory(ready=True), w="wide"))

    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["field"] == "width"


def test_a_storage_that_gives_nothing_is_a_503_without_its_words(reader):
    asset = MediaAssetFactory(ready=True)
    asset_storage().delete(asset.file.name)

    response = reader.get(address(asset, w=32))

    assert response.status_code == 503
    assert asset.file.name not in response.content.decode()


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=10-", 206, slice(10, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-99999999", 206, slice(0, None)),
        ("bytes=99999999-", 200, slice(0, None)),
        ("bytes=5-2", 200, slice(0, None)),
        ("bytes=-0", 200, slice(0, None)),
        (f"bytes={'9' * 5000}-", 200, slice(0, None)),
        ("bytes=0-1,4-5", 200, slice(0, None)),
        ("bytes=a-b", 200, slice(0, None)),
        ("bytes=-", 200, slice(0, None)),
        ("lines=0-1", 200, slice(0, None)),
    ],
)
def test_ranges(reader, asked, status, part):
    asset = MediaAssetFactory(ready=True)
    content = pictures.png()

    response = reader.get(reverse("mediagen:asset-file", args=[asset.pk]), headers={"range": asked})

    assert response.status_code == status
    assert response.content == content[part]
    if status == 206:
        start = part.indices(len(content))[0]
        assert response["Content-Range"] == f"bytes {start}-{start + len(response.content) - 1}/{len(content)}"


# --- signed addresses


def test_a_signed_address_needs_nobody_signed_in(client):
    asset = hidden_asset()

    response = client.get(links.signed_url(asset))

    assert (response.status_code, response.content) == (200, pictures.png())
    assert "default-src 'none'; sandbox" in response["Content-Security-Policy"]
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["Content-Disposition"].startswith("inline")
    assert 3500 < int(response["Cache-Control"].rpartition("=")[2]) <= 3600
    assert client.get(links.signed_url(asset, download=True))["Content-Disposition"].startswith("attachment")
    small = client.get(links.signed_url(asset, width=16, format="png"))
    assert inspect(small.content).width == 16


@pytest.mark.parametrize("token", ["x", "a.b.c.d:e", "%00", "a" * 500])
def test_what_was_not_signed_is_refused(client, token):
    response = client.get(f"/mediagen/files/{token}/")

    assert response.status_code == 403
    assert response.json()["type"] == "urn:mediagen:problem:link-refused"
    assert response["Cache-Control"] == "no-store"


def test_a_zip_comes_piece_by_piece_and_is_saved(client, monkeypatch):
    content = bytes(range(256)) * 40
    job = BackgroundJob.objects.create(kind="zip", state="done", file=stored(content, "mediagen/jobs/x.zip"))
    monkeypatch.setattr("mediagen.views_files.PIECE", 1000)

    response = client.get(links.signed_job_url(job))

    assert b"".join(response.streaming_content) == content
    assert response["Content-Type"] == "application/zip"
    assert response["Content-Length"] == str(len(content))
    assert response["Content-Disposition"] == f'attachment; filename="zip-{job.pk}.zip"'


@pytest.mark.django_db(transaction=True)
def test_a_zip_streams_under_asgi_too():
    content = bytes(5000)
    job = BackgroundJob.objects.create(kind="zip", state="done", file=stored(content, "mediagen/jobs/x.zip"))

    async def fetch():
        response = await AsyncClient().get(links.signed_job_url(job))
        assert response.is_async
        return b"".join([piece async for piece in response.streaming_content])

    assert asyncio.run(fetch()) == content


def test_a_zip_that_is_gone_is_a_404(client):
    job = BackgroundJob.objects.create(kind="zip", state="done", file="mediagen/jobs/gone.zip")

    assert client.get(links.signed_job_url(job)).status_code == 404


def test_a_lost_rendition_is_made_again(client):
    asset = MediaAssetFactory(ready=True)
    asset_storage().delete(renditions.rendition(asset, width=16).file.name)

    assert client.get(links.signed_url(asset, width=16)).status_code == 200
