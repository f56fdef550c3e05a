"""What belongs to an asset: its attempts, variants, duplicates, and where it is used."""

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
from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, StrictSerializer, Text, Time, Whole
from mediagen.api.library.assets import AssetsBase, page_of_assets
from mediagen.api.problems import CONFLICT, INVALID, Problem
from mediagen.api.schema import KEY, PAGING, Parameter, describe, page_of
from mediagen.api.shown import AssetSerializer, AttemptSerializer, CostSerializer, shown_asset, shown_assets
from mediagen.engine.files import uploads, variants
from mediagen.engine.generation import idempotency
from mediagen.engine.library import RATES, Right, usage
from mediagen.images.scale import FORMATS
from mediagen.models import AssetUsage, GenerationAttempt, MediaAsset
from mediagen.models.costs import cost_of_assets
from mediagen.models.routing import outside_transactions
from mediagen.models.usage import METRICS
from mediagen.types import MAX_SIDE_PX
from mediagen.wording import say as _

MOST_SHOWN = 200


class AttemptsSerializer(CostSerializer):
    """All attempts, and what they cost together."""

    results = AttemptSerializer(many=True)


class AssetListSerializer(serializers.Serializer[Any]):
    results = AssetSerializer(many=True)


class VariantsSerializer(StrictSerializer):
    sizes = serializers.ListField(
        child=Text(max_length=20),
        min_length=1,
        max_length=variants.MAX_SIZES,
        help_text='"1200x630" is cut to fill it, "1200x" and "x630" keep the whole picture.',
    )


class CropSerializer(StrictSerializer):
    """A part of a picture, turned. Pixels of the picture."""

    left = Whole(min_value=0, max_value=MAX_SIDE_PX, required=False, help_text="0.")
    top = Whole(min_value=0, max_value=MAX_SIDE_PX, required=False, help_text="0.")
    width = Whole(min_value=1, max_value=MAX_SIDE_PX, required=False, help_text="To the right edge.")
    height = Whole(min_value=1, max_value=MAX_SIDE_PX, required=False, help_text="To the lower edge.")
    rotate = Whole(min_value=0, max_value=270, required=False, help_text="Degrees, clockwise: 0, 90, 180 or 270.")
    format = Choice(choices=FORMATS, required=False, help_text="That of the picture.")


class UsageSerializer(serializers.ModelSerializer[AssetUsage]):
    """An asset in one campaign on one channel."""

    url = serializers.CharField(read_only=True, help_text="Where it can be seen; may be empty.")
    click_rate = serializers.FloatField(read_only=True, allow_null=True, help_text="Null: nothing to divide by.")
    engagement_rate = serializers.FloatField(read_only=True, allow_null=True)
    conversion_rate = serializers.FloatField(read_only=True, allow_null=True)
    first_used_at = Time()
    updated_at = Time()
    ended_at = Time(allow_null=True)

    class Meta:
        model = AssetUsage
        fields = (
            "campaign",
            "channel",
            "url",
            *METRICS,
            "click_rate",
            "engagement_rate",
            "conversion_rate",
            "first_used_at",
            "updated_at",
            "ended_at",
        )
        read_only_fields = fields


class UsagesSerializer(serializers.Serializer[Any]):
    results = UsageSerializer(many=True)


class UseSerializer(StrictSerializer):
    campaign = Text(max_length=200)
    channel = Text(max_length=100, required=False, allow_blank=True)
    url = Text(max_length=1000, required=False, allow_blank=True, help_text="Where it can be seen.")
    ended = serializers.BooleanField(required=False, help_text="It is no longer used there.")


class CountsSerializer(StrictSerializer):
    impressions = Whole(min_value=0, max_value=usage.MAX_COUNT, required=False)
    clicks = Whole(min_value=0, max_value=usage.MAX_COUNT, required=False)
    engagements = Whole(min_value=0, max_value=usage.MAX_COUNT, required=False)
    conversions = Whole(min_value=0, max_value=usage.MAX_COUNT, required=False)
    shares = Whole(min_value=0, max_value=usage.MAX_COUNT, required=False)
    comments = Whole(min_value=0, max_value=usage.MAX_COUNT, required=False)


