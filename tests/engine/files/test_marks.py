"""What a model made says so, whichever way it leaves: as it came, fitted, smaller, converted, in a zip."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.test import Client
from django.urls import reverse

from mediagen import images
from mediagen.engine import get_media_engine
from mediagen.engine.files import storage
from mediagen.engine.files.renditions import content_of, rendition
from mediagen.engine.files.variants import make_variants
from mediagen.engine.work import jobs
from mediagen.images.origin import BY_MODEL, source_type_in
from mediagen.models import ProviderConfig, asset_storage
from mediagen.types import GeneratedImage
from tests import pictures
from tests.factories import UserFactory
from tests.fakes import Duck

pytestmark = pytest.mark.django_db


class Painter(Duck):
    """A foreign provider whose pictures say nothing of themselves."""

    content = b""

    def __init__(self):
        picture = images.inspect(self.content)
        image = GeneratedImage(
            content=self.content, format=picture.format, width=picture.width, height=picture.height, cost="0.01"
        )
        super().__init__("painter", image)


@pytest.mark.parametrize("format", pictures.FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (32, 32)], ids=["as asked", "fitted"])
def test_every_way_out_keeps_the_mark(settings, format, size):
    Painter.content = pictures.picture(format, 64, 48)
    assert source_type_in(Painter.content) == ""
    settings.MEDIAGEN = {
        **settings.MEDIAGEN, "DRY_RUN": False, "PROVIDERS": {"painter": "tests.engine.files.test_marks.Painter"}
    }  # fmt: skip
    ProviderConfig.objects.update(enabled=False)
    asset = get_media_engine().generate_asset_sync("a pier", *size)
    asset.refresh_from_db()
    with asset.file.open() as file:
        original = file.read()
    assert (asset.digital_source_type, asset.provider_name) == (BY_MODEL, "painter")
    assert images.inspect(original).sha256 == asset.content_hash
    if size == (64, 48):
        assert original == Painter.content, "what is stored is what its vendor sent"
    left = storage.leaving(asset, original)
    assert source_type_in(left) == BY_MODEL
    client = Client()
    client.force_login(UserFactory(is_superuser=True))
    assert client.get(reverse("mediagen:asset-file", args=[asset.pk])).content == left
    for wanted in ("webp", "avif", "jpeg", "png"):
        assert source_type_in(content_of(asset, rendition(asset, width=20, format=wanted))) == BY_MODEL
    (variant,) = make_variants(asset, ["20x20"], None)
    with variant.file.open() as file:
        assert source_type_in(file.read()) == variant.digital_source_type == BY_MODEL
    assert source_type_in(images.converted(left, images.inspect(left), "jpeg")[0]) == BY_MODEL
    if format == "png":
        job = jobs.start("zip", {"asset_ids": [asset.pk]}, by=UserFactory(is_superuser=True))
        jobs.work_off()
        job.refresh_from_db()
        with asset_storage().open(job.file.name) as file, zipfile.ZipFile(io.BytesIO(file.read())) as archive:
            picture = next(name for name in archive.namelist() if name != "manifest.csv")
            assert source_type_in(archive.read(picture)) == BY_MODEL
            assert BY_MODEL in archive.read("manifest.csv").decode()
