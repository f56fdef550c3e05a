"""The API about itself: its schema, and the page that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from typing import Any, ClassVar

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.views import View
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api import schema
from mediagen.api.base import APIBase
from mediagen.api.problems import NOT_FOUND, Problem
from mediagen.engine.library import Right
from mediagen.studio.pages import with_policy

MISSING = "Install mediagen[api] (drf-spectacular) on the server for the schema and its page."

DOCS_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


class SchemaView(APIBase):
    """The OpenAPI 3.1 document of what this very site answers. For everybody: it holds no data."""

    rights: ClassVar[Mapping[str, Right | None]] = {"GET": None}
    permission_classes = ()
    throttle_classes = ()
    schema: Any = None

    def get(self, request: Request) -> Response:
        if not schema.IS_INSTALLED:
            raise Problem(NOT_FOUND, MISSING)
        servers = [{"url": request.path.removesuffix("schema/").rstrip("/") or "/"}]
        answer = Response({**schema.document(), "servers": servers})
        answer.content_type = "application/vnd.oai.openapi+json"
        answer["Cache-Control"] = "no-cache"
        return answer


class DocsView(View):
    """The schema as a page (Swagger UI). Scripts and styles are files of this site."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if not schema.IS_INSTALLED or find_spec("drf_spectacular_sidecar") is None:
            return HttpResponse(MISSING, status=404, content_type="text/plain")
        context = {"schema_url": request.path.removesuffix("docs/") + "schema/"}
        response = render(request, "mediagen/api_docs.html", context)
        with_policy(response)
        return response


class DocsFileView(View):
    """One file of Swagger UI, as its package has it: the site need not install that as an app."""

    def get(self, request: HttpRequest, name: str) -> HttpResponseBase:
        if name not in DOCS_FILES or find_spec("drf_spectacular_sidecar") is None:
            return HttpResponse("There is no such file.", status=404, content_type="text/plain")
        folder: Any = files("drf_spectacular_sidecar") / "static/drf_spectacular_sidecar/swagger-ui-dist"
        answer = FileResponse((folder / name).open("rb"), content_type=DOCS_FILES[name])
        answer["Cache-Control"] = "public, max-age=86400"
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


routes = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
    path("docs/<str:name>", DocsFileView.as_view(), name="docs-file"),
]
