"""Collections: kept searches and boards of pictures."""

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
from mediagen.api.fields import StrictSerializer, Text, Time
from mediagen.api.pagination import paged
from mediagen.api.problems import INVALID, Problem, not_found
from mediagen.api.schema import IF_MATCH, PAGING, describe, page_of
from mediagen.engine.library import Right, collections
from mediagen.models import Collection, MediaLibrary
from mediagen.models.collection import MAX_QUERY
from mediagen.models.routing import atomic
from mediagen.wording import say as _


def _ids(help_text: str) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.UUIDField(), max_length=collections.MOST, required=False, help_text=help_text
    )


class CollectionValuesSerializer(StrictSerializer):
    """What of a collection can be changed."""

    name = Text(max_length=200, required=False)
    library = serializers.UUIDField(
        required=False, allow_null=True, help_text="Whose people see it; null: its owner alone."
    )
    query = Text(
        max_length=MAX_QUERY, required=False, help_text="Of a search: filters of `GET assets/`, as in an address."
    )
    assets = _ids("Of a board: all that you see of it, in this order. What is left out is taken off.")
    add = _ids("Of a board: put at its end.")
    remove = _ids("Of a board: taken off.")


class NewCollectionSerializer(StrictSerializer):
    """A collection to be made: with a `query` a search, else a board."""

    name = Text(max_length=200)
    library = serializers.UUIDField(required=False, allow_null=True)
    query = Text(max_length=MAX_QUERY, required=False, allow_blank=True)
    assets = _ids("Of a board: its pictures, in order.")


class CollectionSerializer(serializers.Serializer[Any]):
    """A kept search, or a board."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    name = serializers.CharField()
    kind = serializers.CharField(help_text='"search" or "board".')
    query = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    library = serializers.UUIDField(allow_null=True, help_text="Whose people see it; null: its owner alone.")
    may_change = serializers.BooleanField(help_text="By whoever asks.")
    created_at = Time()
    updated_at = Time()


class CollectionDetailSerializer(CollectionSerializer):
    """With what is on a board."""

    assets = serializers.ListField(
        child=serializers.UUIDField(), help_text="Those that you may see, in order; none of a search."
    )


def _shown(one: Collection, addresses: Addresses, may_change: bool) -> dict[str, Any]:
    time = Time()
    return {
        "id": str(one.pk),
        "url": addresses.to("collection", one.pk),
        "name": one.name,
        "kind": "board" if one.is_board else "search",
        "query": one.query,
        "owner": one.owner.get_username() if one.owner else None,
        "library": str(one.library_id) if one.library_id else None,
        "may_change": may_change,
        "created_at": time.to_representation(one.created_at),
        "updated_at": time.to_representation(one.updated_at),
    }


class CollectionsView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.CHANGE}

    @describe(
        "Collections that may be looked into",
        operation_id="collections_list",
        parameters=PAGING,
        responses={200: page_of(CollectionSerializer)},
    )
    def get(self, request: Request) -> Response:
        addresses = Addresses.of(request)

        def shown_all(rows: list[Collection]) -> list[dict[str, Any]]:
            changeable = collections.changeable(self.access).filter(pk__in=[row.pk for row in rows])
            mine = set(changeable.values_list("pk", flat=True))
            return [_shown(row, addresses, row.pk in mine) for row in rows]

        return Response(paged(request, collections.visible(self.access).select_related("owner"), shown_all))

    @describe(
        "Keep a search, or make a board",
        operation_id="collections_create",
        request=NewCollectionSerializer,
        responses={201: CollectionDetailSerializer},
    )
    def post(self, request: Request) -> Response:
        given = self.read(NewCollectionSerializer)
        library = _library(self, given["library"]) if given.get("library") else None
        made = collections.create(
            self.access,
            given["name"],
            library=library,
            query=given.get("query", ""),
            asset_ids=given.get("assets", ()),
        )
        body = _detail(self, made.pk)
        return Response(body, status=201, headers={"Location": body["url"]})


class CollectionView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "PATCH": Right.CHANGE, "DELETE": Right.CHANGE}

    @describe(
        "One collection, with the pictures of a board",
        operation_id="collections_read",
        responses={200: CollectionDetailSerializer},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return self._answer(pk)

    @describe(
        "Change a collection, or put a board into another order",
        operation_id="collections_update",
        request=CollectionValuesSerializer,
        parameters=[IF_MATCH],
        responses={200: CollectionDetailSerializer},
        problems=[412],
    )
    @atomic()
    def patch(self, request: Request, pk: UUID) -> Response:
        found = self._changeable(pk)
        demand_version(request, Collection.objects.select_for_update().only("updated_at").get(pk=pk))
        given = self.read(CollectionValuesSerializer)
        values: dict[str, Any] = {name: given[name] for name in ("name", "query") if name in given}
        if "library" in given:
            values["library"] = _library(self, given["library"]) if given["library"] else None
        if values:
            collections.change(self.access, found, **values)
        if "assets" in given:
            seen = set(collections.pictures(self.access, found).values_list("pk", flat=True))
            collections.remove(found, seen - set(given["assets"]))
            collections.add(self.access, found, given["assets"])
            collections.arrange(found, given["assets"])
        if given.get("add"):
            collections.add(self.access, found, given["add"])
        if given.get("remove"):
            collections.remove(found, given["remove"])
        return self._answer(pk)

    @describe("Delete a collection; its pictures stay", operation_id="collections_delete", responses={204: None})
    def delete(self, request: Request, pk: UUID) -> Response:
        self._changeable(pk).delete()
        return Response(status=204)

    def _answer(self, pk: UUID) -> Response:
        body = _detail(self, pk)
        return Response(body, headers={"ETag": etag_of(Collection.objects.only("updated_at").get(pk=pk))})

    def _changeable(self, pk: UUID) -> Collection:
        if (found := collections.changeable(self.access).filter(pk=pk).first()) is None:
            raise not_found()
        return found


def _library(view: APIBase, pk: UUID) -> MediaLibrary:
    found: MediaLibrary | None = view.access.libraries(Right.READ).filter(pk=pk).first()
    if found is None:
        raise Problem(INVALID, _("There is no such library that you may look into."), field="library")
    return found


def _detail(view: APIBase, pk: UUID) -> dict[str, Any]:
    found = collections.visible(view.access).select_related("owner").filter(pk=pk).first()
    if found is None:
        raise not_found()
    may_change = collections.changeable(view.access).filter(pk=pk).exists()
    ids = collections.pictures(view.access, found).values_list("pk", flat=True) if found.is_board else ()
    return {**_shown(found, Addresses.of(view.request), may_change), "assets": [str(one) for one in ids]}


routes = [
    path("collections/", CollectionsView.as_view(), name="collections"),
    path("collections/<uuid:pk>/", CollectionView.as_view(), name="collection"),
]
