"""What a period cost and brought, of the libraries that whoever asks may look into."""

from __future__ import annotations

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, StrictSerializer, Text, Time, Usd
from mediagen.api.schema import Parameter, describe
from mediagen.engine.insight import Figures, Overview, Period, statistics
from mediagen.models import BudgetPeriod

PERIODS = tuple(statistics.PERIODS)
BUDGET_KINDS = ("library", "provider", "batch")


class StatsQuerySerializer(StrictSerializer):
    """Which period. Nothing: the last 7 days."""

    period = Choice(choices=PERIODS, required=False)

    def get_fields(self) -> dict[str, Any]:
        # "from" is a word of Python's.
        day = {"required": False, "max_length": 10}
        return {**super().get_fields(), "from": Text(**day), "to": Text(**day)}


class FiguresSerializer(serializers.Serializer[Figures]):
    """What attempts came to. USD, seconds; placeholders are counted apart."""

    asked = serializers.IntegerField(help_text="Attempts that ended, without skipped ones.")
    delivered = serializers.IntegerField()
    images = serializers.IntegerField()
    placeholders = serializers.IntegerField()
    under_way = serializers.IntegerField()
    skipped = serializers.IntegerField()
    outcomes = serializers.DictField(child=serializers.IntegerField(), help_text="Number by outcome.")
    success_rate = serializers.FloatField(allow_null=True)
    spent = Usd(help_text="Billed, for pictures that did not come too.")
    possible = Usd(help_text="What attempts may have cost of which nobody knows it, as far as a price is known.")
    of_unknown_cost = serializers.IntegerField(help_text="Those of them whose price is not known: in neither sum.")
    unknown = serializers.IntegerField(help_text="Sent, and no answer came: may be made and billed.")
    unknown_cost = Usd(allow_null=True, help_text="What those may have cost; null: the price of one is not known.")
    p50_s = serializers.FloatField(allow_null=True, help_text="Half of those that delivered took no longer, seconds.")
    p95_s = serializers.FloatField(allow_null=True)


class SlotSerializer(serializers.Serializer[Any]):
    starts_at = Time()
    figures = FiguresSerializer()
    providers = serializers.DictField(child=FiguresSerializer())


class BudgetSerializer(serializers.Serializer[Any]):
    kind = Choice(choices=BUDGET_KINDS)
    key = serializers.CharField()
    name = serializers.CharField()
    period = Choice(choices=BudgetPeriod.choices)
    limit = Usd()
    spent = Usd()
    held = Usd()
    left = Usd()
    is_used_up = serializers.BooleanField()
    warns = serializers.BooleanField()


class StatsSerializer(serializers.Serializer[Any]):
    """A period at a glance."""

    period = Choice(choices=(*PERIODS, "custom"))
    since = Time()
    until = Time()
    step = Choice(choices=("hour", "day"))
    total = FiguresSerializer()
    providers = serializers.DictField(child=FiguresSerializer())
    slots = SlotSerializer(many=True)
    approved = serializers.IntegerField()
    cost_per_approved = Usd(allow_null=True)
    budgets = BudgetSerializer(many=True)


def _figures(figures: Figures) -> dict[str, Any]:
    return dict(FiguresSerializer(figures).data)


def shown(overview: Overview) -> dict[str, Any]:
    time = Time()
    return {
        "period": overview.period.name,
        "since": time.to_representation(overview.period.since),
        "until": time.to_representation(overview.period.until),
        "step": overview.period.step,
        "total": _figures(overview.total),
        "providers": {name: _figures(figures) for name, figures in overview.providers.items()},
        "slots": [
            {
                "starts_at": time.to_representation(slot.starts_at),
                "figures": _figures(slot.figures),
                "providers": {name: _figures(figures) for name, figures in slot.providers.items()},
            }
            for slot in overview.slots
        ],
        "approved": overview.approved,
        "cost_per_approved": None if overview.cost_per_approved is None else f"{overview.cost_per_approved:.6f}",
        "budgets": [dict(BudgetSerializer(budget).data) for budget in overview.budgets],
    }


class StatsView(APIBase):
    @describe(
        "What a period cost and brought",
        operation_id="stats_read",
        parameters=[
            Parameter("period", "Of which the numbers are. 7d, unless `from` and `to` name two days.", enum=PERIODS),
            Parameter("from", "First day, 2026-11-22.", {"type": "string", "format": "date"}),
            Parameter("to", "Last day; it is in it.", {"type": "string", "format": "date"}),
        ],
        responses={200: StatsSerializer},
    )
    def get(self, request: Request) -> Response:
        query = StatsQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        period = Period.asked(asked.get("period", ""), asked.get("from", ""), asked.get("to", ""))
        return Response(shown(statistics.overview(self.access, period)))


routes = [path("stats/", StatsView.as_view(), name="stats")]
