"""Providers in the admin: the chain's order, its switches, its keys, and how each one is doing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from mediagen.admin.base import ModelAdmin
from mediagen.admin.provider_form import ProviderConfigForm, SwitchForm
from mediagen.engine import get_media_engine, providers
from mediagen.engine.providers import CredentialState, ProviderState
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import ProviderConfig

STEPS = {"up": -1, "down": 1}


class ProviderList(ChangeList):
    """Reads the state of all providers of the page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        may_move = self.model_admin.has_change_permission(request)
        for number, (config, state) in enumerate(zip(rows, providers.states(rows), strict=True), start=1):
            config.admin_state, config.may_move = state, may_move
            config.is_first, config.is_last = number == 1, number == len(rows)


@admin.register(ProviderConfig)
class ProviderConfigAdmin(ModelAdmin):
    form = ProviderConfigForm
    change_list_template = "mediagen/admin/provider_list.html"
    list_display = ("place", "name", "enabled", "service", "mode", "credential", "breaker")
    list_display_links = ("name",)
    list_editable = ("enabled",)
    list_per_page = 500  # the whole chain: its order is seen in one piece
    sortable_by = ()
    ordering = ("position", "pk")
    actions = ("check_now", "reset_breakers")
    readonly_fields = ("credential", "breaker", "position", "created_at", "updated_at")

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ pages

    def get_urls(self) -> list[URLPattern]:
        move = self.admin_site.admin_view(self.move_view)
        return [path("<int:pk>/move/", move, name="mediagen_providerconfig_move"), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ProviderList

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SwitchForm

    # The action that asks providers must not run in one transaction, as it would with ATOMIC_REQUESTS.
    @method_decorator(transaction.non_atomic_requests)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        unlisted, chain_problem = providers.unlisted()
        context = {"unlisted": unlisted, "chain_problem": chain_problem, **(extra_context or {})}
        return super().changelist_view(request, context)

    @method_decorator(sensitive_post_parameters("new_credential"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().changeform_view(request, *args, **kwargs)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return not lookup.startswith("credentials") and super().lookup_allowed(lookup, value, request)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        may_write = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        key: tuple[str, ...] = ("credential",) if obj else ()
        if may_write:
            key += ("new_credential", "remove_credential") if obj and obj.credentials else ("new_credential",)
        money = ("prices", "budget_limit", "budget_period", "budget_warning")
        fieldsets: list[Any] = [
            (None, {"fields": ("name", "adapter", "enabled", "dry_run", *(("breaker",) if obj else ()))}),
            (_("Credential"), {"fields": key}),
            (_("Service"), {"fields": ("base_url", "model", "options", "timeout_s")}),
            (_("When it does not deliver"), {"fields": ("after_unknown", "after_refusal")}),
            (_("Limits"), {"fields": ("max_concurrency", "rate_per_minute")}),
            (_("Money"), {"fields": money}),
        ]
        if obj:
            fieldsets.append((_("Entry"), {"fields": ("position", "created_at", "updated_at")}))
        return fieldsets

    def save_model(self, request: HttpRequest, obj: ProviderConfig, form: Any, change: bool) -> None:
        if not change:
            providers.add(obj)
        elif isinstance(form, ProviderConfigForm):
            providers.change(obj, form.changed_columns)
        else:  # the list, which has the switch only
            providers.change(obj, form.changed_data)

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One place up or down, for the buttons of the list. POST with `direction`."""
        return require_POST(self._move)(request, pk)

    def _move(self, request: HttpRequest, pk: int) -> HttpResponse:
        config = self.get_queryset(request).filter(pk=pk).first()
        if config is None or request.POST.get("direction") not in STEPS:
            raise Http404
        if not self.has_change_permission(request, config):
            raise PermissionDenied
        direction = request.POST["direction"]
        # A row that is gone since we read it is one that does not exist.
        try:
            order = [row.pk for row in providers.shift(config, STEPS[direction])]
        except InvalidRequest:
            raise Http404 from None
        place = order.index(config.pk) + 1
        if place != config.position:
            self.log_change(request, config, [{"changed": {"fields": ["position"]}}])
        text = _("“%(name)s” is number %(place)d of the chain now.") % {"name": config.name, "place": place}
        self.message_user(request, text, messages.SUCCESS)
        # To the button that was pressed, so that the keyboard can go on from there.
        address = reverse("admin:mediagen_providerconfig_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(f"{address}#move-{config.pk}-{direction}")

    # ------------------------------------------------------------------ columns

    def _state(self, config: Any) -> ProviderState:
        if not hasattr(config, "admin_state"):
            (config.admin_state,) = providers.states([config])
        state: ProviderState = config.admin_state
        return state

    @admin.display(description=gettext_lazy("place"))
    def place(self, config: Any) -> str:
        address = reverse("admin:mediagen_providerconfig_move", args=[config.pk], current_app=self.admin_site.name)
        return render_to_string("mediagen/admin/_place.html", {"config": config, "address": address})

    @admin.display(description=gettext_lazy("model"))
    def service(self, config: Any) -> str:
        return render_to_string("mediagen/admin/_service.html", {"state": self._state(config)})

    @admin.display(description=gettext_lazy("mode"))
    def mode(self, config: Any) -> str:
        return render_to_string("mediagen/admin/_mode.html", {"state": self._state(config)})

    @admin.display(description=gettext_lazy("credential"))
    def credential(self, config: Any) -> str:
        state = self._state(config).credential
        context = {"credential": state, "text": credential_text(state)}
        return render_to_string("mediagen/admin/_credential.html", context)

    @admin.display(description=gettext_lazy("breaker"))
    def breaker(self, config: Any) -> str:
        return render_to_string("mediagen/admin/_breaker.html", {"state": self._state(config)})

    # ------------------------------------------------------------------ actions

    @admin.action(description=gettext_lazy("Check now (costs nothing)"), permissions=["change"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[ProviderConfig]) -> None:
        try:
            reports = get_media_engine().check_providers_sync([config.name for config in queryset])
        except MediagenError as exc:
            self.message_user(request, str(exc), messages.ERROR)
            return
        for report in reports:
            words = _("healthy") if report.healthy else _("not healthy")
            detail = f": {report.detail}" if report.detail else "."
            level = messages.SUCCESS if report.healthy else messages.ERROR
            self.message_user(request, f"{report.name}: {words}{detail}", level)

    @admin.action(description=gettext_lazy("Reset the breakers"), permissions=["change"])
    def reset_breakers(self, request: HttpRequest, queryset: QuerySet[ProviderConfig]) -> None:
        number = providers.reset(queryset)
        text = ngettext("%(number)d breaker was reset.", "%(number)d breakers were reset.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)


def credential_text(state: CredentialState) -> str:
    """For people: "set, ends in 1234", "from the environment" ..."""
    if state.source == "stored":
        return _("set, ends in %(ending)s") % {"ending": state.ending} if state.ending else _("set")
    return {
        "unreadable": _("cannot be decrypted"),
        "environment": _("from the environment"),
        "settings": _("from the settings"),
        "missing": _("not set"),
        "not needed": _("not needed"),
    }[state.source]
