"""“Connect Canva” in the admin: the integration's id and secret go in, people go to Canva and come back with tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from mediagen.admin.base import ModelAdmin
from mediagen.engine.providers import canva_account, entries
from mediagen.error_pages import hide_secrets
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import ProviderConfig
from mediagen.models.routing import outside_transactions
from mediagen.secrets import Secret
from mediagen.wording import translated

if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object

SESSION_KEY = "mediagen_canva_consents"
CONSENTS_KEPT = 5
"""pages that one person may have open at once"""


class CanvaClientForm(forms.Form):
    """Id and secret of the integration. The secret goes in and never comes out."""

    client_id = forms.CharField(label=gettext_lazy("Client ID"), max_length=255)
    client_secret = forms.CharField(
        label=gettext_lazy("Client secret"),
        max_length=255,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("Stored encrypted, and never shown again."),
    )

    def clean_client_secret(self) -> Secret:
        return Secret(self.cleaned_data["client_secret"].strip())


class CanvaPages(_Base):
    """Mixed into the providers' admin: a page for each provider whose accounts are connected by OAuth."""

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        own = [
            path("<int:pk>/canva/", site.admin_view(self.canva_view), name="mediagen_providerconfig_canva"),
            path("canva/callback/", site.admin_view(self.canva_callback), name="mediagen_canva_callback"),
        ]
        return [*own, *super().get_urls()]

    def with_connection(self, fieldsets: list[Any], obj: Any) -> list[Any]:
        """The fieldsets of a provider's page, with the connected account where accounts can be connected."""
        if obj is None or not entries.connects_by_oauth(obj.adapter):
            return fieldsets
        return [
            (name, {**options, "fields": (*options["fields"], "connection")})
            if "credential" in options["fields"]
            else (name, options)
            for name, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "connection")

    @admin.display(description=gettext_lazy("connected account"))
    def connection(self, config: Any) -> str:
        address = reverse("admin:mediagen_providerconfig_canva", args=[config.pk], current_app=self._site_name)
        context = {"account": canva_account.account_of(config), "address": address}
        return render_to_string("mediagen/admin/_connection.html", context)

    # Canva is asked, and the answer must stay stored whatever happens afterwards: no transaction around it.
    @method_decorator(outside_transactions)
    @method_decorator(sensitive_post_parameters("client_secret"))
    def canva_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How the connection stands; POST stores id and secret (`save`) or ends the connection (`disconnect`)."""
        hide_secrets(request)
        config = self._connectable(request, pk)
        form = CanvaClientForm(request.POST if "save" in request.POST else None)
        if request.method == "POST":
            if "disconnect" in request.POST:
                return self._disconnect(request, config)
            if self._saved(request, config, form):
                return HttpResponseRedirect(request.path)
        account = canva_account.account_of(config)
        if not form.is_bound:
            form.initial = {"client_id": account.client_id if account.client_source == "stored" else ""}
        context = {
            **self.admin_site.each_context(request),
            "title": _("Connect Canva"),
            "subtitle": str(config),
            "opts": self.opts,
            "config": config,
            "form": form,
            "account": account,
            "address": "" if account.problem else self._way_to_canva(request, config),
            "redirect_uri": self._redirect_uri(request),
        }
        return TemplateResponse(request, "mediagen/admin/canva.html", context)

    @method_decorator(outside_transactions)
    def canva_callback(self, request: HttpRequest) -> HttpResponse:
        """Where Canva sends people back, with a code or a refusal. Each way there counts once."""
        hide_secrets(request)
        consents = request.session.get(SESSION_KEY, {})
        consent = consents.pop(request.GET.get("state", ""), None)
        if consent is None:
            text = _("This answer from Canva belongs to no page of yours, or was used already. Start again.")
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(
                reverse("admin:mediagen_providerconfig_changelist", current_app=self._site_name)
            )
        request.session[SESSION_KEY] = consents
        config = self._connectable(request, consent["provider"])
        level, text = self._finish(request, config, consent)
        self.message_user(request, text, level)
        address = reverse("admin:mediagen_providerconfig_canva", args=[config.pk], current_app=self._site_name)
        return HttpResponseRedirect(address)

    # ------------------------------------------------------------------ inside

    @property
    def _site_name(self) -> str:
        return str(self.admin_site.name)

    def _connectable(self, request: HttpRequest, pk: Any) -> ProviderConfig:
        config: ProviderConfig | None = self.get_queryset(request).filter(pk=pk).first()
        if config is None or not entries.connects_by_oauth(config.adapter):
            raise Http404
        if not self.has_change_permission(request, config):
            raise PermissionDenied
        return config

    def _redirect_uri(self, request: HttpRequest) -> str:
        return request.build_absolute_uri(reverse("admin:mediagen_canva_callback", current_app=self._site_name))

    def _way_to_canva(self, request: HttpRequest, config: ProviderConfig) -> str:
        """The address for the link. A form's answer may not lead to another host under a strict policy; a link may."""
        consent = canva_account.begin(config, self._redirect_uri(request))
        kept = list(request.session.get(SESSION_KEY, {}).items())[-(CONSENTS_KEPT - 1) :]
        mine = {"provider": config.pk, "verifier": consent.verifier, "redirect_uri": consent.redirect_uri}
        request.session[SESSION_KEY] = {**dict(kept), consent.state: mine}
        return consent.address

    def _saved(self, request: HttpRequest, config: ProviderConfig, form: CanvaClientForm) -> bool:
        if not form.is_valid():
            return False
        try:
            canva_account.set_client(config, form.cleaned_data["client_id"], form.cleaned_data["client_secret"])
        except InvalidRequest as exc:
            form.add_error(exc.field if exc.field in form.fields else None, translated(exc))
            return False
        self.log_change(request, config, _("Set the integration's id and secret."))
        text = _("The integration's id and secret are stored. Now connect the account.")
        self.message_user(request, text, messages.SUCCESS)
        return True

    def _disconnect(self, request: HttpRequest, config: ProviderConfig) -> HttpResponse:
        problem = async_to_sync(canva_account.disconnect)(config)
        self.log_change(request, config, _("Disconnected the Canva account."))
        text, level = _("The account is disconnected."), messages.SUCCESS
        if problem:
            told = _("Canva could not be told (%(why)s): remove the access in Canva's settings too.")
            text, level = f"{text} {told % {'why': problem}}", messages.WARNING
        self.message_user(request, text, level)
        return HttpResponseRedirect(request.path)

    def _finish(self, request: HttpRequest, config: ProviderConfig, consent: dict[str, Any]) -> tuple[int, str]:
        """Level and text of the message."""
        code = request.GET.get("code", "")
        if not code:
            why = request.GET.get("error_description") or request.GET.get("error") or _("no reason was given")
            text = _("Canva did not connect the account (%(why)s). Nothing was changed.")
            return messages.WARNING, text % {"why": why[:200]}
        try:
            account = async_to_sync(canva_account.finish)(
                config,
                code=code,
                verifier=consent["verifier"],
                redirect_uri=consent["redirect_uri"],
                by=request.user,
            )
        except MediagenError as exc:
            text = _("The account could not be connected: %(why)s What was connected before is unchanged.")
            return messages.ERROR, text % {"why": f"{translated(exc).rstrip('.')}."}
        self.log_change(request, config, _("Connected a Canva account."))
        return messages.SUCCESS, _("Connected: %(account)s.") % {"account": account or _("a Canva account")}
