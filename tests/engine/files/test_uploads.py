"""Uploads: what is taken, what is refused, and what is left when something breaks."""

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from PIL import Image

from mediagen import signals
from mediagen.engine.files import storage, uploads
from mediagen.engine.maintenance import sweep
from mediagen.errors import InvalidRequest, StorageFailed
from mediagen.models import MediaAsset, asset_storage
from mediagen.types import uuid7
from tests import pictures
from tests.factories import MediaAssetFactory, MediaLibraryFactory, MediaTagFactory, UserFactory, stored

pytestmark = pytest.mark.django_db(transaction=True)


def upload(content=None, called="photo.png", **how):
    content = pictures.png() if content is None else content
    how.setdefault("library", MediaLibraryFactory())
    return uploads.upload(SimpleUploadedFile(called, content), by=how.pop("by", None), **how)


def content_of(asset):
    with asset.file.open("rb") as file:
        return file.read()


def kept_files():
    return list(sweep._stored_names())


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_a_picture_becomes_a_ready_asset(format):
    user, library = UserFactory(), MediaLibraryFactory()
    library.default_tags.add(MediaTagFactory(name="press"))
    told = []
    signals.asset_ready.connect(receiver := lambda asset, **kwargs: told.append(asset.pk))

    asset = upload(
        pictures.picture(format), "The pier.JPG", library=library, by=user, alt_text="a pier", tags=["Sea", "PRESS"]
    )

    signals.asset_ready.disconnect(receiver)
    asset = MediaAsset.objects.get(pk=asset.pk)
    assert (asset.generation_state, asset.status, asset.source) == ("ready", "draft", "uploaded")
    assert (asset.format, asset.width, asset.height) == (format, 64, 48)  # what it is, not what it is called
    assert (asset.name, asset.original_name, asset.alt_text) == ("The pier", "The pier.JPG", "a pier")
    assert (asset.created_by, asset.cost, asset.tag_names) == (user, 0, ["Sea", "press"])
    content = content_of(asset)
    assert (asset.file_size, asset.content_hash) == (len(content), hashlib.sha256(content).hexdigest())
    assert asset.file.name.endswith(f"{asset.pk}-1.{storage.EXTENSIONS[format]}")
    assert told == [asset.pk]


def test_bytes_and_open_files_will_do(tmp_path):
    library = MediaLibraryFactory()
    path = tmp_path / "pier.webp"
    path.write_bytes(pictures.webp())

    with path.open("rb") as file:
        from_file = uploads.upload(file, library=library, by=None, name="mine")
    from_bytes = uploads.upload(pictures.png(), library=library, by=None)

    assert (from_file.name, from_file.original_name, from_file.format) == ("mine", "pier.webp", "webp")
    assert (from_bytes.name, from_bytes.original_name) == ("", "")


def test_the_place_where_it_was_taken_is_not_kept():
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 12.0, 30.0), 3: "E", 4: (16.0, 22.0, 0.0)}
    exif[0x0112] = 6
    content = pictures.jpeg(40, 24, exif=exif.tobytes())

    asset = upload(content)

    image = Image.open(io.BytesIO(content_of(asset)))
    assert not image.getexif()
    assert image.size == (asset.width, asset.height) == (24, 40)


