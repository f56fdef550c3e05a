"""What pictures show, in words: asked for, watched, and accepted, changed or rejected by people."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase, AsyncAPIView, holds_a_worker
from mediagen.api.fields import Choice, Flag, StrictSerializer, Text, Time, Usd, Whole, iso
from mediagen.api.generation.generations import PREFER, WSGI_WAIT_S, wait_of
from mediagen.api.pagination import paged
from mediagen.api.problems import not_found
from mediagen.api.schema import KEY, PAGING, Parameter, describe, page_of
from mediagen.api.shown import EstimateSerializer, FailureSerializer, shown_estimate
from mediagen.api.throttles import GenerateThrottle, RoleThrottle
from mediagen.descriptions import LEAST_CHARS, MOST_CHARS
from mediagen.engine.database import in_database
from mediagen.engine.generation import descriptions, failures, idempotency
from mediagen.engine.library import Access, Right, alt_texts
from mediagen.engine.work import describe_requests, describing
from mediagen.errors import Conflict, InvalidRequest, NotAllowed
from mediagen.models import AltTextState, AssetDescription, DescriptionState, MediaAsset
from mediagen.wording import say as _

WATCH = (Right.READ, Right.GENERATE)
LOOK_EVERY_S = 0.25
ANSWERS = ["", AltTextState.ACCEPTED.value, AltTextState.CHANGED.value, AltTextState.REJECTED.value]


class DescribeSerializer(StrictSerializer):
    """Which picture, and in which words. Only `source` is needed."""

    source = serializers.UUIDField(  # type: ignore[assignment]
        help_text="The asset: one that you may see, with a picture."
    )
    language = Text(max_length=40, required=False, help_text='As in HTML: "en", "pt-br". Accept-Language.')
    max_chars = Whole(min_value=LEAST_CHARS, max_value=MOST_CHARS, required=False, help_text="160.")
    provider = Text(max_length=100, required=False, help_text="Asked instead of the chain.")
    providers = serializers.ListField(
        child=Text(max_length=100), required=False, max_length=20, help_text="Asked instead of the chain, in order."
    )
    dry_run = Flag(required=False, allow_null=True, help_text="The site decides.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("provider") and attrs.get("providers"):
            raise serializers.ValidationError({"providers": "Say provider or providers, not both."})
        return attrs


class AcceptSerializer(StrictSerializer):
    """What a person makes of it."""

    text = Text(max_length=alt_texts.LONGEST, required=False, help_text="In place of what was suggested.")
    replace = Flag(required=False, help_text="The alt text that is there may be replaced. false")


class DescriptionSerializer(serializers.Serializer[Any]):
    """One picture described once."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    asset = serializers.UUIDField()
    asset_url = serializers.URLField()
    state = Choice(choices=DescriptionState.choices)
    language = serializers.CharField()
    max_chars = serializers.IntegerField()
    text = serializers.CharField(help_text="A suggestion, until a person accepts it; empty while there is none.")
    answer = serializers.ChoiceField(choices=ANSWERS, help_text="What a person made of it; empty: nothing yet.")
    provider = serializers.CharField(help_text="Who served it.")
    model = serializers.CharField()
    cost = Usd(allow_null=True, help_text="USD; null: not known, which is not nothing.")
    dry_run = serializers.BooleanField(help_text="A rehearsal: the text says nothing of the picture.")
    fit_report = serializers.DictField()
    failure = FailureSerializer(allow_null=True)
    estimate = EstimateSerializer(allow_null=True, help_text="In the answer to the request alone.")
    created_at = Time()
    finished_at = Time(allow_null=True)


def shown(row: AssetDescription, addresses: Addresses, estimate: Any = None) -> dict[str, Any]:
    failure = None
    if row.failure_code:
        attempts = f"{addresses.to('asset', row.asset_id)}attempts/"
        failure = {**failures.told(row.failure_code), "detail": row.failure, "attempts_url": attempts}
    return {
        "id": str(row.pk),
        "url": addresses.to("description", row.pk),
        "asset": str(row.asset_id),
        "asset_url": addresses.to("asset", row.asset_id),
        "state": row.state,
        "language": row.language,
        "max_chars": row.max_chars,
        "text": row.text,
        "answer": row.answer,
        "provider": row.provider_name,
        "model": row.model_name,
        "cost": None if row.cost is None else f"{row.cost:f}",
        "dry_run": row.dry_run,
        "fit_report": row.fit_report,
        "failure": failure,
        "estimate": None if estimate is None else shown_estimate(estimate),
        "created_at": iso(row.created_at),
        "finished_at": iso(row.finished_at) if row.finished_at else None,
    }


