"""Renditions are made once, whoever asks; variants are assets of their own."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection

from mediagen import images
from mediagen.engine.files import renditions, storage
from mediagen.engine.files.renditions import rendition
from mediagen.engine.files.variants import make_variants, specs_of
from mediagen.engine.library import trash
from mediagen.engine.maintenance import sweep
from mediagen.errors import InvalidRequest, StorageFailed
from mediagen.models import MediaAsset, Rendition, asset_storage
from tests import pictures
from tests.factories import MediaAssetFactory, MediaTagFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def rendition_files():
    return [name for name in sweep._stored_names() if "/renditions/" in name]


def test_it_is_made_once_and_kept(django_assert_num_queries):
    asset = MediaAssetFactory(ready=True)

    made = rendition(asset, width=32)

    assert (made.width, made.height, made.format) == (32, 24, "webp")
    content = renditions.content_of(asset, made)
    picture = images.inspect(content)
    assert (picture.width, picture.height, picture.format) == (32, 24, "webp")
    assert (made.file_size, made.content_hash) == (len(content), picture.sha256)
    with django_assert_num_queries(1):
        assert rendition(asset, width="32", format="WebP", fit="inside", quality=80) == made
    assert rendition_files() == [made.file.name]


def test_other_wishes_are_other_renditions():
    asset = MediaAssetFactory(ready=True)
    wishes = [
        {"width": 32},
        {"height": 32},
        {"width": 32, "format": "jpeg"},
        {"width": 32, "format": "jpg", "quality": 30},
        {"width": 32, "format": "png"},
        {"width": 32, "height": 32, "fit": "cover"},
        {"format": "jpeg"},
    ]

    made = [rendition(asset, **wish) for wish in wishes]

    assert len({row.pk for row in made}) == len(wishes)
    assert [(row.width, row.height) for row in made][-2:] == [(32, 32), (64, 48)]
    assert rendition(asset, width=32, format="png", quality=7) == made[4]  # PNG has no quality


def test_the_focal_point_counts_where_something_is_cut_off():
    asset = MediaAssetFactory(ready=True)
    inside, cover = rendition(asset, width=20), rendition(asset, width=20, height=20, fit="cover")
    asset.focal_x = 0.0

    assert rendition(asset, width=20) == inside
    assert rendition(asset, width=20, height=20, fit="cover").content_hash != cover.content_hash


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"width": 0}, "width"),
        ({"width": 4097}, "width"),
        ({"width": "1e3"}, "width"),
        ({"width": "9" * 5000}, "width"),
        ({"height": -1}, "height"),
        ({"width": 10.5}, "width"),
        ({"quality": 101}, "quality"),
        ({"format": "tiff"}, "format"),
        ({"format": "gif"}, "format"),
        ({"format": "\x00"}, "format"),
        ({"fit": "fill"}, "fit"),
        ({"fit": "cover", "width": 10}, "height"),
    ],
)
def test_wishes_that_cannot_be_are_refused_with_their_field(wish, field):
    with pytest.raises(InvalidRequest) as caught:
        rendition(MediaAssetFactory(ready=True), **wish)
    assert caught.value.field == field
    assert not Rendition.objects.exists()


def test_an_asset_without_a_picture_has_none():
    with pytest.raises(InvalidRequest, match="pending"):
        rendition(MediaAssetFactory(), width=10)


def test_many_at_once_get_the_same_one(monkeypatch):
    asset = MediaAssetFactory(ready=True)
    made = []
    scaled = images.scaled
    monkeypatch.setattr(images, "scaled", lambda *args, **how: made.append(1) or scaled(*args, **how))

    def one(_):
        try:
            return rendition(asset, width=16).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(one, range(12)))) == 1
    assert len(made) == 1
    assert len(rendition_files()) == 1


def test_another_process_that_was_quicker_wins_and_no_file_is_left(monkeypatch):
    asset = MediaAssetFactory(ready=True)
    scaled = images.scaled

    def meanwhile(*args, **how):
        monkeypatch.setattr(images, "scaled", scaled)
        theirs.append(renditions._make(asset, renditions.Spec.checked(16), renditions.Spec.checked(16).key(asset)))
        return scaled(*args, **how)

    theirs = []
    monkeypatch.setattr(images, "scaled", meanwhile)

    assert rendition(asset, width=16) == theirs[0]
    assert rendition_files() == [theirs[0].file.name]


def test_renditions_of_a_picture_that_was_replaced_go():
    asset = MediaAssetFactory(ready=True)
    old = rendition(asset, width=16)
    other = MediaAssetFactory(ready=True, content=pictures.png(seed=9))
    asset.file, asset.content_hash = other.file.name, other.content_hash

    new = rendition(asset, width=16)

    assert new.content_hash != old.content_hash
    assert list(Rendition.objects.all()) == [new]
    assert rendition_files() == [new.file.name]


def test_no_more_than_some_are_kept(monkeypatch):
    monkeypatch.setattr(renditions, "MOST_KEPT", 3)
    asset = MediaAssetFactory(ready=True)

    for width in range(10, 16):
        rendition(asset, width=width)

    assert sorted(Rendition.objects.values_list("width", flat=True)) == [13, 14, 15]
    assert len(rendition_files()) == 3


def test_a_file_that_somebody_removed_is_made_again():
    asset = MediaAssetFactory(ready=True)
    wishes = [{"width": 16, "height": 16, "fit": "cover", "format": "jpeg", "quality": 50}, {"format": "png"}]
    for wish in wishes:
        made = rendition(asset, **wish)
        asset_storage().delete(made.file.name)

        content = renditions.content_of(asset, made)

        assert images.inspect(content).sha256 == made.content_hash
        assert asset_storage().exists(rendition(asset, **wish).file.name)


def test_a_source_that_is_gone_or_damaged_is_said():
    gone, damaged = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True, content=pictures.undecodable_png())
    asset_storage().delete(gone.file.name)

    for asset in (gone, damaged):
        with pytest.raises(StorageFailed, match=str(asset.pk)):
            rendition(asset, width=16)
    assert rendition_files() == []


def test_a_storage_that_fails_and_a_row_that_cannot_be_written_leave_nothing(monkeypatch):
    asset = MediaAssetFactory(ready=True)

    def fail(*args, **kwargs):
        raise OperationalError("away")

    with monkeypatch.context() as patch:
        patch.setattr(Rendition, "save", fail)
        with pytest.raises(OperationalError):
            rendition(asset, width=16)
        patch.setattr(type(asset_storage()), "_save", fail)
        with pytest.raises(StorageFailed):
            rendition(asset, width=16)
    assert rendition_files() == []
    assert not Rendition.objects.exists()


def test_killed_between_file_and_row(monkeypatch):
    asset = MediaAssetFactory(ready=True)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove_file", lambda name: None)
        patch.setattr(Rendition, "save", lambda *args, **how: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rendition(asset, width=16)
    kept = rendition(asset, width=20)

    sweep.maintain()
    assert len(rendition_files()) == 2  # its row might still come
    monkeypatch.setattr(storage, "ARRIVES_WITHIN_S", 0.0)
    sweep.maintain()
    assert rendition_files() == [kept.file.name]


def test_they_go_with_their_asset(settings):
    settings.MEDIAGEN = {**settings.MEDIAGEN, "KEEP_DELETED_DAYS": 0}
    asset = MediaAssetFactory(ready=True)
    rendition(asset, width=16)
    trash.delete([asset.pk], None)

    sweep.maintain()

    assert rendition_files() == []


# --- variants


def test_variants_are_assets_with_the_first_as_parent():
    user, asset = UserFactory(), MediaAssetFactory(ready=True, alt_text="a lighthouse", status="published")
    asset.tags.add(MediaTagFactory(name="sea"))

    wide, high, small = make_variants(asset, ["32x16", "x24", {"width": 8, "format": "webp"}], user)

    for child, size, format in ((wide, (32, 16), "png"), (high, (32, 24), "png"), (small, (8, 6), "webp")):
        child = MediaAsset.objects.get(pk=child.pk)
        assert (child.width, child.height, child.format) == (*size, format)
        assert (child.parent, child.source, child.library) == (asset, "variant", asset.library)
        assert (child.status, child.generation_state, child.created_by) == ("draft", "ready", user)
        assert (child.alt_text, child.tag_names, child.cost) == ("a lighthouse", ["sea"], 0)
        assert f"{size[0]}\u00d7{size[1]}" in child.name
        assert asset_storage().exists(child.file.name)


def test_the_same_variant_is_not_made_twice():
    asset = MediaAssetFactory(ready=True)

    first, again = (make_variants(asset, ["32x16"], None)[0] for _ in range(2))

    assert first == again
    trash.delete([first.pk], None)
    assert make_variants(asset, ["32x16"], None) != [first]


@pytest.mark.parametrize(
    "sizes", [[], ["12"], ["x"], ["ax3"], ["0x5"], [{"w": 3}], [5], ["1x1"] + [f"{n}x1" for n in range(1, 30)], [None]]
)
def test_sizes_that_cannot_be_are_refused(sizes):
    with pytest.raises(InvalidRequest) as caught:
        specs_of(sizes)
    assert caught.value.field == "sizes"


def test_a_gif_becomes_png_and_nothing_is_enlarged():
    [spec] = specs_of(["400x"], "gif")
    assert spec.format == "png"
    [child] = make_variants(MediaAssetFactory(ready=True), ["4000x4000"], None)
    assert (child.width, child.height) == (48, 48)
