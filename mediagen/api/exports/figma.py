"""What the plugin inside Figma asks: exports that wait for a file, the library, and the way back.

By a token with the scope `figma`, and by nothing else: no session and no cookie counts here. Pages of Figma's plugins
have no origin of their own ("null"), and these addresses alone answer to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from functools import cached_property
from typing import IO, Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen import conf
from mediagen.api import problems
from mediagen.api.authentication import TokenAuthentication
from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, Time
from mediagen.api.pagination import paged
from mediagen.api.problems import CONFLICT, FORBIDDEN, TOO_LARGE, Problem
from mediagen.api.schema import PAGING, Parameter, describe, page_of
from mediagen.engine.exports import from_figma, pictures, plugin, rows
from mediagen.engine.library import Access, AssetFilters, Right, narrowed
from mediagen.models import ApiToken, AssetExport, ExportState, MediaAsset
from mediagen.wording import say as _
from mediagen.wording import translated

SCOPE = "figma"
GRANTS = ("read", "generate")
"""what the scope lets its bearer do here, as far as its user may"""
PREFLIGHT_S = 600
TAGS = ["Figma plugin"]


class PluginAllowed(BasePermission):
    """A valid token with the scope `figma`."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, ApiToken):
            raise NotAuthenticated("Send an API token with the scope figma: Authorization: Bearer mgt_...")
        if not request.auth.allows(SCOPE):
            raise Problem(FORBIDDEN, _("This token was not made for the Figma plugin. Make one with the scope figma."))
        return True


class PluginView(APIBase):
    """For the plugin: its token, and the origin that is none."""

    permission_classes: Any = (PluginAllowed,)

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [TokenAuthentication()]

    @cached_property
    def plugin_access(self) -> Access:
        """What the token's user may read and add; the token's library bounds it."""
        token: Any = copy(self.request.auth)
        token.scopes = list(GRANTS)
        return Access(self.request.user, token)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            return _open_to_plugins(request, HttpResponse(status=204), preflight=True)
        return super().dispatch(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        return _open_to_plugins(request, super().finalize_response(request, response, *args, **kwargs))

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, plugin.NoSuchExport):
            exc = problems.not_found()
        if isinstance(exc, rows.ExportConflict):
            exc = Problem(CONFLICT, translated(exc), extra={"export": ExportSerializer(exc.export).data})
        return super().handle_exception(exc)


def _open_to_plugins(request: Any, response: Any, *, preflight: bool = False) -> Any:
    """Lets the page without an origin read the answer. Never with credentials: the browser then sends no cookie."""
    response["Vary"] = ", ".join(filter(None, [response.get("Vary", ""), "Origin"]))
    if request.headers.get("Origin") == "null":
        response["Access-Control-Allow-Origin"] = "null"
        if preflight:
            response["Access-Control-Allow-Methods"] = "GET, POST"
            response["Access-Control-Allow-Headers"] = "authorization, content-type, idempotency-key"
            response["Access-Control-Max-Age"] = str(PREFLIGHT_S)
    return response


# ---------------------------------------------------------------------- what is told


class FigmaLibrarySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class FigmaSessionSerializer(serializers.Serializer[Any]):
    """Who is signed in, and what the token allows."""

    user = serializers.CharField()
    token = serializers.CharField(help_text="Its name.")
    may_send = serializers.BooleanField(help_text="Whether pictures can be sent back.")
    libraries = FigmaLibrarySerializer(many=True, help_text="Those that pictures can be sent to.")


class FigmaFileSerializer(serializers.Serializer[Any]):
    file_key = serializers.CharField()
    waiting = serializers.IntegerField(help_text="Exports that are not placed yet.")
    newest = Time()


class FigmaAssetSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.SerializerMethodField()
    width = serializers.SerializerMethodField(help_text="Pixels in Figma: at most 4,096.")
    height = serializers.SerializerMethodField()
    library = serializers.CharField(source="library.name")
    is_placeholder = serializers.BooleanField()

    def get_name(self, asset: MediaAsset) -> str:
        return str(asset)

    def get_width(self, asset: MediaAsset) -> int:
        return pictures.size_in_figma(asset)[0]

    def get_height(self, asset: MediaAsset) -> int:
        return pictures.size_in_figma(asset)[1]


class ExportSerializer(serializers.Serializer[Any]):
    """One picture on its way into a file."""

    id = serializers.UUIDField()
    asset = FigmaAssetSerializer()
    state = Choice(choices=ExportState.values)
    message = serializers.CharField(help_text="What went wrong, or what somebody has to know.")
    file_key = serializers.CharField()
    page_id = serializers.CharField(help_text="Empty: the page that is open.")
    frame_name = serializers.CharField()
    x = serializers.FloatField(allow_null=True)
    y = serializers.FloatField(allow_null=True)
    inserted = serializers.SerializerMethodField(help_text="Picked out of the library in Figma.")
    pages = serializers.SerializerMethodField(help_text="Where earlier plugins may have placed it.")
    node_id = serializers.CharField(source="external_id", help_text="Empty until it is placed.")
    url = serializers.CharField()
    token = serializers.IntegerField(source="lease_token", help_text="Of the last claim.")
    created_at = Time()

    def get_inserted(self, export: AssetExport) -> bool:
        return bool(export.options.get("inserted"))

    def get_pages(self, export: AssetExport) -> list[str]:
        return list(export.options.get("pages", []))