BAD = {
    "nothing": b"",
    "a page": pictures.html(),
    "a drawing": pictures.svg(),
    "an archive": pictures.zip_archive(),
    "a gif that is a script": b"GIF89a/*" + b"*/=1;alert(1)//" * 9,
    "half a picture": pictures.truncated(pictures.png()),
    "half a jpeg": pictures.truncated(pictures.jpeg()),
    "a bomb": pictures.bomb_png(),
    "what cannot be decoded": pictures.undecodable_png(),
    "text": b"just words",
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_whole_picture_is_refused_and_leaves_nothing(what):
    with pytest.raises(InvalidRequest) as caught:
        upload(BAD[what], "photo.png")

    assert caught.value.field == "file"
    assert not MediaAsset.objects.exists()
    assert kept_files() == []


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_what_stands_behind_a_picture_is_not_kept_and_that_is_said(format):
    asset = upload(pictures.polyglot(format), "photo.png")

    assert content_of(asset) == content_of(upload(pictures.picture(format), "photo.png"))
    assert "behind the end" in asset.fit_report["content"]["why"]


def test_credentials_that_an_upload_loses_are_told():
    content = pictures.png()
    asset = upload(content[:33] + pictures.png_chunk(b"caBX", b"jumb" * 20) + content[33:], "photo.png")

    assert "C2PA" in asset.fit_report["content"]["why"]
    assert b"jumb" not in content_of(asset)


def test_limits_are_the_sites_own(settings):
    settings.MEDIAGEN = {"MAX_IMAGE_BYTES": 1000}
    with pytest.raises(InvalidRequest, match="1,000 bytes"):
        upload()
    settings.MEDIAGEN = {"MAX_IMAGE_PIXELS": 1000}
    with pytest.raises(InvalidRequest, match="megapixels"):
        upload()


def test_no_more_is_read_than_the_limit(settings):
    settings.MEDIAGEN = {"MAX_IMAGE_BYTES": 1000}

    class Endless:
        read_bytes = 0

        def read(self, size):
            self.read_bytes += size
            return bytes(size)

    endless = Endless()
    with pytest.raises(InvalidRequest, match="1,000 bytes"):
        uploads.upload(endless, library=MediaLibraryFactory(), by=None)
    assert endless.read_bytes <= 2 * uploads.READ_AT_ONCE


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"name": "x" * 256}, "name"),
        ({"alt_text": "\x00"}, "alt_text"),
        ({"description": "\ud800"}, "description"),
        ({"tags": [""]}, "tags"),
        ({"parent": "nobody"}, "parent"),
    ],
)
def test_texts_that_cannot_be_kept_are_refused_before_anything_is_stored(how, field):
    with pytest.raises(InvalidRequest) as caught:
        upload(**how)

    assert caught.value.field == field
    assert kept_files() == []


@pytest.mark.parametrize("wrong", [None, "text", io.StringIO("text"), 3])
def test_what_is_no_file_is_said(wrong):
    with pytest.raises(InvalidRequest) as caught:
        uploads.upload(wrong, library=MediaLibraryFactory(), by=None)
    assert caught.value.field == "file"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\pictures\\pier.png", "a\x00b\u202egnp.png", "\ud800.png", "n" * 400 + ".png"]
)
def test_no_name_does_harm(name):
    file = io.BytesIO(pictures.png())
    file.name = name

    asset = uploads.upload(file, library=MediaLibraryFactory(), by=None)

    asset.refresh_from_db()
    assert asset.original_name.isprintable()
    assert "/" not in asset.original_name
    assert len(asset.original_name) <= 255
    assert asset.file.name.startswith("mediagen/")


def test_a_storage_that_fails_is_said_and_leaves_no_row(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(asset_storage()), "_save", full)
    with pytest.raises(StorageFailed, match="OSError"):
        upload()
    assert not MediaAsset.objects.exists()


def test_a_row_that_cannot_be_written_leaves_no_file(monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("the database is away")

    monkeypatch.setattr(MediaAsset, "save", away)
    with pytest.raises(OperationalError):
        upload()
    assert kept_files() == []


def test_killed_between_file_and_row(monkeypatch):
    """The file is kept as long as the row may still come, and removed afterwards."""
    monkeypatch.setattr(uploads, "_write", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(uploads.storage, "remove_file", lambda name: None)  # a killed process tidies up nothing
    with pytest.raises(KeyboardInterrupt):
        upload()
    monkeypatch.undo()
    [left] = kept_files()

    assert sweep.maintain().files_removed == 0
    assert kept_files() == [left]

    monkeypatch.setattr(storage, "ARRIVES_WITHIN_S", 0.0)
    assert sweep.maintain().files_removed == 1
    assert kept_files() == []


def test_maintenance_leaves_what_is_being_uploaded_and_what_was():
    asset = upload()
    name = stored(b"x", f"mediagen/2026/11/{uuid7()}-1.png")

    sweep.maintain()

    assert sorted(kept_files()) == sorted([asset.file.name, name])


def test_the_same_picture_is_known_again():
    library = MediaLibraryFactory()
    first = upload(library=library)
    other = upload(pictures.png(seed=2), library=library)
    elsewhere = upload()
    again = upload(library=library)

    among = MediaAsset.objects.filter(library=library)
    assert list(uploads.duplicates(again, among)) == [first]
    assert list(uploads.duplicates(other, among)) == []
    assert list(uploads.duplicates(first, MediaAsset.objects.all())) == [again, elsewhere]
    assert list(uploads.duplicates(MediaAssetFactory(), MediaAsset.objects.all())) == []


def test_two_at_once_are_two_assets_with_one_new_tag():
    library = MediaLibraryFactory()

    def one(_):
        try:
            return upload(library=library, tags=["brand new"]).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(one, range(4)))

    assert len(ids) == 4
    assert all(asset.tag_names == ["brand new"] for asset in library.assets.all())
    assert len(kept_files()) == 4
