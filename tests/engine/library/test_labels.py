"""What pages say of a picture's making, and the files that say it for themselves."""

from __future__ import annotations

import pytest
from django.template import Context, Template

from mediagen.engine import get_media_engine
from mediagen.engine.files import uploads
from mediagen.engine.library import review
from mediagen.engine.library.filters import AssetFilters, narrowed
from mediagen.engine.library.labels import label_of, unlabelled
from mediagen.errors import InvalidRequest
from mediagen.images import marked, source_type_in
from mediagen.images.origin import BY_MODEL, PARTLY_BY_MODEL
from mediagen.models import MediaAsset, asset_storage
from tests import pictures
from tests.factories import MediaAssetFactory, MediaLibraryFactory

pytestmark = pytest.mark.django_db


def by_model(**values):
    return MediaAssetFactory(ready=True, digital_source_type=BY_MODEL, **values)


def test_library_and_asset_decide_together():
    always, published = MediaLibraryFactory(), MediaLibraryFactory(ai_label="published")
    never = MediaLibraryFactory(ai_label="never", ai_label_reason="Its readers know.")
    assert label_of(by_model(library=always)).text == "Made with AI"
    assert label_of(by_model(library=published)) is None
    assert label_of(by_model(library=published, status="published"))
    assert label_of(by_model(library=never, status="published")) is None
    assert label_of(by_model(library=never, ai_label="show"))
    hidden = by_model(library=always, ai_label="hide", ai_label_reason="A drawing of a drawing.")
    assert label_of(hidden) is None
    assert label_of(MediaAssetFactory(ready=True, digital_source_type="digitalCapture")) is None


def test_published_ones_without_a_label_are_found():
    never = MediaLibraryFactory(ai_label="never", ai_label_reason="Its readers know.")
    found = [
        by_model(library=never, status="published"),
        by_model(status="published", ai_label="hide", ai_label_reason="why"),
    ]
    by_model(library=never)
    by_model(library=never, status="published", ai_label="show")
    by_model(status="published")
    MediaAssetFactory(ready=True, library=never, status="published")
    assert set(MediaAsset.objects.filter(unlabelled())) == set(found)
    assert set(narrowed(MediaAsset.objects.all(), AssetFilters.of({"unlabelled": "true"}))) == set(found)


def test_a_label_is_hidden_with_a_reason_only():
    asset = by_model()
    asset.ai_label = "hide"
    with pytest.raises(InvalidRequest, match="why"):
        review.describe(asset, {"ai_label"})


def test_the_label_is_text_for_people_and_a_word_for_machines():
    html = Template("{% load mediagen %}{% ai_label a %}").render(Context({"a": by_model()}))
    assert "Made with AI" in html
    assert 'data-digital-source-type="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"' in html
    assert 'href="https://schema.org/TrainedAlgorithmicMediaDigitalSource"' in html
    assert "style=" not in html


def test_credit_is_what_somebody_wrote_or_else_the_model():
    credit = Template("{% load mediagen %}{% credit a %}")
    assert credit.render(Context({"a": by_model(model_name="flux-2")})) == "Made with flux-2"
    assert credit.render(Context({"a": by_model(credit="Ada & Co")})) == "Ada &amp; Co"
    assert credit.render(Context({"a": MediaAssetFactory(ready=True, digital_source_type="")})) == ""


def test_a_placeholder_says_that_it_is_one():
    asset = get_media_engine().generate_asset_sync("A lighthouse", 64, 64)
    with asset_storage().open(asset.file.name) as file:
        assert source_type_in(file.read()) == asset.digital_source_type == "algorithmicMedia"
    assert label_of(asset).text == "Placeholder"


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_an_upload_that_says_it_is_made_by_a_model_is_known_as_such(format):
    content = marked(pictures.picture(format), format, PARTLY_BY_MODEL)
    asset = uploads.upload(content, library=MediaLibraryFactory(), by=None)
    assert asset.digital_source_type == PARTLY_BY_MODEL
    assert label_of(asset).text == "Edited with AI"
    assert uploads.upload(pictures.picture(format), library=asset.library, by=None).digital_source_type == ""
