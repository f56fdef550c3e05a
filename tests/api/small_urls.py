"""A host that mounts the API elsewhere, and two views of the least kind, sync and async."""

from __future__ import annotations

from django.urls import include, path
from rest_framework import serializers
from rest_framework.response import Response

from mediagen.api.base import APIBase, AsyncAPIView
from mediagen.api.pagination import paged
from mediagen.engine.database.hops import in_database
from mediagen.engine.library.access import Right
from mediagen.errors import ConfigurationError, InvalidRequest, NotAPicture, StorageFailed
from mediagen.models import MediaAsset

ERRORS = {
    "invalid": InvalidRequest("The size is no size. Take another.", field="width"),
    "settings": ConfigurationError("secret-looking text"),
    "picture": NotAPicture("It is a ZIP. Send a picture."),
    "storage": StorageFailed("The disk is full."),
}


class Body(serializers.Serializer):
    number = serializers.IntegerField(min_value=1)
    tags = serializers.ListField(child=serializers.CharField(max_length=5), required=False)


class Small(APIBase):
    rights = {"GET": Right.READ, "POST": Right.GENERATE}

    def get(self, request):
        if name := request.query_params.get("error"):
            raise ERRORS[name]
        return Response(paged(request, self.access.assets(), lambda rows: [str(row.pk) for row in rows]))

    def post(self, request):
        return Response(self.read(Body))


class SmallAsync(AsyncAPIView):
    rights = {"GET": Right.READ, "POST": Right.GENERATE}

    async def get(self, request):
        if name := request.query_params.get("error"):
            raise ERRORS[name]
        return Response({"assets": await in_database(MediaAsset.objects.count)})

    async def post(self, request):
        return Response(self.read(Body))


urlpatterns = [
    path("small/", Small.as_view()),
    path("async/", SmallAsync.as_view()),
    path("deep/in/a/site/", include("mediagen.api.urls")),
]