def visible(access: Access) -> Any:
    """Descriptions of assets that they may read; with a right to generate alone those that they asked for."""
    rows = (
        AssetDescription.objects.filter(asset__in=access.watchable())
        if access.has(Right.READ)
        else (AssetDescription.objects.filter(asset__in=access.assets(Right.GENERATE), created_by=access.user))
    )
    return rows.select_related("asset__library")


def _wish(body: Mapping[str, Any]) -> tuple[Any, descriptions.Wish]:
    given = dict(body)
    source = given.pop("source")
    return source, descriptions.Wish.of(given.pop("language", None), given.pop("max_chars", None), **given)


def _source(access: Access, pk: Any) -> MediaAsset:
    """The asset, if they may have it described."""
    found = access.watchable().filter(pk=pk).select_related("library").first()
    if found is None:
        raise InvalidRequest(_("There is no asset %(pk)s.", pk=pk), field="source")
    if not access.may(Right.GENERATE, found.library_id):
        raise NotAllowed(_("You may look into this library, and not have pictures made in it."))
    return found


class DescriptionsView(AsyncAPIView):
    honours_key = True
    rights: ClassVar[Mapping[str, Right | tuple[Right, ...] | None]] = {"GET": WATCH, "POST": Right.GENERATE}
    throttle_classes: Any = (RoleThrottle, GenerateThrottle)

    def get_throttles(self) -> list[Any]:
        return [RoleThrottle()] if self.request.method in ("GET", "HEAD") else super().get_throttles()

    @describe(
        "List descriptions",
        operation_id="descriptions_list",
        parameters=[
            *PAGING,
            Parameter("asset", "Only those of this asset.", {"type": "string", "format": "uuid"}),
            Parameter("waiting", "true: only suggestions that nobody has answered.", {"type": "boolean"}),
        ],
        responses={200: page_of(DescriptionSerializer)},
        description="The newest first.",
    )
    async def get(self, request: Request) -> Response:
        return Response(self.begun)

    def begin_get(self, request: Request) -> dict[str, Any]:
        rows, query = visible(self.access), request.query_params
        if asset := query.get("asset"):
            try:
                rows = rows.filter(asset=UUID(asset))
            except ValueError:
                raise InvalidRequest(_("asset must be an id."), field="asset") from None
        if (waiting := query.get("waiting", "false")) not in ("true", "false"):
            raise InvalidRequest(_("waiting must be true or false."), field="waiting")
        if waiting == "true":
            rows = rows.filter(state=DescriptionState.READY, answer="")
        addresses = Addresses.of(request)
        return paged(request, rows.order_by("-pk"), lambda found: [shown(row, addresses) for row in found])

    @describe(
        "Have a picture described",
        operation_id="descriptions_create",
        request=DescribeSerializer,
        parameters=[PREFER, KEY],
        responses={202: DescriptionSerializer, 201: DescriptionSerializer},
        problems=[402, 409],
        description=(
            "A text for the asset's alt text: a suggestion, which changes nothing that pages show. 202 while it is "
            "being asked; with `Prefer: wait=N` 201 when the text is there in time, else 202 with what has become of "
            "it. Refused before anybody is asked: 402 when a budget does not leave what it costs at least, 503 with "
            "Retry-After when every provider is cooling down. For many, see `jobs/`."
        ),
    )
    async def post(self, request: Request) -> Response:
        row, is_new, estimate, addresses = self.begun
        headers = {"Location": addresses.to("description", row.pk)}
        if not is_new:
            headers["Idempotency-Replayed"] = "true"
        wait_s = wait_of(request.headers.get("Prefer", ""))
        if wait_s:
            wait_s = min(wait_s, WSGI_WAIT_S) if holds_a_worker(request) else wait_s
            headers["Preference-Applied"] = f"wait={wait_s:.0f}"
            row = await _after(row, wait_s)
        is_done = bool(wait_s) and row.state == DescriptionState.READY
        return Response(shown(row, addresses, estimate), status=201 if is_done else 202, headers=headers)

    def begin_post(self, request: Request) -> tuple[AssetDescription, bool, Any, Addresses]:
        body = self.read(DescribeSerializer)
        key = request.headers.get("Idempotency-Key", "")
        digest = idempotency.digest("POST descriptions", body) if key else ""
        source, wish = _wish(body)
        asset = _source(self.access, source)
        row, is_new, estimate = describe_requests.place(self.access, asset, wish, key=key, digest=digest)
        return row, is_new, estimate, Addresses.of(request)


