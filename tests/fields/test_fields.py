"""Pictures in a site's models and forms: what is taken, what is not, and in which order."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.db.models import ProtectedError
from django.forms import modelform_factory
from django.http import QueryDict

from mediagen.engine.library.choosing import Limits, pick, read_pick
from mediagen.fields import MediaAssetField, MediaAssetsField
from mediagen.fields.forms import MediaAssetChoiceField, MediaAssetsChoiceField, for_user
from mediagen.models import MediaAsset
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.host import articles

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def article():
    with articles(orientation="landscape") as model:
        yield model


def posted(**values):
    data = QueryDict(mutable=True)
    for name, value in values.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return data


def form_of(model, data=None, **kwargs):
    return modelform_factory(model, fields=("title", "cover", "gallery"))(data, **kwargs)


def test_a_row_points_at_its_picture_and_protects_it(article):
    asset = MediaAssetFactory(ready=True)
    one = article.objects.create(title="a", cover=asset)
    with pytest.raises(ProtectedError):
        asset.delete()
    one.refresh_from_db()
    assert one.cover == asset


def test_several_keep_the_order_that_somebody_gave_them(article, django_assert_num_queries):
    assets = [MediaAssetFactory(ready=True) for _ in range(4)]
    one, other = article.objects.create(title="a"), article.objects.create(title="b")
    one.gallery.set([assets[2], assets[0], assets[3]])
    assert list(one.gallery.all()) == [assets[2], assets[0], assets[3]]
    one.gallery.add(assets[1], assets[0])
    assert list(one.gallery.all()) == [assets[2], assets[0], assets[3], assets[1]]
    one.gallery.set([assets[1], assets[2]])
    assert list(one.gallery.all()) == [assets[1], assets[2]]
    one.gallery.add(assets[3], assets[0])
    other.gallery.add(assets[0], assets[1], assets[3])
    with django_assert_num_queries(2):
        rows = {row.title: list(row.gallery.all()) for row in article.objects.prefetch_related("gallery")}
    assert rows == {"a": [assets[1], assets[2], assets[3], assets[0]], "b": [assets[0], assets[1], assets[3]]}
    assert set(one.gallery.filter(pk=assets[1].pk)) == {assets[1]}
    assert one.gallery.count() == 4
    one.gallery.remove(assets[2])
    one.gallery.clear()
    assert not one.gallery.exists()


def test_a_form_takes_picks_and_keeps_their_order(article):
    assets = [MediaAssetFactory(ready=True) for _ in range(3)]
    form = form_of(
        article, posted(title="a", cover=pick(assets[0].pk), gallery=[pick(assets[2].pk), pick(assets[1].pk)])
    )
    assert form.is_valid(), form.errors
    saved = form.save()
    assert (saved.cover, list(saved.gallery.all())) == (assets[0], [assets[2], assets[1]])

    again = form_of(article, instance=saved)
    html = str(again)
    assert html.count("selected") == 3
    sent = {name: again[name].value() for name in ("title", "cover", "gallery")}
    unchanged = form_of(article, posted(**sent), instance=saved)
    assert unchanged.is_valid()
    assert not unchanged.has_changed()
    assert form_of(article, posted(**{**sent, "gallery": sent["gallery"][::-1]}), instance=saved).has_changed()
    emptied = form_of(article, posted(title="a", cover="", gallery=[]), instance=saved)
    assert emptied.is_valid()
    assert (emptied.save().cover, saved.gallery.count()) == (None, 0)


def test_a_plain_id_counts_for_who_may_read_it_only(article):
    hidden = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    shown = MediaAssetFactory(ready=True)
    reader = UserFactory(may=["view_mediaasset"])
    for asset, user, is_taken in (
        (shown, None, False),
        (shown, reader, True),
        (hidden, reader, False),
        (hidden, hidden.library.owner, False),  # without the permission to look at assets
        (shown, AnonymousUser(), False),
    ):
        form = form_of(article, posted(title="a", cover=str(asset.pk), gallery=[]))
        form = form if user is None else for_user(form, user)
        assert form.is_valid() is is_taken, (asset, user, form.errors)
        assert (str(asset) in str(form["cover"])) is is_taken
    listed = str(for_user(form_of(article), reader)["gallery"])
    assert str(shown) in listed
    assert str(hidden) not in listed
    assert str(shown) not in str(form_of(article)["gallery"])


@pytest.mark.parametrize("wrong", ["nothing", "a:b:c", "x" * 5000, "'; --"])
def test_what_stands_for_no_picture_is_said(article, wrong):
    form = form_of(article, posted(title="a", cover=wrong, gallery=[wrong]))
    assert set(form.errors) == {"cover", "gallery"}
    str(form)


def test_an_old_and_a_changed_pick_are_refused(monkeypatch):
    asset = MediaAssetFactory(ready=True)
    text = pick(asset.pk)
    assert read_pick(text).pk == asset.pk
    assert read_pick(text[:-1] + ("A" if text[-1] != "A" else "B")) is None
    monkeypatch.setattr("mediagen.engine.library.choosing.GOOD_FOR_S", -1)
    assert read_pick(text) is None


def test_limits_hold_for_what_is_new_and_not_for_what_was_there(article):
    tall = MediaAssetFactory(ready=True, width=48, height=64)
    field = MediaAssetChoiceField(limits={"orientation": "landscape"})
    with pytest.raises(ValidationError, match="landscape"):
        field.clean(pick(tall.pk))
    assert field.clean(pick(tall.pk, was_there=True)) == tall
    one = article.objects.create(title="a", cover=tall)
    form = form_of(article, instance=one)
    assert form_of(article, posted(title="b", cover=form["cover"].value()), instance=one).is_valid()


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        ({"library": "other"}, "library"),
        ({"orientation": "portrait"}, "portrait"),
        ({"min_width": 65}, "small"),
        ({"min_height": 49}, "small"),
        ({"statuses": ["approved"]}, "approved"),
    ],
)
def test_each_limit_narrows_and_says_why(limits, word):
    asset = MediaAssetFactory(ready=True)
    MediaLibraryFactory(name="other")
    checked = Limits.checked(**limits)
    assert word in checked.why_not(asset)
    assert not checked.narrow(MediaAsset.objects.all()).exists()
    assert Limits.of(checked.query) == checked
    assert Limits().narrow(MediaAsset.objects.all()).get() == asset


def test_what_has_no_picture_or_is_deleted_cannot_be_chosen():
    field = MediaAssetChoiceField()
    for asset in (MediaAssetFactory(), MediaAssetFactory(ready=True, status="deleted")):
        with pytest.raises(ValidationError):
            field.clean(pick(asset.pk))
    with pytest.raises(ValidationError):
        MediaAssetsChoiceField(required=True).clean([])


def test_wrong_limits_are_said_at_start(article):
    errors = wrong_limit()
    assert [error.id for error in errors] == ["mediagen.E032"]


def wrong_limit():
    field = MediaAssetField(orientation="diagonal")
    field.set_attributes_from_name("cover")
    field.model = SimpleNamespace(_meta=SimpleNamespace(label="auth.Article"))
    return field._check_limits()


def test_migrations_name_our_fields_and_no_limits():
    text = MigrationWriter.serialize(MediaAssetField(null=True, orientation="landscape"))
    assert text[0].startswith("mediagen.fields.MediaAssetField(")
    assert "landscape" not in text[0]
    assert "PROTECT" in text[0]
    text = MigrationWriter.serialize(MediaAssetsField(blank=True))
    assert text[0].startswith("mediagen.fields.MediaAssetsField(")
    assert isinstance(MediaAssetField().clone(), models.ForeignKey)


def test_the_fields_cost_nothing_at_start():
    script = "import sys, mediagen.fields; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert not {"PIL", "httpx", "rest_framework", "mediagen.engine", "mediagen.models"} & set(done.stdout.split())


def test_the_checks_of_a_site_with_our_fields_pass(article):
    call_command("check")
