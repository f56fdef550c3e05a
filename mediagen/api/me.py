"""Who asks, and what they may do: what a page needs before it shows its first button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen import conf
from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, Time
from mediagen.api.schema import describe
from mediagen.api.throttles import GenerateThrottle, RoleThrottle
from mediagen.engine.library import Right
from mediagen.models import MediaLibrary
from mediagen.models.token import SCOPES


class NamedLibrarySerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    slug = serializers.CharField()
    url = serializers.URLField()


def shown_library(library: MediaLibrary, addresses: Addresses) -> dict[str, Any]:
    return {
        "id": str(library.pk),
        "name": library.name,
        "slug": library.slug,
        "url": addresses.to("library", library.pk),
    }


class OwnTokenSerializer(serializers.Serializer[Any]):
    """The token that came with the request."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=Choice(choices=SCOPES))
    library = NamedLibrarySerializer(allow_null=True, help_text="The only one that it opens; null: all of its user's.")
    is_test = serializers.BooleanField(help_text="Makes placeholders only.")
    expires_at = Time(allow_null=True)


class LimitSerializer(serializers.Serializer[Any]):
    requests = serializers.IntegerField(help_text="So many in a window.")
    remaining = serializers.IntegerField(help_text="So many are left in this one.")
    window_s = serializers.IntegerField()
    reset_s = serializers.IntegerField(help_text="Seconds until the next one.")


class LimitsSerializer(serializers.Serializer[Any]):
    requests = LimitSerializer(allow_null=True, help_text="Of all requests; null: no limit.")
    generations = LimitSerializer(allow_null=True, help_text="Of requests that make pictures, besides; null: no limit.")


class RightsSerializer(serializers.Serializer[Any]):
    """By Django's permissions and the token's scopes; in which library, each library and asset says."""

    read = serializers.BooleanField()
    generate = serializers.BooleanField()
    change = serializers.BooleanField()
    approve = serializers.BooleanField()
    delete = serializers.BooleanField()


class MeSerializer(serializers.Serializer[Any]):
    """Who asks, and what they may do."""

    user = serializers.CharField()
    is_staff = serializers.BooleanField()
    may = RightsSerializer()
    token = OwnTokenSerializer(allow_null=True, help_text="Null: signed in by the session.")
    limits = LimitsSerializer()
    is_dry = serializers.BooleanField(help_text="Unless something else is said, pictures are free placeholders.")


class MeView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": None}

    @describe("Who I am, and what I may do", operation_id="me", responses={200: MeSerializer})
    def get(self, request: Request) -> Response:
        access, token = self.access, self.access.token
        addresses = Addresses.of(request)
        library = token.library if token is not None else None
        return Response(
            {
                "user": request.user.get_username(),
                "is_staff": bool(getattr(request.user, "is_staff", False)),
                "may": {right.value: access.has(right) for right in Right},
                "token": token
                and {
                    "id": str(token.pk),
                    "name": token.name,
                    "scopes": list(token.scopes),
                    "library": library and shown_library(library, addresses),
                    "is_test": token.is_test,
                    "expires_at": Time().to_representation(token.expires_at) if token.expires_at else None,
                },
                "limits": {
                    "requests": RoleThrottle().left(request),
                    "generations": GenerateThrottle().left(request),
                },
                "is_dry": access.is_test or conf.default_dry_run(),
            }
        )


routes = [path("me/", MeView.as_view(), name="me")]
