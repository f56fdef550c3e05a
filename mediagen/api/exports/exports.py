"""Assets on their way into Figma and Canva: what was asked, how it stands, once more, not any more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, Flag, StrictSerializer, Text, Time
from mediagen.api.pagination import paged
from mediagen.api.problems import CONFLICT, INVALID, Problem, not_found
from mediagen.api.schema import PAGING, Parameter, describe, page_of
from mediagen.engine.exports import requests, rows
from mediagen.engine.library import Right
from mediagen.models import AssetExport, ExportState, ExportTarget
from mediagen.models.routing import outside_transactions
from mediagen.wording import say as _
from mediagen.wording import translated

TAGS = ["Exports"]


class Coordinate(serializers.FloatField):
    """A number of JSON."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            raise serializers.ValidationError(gettext("must be a number."))
        return float(super().to_internal_value(data))


class NewAssetExportSerializer(StrictSerializer):
    """An asset to be put into another tool."""

    asset = serializers.UUIDField(help_text="A ready asset that you may change.")
    target = Choice(choices=ExportTarget.choices)
    title = Text(
        max_length=255,
        required=False,
        allow_blank=True,
        help_text="Figma: name of the frame. Canva: title of the design. The asset's name.",
    )
    file_key = Text(max_length=2000, required=False, help_text="Figma, needed there: the file's key or address.")
    page_id = Text(max_length=100, required=False, allow_blank=True, help_text='Figma: "0:1". The open page.')
    x = Coordinate(min_value=-1e6, max_value=1e6, required=False, allow_null=True, help_text="Figma: canvas pixels.")
    y = Coordinate(min_value=-1e6, max_value=1e6, required=False, allow_null=True)
    comment = Text(max_length=2000, required=False, allow_blank=True, help_text="Figma: pinned in the file.")
    folder = Text(max_length=2000, required=False, allow_blank=True, help_text="Canva: id or address of a folder.")
    create_design = Flag(required=False, help_text="Canva: make a design with the picture inside. true")
    dry_run = Flag(required=False, allow_null=True, help_text="The site decides.")


class AssetExportSerializer(serializers.Serializer[Any]):
    """One asset on its way into one place."""

    id = serializers.UUIDField()
    url = serializers.URLField(help_text="Of this export in the API.")
    asset = serializers.UUIDField()
    target = Choice(choices=ExportTarget.choices)
    state = Choice(
        choices=ExportState.choices, help_text="waiting: for mediagen's plugin in Figma; pending: to be sent."
    )
    message = serializers.CharField(help_text="What went wrong, what was done otherwise, or what somebody has to do.")
    dry_run = serializers.BooleanField()
    provider = serializers.CharField()
    title = serializers.CharField()
    file_key = serializers.CharField(help_text="Figma; empty at Canva.")
    page_id = serializers.CharField()
    x = serializers.FloatField(allow_null=True)
    y = serializers.FloatField(allow_null=True)
    folder = serializers.CharField(help_text="Canva; empty at Figma.")
    external_id = serializers.CharField(help_text="Figma: the node. Canva: the uploaded asset.")
    design_id = serializers.CharField(help_text="Canva: the design.")
    external_url = serializers.CharField(help_text="Where a person opens it; Canva ends it after 30 days.")
    created_at = Time()
    updated_at = Time()
    placed_at = Time(allow_null=True)
    expires_at = Time(allow_null=True, help_text="Figma: no longer waited then. Canva: end of the link.")


def shown(export: AssetExport, addresses: Addresses) -> dict[str, Any]:
    is_figma = export.target == ExportTarget.FIGMA
    time = Time()
    at = {name: getattr(export, name) for name in ("created_at", "updated_at", "placed_at", "expires_at")}
    return {
        "id": str(export.pk),
        "url": addresses.to("export", export.pk),
        "asset": str(export.asset_id),
        "target": export.target,
        "state": export.state,
        "message": export.message,
        "dry_run": export.dry_run,
        "provider": export.provider_name,
        "title": export.frame_name,
        "file_key": export.file_key if is_figma else "",
        "page_id": export.page_id,
        "x": export.x,
        "y": export.y,
        "folder": "" if is_figma else export.file_key,
        "external_id": export.external_id,
        "design_id": export.design_id,
        "external_url": export.url,
        **{name: time.to_representation(value) if value else None for name, value in at.items()},
    }


