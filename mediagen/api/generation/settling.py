"""Attempts of which nobody knows what they cost: which there are, where to look, and a person's word for it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.base import APIBase
from mediagen.api.fields import Flag, StrictSerializer, Usd
from mediagen.api.pagination import paged
from mediagen.api.problems import not_found
from mediagen.api.schema import PAGING, describe, page_of
from mediagen.api.shown import AttemptSerializer
from mediagen.engine.generation import settling
from mediagen.engine.library import Right
from mediagen.models import GenerationAttempt
from mediagen.models.costs import text_of

NEEDS = "Needs the permission mediagen.settle_generationattempt, and of a token the scope change."


class UnsettledSerializer(serializers.Serializer[Any]):
    """An attempt that may have been billed, and where to look."""

    attempt = AttemptSerializer()
    asset = serializers.UUIDField(allow_null=True)
    job = serializers.CharField(help_text="The provider's own id of it; empty: it named none.")
    possible_cost = Usd(allow_null=True, help_text="USD that it may have cost; null: not known.")
    look_at = serializers.CharField(help_text="The vendor's page that says what was billed; empty: none is known.")
    can_look = serializers.BooleanField(help_text="Its job can be looked for with look/.")


class SettleSerializer(StrictSerializer):
    """What came of it."""

    billed = Flag()
    cost = serializers.DecimalField(
        max_digits=12,
        decimal_places=6,
        min_value=0,
        required=False,
        allow_null=True,
        help_text="USD, with billed; null: what it was thought to cost when it was sent.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["billed"] and attrs.get("cost"):
            raise serializers.ValidationError({"cost": gettext("What was not billed cost nothing: leave it out.")})
        return attrs


class SettledAttemptSerializer(serializers.Serializer[Any]):
    """The attempt as it is now."""

    attempt = AttemptSerializer()


def _shown(rows: list[GenerationAttempt]) -> list[dict[str, Any]]:
    return [
        {
            "attempt": AttemptSerializer(one.attempt).data,
            "asset": None if one.attempt.asset_id is None else str(one.attempt.asset_id),
            "job": one.attempt.provider_job_id,
            "possible_cost": text_of(one.attempt.cost if one.attempt.cost is not None else one.attempt.cost_held),
            "look_at": one.look_at,
            "can_look": one.can_look,
        }
        for one in settling.described(rows)
    ]


class UnsettledView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ}

    @describe(
        "Attempts that may have been billed, and nobody knows what",
        operation_id="attempts_unsettled",
        parameters=PAGING,
        responses={200: page_of(UnsettledSerializer)},
        description=f"The newest first. {NEEDS}",
    )
    def get(self, request: Request) -> Response:
        settling.demand(self.access)
        waiting = settling.visible(self.access).to_settle().select_related("asset").order_by("-id")
        return Response(paged(request, waiting, _shown))


class SettleView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.READ}

    @describe(
        "Say what an attempt cost",
        operation_id="attempts_settle",
        request=SettleSerializer,
        responses={200: SettledAttemptSerializer},
        problems=[409],
        description=(
            "The accounts follow, and a provider whose after_unknown is stop no longer stops the asset for it. A word "
            f"can be corrected by another one. 409 when the provider itself has said what it costs. {NEEDS}"
        ),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        settling.demand(self.access)
        said = self.read(SettleSerializer)
        cost = said.get("cost") if said["billed"] else Decimal(0)
        row = settling.settle(_existing(self, pk), cost=cost, by=_who(request), access=self.access)
        return Response({"attempt": AttemptSerializer(row).data})


class LookView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.READ}

    @describe(
        "Look for an attempt's job once more",
        operation_id="attempts_look",
        responses={200: SettledAttemptSerializer},
        problems=[409],
        description=(
            f"Asks the provider for {settling.LOOK_S:.0f} seconds at most; a picture that is found is kept, and "
            "nothing is bought. Its state says what was found. 409 says why it cannot be looked for from here. "
            f"{NEEDS}"
        ),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        settling.demand(self.access)
        row = settling.look_again(_existing(self, pk), by=_who(request), access=self.access)
        return Response({"attempt": AttemptSerializer(row).data})


def _existing(view: APIBase, pk: UUID) -> UUID:
    if not settling.visible(view.access).filter(pk=pk).exists():
        raise not_found()
    return pk


def _who(request: Request) -> str:
    return str(request.user.get_username())


routes = [
    path("attempts/unsettled/", UnsettledView.as_view(), name="attempts-unsettled"),
    path("attempts/<uuid:pk>/settle/", SettleView.as_view(), name="attempt-settle"),
    path("attempts/<uuid:pk>/look/", LookView.as_view(), name="attempt-look"),
]
