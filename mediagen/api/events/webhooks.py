"""Webhooks out: endpoints, whose secret is in one answer and no other, and every message with its fate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from django.views.decorators.debug import sensitive_variables
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase, demand_version, etag_of
from mediagen.api.fields import Choice, Flag, StrictSerializer, Text, Time
from mediagen.api.me import NamedLibrarySerializer, shown_library
from mediagen.api.pagination import paged
from mediagen.api.problems import INVALID, Problem, not_found
from mediagen.api.schema import IF_MATCH, PAGING, Parameter, describe, page_of
from mediagen.engine.events import endpoints, messages
from mediagen.engine.library import Right, find_library, sees_everything
from mediagen.errors import InvalidRequest
from mediagen.models import MediaLibrary, MessageState, WebhookEndpoint, WebhookMessage
from mediagen.models.outgoing import EVENTS, TEST_EVENT
from mediagen.models.routing import atomic
from mediagen.secrets import Secret
from mediagen.wording import say as _
from mediagen.wording import translated

TAGS = ["Webhooks"]
HOW = "Needs the permission mediagen.{}, and of a token the scopes manage and read. "


class EndpointValuesSerializer(StrictSerializer):
    """What of an endpoint can be changed."""

    name = Text(max_length=endpoints.NAME_LENGTH, required=False)
    address = Text(
        max_length=endpoints.URL_LENGTH, required=False, help_text="https and public, or of one of the TRUSTED_HOSTS."
    )
    events = serializers.ListField(
        child=Choice(choices=EVENTS), required=False, max_length=len(EVENTS), help_text="None: all of them."
    )
    library = Text(
        max_length=200,
        required=False,
        allow_null=True,
        help_text="Told only of this one: id, slug or name. Needed by whoever may not see all libraries.",
    )
    enabled = Flag(required=False, help_text="true")


class NewEndpointSerializer(EndpointValuesSerializer):
    """An endpoint to be made."""

    name = Text(max_length=endpoints.NAME_LENGTH)
    address = Text(max_length=endpoints.URL_LENGTH, help_text="https and public, or of one of the TRUSTED_HOSTS.")


class EndpointSerializer(serializers.Serializer[Any]):
    """An address of somebody else's that is told of events."""

    id = serializers.UUIDField()
    url = serializers.URLField(help_text="Of this endpoint in the API.")
    name = serializers.CharField()
    address = serializers.CharField(help_text="Where messages are sent.")
    events = serializers.ListField(child=Choice(choices=EVENTS), help_text="None: all of them.")
    library = NamedLibrarySerializer(allow_null=True, help_text="Told only of this one; null: of all.")
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(help_text="Why it is off, where it was not a person.")
    created_by = serializers.CharField(allow_null=True)
    created_at = Time()
    updated_at = Time()


class MadeEndpointSerializer(EndpointSerializer):
    """An endpoint, and the secret that signs what it is sent: give it to the receiver now."""

    secret = serializers.CharField(help_text="whsec_...: in no other answer.")


class MessageSerializer(serializers.Serializer[Any]):
    """One event for one endpoint, and what became of it."""

    id = serializers.UUIDField(help_text="Its webhook-id, the same in every try.")
    url = serializers.URLField()
    endpoint = serializers.UUIDField()
    event = Choice(choices=(*EVENTS, TEST_EVENT))
    state = Choice(choices=MessageState.choices)
    tries = serializers.IntegerField()
    http_status = serializers.IntegerField(allow_null=True, help_text="Of the last answer.")
    message = serializers.CharField(help_text="Why the last try failed.")
    created_at = Time()
    next_try_at = Time(allow_null=True)
    delivered_at = Time(allow_null=True)


class MessageDetailSerializer(MessageSerializer):
    payload = serializers.DictField(help_text="The body that is sent: see the schema's webhooks.")


def shown(endpoint: WebhookEndpoint, addresses: Addresses) -> dict[str, Any]:
    time, library = Time(), endpoint.library
    return {
        "id": str(endpoint.pk),
        "url": addresses.to("webhook-endpoint", endpoint.pk),
        "name": endpoint.name,
        "address": endpoint.url,
        "events": list(endpoint.events),
        "library": shown_library(library, addresses) if library else None,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "created_by": endpoint.created_by.get_username() if endpoint.created_by else None,
        "created_at": time.to_representation(endpoint.created_at),
        "updated_at": time.to_representation(endpoint.updated_at),
    }


def shown_message(message: WebhookMessage, addresses: Addresses) -> dict[str, Any]:
    times = {name: getattr(message, name) for name in ("created_at", "next_try_at", "delivered_at")}
    return {
        "id": str(message.pk),
        "url": addresses.to("webhook-message", message.pk),
        "endpoint": str(message.endpoint_id),
        "event": message.event,
        "state": message.state,
        "tries": message.tries,
        "http_status": message.http_status,
        "message": message.message,
        **{name: Time().to_representation(at) if at else None for name, at in times.items()},
    }


