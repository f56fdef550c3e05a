"""API tokens: made, renewed, ended. The text of one is in the answer to the request that made it, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth import get_user_model
from django.urls import path
from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, Flag, Moment, StrictSerializer, Text, Time
from mediagen.api.me import NamedLibrarySerializer, shown_library
from mediagen.api.pagination import paged
from mediagen.api.problems import CONFLICT, INVALID, Problem, not_found
from mediagen.api.schema import PAGING, describe, page_of
from mediagen.engine.library import IssuedToken, Right, find_library, tokens
from mediagen.errors import InvalidRequest
from mediagen.models import ApiToken
from mediagen.models.token import SCOPES, STATES
from mediagen.wording import say as _
from mediagen.wording import translated

TAGS = ["Tokens"]
HOW = "Needs the permission mediagen.{verb}_apitoken, and of a token the scope manage. "


class NewTokenSerializer(StrictSerializer):
    """A token to be made. It may do what its user may, as far as its scopes and library go."""

    name = Text(max_length=tokens.NAME_LENGTH, help_text="What it is for.")
    scopes = serializers.ListField(child=Choice(choices=SCOPES), min_length=1, max_length=len(SCOPES))
    library = Text(max_length=200, required=False, allow_null=True, help_text="Only this one. Id, slug or name.")
    expires_at = Moment(required=False, allow_null=True, help_text="Never, until it is revoked.")
    is_test = Flag(required=False, help_text="Makes placeholders only, and sends nothing to Figma and Canva. false")
    user = Text(max_length=150, required=False, help_text="Whose, by name; a superuser may say another one. Yours.")


class TokenSerializer(serializers.Serializer[Any]):
    """A token, without its text."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    name = serializers.CharField()
    user = serializers.CharField()
    ends_in = serializers.CharField(help_text="Its last characters.")
    state = Choice(choices=STATES)
    scopes = serializers.ListField(child=Choice(choices=SCOPES))
    library = NamedLibrarySerializer(allow_null=True, help_text="The only one that it opens; null: all of its user's.")
    is_test = serializers.BooleanField()
    created_at = Time()
    last_used_at = Time(allow_null=True, help_text="To the minute.")
    expires_at = Time(allow_null=True)
    revoked_at = Time(allow_null=True)


class IssuedTokenSerializer(TokenSerializer):
    """A token, and its text: keep it now, it cannot be had again."""

    token = serializers.CharField(help_text="mgt_..., or mgt_test_...: in no other answer.")


def shown(token: ApiToken, addresses: Addresses) -> dict[str, Any]:
    times = {name: getattr(token, name) for name in ("created_at", "last_used_at", "expires_at", "revoked_at")}
    return {
        "id": str(token.pk),
        "url": addresses.to("token", token.pk),
        "name": token.name,
        "user": token.user.get_username(),
        "ends_in": token.hint,
        "state": tokens.state(token),
        "scopes": list(token.scopes),
        "library": shown_library(token.library, addresses) if token.library else None,
        "is_test": token.is_test,
        **{name: Time().to_representation(at) if at else None for name, at in times.items()},
    }


class TokensBase(APIBase):
    """People have their own tokens, superusers all; a token itself and those that it has made."""

    rights: ClassVar[Mapping[str, Right | None]] = {"GET": None, "POST": None}

    def demand(self, verb: str) -> None:
        self.access.demand(f"mediagen.{verb}_apitoken", "manage")

    def mine(self) -> Any:
        return tokens.within(self.access).select_related("user", "library")

    def found(self, pk: UUID) -> ApiToken:
        token: ApiToken | None = self.mine().filter(pk=pk).first()
        if token is None:
            raise not_found()
        return token

    @sensitive_variables()
    def issued(self, issued: IssuedToken, status: int) -> Response:
        token = self.mine().get(pk=issued.token.pk)
        body = shown(token, Addresses.of(self.request))
        headers = {"Location": body["url"]} if status == 201 else {}
        return Response({**body, "token": issued.text.reveal()}, status=status, headers=headers)


class TokensView(TokensBase):
    @describe(
        "API tokens",
        operation_id="tokens_list",
        parameters=PAGING,
        responses={200: page_of(TokenSerializer)},
        description=HOW.format(verb="view") + "One's own; a superuser's session has all. A token sees itself and those "
        "that were made with it.",
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        self.demand("view")
        addresses = Addresses.of(request)
        return Response(paged(request, self.mine(), lambda rows: [shown(row, addresses) for row in rows]))

    @describe(
        "Make an API token",
        operation_id="tokens_create",
        request=NewTokenSerializer,
        responses={201: IssuedTokenSerializer},
        description=HOW.format(verb="add") + "The answer has its text, once. With a token: it has no more scopes, no "
        "other library and no later end than that one, and ends with it.",
        tags=TAGS,
    )
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        self.demand("add")
        given = self.read(NewTokenSerializer)
        user, word = self._user(given.pop("user", None)), given.pop("library", None)
        own = self.access.token
        library = own.library if own is not None else None
        if word and (library := find_library(word, self.access)) is None:
            raise Problem(
                INVALID, _("There is no library %(word)s that you may see.", word=f"{word!r:.80}"), field="library"
            )
        return self.issued(tokens.issue(user, **given, library=library, made_by=own), 201)

    def _user(self, name: str | None) -> Any:
        user = self.request.user
        if name is None or name == user.get_username():
            return user
        if not user.is_superuser:
            raise Problem(INVALID, _("Only a superuser makes tokens for somebody else."), field="user")
        model = get_user_model()
        found = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
        if found is None:
            raise Problem(INVALID, _("There is no user %(name)s.", name=f"{name!r:.80}"), field="user")
        return found


class TokenView(TokensBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": None}

    @describe("One API token", operation_id="tokens_read", responses={200: TokenSerializer}, tags=TAGS)
    def get(self, request: Request, pk: UUID) -> Response:
        self.demand("view")
        return Response(shown(self.found(pk), Addresses.of(request)))


class RotateView(TokensBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": None}

    @describe(
        "Make a new text for it",
        operation_id="tokens_rotate",
        request=None,
        responses={200: IssuedTokenSerializer},
        problems=[409],
        description=HOW.format(verb="change") + "The answer has it, once; the old one ends. 409 when it has ended.",
        tags=TAGS,
    )
    @sensitive_variables()
    def post(self, request: Request, pk: UUID) -> Response:
        self.demand("change")
        token = self.found(pk)
        try:
            return self.issued(tokens.rotate(token.pk), 200)
        except InvalidRequest as exc:
            raise Problem(CONFLICT, translated(exc)) from None


class RevokeView(TokensBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": None}

    @describe(
        "End it",
        operation_id="tokens_revoke",
        request=None,
        responses={200: TokenSerializer},
        description=HOW.format(verb="change") + "At once and for good, with those that were made with it.",
        tags=TAGS,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        self.demand("change")
        tokens.revoke([self.found(pk).pk])
        return Response(shown(self.found(pk), Addresses.of(request)))


routes = [
    path("tokens/", TokensView.as_view(), name="tokens"),
    path("tokens/<uuid:pk>/", TokenView.as_view(), name="token"),
    path("tokens/<uuid:pk>/rotate/", RotateView.as_view(), name="token-rotate"),
    path("tokens/<uuid:pk>/revoke/", RevokeView.as_view(), name="token-revoke"),
]
