"""Pictures out of Figma and Canva, by the addresses that people copy there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import holds_a_worker
from mediagen.api.fields import Choice, Flag, StrictSerializer, Text, Whole
from mediagen.api.library.assets import AssetsBase
from mediagen.api.problems import NOT_DELIVERED, Problem
from mediagen.api.schema import describe
from mediagen.api.shown import AssetSerializer, shown_assets
from mediagen.engine import get_media_engine
from mediagen.engine.library import Right
from mediagen.errors import GenerationFailed, InvalidRequest
from mediagen.models import MediaAsset
from mediagen.models.routing import outside_transactions
from mediagen.wording import translated

TAGS = ["Imports"]
PERMISSION = "mediagen.import_mediaasset"
HOW = (
    f"Needs the permission {PERMISSION} too: the site's account there may see more than whoever asks. 502 when nothing "
    "came, with the reason. The parent is the asset that was exported there."
)
RENDERS = ("png", "jpg")
MOST_NODES = 50
DEADLINE_S, WSGI_DEADLINE_S = 90.0, 25.0
"""so long they are waited for; under WSGI servers kill a worker that is silent for 30 s"""
NAMES = {"file_key": "file", "node_ids": "nodes", "design_id": "design", "library_id": "library"}
"""the engine's names for what a request calls otherwise"""


class FromFigmaSerializer(StrictSerializer):
    """Nodes of a file, to become assets."""

    file = Text(max_length=2000, help_text="Key or address of the file.")
    nodes = serializers.ListField(
        child=Text(max_length=2000), min_length=1, max_length=MOST_NODES, help_text='Ids ("1:23"), or their addresses.'
    )
    format = Choice(choices=RENDERS, required=False, help_text="png")
    scale = serializers.FloatField(min_value=0.01, max_value=4, required=False, help_text="1")
    library = Text(max_length=200, required=False, help_text="Id, slug or name; else the placed asset's.")
    dry_run = Flag(required=False, allow_null=True, help_text="The site decides.")


class FromCanvaSerializer(StrictSerializer):
    """A page of a design, to become an asset."""

    design = Text(max_length=2000, help_text="Id or address of the design.")
    page = Whole(min_value=1, max_value=10_000, required=False, help_text="1")
    name = Text(max_length=255, required=False, allow_blank=True, help_text="The design's title.")
    tags = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)
    library = Text(max_length=200, required=False, help_text="Id, slug or name; else the exported asset's.")
    dry_run = Flag(required=False, allow_null=True, help_text="The site decides.")


class NodeFailureSerializer(serializers.Serializer[Any]):
    node_id = serializers.CharField()
    message = serializers.CharField()


class ImportedSerializer(serializers.Serializer[Any]):
    """What came, in the order of the nodes, and what did not."""

    assets = AssetSerializer(many=True)
    failures = NodeFailureSerializer(many=True)


@method_decorator(outside_transactions, name="dispatch")
class ImportView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    def asked(self, serializer: Any) -> dict[str, Any]:
        """The body as the engine takes it."""
        self.access.demand(PERMISSION, "generate")
        given = self.read(serializer)
        word = given.pop("library", None)
        own = self.access.token.library_id if self.access.token is not None else None
        given["library_id"] = self.library(word, Right.GENERATE).pk if word else own
        given["dry_run"] = self.access.dry(given.get("dry_run"))
        deadline_s = WSGI_DEADLINE_S if holds_a_worker(self.request) else DEADLINE_S
        return {**given, "by": self.request.user, "access": self.access, "deadline_s": deadline_s}

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, GenerationFailed):
            exc = Problem(NOT_DELIVERED, translated(exc))
        elif isinstance(exc, InvalidRequest) and exc.field in NAMES:
            exc = InvalidRequest(translated(exc), field=NAMES[exc.field])
        return super().handle_exception(exc)

    def shown(self, assets: list[MediaAsset]) -> list[dict[str, Any]]:
        pks = [asset.pk for asset in assets]
        rows = MediaAsset.objects.select_related("library").prefetch_related("tags").in_bulk(pks)
        return shown_assets([rows[pk] for pk in pks], Addresses.of(self.request))


class FromFigmaView(ImportView):
    @describe(
        "Import nodes of a Figma file",
        operation_id="imports_figma",
        request=FromFigmaSerializer,
        responses={201: ImportedSerializer},
        problems=[502],
        description=f"Figma renders them, and each becomes an asset. {HOW}",
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        asked = self.asked(FromFigmaSerializer)
        found = get_media_engine().import_from_figma_sync(asked.pop("file"), asked.pop("nodes"), **asked)
        failures = [{"node_id": one.node_id, "message": one.message} for one in found.failures]
        if not found.assets:
            said = "; ".join(f"{one['node_id']}: {one['message']}" for one in failures)
            raise Problem(NOT_DELIVERED, said[:2000], extra={"failures": failures})
        return Response({"assets": self.shown(list(found.assets)), "failures": failures}, status=201)


class FromCanvaView(ImportView):
    @describe(
        "Import a page of a Canva design",
        operation_id="imports_canva",
        request=FromCanvaSerializer,
        responses={201: AssetSerializer},
        problems=[502],
        description=f"Canva makes a PNG of it, which becomes an asset. {HOW}",
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        asked = self.asked(FromCanvaSerializer)
        asset = get_media_engine().import_from_canva_sync(asked.pop("design"), **asked)
        (answer,) = self.shown([asset])
        return Response(answer, status=201, headers={"Location": answer["url"]})


routes = [
    path("imports/figma/", FromFigmaView.as_view(), name="imports-figma"),
    path("imports/canva/", FromCanvaView.as_view(), name="imports-canva"),
]