class WebhooksBase(APIBase):
    """Endpoints of libraries that may be looked into; a token that is bound to a library has those of that one."""

    rights: ClassVar[Mapping[str, Right | None]] = {"GET": None, "POST": None, "PATCH": None, "DELETE": None}

    def demand(self, permission: str) -> None:
        # Whoever has messages sent reads what is in them.
        self.access.demand(f"mediagen.{permission}", "manage", "read")

    @property
    def bound_to(self) -> Any:
        return self.access.token.library_id if self.access.token is not None else None

    def mine(self) -> Any:
        found = WebhookEndpoint.objects.visible_to(self.request.user).select_related("library", "created_by")
        return found.filter(library=self.bound_to) if self.bound_to else found

    def found(self, pk: UUID) -> WebhookEndpoint:
        endpoint: WebhookEndpoint | None = self.mine().filter(pk=pk).first()
        if endpoint is None:
            raise not_found()
        return endpoint

    def library(self, word: str | None) -> MediaLibrary | None:
        """The one that an endpoint is to be told of. Who may not see everything may not have it sent to them either."""
        if word:
            library = find_library(word, self.access)
            if library is None:
                text = _("There is no library %(word)s that you may see.", word=f"{word!r:.80}")
                raise Problem(INVALID, text, field="library")
            return library
        if self.bound_to:
            return self.access.token.library if self.access.token is not None else None
        if not sees_everything(self.request.user):
            raise Problem(INVALID, _("Name the one library that it is to be told of."), field="library")
        return None

    def answer(self, endpoint: WebhookEndpoint) -> Response:
        return Response(shown(endpoint, Addresses.of(self.request)), headers={"ETag": etag_of(endpoint)})

    @sensitive_variables()
    def with_secret(self, endpoint: WebhookEndpoint, secret: Secret, status: int) -> Response:
        body = shown(endpoint, Addresses.of(self.request))
        headers = {"Location": body["url"]} if status == 201 else {}
        return Response({**body, "secret": secret.reveal()}, status=status, headers=headers)