class ExportView(APIBase):
    """What the views of exports have in common."""

    rights: ClassVar[Mapping[str, Right | None]] = {}

    def answer(self, export: AssetExport, status: int = 200) -> Response:
        return Response(shown(export, Addresses.of(self.request)), status=status)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, rows.ExportConflict):
            exc = Problem(CONFLICT, translated(exc))
        return super().handle_exception(exc)

    def found(self, exports: Any, pk: UUID) -> AssetExport:
        """One of these, or the answer that it does not exist."""
        export: AssetExport | None = exports.filter(pk=pk).first()
        if export is None:
            raise not_found()
        return export


class ExportsView(ExportView):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.CHANGE}

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        # Figma is asked while the request waits: no transaction of a site's ATOMIC_REQUESTS spans that.
        return outside_transactions(super().as_view(**initkwargs))

    @describe(
        "Exports",
        responses={200: page_of(AssetExportSerializer)},
        parameters=(
            *PAGING,
            Parameter("asset", "Only of this asset.", {"type": "string", "format": "uuid"}),
            Parameter("target", "Only to this tool.", enum=tuple(ExportTarget.values)),
            Parameter("state", "Only in this state.", enum=tuple(ExportState.values)),
        ),
        operation_id="exports_list",
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        exports = rows.visible(self.access)
        query = request.query_params
        for name, choices in (("target", ExportTarget.values), ("state", ExportState.values)):
            if (value := query.get(name)) is not None:
                if value not in choices:
                    raise Problem(
                        INVALID,
                        _("%(name)s must be one of %(choices)s.", name=name, choices=", ".join(choices)),
                        field=name,
                    )
                exports = exports.filter(**{name: value})
        if (asset := query.get("asset")) is not None:
            try:
                exports = exports.filter(asset_id=UUID(asset))
            except ValueError:
                raise Problem(INVALID, _("asset must be an asset's id."), field="asset") from None
        addresses = Addresses.of(request)
        return Response(paged(request, exports, lambda page: [shown(export, addresses) for export in page]))

    @describe(
        "Export an asset",
        request=NewAssetExportSerializer,
        responses={201: AssetExportSerializer, 202: AssetExportSerializer},
        description="To Figma: sent at once, 201, and it waits for the plugin. To Canva: 202, sent in the background. "
        "An export that could not be sent is answered too, with the state failed and the reason.",
        operation_id="exports_create",
        tags=TAGS,
    )
    def post(self, request: Request) -> Response:
        values = self.read(NewAssetExportSerializer)
        asset = self.access.assets(Right.CHANGE).filter(pk=values.pop("asset")).select_related("library").first()
        if asset is None:
            raise Problem(INVALID, _("There is no such asset that you may change."), field="asset")
        values["dry_run"] = self.access.dry(values.get("dry_run"))
        export = requests.place(asset, requests.ExportOrder(**values), by=request.user)
        return self.answer(export, 202 if export.target == ExportTarget.CANVA else 201)


class ExportDetailView(ExportView):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ}

    @describe("An export", responses={200: AssetExportSerializer}, operation_id="exports_retrieve", tags=TAGS)
    def get(self, request: Request, pk: UUID) -> Response:
        return self.answer(self.found(rows.visible(self.access), pk))


class ExportCancelView(ExportView):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.CHANGE}

    @describe(
        "Cancel an export",
        responses={200: AssetExportSerializer},
        problems=(409,),
        description="One that nobody is placing at this moment.",
        operation_id="exports_cancel",
        tags=TAGS,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return self.answer(requests.cancel(self.found(requests.changeable(self.access), pk)))


class ExportRetryView(ExportView):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.CHANGE}

    @describe(
        "Try an export again",
        responses={202: AssetExportSerializer},
        problems=(409,),
        description="To Figma: it waits for the plugin once more. To Canva: it goes on with what is known to be there; "
        "what may or may not have been made is made again.",
        operation_id="exports_retry",
        tags=TAGS,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        export = self.found(requests.changeable(self.access), pk)
        self.access.demand_dry(export.options.get("dry_run"))
        if export.target == ExportTarget.FIGMA and export.expires_at is None:
            raise Problem(CONFLICT, _("Figma was never asked with success. Export the asset once more."))
        if export.state not in (ExportState.FAILED, ExportState.EXPIRED, ExportState.CANCELLED):
            raise Problem(
                CONFLICT, _("The export is %(state)s: there is nothing to retry.", state=export.get_state_display())
            )
        return self.answer(requests.retry(export), 202)


routes = [
    path("exports/", ExportsView.as_view(), name="exports"),
    path("exports/<uuid:pk>/", ExportDetailView.as_view(), name="export"),
    path("exports/<uuid:pk>/cancel/", ExportCancelView.as_view(), name="export-cancel"),
    path("exports/<uuid:pk>/retry/", ExportRetryView.as_view(), name="export-retry"),
]