class WaitingSerializer(serializers.Serializer[Any]):
    file_key = serializers.CharField(help_text="Of the address that was given.")
    results = ExportSerializer(many=True)


class SentBackSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="pk")
    name = serializers.CharField()
    parent_id = serializers.UUIDField(allow_null=True)
    library = serializers.CharField(source="library.name")
    width = serializers.IntegerField()
    height = serializers.IntegerField()


# ---------------------------------------------------------------------- what is asked


class InsertSerializer(serializers.Serializer[Any]):
    asset = serializers.UUIDField()
    file = serializers.CharField(max_length=2000, help_text="Key or address of the file.")
    worker = serializers.CharField(max_length=100, min_length=8, help_text="Names this plugin, the same each time.")
    page_id = serializers.CharField(max_length=50, required=False, allow_blank=True, default="")
    frame_name = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")


class ClaimSerializer(serializers.Serializer[Any]):
    worker = serializers.CharField(max_length=100, min_length=8, help_text="Names this plugin, the same each time.")
    page_id = serializers.CharField(max_length=50, required=False, allow_blank=True, default="")
    again = serializers.BooleanField(required=False, default=False, help_text="Also one that could not be placed.")


class PlacedSerializer(serializers.Serializer[Any]):
    token = serializers.IntegerField(min_value=1, max_value=2**53)
    node_id = serializers.CharField(max_length=200)
    page_id = serializers.CharField(max_length=50, required=False, allow_blank=True, default="")


class NotPlacedSerializer(serializers.Serializer[Any]):
    token = serializers.IntegerField(min_value=1, max_value=2**53)
    reason = Choice(choices=sorted(plugin.REASONS))
    message = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class GiveBackSerializer(serializers.Serializer[Any]):
    token = serializers.IntegerField(min_value=1, max_value=2**53)


# ---------------------------------------------------------------------- views


class SessionView(PluginView):
    @describe("Who is signed in", responses={200: FigmaSessionSerializer}, tags=TAGS)
    def get(self, request: Request) -> Response:
        libraries = list(self.plugin_access.libraries(Right.GENERATE).order_by("name")[:200])
        told = {
            "user": request.user.get_username(),
            "token": getattr(request.auth, "name", ""),
            "may_send": bool(libraries),
            "libraries": libraries,
        }
        return Response(FigmaSessionSerializer(told).data)


class FilesView(PluginView):
    @describe("Files that exports wait for", responses={200: FigmaFileSerializer(many=True)}, tags=TAGS)
    def get(self, request: Request) -> Response:
        return Response(FigmaFileSerializer(plugin.waiting_files(self.plugin_access), many=True).data)


