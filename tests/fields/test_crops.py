"""The crop of one use: kept in the row that has the picture, and what its pages show."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import models
from django.db.migrations.writer import MigrationWriter
from django.forms import modelform_factory
from django.template import Context, Template

from mediagen import pictures
from mediagen.engine.files import crops
from mediagen.errors import InvalidRequest
from mediagen.fields import MediaAssetField, MediaCropField
from mediagen.models import MediaAsset
from tests.factories import MediaAssetFactory
from tests.host import articles
from tests.pictures import picture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def article():
    with articles() as model:
        yield model


@pytest.fixture
def asset():
    return MediaAssetFactory(ready=True, content=picture("png", 400, 300), width=400, height=300)


def shown(row, tag="{% picture row.cover %}"):
    return Template("{% load mediagen %}" + tag).render(Context({"row": row}))


def test_a_page_shows_each_use_as_it_is_cut_there(article, asset):
    article.objects.create(title="a", cover=asset, cover_crop="16:9@0.3,0.2")
    article.objects.create(title="b", cover=asset, cover_crop="1:1@0.9,0.5")
    article.objects.create(title="c", cover=asset)
    for rows in (article.objects.order_by("title"), article.objects.order_by("title").prefetch_related("cover")):
        wide, square, plain = rows
        assert 'width="400" height="225"' in shown(wide)
        assert "_cover_0_30-20" in shown(wide)
        assert 'width="300" height="300"' in shown(square)
        assert "_cover_0_90-50" in shown(square)
        assert 'width="400" height="300"' in shown(plain)
        assert wide.cover is wide.cover
        assert (wide.cover, wide.cover.crop_of_use.ratio) == (asset, "16:9")
        assert not hasattr(plain.cover, "crop_of_use")
    wide.cover_crop = "@0.1,0.1"
    assert wide.cover.crop_of_use.ratio == ""
    wide.cover_crop = ""
    assert wide.cover.crop_of_use is None
    assert MediaAsset.objects.get().focal_x == 0.5


def test_what_a_template_says_goes_before(article, asset, settings):
    row = article(title="a", cover=asset, cover_crop="16:9@0.3,0.2")
    assert "_cover_0_30-20" in shown(row, '{% picture row.cover ratio="4:5" %}')
    assert 'width="240" height="300"' in shown(row, '{% picture row.cover ratio="4:5" %}')
    assert "_cover_0_80-20" in shown(row, '{% picture row.cover focus="0.8,0.2" %}')
    assert 'height="300"' in shown(row, '{% picture row.cover fit="inside" %}')
    assert "_cover_0_30-20" in shown(row, "{% picture_src row.cover 200 %}")
    settings.MEDIAGEN = {**settings.MEDIAGEN, "PICTURES": {"card": {"ratio": "1:1"}}}
    card = pictures.picture(row.cover, set="card")
    assert (card.width, card.height, card.focus) == (300, 300, (0.3, 0.2))


@pytest.mark.parametrize("text", ["4:3@0.5,0.5", "16:9", "16:9@2,0", "16:9@x", "@", "x" * 41])
def test_a_form_refuses_what_is_none_and_a_page_stays_whole(article, asset, text):
    form = modelform_factory(article, fields=("title", "cover_crop"))({"title": "a", "cover_crop": text})
    assert list(form.errors) == ["cover_crop"]
    assert "4:3" not in shown(article(cover=asset, cover_crop=text), "{{ row.cover }}")
    with pytest.raises(ValidationError):
        article(title="a", cover_crop=text).full_clean()


def test_a_form_takes_what_the_dialog_writes(article, asset):
    form_class = modelform_factory(article, fields=("title", "cover", "cover_crop"))
    for text in ("16:9@0.3,0.45", "@0,1", ""):
        row = form_class({"title": "a", "cover_crop": text}).save()
        row.refresh_from_db()
        assert row.cover_crop == text
        assert str(crops.Crop.read(text) or "") == text
    html = form_class(prefix="row")["cover_crop"].as_widget()
    assert 'data-mediagen-crop="row-cover"' in html
    assert 'data-ratios="16:9 1:1"' in html
    with pytest.raises(InvalidRequest):
        crops.Crop.read("16:9")


def test_a_field_says_what_cannot_be_and_writes_no_more_than_a_text_into_migrations():
    class Wrong(models.Model):
        title = models.CharField(max_length=10)
        photo = MediaAssetField()
        of_none = MediaCropField("nothing")
        of_title = MediaCropField("title")
        odd = MediaCropField("photo", ratios=["wide"])

        class Meta:
            app_label = "auth"
            managed = False

        def __str__(self):
            return self.title

    try:
        found = [message.obj.name for message in Wrong.check() if message.id == "mediagen.E032"]
        assert sorted(found) == ["odd", "of_none", "of_title"]
        text, imports = MigrationWriter.serialize(Wrong._meta.get_field("odd"))
        assert text == "mediagen.fields.crops.MediaCropField(blank=True, default='', max_length=40)"
        assert imports == {"import mediagen.fields.crops"}
    finally:
        from django.apps import apps

        del apps.all_models["auth"]["wrong"]
        apps.clear_cache()
