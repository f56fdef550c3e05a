"""The file of an asset, for signed-in people. The pages are in `studio`."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.generic import View

from mediagen.studio.pages import StudioPage
from mediagen.views_files import original_response, picture_response


class AssetFileView(StudioPage, View):
    """The picture itself, to those who may look at its asset; `?download=1` to save it."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        asset = get_object_or_404(self.access.files().exclude(file=""), pk=pk)
        return picture_response(request, asset, {}, download="download" in request.GET)


class AssetOriginalView(StudioPage, View):
    """The file as its vendor sent it, to the same people."""

    def get(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        return original_response(request, get_object_or_404(self.access.files(), pk=pk))
