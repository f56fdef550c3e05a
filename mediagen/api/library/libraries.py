"""Libraries: which there are for whoever asks, and making, changing and removing them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase, demand_version, etag_of
from mediagen.api.fields import Choice, StrictSerializer, Text, Time, Usd
from mediagen.api.pagination import paged
from mediagen.api.problems import not_found
from mediagen.api.schema import IF_MATCH, PAGING, describe, page_of
from mediagen.engine.library import Right, libraries
from mediagen.models import BudgetPeriod, MediaLibrary
from mediagen.models.budget import PERIOD_HELP
from mediagen.models.routing import atomic


class BudgetValuesSerializer(StrictSerializer):
    """A limit of USD a period, to be set."""

    budget_limit = serializers.DecimalField(
        max_digits=12, decimal_places=4, min_value=0, required=False, allow_null=True, help_text="USD; null: no limit."
    )
    budget_period = Choice(choices=BudgetPeriod.choices, required=False, help_text=PERIOD_HELP)
    budget_warning = serializers.DecimalField(
        max_digits=12, decimal_places=4, min_value=0, required=False, allow_null=True, help_text="USD that warn."
    )


class LibraryValuesSerializer(BudgetValuesSerializer):
    """What of a library can be changed. What concerns its budget needs the permission mediagen.change_budget."""

    name = Text(max_length=200, required=False)
    description = Text(max_length=32_000, required=False, allow_blank=True)
    default_tags = serializers.ListField(
        child=Text(max_length=100), max_length=100, required=False, help_text="Given to every new asset."
    )
    viewer_groups = serializers.ListField(
        child=Text(max_length=150), max_length=100, required=False, help_text="Django groups, by name."
    )
    editor_groups = serializers.ListField(child=Text(max_length=150), max_length=100, required=False)


class NewLibrarySerializer(LibraryValuesSerializer):
    """A library to be made; whoever makes it owns it."""

    name = Text(max_length=200)


class LibrarySerializer(serializers.Serializer[Any]):
    """A library."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    name = serializers.CharField()
    slug = serializers.CharField()
    description = serializers.CharField()
    owner = serializers.CharField(allow_null=True, help_text="User name; null: belongs to nobody.")
    viewer_groups = serializers.ListField(child=serializers.CharField())
    editor_groups = serializers.ListField(child=serializers.CharField())
    default_tags = serializers.ListField(child=serializers.CharField())
    budget_limit = Usd(allow_null=True)
    budget_period = Choice(choices=BudgetPeriod.choices, help_text=PERIOD_HELP)
    budget_warning = Usd(allow_null=True)
    may_add = serializers.BooleanField(help_text="Whoever asks may have pictures made in it.")
    created_at = Time()
    updated_at = Time()


class LibraryDetailSerializer(LibrarySerializer):
    """A library, and how much is in it."""

    asset_count = serializers.IntegerField(help_text="Pictures that are ready and not deleted.")
    total_bytes = serializers.IntegerField()


def shown(library: MediaLibrary, addresses: Addresses, may_add: bool) -> dict[str, Any]:
    time = Time()
    return {
        "id": str(library.pk),
        "url": addresses.to("library", library.pk),
        "name": library.name,
        "slug": library.slug,
        "description": library.description,
        "owner": library.owner.get_username() if library.owner else None,
        "viewer_groups": sorted(group.name for group in library.viewer_groups.all()),
        "editor_groups": sorted(group.name for group in library.editor_groups.all()),
        "default_tags": sorted(tag.name for tag in library.default_tags.all()),
        "budget_limit": None if library.budget_limit is None else f"{library.budget_limit:f}",
        "budget_period": library.budget_period,
        "budget_warning": None if library.budget_warning is None else f"{library.budget_warning:f}",
        "may_add": may_add,
        "created_at": time.to_representation(library.created_at),
        "updated_at": time.to_representation(library.updated_at),
    }


def _with_relations(rows: Any) -> Any:
    return rows.select_related("owner").prefetch_related("viewer_groups", "editor_groups", "default_tags")


class LibrariesView(APIBase):
    # To make one needs a permission of its own, which `libraries.create` asks for.
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": None}

    @describe(
        "Libraries that may be looked into",
        operation_id="libraries_list",
        parameters=PAGING,
        responses={200: page_of(LibrarySerializer)},
    )
    def get(self, request: Request) -> Response:
        addresses = Addresses.of(request)

        def shown_all(rows: list[MediaLibrary]) -> list[dict[str, Any]]:
            pks = [row.pk for row in rows]
            mine = set(self.access.libraries(Right.GENERATE).filter(pk__in=pks).values_list("pk", flat=True))
            return [shown(row, addresses, row.pk in mine) for row in rows]

        return Response(paged(request, _with_relations(self.access.libraries()), shown_all))

    @describe(
        "Make a library",
        operation_id="libraries_create",
        request=NewLibrarySerializer,
        responses={201: LibraryDetailSerializer},
        problems=[409],
        description="Needs the permission mediagen.add_medialibrary, and with a budget mediagen.change_budget.",
    )
    def post(self, request: Request) -> Response:
        libraries.demand(self.access, "add")
        library = libraries.create(self.access, self.read(NewLibrarySerializer))
        body = LibraryView.detail(self, library.pk)
        return Response(body, status=201, headers={"Location": body["url"]})


class LibraryView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "PATCH": None, "DELETE": None}

    @describe("One library", operation_id="libraries_read", responses={200: LibraryDetailSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        return self._answer(pk)

    @describe(
        "Change a library",
        operation_id="libraries_update",
        request=LibraryValuesSerializer,
        parameters=[IF_MATCH],
        responses={200: LibraryDetailSerializer},
        problems=[409, 412],
        description=(
            "Needs the permission mediagen.change_medialibrary, and to be among those who may add to it. To change its "
            "budget needs mediagen.change_budget too."
        ),
    )
    @atomic()
    def patch(self, request: Request, pk: UUID) -> Response:
        library = self._found(pk)
        libraries.demand(self.access, "change", library)
        demand_version(request, MediaLibrary.objects.select_for_update().only("updated_at").get(pk=pk))
        libraries.change(self.access, library, self.read(LibraryValuesSerializer))
        return self._answer(pk)

    @describe(
        "Remove an empty library",
        operation_id="libraries_delete",
        responses={204: None},
        problems=[409],
        description="Needs the permission mediagen.delete_medialibrary. 409 while there is any asset in it.",
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        libraries.remove(self.access, self._found(pk))
        return Response(status=204)

    def _answer(self, pk: UUID) -> Response:
        body = self.detail(self, pk)
        return Response(body, headers={"ETag": etag_of(MediaLibrary.objects.only("updated_at").get(pk=pk))})

    def _found(self, pk: UUID) -> MediaLibrary:
        library: MediaLibrary | None = libraries.visible(self.access).filter(pk=pk).first()
        if library is None:
            raise not_found()
        return library

    @staticmethod
    def detail(view: APIBase, pk: UUID) -> dict[str, Any]:
        """The library as it is now, for whoever asks `view`."""
        rows = _with_relations(libraries.visible(view.access).with_counters())
        library = rows.filter(pk=pk).first()
        if library is None:
            raise not_found()
        may_add = view.access.may(Right.GENERATE, library)
        body = shown(library, Addresses.of(view.request), may_add)
        return {**body, "asset_count": library.asset_count, "total_bytes": library.total_bytes or 0}


routes = [
    path("libraries/", LibrariesView.as_view(), name="libraries"),
    path("libraries/<uuid:pk>/", LibraryView.as_view(), name="library"),
]