class ExportsView(PluginView):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.READ}

    @describe(
        "Exports that wait for a file",
        responses={200: WaitingSerializer},
        parameters=[Parameter("file", "Key or address of the file.", required=True)],
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        key, found = plugin.waiting(self.plugin_access, request.query_params.get("file", ""))
        return Response(WaitingSerializer({"file_key": key, "results": found}).data)

    @describe(
        "Take an asset out of the library into a file",
        request=InsertSerializer,
        responses={201: ExportSerializer},
        problems=[409],
        description="An export that is held already: place it, and report.",
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        asked = self.read(InsertSerializer)
        export = plugin.insert(
            self.plugin_access,
            asked["asset"],
            asked["file"],
            worker=asked["worker"],
            page_id=asked["page_id"],
            frame_name=asked["frame_name"],
        )
        return Response(ExportSerializer(export).data, status=201)


class ExportActionView(PluginView):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.READ}


class ClaimView(ExportActionView):
    @describe(
        "Take an export to place it now",
        request=ClaimSerializer,
        responses={200: ExportSerializer},
        problems=[409],
        description=f"Held for {rows.LEASE_S:.0f} seconds. Who holds it already gets it again. 409: somebody else "
        "holds it, or it has ended; the answer has the export.",
        tags=TAGS,
    )
    def post(self, request: Request, pk: Any) -> Response:
        export = plugin.claim(self.plugin_access, pk, **self.read(ClaimSerializer))
        return Response(ExportSerializer(export).data)


class PlacedView(ExportActionView):
    @describe(
        "Say where it was placed",
        request=PlacedSerializer,
        responses={200: ExportSerializer},
        problems=[409],
        description="May be repeated. 409: it is placed already, at the node of the answer's export; remove this one.",
        tags=TAGS,
    )
    def post(self, request: Request, pk: Any) -> Response:
        export, _ = plugin.placed(self.plugin_access, pk, **self.read(PlacedSerializer))
        return Response(ExportSerializer(export).data)


class NotPlacedView(ExportActionView):
    @describe(
        "Say that it could not be placed",
        request=NotPlacedSerializer,
        responses={200: ExportSerializer},
        problems=[409],
        tags=TAGS,
    )
    def post(self, request: Request, pk: Any) -> Response:
        export = plugin.not_placed(self.plugin_access, pk, **self.read(NotPlacedSerializer))
        return Response(ExportSerializer(export).data)


class GiveBackView(ExportActionView):
    @describe(
        "Let it go, for somebody else to place",
        request=GiveBackSerializer,
        responses={200: ExportSerializer},
        tags=TAGS,
    )
    def post(self, request: Request, pk: Any) -> Response:
        export = plugin.give_back(self.plugin_access, pk, **self.read(GiveBackSerializer))
        return Response(ExportSerializer(export).data)


class AssetsView(PluginView):
    @describe(
        "Search the library",
        responses={200: page_of(FigmaAssetSerializer)},
        parameters=[
            Parameter("q", "Words, of which each has to be there."),
            Parameter("library", "Id, slug or name of a library."),
            *PAGING,
        ],
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        asked = {name: request.query_params[name] for name in ("q", "library") if name in request.query_params}
        found = narrowed(self.plugin_access.assets(Right.READ).ready(), AssetFilters.of(asked), self.plugin_access)
        shown = paged(request, found.select_related("library"), lambda page: FigmaAssetSerializer(page, many=True).data)
        return Response(shown)


class PictureView(PluginView):
    @describe(
        "The picture, as Figma takes it",
        responses={(200, "image/png"): bytes, (200, "image/jpeg"): bytes, (200, "image/webp"): bytes},
        parameters=[Parameter("thumbnail", f"1: at most {pictures.THUMBNAIL_PX} pixels a side.", enum=("1",))],
        tags=TAGS,
    )
    def get(self, request: Request, pk: Any) -> HttpResponse:
        asset = self.plugin_access.assets(Right.READ).ready().filter(pk=pk).first()
        if asset is None:
            raise problems.not_found()
        is_small = request.query_params.get("thumbnail") == "1"
        content, mime = pictures.thumbnail(asset) if is_small else pictures.for_figma(asset)
        response = HttpResponse(content, content_type=mime)
        response["X-Content-Type-Options"] = "nosniff"
        return response


class PictureBody(BaseParser):
    """The bytes of one picture; no more than MEDIAGEN["MAX_IMAGE_BYTES"]."""

    media_type = "image/*"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = int(conf.get("MAX_IMAGE_BYTES"))
        content: bytes = stream.read(limit + 1)
        if len(content) > limit:
            raise Problem(
                TOO_LARGE,
                _("The picture has more than %(limit)s bytes. Send it at a smaller scale.", limit=f"{limit:,}"),
            )
        return content


class UploadsView(PluginView):
    honours_key = True
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}
    parser_classes: Any = (PictureBody,)

    @describe(
        "Send a layer back into the library",
        request={"image/png": bytes, "image/jpeg": bytes},
        responses={201: SentBackSerializer, 200: SentBackSerializer},
        parameters=[
            Parameter("file", "Key or address of the file it comes from."),
            Parameter("node_id", "The layer."),
            Parameter("parent", "Id of the asset that the layer shows. One that you may not see is left out."),
            Parameter("library", "Id, slug or name of the library, where the parent's is not to be had."),
            Parameter("name", "Of the new asset."),
            Parameter("Idempotency-Key", "The same one gives the same asset, once.", where="header"),
        ],
        description="A new asset, the child of the one that was placed there. 200: it was sent before.",
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        query = request.query_params
        content: Any = request.data
        asset, is_new = from_figma.send_back(
            self.plugin_access,
            content or b"",
            file=query.get("file", ""),
            node_id=query.get("node_id", ""),
            parent=query.get("parent", ""),
            library=query.get("library") or None,
            name=query.get("name", ""),
            idempotency_key=request.headers.get("Idempotency-Key", ""),
        )
        return Response(SentBackSerializer(asset).data, status=201 if is_new else 200)


routes = [
    path("figma/session/", SessionView.as_view(), name="figma-session"),
    path("figma/files/", FilesView.as_view(), name="figma-files"),
    path("figma/exports/", ExportsView.as_view(), name="figma-exports"),
    path("figma/exports/<uuid:pk>/claim/", ClaimView.as_view(), name="figma-claim"),
    path("figma/exports/<uuid:pk>/placed/", PlacedView.as_view(), name="figma-placed"),
    path("figma/exports/<uuid:pk>/not-placed/", NotPlacedView.as_view(), name="figma-not-placed"),
    path("figma/exports/<uuid:pk>/give-back/", GiveBackView.as_view(), name="figma-give-back"),
    path("figma/assets/", AssetsView.as_view(), name="figma-assets"),
    path("figma/assets/<uuid:pk>/picture/", PictureView.as_view(), name="figma-picture"),
    path("figma/uploads/", UploadsView.as_view(), name="figma-uploads"),
]
