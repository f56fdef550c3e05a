"""Whose a file is: by its bytes and by its looks; near ones are told of where pictures come in and are shown."""

from __future__ import annotations

import json
from io import BytesIO, StringIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mediagen import images
from mediagen.engine import get_media_engine
from mediagen.engine.files import looks, verify, verify_asset
from mediagen.engine.files.renditions import content_of, rendition
from mediagen.engine.files.uploads import upload
from mediagen.engine.maintenance.sweep import maintain
from mediagen.models import AssetOriginal, MediaAsset
from tests import pictures
from tests.api.callers import EVERYTHING, Caller
from tests.engine.files import test_originals
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory

pytestmark = pytest.mark.django_db

PHOTO = pictures.jpeg(320, 240, seed=21, quality=92)


def smaller(content: bytes = PHOTO) -> bytes:
    with Image.open(BytesIO(content)) as image:
        return pictures.encode(image.resize((200, 150)), "webp", quality=60)


def uploaded(content: bytes = PHOTO, library=None, **values) -> MediaAsset:
    return upload(content, library=library or MediaLibraryFactory(), by=None, **values)


live = pytest.fixture(test_originals.live.__wrapped__)


def test_every_file_of_an_asset_is_known_again(live):
    asset = test_originals.fitted()
    made = content_of(asset, rendition(asset, width=20))
    with asset.file.open() as file:
        stored = file.read()
    left = images.marked(stored, asset.format, asset.digital_source_type)
    assert left != stored
    everything = MediaAsset.objects.all()
    for content, how in {
        test_originals.CAME: "original",
        stored: "file",
        left: "file as it leaves",
        made: "rendition",
    }.items():
        found = verify(content, everything)
        assert [(match.asset, match.how, found.is_ours) for match in found.matches] == [(asset, how, True)]
        assert verify(content, everything.none()).matches == []
    again = pictures.encode(Image.open(BytesIO(left)), "jpeg", quality=60)
    found = verify(again, everything)
    assert [(match.asset, match.how, found.is_ours) for match in found.matches] == [(asset, "looks", False)]
    assert verify_asset(asset, everything).sha256 == asset.original.content_hash
    assert verify(left, everything).says["digital_source_type"] == "trainedAlgorithmicMedia"


def test_what_a_file_says_of_itself():
    exif = Image.Exif()
    exif[0x010F], exif[0x0131] = "Kamera\0", "Editor 5"
    exif.get_ifd(0x8825)[1] = "N"
    info = PngInfo()
    info.add_text("parameters", "a pier\x07\nSteps: 20")
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    says = verify(pictures.png(seed=3, exif=exif, pnginfo=info) + b"behind", MediaAsset.objects.all()).says
    assert says == {
        "digital_source_type": "",
        "content_credentials": {},
        "texts": {"parameters": "a pier \nSteps: 20"},
        "exif": {"Make": "Kamera", "Software": "Editor 5", "GPS": "yes"},
    }


def test_near_ones_are_found_by_four_indexes_and_nothing_else():
    asset = uploaded()
    other = uploaded(pictures.png(seed=8))
    look = images.look_of(smaller(), images.inspect(smaller()))
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert list(looks.near(look)) == [asset.pk]
    assert len(asked) == 4
    if connection.vendor == "sqlite":
        for query in asked.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plan = " ".join(row[3] for row in cursor.fetchall())
            assert "mediagen_asset_look_" in plan
            assert "SCAN" not in plan
    flipped = tuple(band ^ 1 << place for place, band in enumerate(looks.look_in(asset)))
    assert looks.near(flipped) == {asset.pk: 4}
    far = tuple(band ^ 3 << place for place, band in enumerate(looks.look_in(asset)))
    assert looks.near(far) == {}
    assert looks.look_in(other) is not None


def test_similar_leaves_out_what_is_told_of_elsewhere_and_what_may_not_be_seen():
    library = MediaLibraryFactory()
    asset = uploaded(library=library)
    near = uploaded(smaller(), library=library)
    twin = uploaded(library=library, name="Twin")
    child = uploaded(smaller(pictures.jpeg(320, 240, seed=21, quality=80)), library=library, parent=asset.pk)
    deleted = uploaded(pictures.encode(Image.open(BytesIO(PHOTO)), "png"), library=library)
    MediaAsset.objects.filter(pk=deleted.pk).update(status="deleted")
    among = MediaAsset.objects.kept()
    assert [found for found, _ in looks.similar_to(asset, among)] == [near]
    assert {found for found, _ in looks.similar_to(near, among)} == {asset, twin, child}
    assert looks.similar_to(asset, among.none()) == []
    assert looks.hint(asset, among) == f"{asset} is the same file as Twin."
    MediaAsset.objects.filter(pk=twin.pk).update(content_hash="0" * 64, name="Z" * 80)
    assert "looks like" in looks.hint(near, among)


def test_placeholders_and_plain_pictures_look_like_nothing(settings):
    settings.MEDIAGEN = {"DRY_RUN": True}
    for _ in range(2):
        asset = get_media_engine().generate_asset_sync("a pier", 64, 64)
        assert MediaAsset.objects.get(pk=asset.pk).look_a == -1
    plain = pictures.encode(Image.new("RGB", (40, 40), "navy"), "png")
    assert looks.similar_to(uploaded(plain), MediaAsset.objects.all()) == []


