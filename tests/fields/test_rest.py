"""Assets in a site's own API: the addresses of their sizes, and who may choose which."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers
from rest_framework.generics import RetrieveUpdateAPIView
from rest_framework.test import APIRequestFactory

from mediagen.engine.library.choosing import pick
from mediagen.fields.rest import MediaAssetSerializerField
from tests.factories import MediaAssetFactory, MediaLibraryFactory, UserFactory
from tests.host import articles

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def serializer():
    with articles(orientation="landscape") as model:

        class ArticleSerializer(serializers.ModelSerializer):
            cover = MediaAssetSerializerField(
                picture={"widths": [32, 64], "ratio": "1:1"}, allow_null=True, required=False
            )
            gallery = MediaAssetSerializerField(many=True, required=False)

            class Meta:
                fields = ("title", "cover", "gallery")

        ArticleSerializer.Meta.model = model
        yield ArticleSerializer


def given(user=None):
    request = APIRequestFactory().get("/")
    request.user = user
    return {"request": request}


def test_it_reads_as_the_sizes_of_the_picture(serializer, client):
    article = serializer.Meta.model.objects.create(title="a", cover=MediaAssetFactory(ready=True, alt_text="A pier"))
    article.gallery.set([MediaAssetFactory(ready=True), MediaAssetFactory(ready=True)])
    shown = serializer(article, context=given()).data
    cover = shown["cover"]
    assert (cover["alt"], cover["width"], cover["height"], cover["ai_label"]) == ("A pier", 48, 48, None)
    assert [size["width"] for size in cover["sources"][0]["sizes"]] == [32, 48]
    assert cover["src"].startswith("http://testserver/")
    assert client.get(cover["sources"][0]["sizes"][0]["url"]).status_code == 200
    assert [each["id"] for each in shown["gallery"]] == [str(asset.pk) for asset in article.gallery.all()]
    assert serializer(serializer.Meta.model.objects.create(title="b"), context=given()).data["cover"] is None


def test_it_takes_what_the_sender_may_read(serializer):
    hidden = MediaAssetFactory(ready=True, library=MediaLibraryFactory(owner=UserFactory()))
    shown, tall = MediaAssetFactory(ready=True), MediaAssetFactory(ready=True, width=48, height=64)
    reader = UserFactory(may=["view_mediaasset"])

    def sent(value, user=reader, **more):
        made = serializer(data={"title": "a", "cover": value, **more}, context=given(user))
        return made if made.is_valid() else made.errors

    saved = sent(str(shown.pk), gallery=[str(tall.pk), str(shown.pk)]).save()
    assert (saved.cover, list(saved.gallery.all())) == (shown, [tall, shown])
    assert sent(pick(shown.pk), None).save().cover == shown
    for wrong in (str(hidden.pk), "nothing", 7, str(tall.pk)):
        assert list(sent(wrong)) == ["cover"], wrong
    assert list(sent(str(shown.pk), None)) == ["cover"]
    assert "landscape" in str(sent(str(tall.pk)))


def test_it_is_in_the_sites_openapi(serializer):
    class View(RetrieveUpdateAPIView):
        schema = AutoSchema()
        serializer_class = serializer
        queryset = serializer.Meta.model.objects.all()

    from django.urls import path

    module = SimpleNamespace(urlpatterns=[path("articles/<int:pk>/", View.as_view())])
    document = SchemaGenerator(urlconf=module).get_schema(request=None, public=True)
    shapes = document["components"]["schemas"]
    assert {"Picture", "Source", "Size"} <= set(shapes)
    assert "$ref" in str(shapes["Article"]["properties"]["cover"])
