"""What came signed is said on the asset, wherever its origin is."""

from __future__ import annotations

import base64

import pytest
from django.core import checks
from django.test import Client
from django.urls import reverse

from mediagen import http
from mediagen.engine import get_media_engine
from mediagen.engine.files.renditions import rendition
from mediagen.engine.files.uploads import upload
from mediagen.engine.maintenance.sweep import maintain
from mediagen.http.client import httpx
from mediagen.models import MediaAsset, ProviderConfig
from tests.api.callers import Caller
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.images.test_credentials import SAYS, signed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def not_checked(monkeypatch):
    """Whether the library is installed or not."""
    monkeypatch.setattr("mediagen.images.signing.library", lambda: None)


def made(*size: int) -> MediaAsset:
    ProviderConfig.objects.all().delete()
    ProviderConfig.objects.create(name="first", adapter="openai_images", credentials="sk-0123456789abcdef", prices={})
    answer = {"data": [{"b64_json": base64.b64encode(signed("png")).decode()}], "output_format": "png"}
    with http.override_transport(httpx.MockTransport(lambda request: httpx.Response(200, json=answer))):
        asset = get_media_engine().generate_asset_sync("a pier", *size)
    return MediaAsset.objects.get(pk=asset.pk)


@pytest.mark.parametrize("size", [(64, 48), (32, 32)], ids=["as asked", "fitted"])
def test_of_a_generated_picture(settings, size):
    settings.MEDIAGEN = {"DRY_RUN": False}
    asset = made(*size)
    assert asset.content_credentials == SAYS
    assert ("C2PA" in str(asset.fit_report)) == (size == (32, 32))
    said = "signed by Example Site; not checked; made with Painter 3"
    client = Client()
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    assert said in client.get(reverse("mediagen:asset", args=[asset.pk])).text
    assert said in client.get(reverse("admin:mediagen_mediaasset_change", args=[asset.pk])).text
    assert (
        Caller(UserFactory(is_superuser=True)).get(f"/api/v1/assets/{asset.pk}/").json()["content_credentials"] == SAYS
    )


def test_of_an_upload_which_loses_it_and_of_one_from_an_earlier_version():
    asset = upload(signed("jpeg"), library=MediaLibraryFactory(), by=None)
    assert asset.content_credentials == SAYS
    plain = MediaAssetFactory(ready=True)
    came = MediaAssetFactory(ready=True, content=signed("png"))
    assert maintain().looked_at == 2
    found = dict(MediaAsset.objects.values_list("pk", "content_credentials"))
    assert found == {asset.pk: SAYS, plain.pk: {}, came.pk: SAYS}


def test_a_site_that_cannot_sign_makes_its_pictures_all_the_same(settings, caplog):
    settings.MEDIAGEN = {"DRY_RUN": False, "C2PA_CERTIFICATES": "/nowhere/chain.pem", "C2PA_RENDITIONS_FROM_PX": 1}
    asset = made(32, 32)
    assert asset.generation_state == "ready"
    assert rendition(asset, width=20).width == 20
    assert caplog.text.count("a picture is not signed") == 2
    [found] = [found for found in checks.run_checks() if found.id == "mediagen.W037"]
    assert "C2PA_CERTIFICATES" in found.msg
    settings.MEDIAGEN = {}
    assert not [found for found in checks.run_checks() if found.id == "mediagen.W037"]
