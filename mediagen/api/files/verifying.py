"""What a file says of its making, whether it is one of ours, and what looks like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.fields import StrictSerializer
from mediagen.api.library.assets import AssetsBase, Multipart
from mediagen.api.problems import CONFLICT, INVALID, NOT_A_PICTURE, Problem
from mediagen.api.schema import describe
from mediagen.api.shown import AssetSerializer, CredentialsSerializer, shown_assets
from mediagen.engine.files import similar_to, uploads, verify, verify_asset, verifying
from mediagen.engine.library import Right
from mediagen.errors import InvalidRequest
from mediagen.models import MediaAsset
from mediagen.models.routing import outside_transactions
from mediagen.wording import say as _
from mediagen.wording import translated


class SaysSerializer(serializers.Serializer[Any]):
    """What a file says of itself: anybody may have written it."""

    digital_source_type = serializers.CharField(help_text="The IPTC's word, in XMP or signed; may be empty.")
    content_credentials = CredentialsSerializer(allow_null=True, help_text="Null: there are none.")
    texts = serializers.DictField(child=serializers.CharField(), help_text="Of a PNG, by keyword; their beginnings.")
    exif = serializers.DictField(child=serializers.CharField(), help_text="By EXIF's names; GPS says only that.")


class MatchSerializer(serializers.Serializer[Any]):
    asset = serializers.UUIDField()
    name = serializers.CharField()
    how = serializers.ChoiceField(
        choices=verifying.HOW,
        help_text="As which file of the asset it is the very same bytes; looks: it only looks like it.",
    )
    bits = serializers.IntegerField(help_text="Of 64, that differ in its looks.")


class VerifiedSerializer(serializers.Serializer[Any]):
    """What a file is and says, and which assets it is of."""

    sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()
    format = serializers.CharField()
    width = serializers.IntegerField(help_text="Pixels.")
    height = serializers.IntegerField()
    says = SaysSerializer()
    is_ours = serializers.BooleanField(help_text="To the last byte, of an asset that you may see.")
    matches = MatchSerializer(many=True, help_text="Of assets that you may see, the surest first; 20 at most.")


class VerifySerializer(StrictSerializer):
    file = serializers.FileField(help_text="PNG, JPEG, WebP, AVIF or GIF. It is not kept.")


class SimilarSerializer(serializers.Serializer[Any]):
    asset = AssetSerializer()
    bits = serializers.IntegerField(help_text="Of 64, that differ in their looks.")


class SimilarsSerializer(serializers.Serializer[Any]):
    results = SimilarSerializer(many=True)


def _told(found: Any) -> dict[str, Any]:
    data: dict[str, Any] = found.data
    data["says"]["content_credentials"] = data["says"]["content_credentials"] or None
    return data


@method_decorator(outside_transactions, name="dispatch")
class VerifyView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.READ}
    parser_classes: Any = (Multipart,)

    @describe(
        "What a file says of its making, and whether it is one of yours",
        operation_id="verify_file",
        request={"multipart/form-data": VerifySerializer},
        responses={200: VerifiedSerializer},
        description="By its bytes as an asset's file, its original or a rendition of it, and by its looks. Nothing of "
        "it is kept.",
    )
    def post(self, request: Request) -> Response:
        sent: Any = request.data
        if isinstance(sent.get("file"), str):
            raise Problem(INVALID, _("file must be sent as a file, with a filename."), field="file")
        try:
            found = verify(uploads.read(self.read(VerifySerializer)["file"]), self.access.assets())
        except InvalidRequest as exc:
            raise Problem(NOT_A_PICTURE, translated(exc), field=exc.field) from exc
        return Response(_told(found))


@method_decorator(outside_transactions, name="dispatch")
class OriginView(AssetsBase):
    @describe(
        "What its file says of its making",
        operation_id="assets_origin",
        responses={200: VerifiedSerializer},
        problems=[409],
        description="The same of an asset: of the file as it came, where that is kept.",
    )
    def get(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk)
        if not asset.is_ready:
            raise Problem(CONFLICT, _("The asset is %(state)s: there is no picture yet.", state=asset.generation_state))
        return Response(_told(verify_asset(asset, self.access.assets())))


class SimilarView(AssetsBase):
    @describe(
        "Assets that look like it",
        operation_id="assets_similar",
        responses={200: SimilarsSerializer},
        description="Scaled, compressed anew, in another format: the nearest first, 20 at most. Without its lineage, "
        "and without those with the very same file (`duplicates/`). Placeholders and plain areas are not compared.",
    )
    def get(self, request: Request, pk: UUID) -> Response:
        found = similar_to(self.found(pk), self.access.assets())
        bits = {asset.pk: apart for asset, apart in found}
        rows = MediaAsset.objects.select_related("library").prefetch_related("tags").in_bulk(list(bits))
        shown = shown_assets([rows[pk] for pk in bits if pk in rows], Addresses.of(request))
        return Response({"results": [{"asset": one, "bits": bits[UUID(one["id"])]} for one in shown]})


routes = [
    path("verify/", VerifyView.as_view(), name="verify"),
    path("assets/<uuid:pk>/origin/", OriginView.as_view(), name="asset-origin"),
    path("assets/<uuid:pk>/similar/", SimilarView.as_view(), name="asset-similar"),
]