class MetricsSerializer(StrictSerializer):
    """What was counted: `totals` replace what stands there, `add` is added to it."""

    campaign = Text(max_length=200)
    channel = Text(max_length=100, required=False, allow_blank=True)
    totals = CountsSerializer(required=False)
    add = CountsSerializer(required=False)


class PerformanceSerializer(serializers.Serializer[Any]):
    asset = AssetSerializer()
    impressions = serializers.IntegerField()
    clicks = serializers.IntegerField()
    engagements = serializers.IntegerField()
    conversions = serializers.IntegerField()
    shares = serializers.IntegerField()
    comments = serializers.IntegerField()
    click_rate = serializers.FloatField(allow_null=True)
    engagement_rate = serializers.FloatField(allow_null=True)
    conversion_rate = serializers.FloatField(allow_null=True)


class BestSerializer(serializers.Serializer[Any]):
    results = PerformanceSerializer(many=True)


class AttemptsView(AssetsBase):
    @describe("Who was asked for it", operation_id="assets_attempts", responses={200: AttemptsSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk)
        attempts = GenerationAttempt.objects.of(asset)
        shown = AttemptSerializer(attempts[:MOST_SHOWN], many=True).data
        return Response({"results": shown, **cost_of_assets([asset]).facts()})


class DuplicatesView(AssetsBase):
    @describe(
        "Assets with the very same file",
        operation_id="assets_duplicates",
        parameters=PAGING,
        responses={200: page_of(AssetSerializer)},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        same = uploads.duplicates(self.found(pk), self.access.assets())
        return Response(page_of_assets(request, same))


@method_decorator(outside_transactions, name="dispatch")
class VariantsView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.GENERATE}

    @describe(
        "Assets made of it",
        operation_id="assets_variants_list",
        parameters=PAGING,
        responses={200: page_of(AssetSerializer)},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(page_of_assets(request, self.access.assets().filter(parent=self.found(pk))))

    @describe(
        "Make variants in these sizes",
        operation_id="assets_variants_make",
        request=VariantsSerializer,
        responses={201: AssetListSerializer},
        problems=[409],
        description="Assets of their own, with this one as parent. One that is there already is given back. Of many "
        "assets at once: jobs/.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.GENERATE)
        sizes = self.read(VariantsSerializer)["sizes"]
        if not asset.is_ready:
            raise Problem(CONFLICT, _("The asset is %(state)s: there is no picture yet.", state=asset.generation_state))
        made = [child.pk for child in variants.make_variants(asset, sizes, request.user)]
        rows = MediaAsset.objects.select_related("library").prefetch_related("tags").in_bulk(made)
        return Response({"results": shown_assets([rows[pk] for pk in made], Addresses.of(request))}, status=201)


@method_decorator(outside_transactions, name="dispatch")
class CropsView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    @describe(
        "Crop or turn it",
        operation_id="assets_crops_make",
        request=CropSerializer,
        responses={201: AssetSerializer},
        problems=[409],
        description="An asset of its own, with this one as parent. Made here, without a provider, at no cost.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.GENERATE)
        asked = self.read(CropSerializer)
        if not asset.is_ready:
            raise Problem(CONFLICT, _("The asset is %(state)s: there is no picture yet.", state=asset.generation_state))
        made = variants.make_crop(asset, request.user, **asked)
        row = MediaAsset.objects.select_related("library").prefetch_related("tags").get(pk=made.pk)
        return Response(shown_asset(row, Addresses.of(request)), status=201)


class UsagesView(AssetsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.CHANGE}

    @describe("Where it is used", operation_id="assets_usages_list", responses={200: UsagesSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        rows = AssetUsage.objects.filter(asset=self.found(pk))[:MOST_SHOWN]
        return Response({"results": UsageSerializer(rows, many=True).data})

    @describe(
        "Say that it is used, or no longer",
        operation_id="assets_usages_record",
        request=UseSerializer,
        responses={200: UsageSerializer},
        problems=[409],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.CHANGE)
        body = self.read(UseSerializer)
        place = {"campaign": body["campaign"], "channel": body.get("channel", "")}
        if body.get("ended"):
            return Response(UsageSerializer(usage.end_usage(asset, **place)).data)
        _must_be_ready(asset)
        return Response(UsageSerializer(usage.record_usage(asset, **place, url=body.get("url", ""))).data)


class MetricsView(AssetsBase):
    honours_key = True
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.CHANGE}

    @describe(
        "Write how it does",
        operation_id="assets_metrics",
        request=MetricsSerializer,
        parameters=[KEY],
        responses={200: UsageSerializer},
        problems=[409],
        description="With an Idempotency-Key what is in `add` is added once in 24 hours.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        asset = self.found(pk, Right.CHANGE)
        body = self.read(MetricsSerializer)
        _must_be_ready(asset)
        place = {"campaign": body["campaign"], "channel": body.get("channel", "")}

        def record() -> dict[str, Any]:
            usage.record_metrics(asset, *place.values(), totals=body.get("totals"), add=body.get("add"))
            return {}

        headers = {}
        if (key := request.headers.get("Idempotency-Key")) is not None:
            digest = idempotency.digest("POST metrics", str(pk), body)
            _, is_new = idempotency.once(self.access, idempotency.check_key(key), digest, record)
            headers = {} if is_new else {"Idempotency-Replayed": "true"}
        else:
            record()
        return Response(UsageSerializer(AssetUsage.objects.get(asset=asset, **place)).data, headers=headers)


def _must_be_ready(asset: MediaAsset) -> None:
    if not asset.is_ready:
        raise Problem(
            CONFLICT, _("The asset is %(state)s: there is no picture to use yet.", state=asset.generation_state)
        )


class BestView(APIBase):
    @describe(
        "The assets that do best in a campaign",
        operation_id="assets_best",
        parameters=[
            Parameter("campaign", "Its name.", {"type": "string", "minLength": 1, "maxLength": 200}, required=True),
            Parameter("channel", "Only this channel."),
            Parameter("by", "What counts; click_rate if not said.", enum=(*RATES, *METRICS)),
            Parameter(
                "min_impressions",
                "Fewer say nothing.",
                {"type": "integer", "minimum": 0, "maximum": 10**9, "default": 100},
            ),
            Parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}),
        ],
        responses={200: BestSerializer},
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        campaign = query.get("campaign", "").strip()
        if not campaign:
            raise Problem(INVALID, _("Say which campaign."), field="campaign")
        found = usage.best_assets(
            campaign,
            query.get("by") or "click_rate",
            min_impressions=_number(query, "min_impressions", 100, 0, 10**9),
            channel=query.get("channel"),
            assets=self.access.assets().select_related("library").prefetch_related("tags"),
            limit=_number(query, "limit", 10, 1, 100),
        )
        addresses = Addresses.of(request)
        rates = ("click_rate", "engagement_rate", "conversion_rate")
        results = [
            {"asset": shown_asset(one.asset, addresses), **{name: getattr(one, name) for name in (*METRICS, *rates)}}
            for one in found
        ]
        return Response({"results": results})


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and least <= int(text) <= most):
        raise Problem(
            INVALID,
            _("%(name)s must be a whole number from %(least)s to %(most)s.", name=name, least=least, most=most),
            field=name,
        )
    return int(text)


routes = [
    path("assets/best/", BestView.as_view(), name="assets-best"),
    path("assets/<uuid:pk>/attempts/", AttemptsView.as_view(), name="asset-attempts"),
    path("assets/<uuid:pk>/duplicates/", DuplicatesView.as_view(), name="asset-duplicates"),
    path("assets/<uuid:pk>/variants/", VariantsView.as_view(), name="asset-variants"),
    path("assets/<uuid:pk>/crops/", CropsView.as_view(), name="asset-crops"),
    path("assets/<uuid:pk>/usages/", UsagesView.as_view(), name="asset-usages"),
    path("assets/<uuid:pk>/metrics/", MetricsView.as_view(), name="asset-metrics"),
]
