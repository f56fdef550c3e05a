"""Files of assets through the API: downloads, renditions, and signed addresses for whoever has no token."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, Flag, StrictSerializer, Time, Whole
from mediagen.api.library.assets import AssetsBase
from mediagen.api.problems import CONFLICT, INVALID, LINK_REFUSED, Problem
from mediagen.api.schema import Parameter, describe
from mediagen.engine.files import FITS, MAX_SIDE_PX, LinkRefused, links
from mediagen.engine.library import Right
from mediagen.images.scale import FORMATS
from mediagen.models import MediaAsset
from mediagen.models.routing import outside_transactions
from mediagen.origins import allow_origin
from mediagen.views_files import (
    CONTENT_TYPES,
    original_response,
    page_picture_response,
    picture_response,
    signed_file_response,
    wishes,
)
from mediagen.wording import say as _
from mediagen.wording import translated

SIDE = {"type": "integer", "minimum": 1, "maximum": MAX_SIDE_PX}
WISHES = (
    Parameter("w", "Pixels, at most.", SIDE),
    Parameter("h", "Pixels, at most.", SIDE),
    Parameter("format", "webp if not said.", enum=FORMATS),
    Parameter("fit", "The whole picture inside the box, or the box filled and cut around the focal point.", enum=FITS),
    Parameter("q", "Quality; 80 for webp.", {"type": "integer", "minimum": 1, "maximum": 100}),
)
PICTURES = {(200, one): bytes for one in CONTENT_TYPES.values()}
MADE = {(200, CONTENT_TYPES[one]): bytes for one in FORMATS}
PARTS = {(206, one): bytes for one in CONTENT_TYPES.values()}


class LinkSerializer(StrictSerializer):
    expires_s = Whole(
        min_value=1, max_value=links.LONGEST_S, required=False, help_text="Seconds; an hour, if the site has not said."
    )
    download = Flag(required=False, help_text="Browsers save it instead of showing it.")


class SignedSerializer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="Needs no token. With w, h, format, fit, q it gives a rendition.")
    expires_at = Time()


class PictureBase(AssetsBase):
    def with_picture(self, pk: UUID) -> MediaAsset:
        asset = self.found(pk)
        if not asset.file:
            raise Problem(CONFLICT, _("The asset is %(state)s: there is no picture yet.", state=asset.generation_state))
        return asset


class DownloadView(PictureBase):
    @describe(
        "Its file",
        operation_id="assets_download",
        responses={**PICTURES, **PARTS, 304: None},
        problems=[409],
        description="To be saved, with the token of the request. Ranges and ETags are answered.",
    )
    def get(self, request: Request, pk: UUID) -> Any:
        return picture_response(request._request, self.with_picture(pk), {}, download=True)


class OriginalView(PictureBase):
    @describe(
        "The file as it came",
        operation_id="assets_original",
        responses={**PICTURES, **PARTS, 304: None},
        description="As its vendor sent it, with all that stands in it, where the asset's own was made of it. 404 "
        "where there is none besides. Ranges and ETags are answered.",
    )
    def get(self, request: Request, pk: UUID) -> Any:
        return original_response(request._request, self.found(pk))


@method_decorator(outside_transactions, name="dispatch")
class RenditionsView(PictureBase):
    @describe(
        "It in another size or format",
        operation_id="assets_rendition",
        parameters=WISHES,
        responses={**MADE, **PARTS, 304: None},
        problems=[409],
        description="Made when it is first asked for, and kept. Never enlarged.",
    )
    def get(self, request: Request, pk: UUID) -> Any:
        asset = self.with_picture(pk)
        return picture_response(request._request, asset, wishes(request.query_params) or {"format": "webp"})


class LinkView(PictureBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.READ}

    @describe(
        "A signed address of its file",
        operation_id="assets_link",
        request=LinkSerializer,
        responses={201: SignedSerializer},
        problems=[409],
        description="Whoever has it gets the file until it expires, the asset is deleted, or its picture replaced.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.with_picture(pk)
        body = self.read(LinkSerializer)
        address = links.signed_url(asset, **body)
        grant = links.check(address.rstrip("/").rpartition("/")[2])
        expires_at = datetime.fromtimestamp(grant.expires_at, UTC).isoformat().replace("+00:00", "Z")
        return Response({"url": Addresses.of(request).whole(address), "expires_at": expires_at}, status=201)


class ForEverybody(APIBase):
    """Whoever has the address: nobody is asked who they are, and scripts of LINK_ORIGINS may read the answer."""

    permission_classes = ()
    throttle_classes = ()

    def get_authenticators(self) -> list[Any]:
        return []

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        allow_origin(request._request, response)
        return response


class SignedFileView(ForEverybody):
    """A file whose address was signed."""

    @describe(
        "The file of a signed address",
        operation_id="files_signed",
        parameters=WISHES,
        responses={**PICTURES, **PARTS, (200, "application/zip"): bytes, 304: None},
        description="403 for an address that was altered or has expired, or whose file is not there any more.",
    )
    def get(self, request: Request, token: str) -> Any:
        try:
            return signed_file_response(request._request, token)
        except LinkRefused as exc:
            raise Problem(LINK_REFUSED, translated(exc)) from exc


class PagePictureView(ForEverybody):
    """A picture that a page of the site names."""

    @describe(
        "A picture of a public page",
        operation_id="pictures_page",
        responses={**PICTURES, **PARTS, 302: None, 304: None},
        description="Its address stands in the site's pages. It changes with the picture, so that browsers and a CDN "
        "may keep it; 302 to the new one where an old page names an old one.",
    )
    def get(self, request: Request, token: str) -> Any:
        try:
            return page_picture_response(request._request, token)
        except LinkRefused as exc:
            raise Problem(LINK_REFUSED, translated(exc)) from exc


class SourceSerializer(serializers.Serializer[Any]):
    url = serializers.URLField(help_text="Signed.")
    width = serializers.IntegerField(help_text="Pixels.")
    height = serializers.IntegerField()


class SourcesSerializer(serializers.Serializer[Any]):
    """One picture in several widths, for an <img>."""

    src = serializers.URLField(help_text="Of the largest.")
    srcset = serializers.CharField(help_text='"https://... 320w, https://... 640w"')
    width = serializers.IntegerField(help_text="Pixels of the picture itself.")
    height = serializers.IntegerField()
    alt = serializers.CharField()
    format = Choice(choices=tuple(FORMATS))
    sources = SourceSerializer(many=True)


class SrcsetView(AssetsBase):
    @describe(
        "Addresses of it in several widths",
        operation_id="assets_srcset",
        parameters=[Parameter("format", "Of the pictures; webp if not said.", enum=tuple(FORMATS))],
        responses={200: SourcesSerializer},
        problems=[409],
        description="Signed addresses, as `file_url` is; each size is made when a browser asks for it first.",
    )
    def get(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk)
        format = request.query_params.get("format", "webp")
        if format not in FORMATS:
            raise Problem(INVALID, _("format can be %(formats)s.", formats=", ".join(FORMATS)), field="format")
        if not asset.is_ready:
            raise Problem(CONFLICT, _("The asset is %(state)s: there is no picture yet.", state=asset.generation_state))
        addresses = Addresses.of(request)
        widths = [width for width in WIDTHS if width < asset.width] + [min(asset.width, MAX_SIDE_PX)]
        sources = [
            {
                "url": addresses.whole(links.signed_url(asset, steady=True, width=width, format=format)),
                "width": width,
                "height": max(1, round(asset.height * width / asset.width)),
            }
            for width in widths
        ]
        return Response(
            {
                "src": sources[-1]["url"],
                "srcset": ", ".join(f"{one['url']} {one['width']}w" for one in sources),
                "width": asset.width,
                "height": asset.height,
                "alt": asset.shown_alt_text or asset.name,
                "format": format,
                "sources": sources,
            }
        )


WIDTHS = (320, 640, 960, 1280, 1920, 2560)

routes = [
    path("assets/<uuid:pk>/srcset/", SrcsetView.as_view(), name="asset-srcset"),
    path("assets/<uuid:pk>/download/", DownloadView.as_view(), name="asset-download"),
    path("assets/<uuid:pk>/original/", OriginalView.as_view(), name="asset-original"),
    path("assets/<uuid:pk>/renditions/", RenditionsView.as_view(), name="asset-renditions"),
    path("assets/<uuid:pk>/link/", LinkView.as_view(), name="asset-link"),
    path("files/<str:token>/", SignedFileView.as_view(), name="signed-file"),
    path("pictures/<str:token>", PagePictureView.as_view(), name="page-picture"),
]