def test_pictures_of_an_earlier_version_are_looked_at_by_the_sweep():
    asset = uploaded()
    look = looks.look_in(asset)
    drawn = MediaAssetFactory(ready=True, is_placeholder=True)
    made = MediaAssetFactory(ready=True, content=pictures.png(seed=7), digital_source_type="trainedAlgorithmicMedia")
    gone = MediaAssetFactory(ready=True)
    gone.file.storage.delete(gone.file.name)
    MediaAsset.objects.update(look_a=None, look_b=None, look_c=None, look_d=None)
    assert maintain().looked_at == 2
    assert looks.look_in(MediaAsset.objects.get(pk=asset.pk)) == look
    assert set(MediaAsset.objects.filter(pk__in=[gone.pk, drawn.pk]).values_list("look_a", flat=True)) == {-1}
    with made.file.open() as file:
        leaves = images.marked(file.read(), made.format, "trainedAlgorithmicMedia")
    assert verify(leaves, MediaAsset.objects.all()).matches[0].how == "file as it leaves"
    assert maintain().looked_at == 0


class TestDoors:
    def test_the_api(self):
        mine, theirs = MediaLibraryFactory(owner=UserFactory(may=EVERYTHING)), MediaLibraryFactory(owner=UserFactory())
        asset, hidden = uploaded(library=mine), uploaded(library=theirs)
        client = Caller(mine.owner)
        send = {"file": SimpleUploadedFile("x.webp", smaller())}
        answer = client.post("/api/v1/verify/", send).json()
        assert [(one["asset"], one["how"]) for one in answer["matches"]] == [(str(asset.pk), "looks")]
        assert (answer["is_ours"], answer["says"]["content_credentials"]) == (False, None)
        wrong = client.post("/api/v1/verify/", {"file": SimpleUploadedFile("x.txt", b"hello")})
        assert wrong.status_code == 415
        answer = client.get(f"/api/v1/assets/{asset.pk}/origin/").json()
        assert [one["asset"] for one in answer["matches"]] == [str(asset.pk)]
        assert client.get(f"/api/v1/assets/{hidden.pk}/origin/").status_code == 404
        near = uploaded(smaller(), library=mine)
        answer = client.get(f"/api/v1/assets/{asset.pk}/similar/").json()
        assert [one["asset"]["id"] for one in answer["results"]] == [str(near.pk)]
        sent = {
            "file": SimpleUploadedFile("y.png", pictures.encode(Image.open(BytesIO(PHOTO)), "png")),
            "library": str(mine.pk),
        }
        answer = client.post("/api/v1/assets/", sent).json()
        assert set(answer["similar"]) == {str(asset.pk), str(near.pk)}
        assert answer["duplicates"] == []

    def test_pages(self):
        asset = uploaded(name="Harbour")
        client = Client()
        client.force_login(UserFactory(is_superuser=True, is_staff=True))
        sent = {"files": [SimpleUploadedFile("x.webp", smaller())], "library": str(asset.library_id)}
        answer = client.post(reverse("mediagen:studio-upload"), sent, headers={"accept": "application/json"})
        assert answer.json()["hints"] == ["x looks like Harbour."]
        sent["files"] = [SimpleUploadedFile("z.webp", smaller())]
        page = client.post(reverse("mediagen:studio-upload"), sent, follow=True)
        assert "z is the same file as x." in page.text
        near = MediaAsset.objects.exclude(pk=asset.pk).first()
        for address in ("mediagen:asset", "mediagen:studio-story", "admin:mediagen_mediaasset_change"):
            page = client.get(reverse(address, args=[asset.pk])).text
            assert "Looks alike" in page
            assert str(near.pk) in page
        sent = {"pictures": [SimpleUploadedFile("w.webp", smaller())], "library": str(asset.library_id)}
        page = client.post(reverse("admin:mediagen_mediaasset_upload"), sent, follow=True)
        assert "is the same file as z, x." in page.text

    def test_the_command(self, tmp_path):
        asset = uploaded(name="Harbour")
        path = tmp_path / "near.webp"
        path.write_bytes(smaller())
        out = StringIO()
        with pytest.raises(CommandError) as caught:
            call_command("verify_origin", str(path), stdout=out)
        assert caught.value.returncode == 1
        assert f"It looks like asset {asset.pk}" in out.getvalue()
        out = StringIO()
        call_command("verify_origin", str(asset.pk), "--json", stdout=out)
        assert json.loads(out.getvalue())["matches"][0]["how"] == "file"
        for wrong in (str(tmp_path / "nothing"), str(tmp_path), "00000000-0000-7000-8000-000000000000"):
            with pytest.raises(CommandError) as caught:
                call_command("verify_origin", wrong)
            assert caught.value.returncode == 2
        assert not AssetOriginal.objects.exists()


def test_a_storage_that_is_away_is_asked_again_by_the_next_sweep(monkeypatch):
    for _ in range(6):
        MediaAssetFactory(ready=True)
    asked = []

    class Away:
        def open(self, name):
            asked.append(name)
            raise RuntimeError("not now")

    monkeypatch.setattr(looks, "asset_storage", Away)
    assert looks.fill() == 0
    assert len(asked) == 4
    monkeypatch.undo()
    assert looks.fill() == 6
