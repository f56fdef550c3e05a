"""Asking for work on pictures that are there: edits, variations, enlargements, cut-outs, extensions.

What is placed is a generation like any other: watched, cancelled and retried at `generations/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.base import APIBase
from mediagen.api.generation.asked import (
    BackgroundRemovalSerializer,
    EditSerializer,
    OutpaintSerializer,
    UpscaleSerializer,
    VariationSerializer,
    WorkSerializer,
)
from mediagen.api.generation.generations import ANSWERS, HOW_IT_ANSWERS, PREFER, Placing
from mediagen.api.schema import KEY, describe
from mediagen.api.shown import EstimateSerializer, shown_estimate
from mediagen.engine.generation import requests
from mediagen.engine.library import Right

OF_THE_RESULT = "The result is a new asset, the child of `source`, in its library unless another one is named. "
ADDRESSES: dict[str, tuple[type[WorkSerializer], str]] = {
    "edits": (EditSerializer, "Edit a picture"),
    "variations": (VariationSerializer, "Vary a picture"),
    "upscales": (UpscaleSerializer, "Enlarge a picture"),
    "background-removals": (BackgroundRemovalSerializer, "Remove a background"),
    "outpaints": (OutpaintSerializer, "Extend a picture"),
}
"""by address: what it asks for, and what it does"""


def _placing(address: str, asked: type[WorkSerializer], summary: str) -> Any:
    class WorkView(Placing):
        asks = asked
        name = address

        @describe(
            summary,
            operation_id=f"{address.replace('-', '_')}_create",
            request=asked,
            parameters=[PREFER, KEY],
            responses=ANSWERS,
            problems=[402, 409],
            description=OF_THE_RESULT + HOW_IT_ANSWERS,
        )
        async def post(self, request: Request) -> Any:
            return await self.answered(request)

    return WorkView.as_view()


def _pricing(address: str, asked: type[WorkSerializer], summary: str) -> Any:
    class WorkEstimateView(APIBase):
        rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

        @describe(
            f"{summary}: what it would cost",
            operation_id=f"{address.replace('-', '_')}_estimate",
            request=asked,
            responses={200: EstimateSerializer},
            problems=[402],
            description="The same request, checked and priced as if it were asked for; nothing is made.",
        )
        def post(self, request: Request) -> Response:
            planned = requests.plan(self.access, asked.request_of(self.read(asked)))
            return Response(shown_estimate(planned.estimate))

    return WorkEstimateView.as_view()


routes = [
    route
    for address, (asked, summary) in ADDRESSES.items()
    for route in (
        path(f"{address}/", _placing(address, asked, summary), name=address),
        path(f"{address}/estimate/", _pricing(address, asked, summary), name=f"{address}-estimate"),
    )
]
