"""Webhooks out in the admin: endpoints, whose secret is shown once, and every message with its fate."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminURLFieldWidget
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from mediagen.admin.asked_by import AskedByAdmin, AskedByForm
from mediagen.admin.base import LargeListAdmin, ModelAdmin, ReadOnlyAdmin
from mediagen.admin.secret_once import shown_once
from mediagen.engine.events import endpoints
from mediagen.engine.events import messages as outgoing_messages
from mediagen.engine.library import sees_everything
from mediagen.errors import InvalidRequest
from mediagen.models import WebhookEndpoint, WebhookMessage
from mediagen.models.outgoing import EVENTS, TEST_EVENT
from mediagen.secrets import Secret
from mediagen.templatetags.mediagen import first_line, pretty_json
from mediagen.wording import translated


class EndpointForm(AskedByForm):
    # Said here because Django 5.2 warns of a URL field that does not name its scheme.
    url = forms.URLField(
        label=gettext_lazy("Address"),
        max_length=endpoints.URL_LENGTH,
        assume_scheme="https",
        widget=AdminURLFieldWidget,
        help_text=gettext_lazy("https and public, or of a host in MEDIAGEN['TRUSTED_HOSTS']."),
    )
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"),
        choices=[(event, event) for event in EVENTS],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=gettext_lazy("None: all of them."),
    )

    class Meta:
        model = WebhookEndpoint
        fields = ("name", "url", "events", "library", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (library := self.fields.get("library")) is not None:
            # Who may not see everything may not have it sent to him either.
            library.required = not sees_everything(self.asker)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if {"name", "url", "events"} <= data.keys():
            try:
                endpoints.check(data["name"], data["url"], data["events"])
            except InvalidRequest as exc:
                self.add_error(exc.field, translated(exc))
        return data


class WebhookEndpointAdmin(AskedByAdmin, ModelAdmin):
    """People see the endpoints of libraries that they may look into."""

    list_display = ("name", "url", "enabled", "event_names", "library", "short_reason")
    list_select_related = ("library",)
    list_filter = ("enabled",)
    search_fields = ("name", "url")
    list_per_page = 50
    change_form_template = "mediagen/admin/endpoint_form.html"
    form = EndpointForm

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ who may

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        found = WebhookEndpoint.objects.visible_to(request.user)
        ordering = self.get_ordering(request)
        return found.order_by(*ordering) if ordering else found

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """The endpoints only: their messages, of which there may be very many, go with them."""
        chosen = list(objs)
        counts = {str(WebhookEndpoint._meta.verbose_name_plural): len(chosen)}
        return [str(endpoint) for endpoint in chosen], counts, set(), []

    # ------------------------------------------------------------------ pages

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(f"<uuid:pk>/{name}/", self.admin_site.admin_view(view), name=f"mediagen_webhookendpoint_{name}")
            for name, view in (("test", self.test_view), ("secret", self.secret_view))
        ]
        return [*own, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = ("name", "url", "events", "library", "enabled")
        return own if obj is None else (*own, "disabled_reason", "created_by", "created_at", "updated_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("disabled_reason", "created_by", "created_at", "updated_at")

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["may_manage"] = obj is not None and self.has_change_permission(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def save_model(self, request: HttpRequest, obj: WebhookEndpoint, form: Any, change: bool) -> None:
        if change:
            endpoints.change(obj)
            return
        data = form.cleaned_data
        made = endpoints.create(
            data["name"],
            data["url"],
            events=data["events"],
            library=data["library"],
            enabled=data["enabled"],
            created_by=request.user,
        )
        obj.__dict__.update(made.endpoint.__dict__)
        request._mediagen_secret = made.secret  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: WebhookEndpoint, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._shown(request, obj, request._mediagen_secret)  # type: ignore[attr-defined]

    def test_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Send a message that tells of nothing. POST."""
        return require_POST(self._test)(request, pk)

    def _test(self, request: HttpRequest, pk: Any) -> HttpResponse:
        endpoint = self._managed(request, pk)
        message = outgoing_messages.send_test(endpoint)
        if not endpoint.enabled:
            self.message_user(request, _("The endpoint is off: the test waits until it is on."), messages.WARNING)
        else:
            self.message_user(request, _("A test is on its way. Its fate is on this page."), messages.SUCCESS)
        if not request.user.has_perm("mediagen.view_webhookmessage"):
            return self._back(endpoint)
        address = reverse("admin:mediagen_webhookmessage_change", args=[message.pk], current_app=self.admin_site.name)
        return HttpResponseRedirect(address)

    def secret_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Another secret. POST."""
        return require_POST(self._secret)(request, pk)

    def _secret(self, request: HttpRequest, pk: Any) -> HttpResponse:
        endpoint = self._managed(request, pk)
        secret = endpoints.new_secret(endpoint)
        self.log_change(request, endpoint, [{"changed": {"fields": ["secret"]}}])
        return self._shown(request, endpoint, secret)

    def _managed(self, request: HttpRequest, pk: Any) -> WebhookEndpoint:
        endpoint = self.get_queryset(request).filter(pk=pk).first()
        if endpoint is None or not self.has_change_permission(request, endpoint):
            raise Http404
        return endpoint

    def _back(self, endpoint: WebhookEndpoint) -> HttpResponse:
        name = "admin:mediagen_webhookendpoint_change"
        return HttpResponseRedirect(reverse(name, args=[endpoint.pk], current_app=self.admin_site.name))

    def _shown(self, request: HttpRequest, endpoint: WebhookEndpoint, secret: Secret) -> HttpResponse:
        return shown_once(
            request,
            self,
            endpoint,
            secret,
            title=_("Secret of “%(name)s”") % {"name": endpoint.name},
            label=_("The secret"),
            note=_("Give it to the receiver now: it is kept encrypted, and this is the only page that ever shows it."),
        )

    # ------------------------------------------------------------------ columns

    @admin.display(description=gettext_lazy("events"))
    def event_names(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events) or _("all")

    @admin.display(description=gettext_lazy("why it is off"))
    def short_reason(self, endpoint: WebhookEndpoint) -> str:
        return first_line(endpoint.disabled_reason)


class EventFilter(admin.SimpleListFilter):
    """By the events there are; Django would look for them in the whole table."""

    title = gettext_lazy("event")
    parameter_name = "event"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(event, event) for event in (*EVENTS, TEST_EVENT)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(event=value) if value else queryset


class WebhookMessageAdmin(LargeListAdmin, ReadOnlyAdmin):
    list_display = ("created_at", "event", "endpoint", "state", "tries", "http_status", "short_message", "next_try_at")
    list_select_related = ("endpoint",)
    list_filter = ("state", EventFilter, "created_at")
    sortable_by = ()
    ordering = ("-id",)
    actions = ("replay",)
    fields = (
        "webhook_id",
        "event",
        "endpoint",
        "state",
        "tries",
        "http_status",
        "message",
        "created_at",
        "next_try_at",
        "delivered_at",
        "body",
    )
    readonly_fields = ("webhook_id", "body")

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookMessage]:
        found: Any = super().get_queryset(request)
        if sees_everything(request.user):
            return found  # type: ignore[no-any-return]
        return found.filter(endpoint__in=WebhookEndpoint.objects.visible_to(request.user))  # type: ignore[no-any-return]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mediagen.change_webhookmessage")

    @admin.display(description="webhook-id")
    def webhook_id(self, message: WebhookMessage) -> str:
        return str(message.pk)

    @admin.display(description=gettext_lazy("body"))
    def body(self, message: WebhookMessage) -> SafeString:
        return format_html('<pre class="mediagen-code">{}</pre>', pretty_json(message.payload))

    @admin.display(description=gettext_lazy("message"))
    def short_message(self, message: WebhookMessage) -> str:
        return first_line(message.message)

    @admin.action(description=gettext_lazy("Replay: send again, with the same id"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookMessage]) -> None:
        number = outgoing_messages.replay(queryset.values_list("pk", flat=True))
        text = ngettext("%(number)d message is sent again.", "%(number)d messages are sent again.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)
