"""Parts of pictures, turned, in other formats: made here, and still saying where they come from."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from mediagen.engine.files import make_crop, renditions, uploads
from mediagen.errors import InvalidRequest
from mediagen.images.origin import BY_MODEL, marked, source_type_in
from mediagen.models import MediaAsset
from tests.factories import MediaLibraryFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def asset(media_root):
    image = Image.new("RGB", (60, 40), "white")
    image.paste("red", (0, 0, 20, 10))
    out = BytesIO()
    image.save(out, "PNG")
    return uploads.upload(marked(out.getvalue(), "png", BY_MODEL), library=MediaLibraryFactory(), by=None, name="Flag")


def opened(asset):
    return Image.open(BytesIO(renditions.source_of(asset))).convert("RGB")


def test_a_part_turned(asset):
    made = make_crop(asset, None, left=10, top=0, width=30, height=20, rotate=90)

    image = opened(made)
    assert image.size == (20, 30)
    assert image.getpixel((19, 0)) == (255, 0, 0)  # what was left above is right above
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert (made.parent, made.source, made.format, made.cost) == (asset, "variant", "png", 0)
    assert made.digital_source_type == source_type_in(renditions.source_of(made)) == BY_MODEL
    assert make_crop(asset, None, left=10, top=0, width=30, height=20, rotate=90) == made


def test_to_the_edge_in_another_format(asset):
    made = make_crop(asset, None, top=20, format="jpeg")
    assert (made.width, made.height, made.format) == (60, 20, "jpeg")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "left"),
        ({"left": 60}, "left"),
        ({"left": -1}, "left"),
        ({"top": 10, "height": 31}, "top"),
        ({"rotate": 45}, "rotate"),
        ({"format": "gif"}, "format"),
    ],
)
def test_what_cannot_be(asset, arguments, field):
    with pytest.raises(InvalidRequest) as caught:
        make_crop(asset, None, **arguments)
    assert caught.value.field == field
    assert MediaAsset.objects.count() == 1
