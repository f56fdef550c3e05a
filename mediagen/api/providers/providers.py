"""The providers of the chain: what they can do, and how they are doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, Time
from mediagen.api.schema import describe
from mediagen.engine.library import Right
from mediagen.engine.providers import ProviderDescription, descriptions

HEALTH = ("ok", "failing", "open", "waiting", "probing")


class ProviderSerializer(serializers.Serializer[ProviderDescription]):
    """A provider that would be asked."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    model = serializers.CharField()
    operations = serializers.ListField(child=serializers.CharField())
    options = serializers.DictField(allow_null=True, help_text="JSON Schema of a request's options.")
    is_live = serializers.BooleanField(help_text="False: it answers with placeholders made here (dry run).")
    is_placeholder = serializers.BooleanField()
    is_configured = serializers.BooleanField(help_text="It has the key that it needs.")
    health = Choice(choices=HEALTH, help_text='"open": not asked until `reopens_at`.')
    reopens_at = Time(allow_null=True)


class ProvidersSerializer(serializers.Serializer[Any]):
    """All of them, in the order in which they are asked."""

    results = ProviderSerializer(many=True)


class ProvidersView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": None}

    @describe(
        "Providers of the chain",
        operation_id="providers_list",
        responses={200: ProvidersSerializer},
        description="Names, capabilities, options, health. Never a credential.",
    )
    def get(self, request: Request) -> Response:
        return Response({"results": [ProviderSerializer(one).data for one in descriptions()]})


routes = [path("providers/", ProvidersView.as_view(), name="providers")]
