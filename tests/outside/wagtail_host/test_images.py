"""Assets as images of Wagtail's: what an image has of its asset, whose the file is, and who may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import IntegrityError
from django.template import Context, Template
from wagtail.images.forms import get_image_form
from wagtail.models import Collection

from mediagen.contrib.wagtail import images
from mediagen.contrib.wagtail.models import ImageLink
from mediagen.engine import get_media_engine
from mediagen.engine.library import NoSuchAsset, elsewhere, trash, usage
from mediagen.engine.maintenance.sweep import maintain
from mediagen.errors import AssetInUse, InvalidRequest, NotAllowed
from mediagen.models import AssetSource, MediaAsset, asset_storage
from tests import pictures
from tests.engine.work.working import use_local
from tests.factories import MediaLibraryFactory, UserFactory
from tests.outside.wagtail_host.models import Photo, photo

commits = pytest.fixture(lambda django_capture_on_commit_callbacks: django_capture_on_commit_callbacks)


@pytest.fixture
def user(db, harbour):
    return UserFactory(is_superuser=True)


def exists(name):
    return asset_storage().exists(str(name))


def stored(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def purge(asset, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_DELETED_DAYS": 30}
    MediaAsset.objects.filter(pk=asset.pk).update(deleted_at=asset.created_at - timedelta(days=100))
    trash.purge()


def test_an_image_has_what_its_asset_has_and_the_same_file(asset, user, harbour, media_root):
    image = images.image_for(asset.pk, user)
    assert isinstance(image, Photo)
    image.refresh_from_db()
    assert (image.title, image.description) == ("Lighthouse", "A lighthouse in the fog")
    assert image.default_alt_text == "A lighthouse in the fog"
    assert sorted(image.tags.names()) == ["fog", "sea"]
    assert (image.width, image.height, image.collection, image.uploaded_by_user) == (400, 300, harbour, user)
    assert image.credit == f"asked for by {user}"
    point = image.get_focal_point()
    assert (point.centroid_x, point.centroid_y) == (100, 225)
    assert image.file.name == asset.file.name
    assert len(stored(media_root)) == 1
    assert (image.file_size, image.file_hash) == (asset.file_size, _hash(image))
    assert images.image_for(asset.pk, user) == image
    assert Photo.objects.count() == 1
    [place] = elsewhere.uses_of([asset.pk])[asset.pk]
    assert (str(place), place.admin_url) == ("Wagtail image Lighthouse", f"/cms/images/{image.pk}/")
    assert place.may_be_seen_by(user)
    assert not place.may_be_seen_by(UserFactory())
    shown = Template("{% load mediagen mediagen_wagtail %}{{ image|asset }} {% ai_label image|asset %}{{ no|asset }}")
    assert shown.render(Context({"image": image, "no": None})) == "Lighthouse None"


def _hash(image):
    before, image.file_hash = image.file_hash, ""
    image._set_file_hash()
    assert image.file_hash == before
    return before


def test_a_deleted_image_leaves_the_assets_file(asset, user, commits, settings):
    image = images.image_for(asset.pk, user)
    with commits(execute=True):
        image.delete()
    assert exists(asset.file.name)
    assert not ImageLink.objects.exists()
    assert usage.unused().filter(pk=asset.pk).exists()
    with commits(execute=True):
        trash.delete([asset.pk], user)
        purge(asset, settings)
    assert not MediaAsset.objects.exists()
    assert not exists(asset.file.name)


def test_many_deleted_together_leave_theirs(asset, user, commits):
    images.image_for(asset.pk, user)
    with commits(execute=True):
        Photo.objects.all().delete()
    assert exists(asset.file.name)


def test_a_deleted_asset_stays_as_long_as_it_has_an_image(asset, user, commits, settings):
    image = images.image_for(asset.pk, user)
    assert not usage.unused().filter(pk=asset.pk).exists()
    with pytest.raises(AssetInUse, match="Wagtail image Lighthouse"):
        trash.delete([asset.pk], user)
    with commits(execute=True):
        trash.delete([asset.pk], user, even_if_used=True)
        purge(asset, settings)
    assert exists(image.file.name)
    with pytest.raises(NoSuchAsset):
        images.image_for(asset.pk, user)
    with commits(execute=True):
        image.delete()
    assert exists(asset.file.name)
    with commits(execute=True):
        trash.purge()
    assert not exists(asset.file.name)


def test_an_image_that_is_given_another_file_leaves_the_assets(asset, user, commits):
    image = images.image_for(asset.pk, user)
    form_class = get_image_form(Photo)
    data = {"title": "Other", "collection": image.collection_id, "credit": "me", "tags": ""}
    file = ContentFile(pictures.png(64, 48), "other.png")
    file.content_type, file.size = "image/png", len(pictures.png(64, 48))
    form = form_class(data, {"file": file}, instance=Photo.objects.get(), user=user)
    assert form.is_valid(), form.errors
    with commits(execute=True):
        form.save()
    assert exists(asset.file.name)
    assert Photo.objects.get().file.name != asset.file.name
    assert images.its_asset(image, user) is None
    assert images.image_for(asset.pk, user) != image  # a new one: that one is another picture now


def test_what_lies_elsewhere_is_a_copy_with_its_mark(asset, user, commits, settings, tmp_path, media_root):
    settings.STORAGES = {
        **settings.STORAGES,
        "apart": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}},
    }
    settings.MEDIAGEN = {**settings.MEDIAGEN, "STORAGE": "apart"}
    library = MediaLibraryFactory(name="Elsewhere")
    made = async_to_sync(get_media_engine().generate_asset_from_prompt)("A pier", 64, 64, library_id=library.pk)
    image = images.image_for(made.pk, user)
    assert image.file.name != made.file.name
    assert len(stored(media_root)) == 2  # with the asset of the fixture
    with image.open_file() as file:
        from mediagen.images import source_type_in

        assert source_type_in(file.read()) == made.digital_source_type != ""
    with commits(execute=True):
        image.delete()
    assert len(stored(media_root)) == 1
    assert len(stored(tmp_path)) == 1


def test_an_image_follows_a_placeholder_that_is_replaced(user, library, commits, settings):
    make = async_to_sync(get_media_engine().generate_asset_from_prompt)
    asset, other = (make("A pier", 64, 64, library_id=library.pk) for _ in range(2))
    image, changed = images.image_for(asset.pk, user), images.image_for(other.pk, user)
    image.get_rendition("width-32")
    changed.file = ContentFile(pictures.png(64, 48), "mine.png")
    changed.save()
    old = image.file.name
    use_local(settings, WAGTAIL_COLLECTIONS={"Pier": "Harbour"})
    for each in (asset, other):
        with commits(execute=True):
            async_to_sync(get_media_engine().regenerate_asset)(each.pk)
        each.refresh_from_db()
    image.refresh_from_db()
    assert not asset.is_placeholder
    assert image.file.name == asset.file.name != old
    assert (image.width, image.file_size) == (asset.width, asset.file_size)
    assert _hash(image)
    assert not exists(old)
    assert not image.renditions.exists()
    changed.refresh_from_db()
    assert "mine" in changed.file.name


def test_maintenance_keeps_the_file_of_an_image_whatever_became_of_the_asset(asset, user, commits):
    image = images.image_for(asset.pk, user)
    lost = asset_storage().save(str(asset.file.name).replace("-1.png", "-2.png"), ContentFile(b"nobody's"))
    MediaAsset.objects.filter(pk=asset.pk).update(file=lost)  # as a crash in the middle of a replacement leaves it
    assert maintain().files_removed == 0
    assert exists(image.file.name)
    image.delete()
    assert maintain().files_removed == 1


def test_who_was_quicker_has_made_the_image(asset, user, monkeypatch, commits, media_root):
    first = images.image_for(asset.pk, user)
    really = images.image_of
    asked = iter([None])
    monkeypatch.setattr(images, "image_of", lambda asset: next(asked, really(asset)))
    monkeypatch.setattr(images, "_alive", lambda asset: list(ImageLink.objects.values_list("pk", flat=True)))
    assert images.image_for(asset.pk, user) == first
    assert (Photo.objects.count(), len(stored(media_root))) == (1, 1)
    with pytest.raises(IntegrityError):
        ImageLink.objects.create(asset=asset, model="harbour.photo", object_id="0", file="x")


# ---------------------------------------------------------------- who may


def test_both_have_to_let(asset, editor, harbour):
    for user, error in (
        (editor(harbour, may=()), NoSuchAsset),
        (editor(), NotAllowed),
        (editor(Collection.get_first_root_node().add_child(name="Elsewhere")), NotAllowed),
        (editor(harbour, wagtail=("choose",)), NotAllowed),
    ):
        with pytest.raises(error):
            images.image_for(asset.pk, user)
    assert not Photo.objects.exists()
    asset.library.owner = UserFactory()
    asset.library.save()
    with pytest.raises(NoSuchAsset):
        images.image_for(asset.pk, editor(harbour))
    asset.library.owner = None
    asset.library.save()
    assert images.image_for(asset.pk, editor(harbour)).collection == harbour
    with pytest.raises(NotAllowed):
        images.image_for(asset.pk, editor(Collection.objects.get(name="Elsewhere")))  # that one may not choose it


def test_a_collection_that_is_missing_is_said(asset, editor):
    with pytest.raises(InvalidRequest, match="Harbour"):
        images.image_for(asset.pk, editor(Collection.get_first_root_node()))


def test_without_a_mapping_it_is_the_first_collection_that_they_may_add_to(asset, editor, settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "WAGTAIL_COLLECTIONS": {}}
    mine = Collection.get_first_root_node().add_child(name="Mine")
    assert images.image_for(asset.pk, editor(mine)).collection == mine


def test_a_format_that_wagtail_does_not_take_is_said(asset, user, settings):
    settings.WAGTAILIMAGES_EXTENSIONS = ["jpg"]
    with pytest.raises(InvalidRequest, match="png"):
        images.image_for(asset.pk, user)


# ---------------------------------------------------------------- into the library


@pytest.fixture
def image(user, harbour):
    made = photo("Pier", pictures.png(64, 48), collection=harbour, description="A pier")
    made.focal_point_x, made.focal_point_y = 30, 12
    made.focal_point_width = made.focal_point_height = 4
    made.save()
    made.tags.add("wood")
    return made


def test_an_image_goes_into_the_library_once(image, user, library):
    asset = images.asset_for(image, user, library)
    asset.refresh_from_db()
    assert (asset.name, asset.alt_text, asset.tag_names) == ("Pier", "A pier", ["wood"])
    assert (asset.source, asset.library, asset.width) == (AssetSource.IMPORTED, library, 64)
    assert (asset.focal_x, asset.focal_y) == (30 / 64, 0.25)
    assert asset.file.name != image.file.name  # freed of what is private
    assert images.asset_for(image, user, library) == asset
    assert images.image_for(asset.pk, user) == image
    trash.delete([asset.pk], user, even_if_used=True)
    assert images.asset_for(image, user, library) != asset


def test_who_may_not_read_its_asset_gets_one_of_their_own_and_no_hint(image, user, editor, harbour, library):
    hidden = images.asset_for(image, user, MediaLibraryFactory(owner=user))
    other = editor(harbour)
    assert images.its_asset(image, other) is None
    own = images.asset_for(image, other, library)
    assert own != hidden
    assert images.its_asset(image, user) == hidden


def test_into_the_library_both_have_to_let_too(image, editor, harbour, library):
    for user in (editor(), editor(harbour, may=["view_mediaasset"])):
        with pytest.raises(NotAllowed):
            images.asset_for(image, user, library)
    assert not MediaAsset.objects.exists()


def test_a_drawing_is_refused(user, harbour, library):
    drawing = photo(
        "Pier", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "svg", collection=harbour
    )
    with pytest.raises(InvalidRequest):
        images.asset_for(drawing, user, library)


def test_the_site_needs_no_migration_of_ours(db):
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