async def _after(row: AssetDescription, wait_s: float) -> AssetDescription:
    """The row as soon as it is over, or when the time is."""
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while True:
        row = await in_database(AssetDescription.objects.select_related("asset").get, pk=row.pk)
        if row.is_over or (left := until - loop.time()) <= 0:
            return row
        await asyncio.sleep(min(LOOK_EVERY_S, left))


class EstimateView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    @describe(
        "Have a picture described: what it would cost",
        operation_id="descriptions_estimate",
        request=DescribeSerializer,
        responses={200: EstimateSerializer},
        problems=[402],
        description="The same request, checked and priced as if it were asked for; nobody is asked.",
    )
    def post(self, request: Request) -> Response:
        source, wish = _wish(self.read(DescribeSerializer))
        asset = _source(self.access, source)
        return Response(shown_estimate(descriptions.plan(asset.library, describing.for_access(self.access, wish))))


class OneDescription(APIBase):
    def found(self, pk: UUID, right: Right | None = None) -> AssetDescription:
        row: AssetDescription | None = visible(self.access).filter(pk=pk).first()
        if row is None:
            raise not_found()
        if right is not None and not self.access.may(right, row.asset.library_id):
            raise NotAllowed(_("You may look into this library, and not change its assets."))
        return row


class DescriptionView(OneDescription):
    rights: ClassVar[Mapping[str, Right | tuple[Right, ...] | None]] = {"GET": WATCH}

    @describe("How far it is", operation_id="descriptions_read", responses={200: DescriptionSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(shown(self.found(pk), Addresses.of(request)))


def _demand_latest(row: AssetDescription) -> None:
    """`Conflict` unless it is what stands beside the asset's alt text now."""
    if row.text != row.asset.alt_text_suggestion:
        raise Conflict(_("This is not the asset's suggestion any more: it was answered, or there is a newer one."))


class AcceptView(OneDescription):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.CHANGE}

    @describe(
        "Accept it, or what you make of it",
        operation_id="descriptions_accept",
        request=AcceptSerializer,
        responses={200: DescriptionSerializer},
        problems=[409],
        description=(
            "It becomes the asset's alt text. 409 when it was answered already, and when the asset has another alt "
            "text by now, unless `replace` is true."
        ),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        body, row = self.read(AcceptSerializer), self.found(pk, Right.CHANGE)
        _demand_latest(row)
        alt_texts.accept(row.asset, request.user, body.get("text"), replace=bool(body.get("replace")))
        return Response(shown(self.found(pk), Addresses.of(request)))


class RejectView(OneDescription):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.CHANGE}

    @describe(
        "Reject it",
        operation_id="descriptions_reject",
        responses={200: DescriptionSerializer},
        problems=[409],
        description="The alt text stays as it is. 409 when it was answered already.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        row = self.found(pk, Right.CHANGE)
        _demand_latest(row)
        alt_texts.reject(row.asset, request.user)
        return Response(shown(self.found(pk), Addresses.of(request)))


routes = [
    path("descriptions/", DescriptionsView.as_view(), name="descriptions"),
    path("descriptions/estimate/", EstimateView.as_view(), name="descriptions-estimate"),
    path("descriptions/<uuid:pk>/", DescriptionView.as_view(), name="description"),
    path("descriptions/<uuid:pk>/accept/", AcceptView.as_view(), name="description-accept"),
    path("descriptions/<uuid:pk>/reject/", RejectView.as_view(), name="description-reject"),
]