class EndpointsView(WebhooksBase):
    @describe(
        "Webhook endpoints",
        operation_id="webhook_endpoints_list",
        parameters=PAGING,
        responses={200: page_of(EndpointSerializer)},
        description=HOW.format("view_webhookendpoint"),
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        self.demand("view_webhookendpoint")
        addresses = Addresses.of(request)
        return Response(paged(request, self.mine(), lambda rows: [shown(row, addresses) for row in rows]))

    @describe(
        "Make a webhook endpoint",
        operation_id="webhook_endpoints_create",
        request=NewEndpointSerializer,
        responses={201: MadeEndpointSerializer},
        description=HOW.format("add_webhookendpoint") + "The answer has its secret, once.",
        tags=TAGS,
    )
    @sensitive_variables()
    def post(self, request: Request) -> Response:
        self.demand("add_webhookendpoint")
        given = self.read(NewEndpointSerializer)
        made = endpoints.create(
            given["name"],
            _address(given["address"]),
            events=given.get("events", ()),
            library=self.library(given.get("library")),
            created_by=request.user,
            enabled=given.get("enabled", True),
        )
        return self.with_secret(made.endpoint, made.secret, 201)


def _address(address: str) -> str:
    try:
        endpoints.check("address", address)
    except InvalidRequest as exc:
        raise Problem(INVALID, translated(exc), field="address") from None
    return address


class EndpointView(WebhooksBase):
    @describe(
        "One webhook endpoint",
        operation_id="webhook_endpoints_read",
        responses={200: EndpointSerializer},
        description=HOW.format("view_webhookendpoint"),
        tags=TAGS,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        self.demand("view_webhookendpoint")
        return self.answer(self.found(pk))

    @describe(
        "Change a webhook endpoint",
        operation_id="webhook_endpoints_update",
        request=EndpointValuesSerializer,
        parameters=[IF_MATCH],
        responses={200: EndpointSerializer},
        problems=[412],
        description=HOW.format("change_webhookendpoint") + "Put on again, it forgets why it was off.",
        tags=TAGS,
    )
    @atomic()
    def patch(self, request: Request, pk: UUID) -> Response:
        self.demand("change_webhookendpoint")
        endpoint = self.found(pk)
        demand_version(request, WebhookEndpoint.objects.select_for_update().only("updated_at").get(pk=pk))
        given = self.read(EndpointValuesSerializer)
        if "address" in given:
            endpoint.url = _address(given["address"])
        if "library" in given:
            endpoint.library = self.library(given["library"])
        for name in ("name", "events", "enabled"):
            setattr(endpoint, name, given.get(name, getattr(endpoint, name)))
        endpoints.change(endpoint)
        return self.answer(endpoint)

    @describe(
        "Remove a webhook endpoint",
        operation_id="webhook_endpoints_delete",
        responses={204: None},
        description=HOW.format("delete_webhookendpoint") + "Its messages go with it, also those that wait.",
        tags=TAGS,
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        self.demand("delete_webhookendpoint")
        self.found(pk).delete()
        return Response(status=204)


class EndpointActionView(WebhooksBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": None}


class TestView(EndpointActionView):
    @describe(
        "Send it a test",
        operation_id="webhook_endpoints_test",
        request=None,
        responses={202: MessageSerializer},
        description=HOW.format("change_webhookendpoint") + "One that is off is sent it when it is on.",
        tags=TAGS,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        self.demand("change_webhookendpoint")
        message = messages.send_test(self.found(pk))
        return Response(shown_message(message, Addresses.of(request)), status=202)


class SecretView(EndpointActionView):
    @describe(
        "Give it another secret",
        operation_id="webhook_endpoints_secret",
        request=None,
        responses={200: MadeEndpointSerializer},
        description=HOW.format("change_webhookendpoint")
        + "The answer has it, once; the old one is worth nothing then.",
        tags=TAGS,
    )
    @sensitive_variables()
    def post(self, request: Request, pk: UUID) -> Response:
        self.demand("change_webhookendpoint")
        endpoint = self.found(pk)
        secret = endpoints.new_secret(endpoint)
        return self.with_secret(self.found(pk), secret, 200)


class MessagesBase(WebhooksBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": None}

    def messages(self) -> Any:
        if self.bound_to is None and sees_everything(self.request.user):
            return WebhookMessage.objects.all()
        return WebhookMessage.objects.filter(endpoint__in=self.mine().order_by())

    def message(self, pk: UUID) -> WebhookMessage:
        message: WebhookMessage | None = self.messages().filter(pk=pk).first()
        if message is None:
            raise not_found()
        return message


class MessagesView(MessagesBase):
    @describe(
        "Messages to webhook endpoints",
        operation_id="webhook_messages_list",
        parameters=[
            *PAGING,
            Parameter("endpoint", "Only to this one.", {"type": "string", "format": "uuid"}),
            Parameter("state", "Only in this state.", enum=tuple(MessageState.values)),
        ],
        responses={200: page_of(MessageSerializer)},
        description=HOW.format("view_webhookmessage") + "Kept for 30 days.",
        tags=TAGS,
    )
    def get(self, request: Request) -> Response:
        self.demand("view_webhookmessage")
        found, query = self.messages(), request.query_params
        if (state := query.get("state")) is not None:
            if state not in MessageState.values:
                choices = ", ".join(MessageState.values)
                text = _("%(name)s must be one of %(choices)s.", name="state", choices=choices)
                raise Problem(INVALID, text, field="state")
            found = found.filter(state=state)
        if (endpoint := query.get("endpoint")) is not None:
            try:
                found = found.filter(endpoint_id=UUID(endpoint))
            except ValueError:
                raise Problem(INVALID, _("endpoint must be an endpoint's id."), field="endpoint") from None
        addresses = Addresses.of(request)
        return Response(paged(request, found, lambda rows: [shown_message(row, addresses) for row in rows]))


class MessageView(MessagesBase):
    @describe(
        "One message",
        operation_id="webhook_messages_read",
        responses={200: MessageDetailSerializer},
        description=HOW.format("view_webhookmessage"),
        tags=TAGS,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        self.demand("view_webhookmessage")
        message = self.message(pk)
        return Response({**shown_message(message, Addresses.of(request)), "payload": message.payload})


class ReplayView(MessagesBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": None}

    @describe(
        "Send a message again",
        operation_id="webhook_messages_replay",
        request=None,
        responses={202: MessageSerializer},
        description=HOW.format("change_webhookmessage") + "With the id and the words that it had.",
        tags=TAGS,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        self.demand("change_webhookmessage")
        messages.replay([self.message(pk).pk])
        return Response(shown_message(self.message(pk), Addresses.of(request)), status=202)


routes = [
    path("webhooks/endpoints/", EndpointsView.as_view(), name="webhook-endpoints"),
    path("webhooks/endpoints/<uuid:pk>/", EndpointView.as_view(), name="webhook-endpoint"),
    path("webhooks/endpoints/<uuid:pk>/test/", TestView.as_view(), name="webhook-endpoint-test"),
    path("webhooks/endpoints/<uuid:pk>/secret/", SecretView.as_view(), name="webhook-endpoint-secret"),
    path("webhooks/messages/", MessagesView.as_view(), name="webhook-messages"),
    path("webhooks/messages/<uuid:pk>/", MessageView.as_view(), name="webhook-message"),
    path("webhooks/messages/<uuid:pk>/replay/", ReplayView.as_view(), name="webhook-message-replay"),
]
