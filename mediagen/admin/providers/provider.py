"""Providers in the admin: the chain's order, its switches, its keys, and how each one is doing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import formats
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from mediagen.admin.base import ModelAdmin
from mediagen.admin.insight.rehearsal import BEHAVIOUR_CHOICES, RehearsalForm, rows
from mediagen.admin.providers.canva import CanvaPages
from mediagen.admin.providers.credential_text import credential_text
from mediagen.admin.providers.option_fields import option_fields
from mediagen.admin.providers.provider_form import ProviderConfigForm, SwitchForm
from mediagen.admin.providers.setup import SetupPage
from mediagen.admin.providers.test_picture import TestPictureForm, trial
from mediagen.destinations import elsewhere, withheld
from mediagen.engine import get_media_engine
from mediagen.engine.insight import statistics
from mediagen.engine.library import Access, Right
from mediagen.engine.providers import ProviderState, entries, makes_pictures
from mediagen.errors import MediagenError
from mediagen.factory import chain_configs
from mediagen.models import BUDGET_FIELDS, ProviderConfig
from mediagen.models.routing import outside_transactions
from mediagen.wording import translated

STEPS = {"up": -1, "down": 1}


class ProviderList(ChangeList):
    """Reads the state of all providers of the page at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        may_move = self.model_admin.has_change_permission(request)
        figures = statistics.by_provider()
        for number, (config, state) in enumerate(zip(rows, entries.states(rows), strict=True), start=1):
            config.admin_state, config.may_move = state, may_move
            config.admin_figures = figures.get(config.name, {})
            config.place, config.is_first, config.is_last = number, number == 1, number == len(rows)


class ProviderConfigAdmin(SetupPage, CanvaPages, ModelAdmin):
    form = ProviderConfigForm
    change_list_template = "mediagen/admin/provider_list.html"
    list_display = ("place", "name", "enabled", "service", "health")
    list_display_links = ("name",)
    list_editable = ("enabled",)
    list_per_page = 500  # the whole chain: its order is seen in one piece
    show_full_result_count = False  # nothing is filtered here, so it would count the same twice
    sortable_by = ()
    actions = ("check_now", "reset_breakers", "generate_test")
    readonly_fields = ("credential", "key_goes_to", "breaker", "position", "created_at", "updated_at")

    class Media:
        css = {"all": ("mediagen/admin.css", "mediagen/providers.css")}
        js = ("mediagen/providers.js",)

    # ------------------------------------------------------------------ pages

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProviderConfig]:
        return ProviderConfig.objects.in_chain_order()

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("goes_last", "position", "pk")

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("<int:pk>/move/", guarded(self.move_view), name="mediagen_providerconfig_move"),
            path("rehearse/", guarded(self.rehearse_view), name="mediagen_providerconfig_rehearse"),
            *super().get_urls(),
        ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ProviderList

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return SwitchForm

    # The action that asks providers must not run in one transaction, as it would with ATOMIC_REQUESTS.
    @method_decorator(outside_transactions)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        unlisted, chain_problem = entries.unlisted()
        may_change = self.has_change_permission(request)
        context = {"unlisted": unlisted, "chain_problem": chain_problem, "may_change": may_change}
        context |= extra_context or {}
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
        place: tuple[str, ...] = ("key_goes_to",) if obj else ()
        if may_write and request.user.has_perm("mediagen.send_key_elsewhere"):
            place += ("send_key_elsewhere",)
        money = ("prices", "price_when_unknown", *BUDGET_FIELDS)
        fieldsets: list[Any] = [
            (None, {"fields": ("name", "adapter", "enabled", "dry_run", *(("breaker",) if obj else ()))}),
            (_("Credential"), {"fields": key}),
            *self._service_fieldsets(request, obj, may_write),
            *([(_("Where the key is sent"), {"fields": place})] if place else []),
            (_("When it does not deliver"), {"fields": ("after_unknown", "after_refusal")}),
            (_("Limits"), {"fields": ("max_concurrency", "rate_per_minute")}),
            (_("Money"), {"fields": money}),
        ]
        if obj:
            fieldsets.append((_("Entry"), {"fields": ("position", "created_at", "updated_at")}))
        return self.with_connection(fieldsets, obj)

    def _service_fieldsets(self, request: HttpRequest, obj: Any, may_write: bool) -> list[Any]:
        fields = tuple(option_fields(self._adapter(request, obj))) if may_write else ()
        if not fields:
            hint = "" if obj else _("Saved, it has the list of its vendor's models, and a field for each option.")
            service = {"fields": ("base_url", "model", "options", "timeout_s"), "description": hint}
            return [(_("Service"), service)]
        return [
            (_("Service"), {"fields": ("base_url", "model", "timeout_s")}),
            (_("Options"), {"fields": fields}),
            (_("Options as JSON"), {"fields": ("options",), "classes": ("collapse",)}),
        ]

    def _adapter(self, request: HttpRequest, obj: Any) -> str:
        """Whose options are asked for: the one that is chosen now, else the entry's, else the address's."""
        return str(request.POST.get("adapter") or getattr(obj, "adapter", "") or request.GET.get("adapter", ""))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        adapter = self._adapter(request, obj)
        own = {**option_fields(adapter), "asked_by": request.user, "adapter_now": adapter}
        kwargs.setdefault("form", type("ProviderConfigForm", (ProviderConfigForm,), own))
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: ProviderConfig, form: Any, change: bool) -> None:
        if not change:
            entries.add(obj)
        elif isinstance(form, ProviderConfigForm):
            entries.change(obj, form.changed_columns)
        else:  # the list, which has the switch only
            entries.change(obj, form.changed_data)

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Another place in the chain. POST with `direction` ("up", "down"), or with `before` or `after`: the id of the
        entry to stand next to. A page is led back to the list; a script that accepts JSON gets the new order."""
        return require_POST(self._move)(request, pk)

    def _move(self, request: HttpRequest, pk: int) -> HttpResponse:
        config = self.get_queryset(request).filter(pk=pk).first()
        if config is None:
            raise Http404
        if not self.has_change_permission(request, config):
            raise PermissionDenied
        before = list(self.get_queryset(request).values_list("pk", flat=True))
        order = [row.pk for row in self._moved(request, config)]
        place = order.index(config.pk) + 1
        if place != before.index(config.pk) + 1:
            self.log_change(request, config, [{"changed": {"fields": ["position"]}}])
        text = _("“%(name)s” is number %(place)d of the chain now.") % {"name": config.name, "place": place}
        if request.accepts("application/json") and not request.accepts("text/html"):
            return JsonResponse({"order": order, "message": text})
        self.message_user(request, text, messages.SUCCESS)
        # To the button that was pressed, so that the keyboard can go on from there.
        address = reverse("admin:mediagen_providerconfig_changelist", current_app=self.admin_site.name)
        return HttpResponseRedirect(f"{address}#move-{config.pk}-{request.POST.get('direction', 'up')}")

    def _moved(self, request: HttpRequest, config: ProviderConfig) -> list[ProviderConfig]:
        asked = {name: request.POST[name] for name in ("direction", "before", "after") if name in request.POST}
        try:
            ((how, value),) = asked.items()
            if how == "direction":
                return entries.shift(config, STEPS[value])
            anchor = ProviderConfig(pk=int(value), name=value)
            return entries.move(config, **{how: anchor})
        except (KeyError, ValueError):  # InvalidRequest is one: a row that is gone is one that does not exist
            raise Http404 from None

    @method_decorator(outside_transactions)
    def rehearse_view(self, request: HttpRequest) -> HttpResponse:
        """The chain tried against failures that are only played. Reads, and changes nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Rehearse the chain"),
            "rehearsal": None,
        }
        try:
            names = [config.name for config in chain_configs() if makes_pictures(config)]
            form = context["form"] = RehearsalForm(request.GET, names)
            if not form.is_bound or form.is_valid():
                rehearsal = context["rehearsal"] = form.rehearse()
                played = dict(BEHAVIOUR_CHOICES)
                context["rows"] = rows(rehearsal)
                context["providers"] = [(one, played.get(one.behaviour, "")) for one in rehearsal.providers]
        except MediagenError as exc:
            context["problem"] = translated(exc)
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "mediagen/admin/rehearse.html", context)

    # ------------------------------------------------------------------ columns

    def _state(self, config: Any) -> ProviderState:
        if not hasattr(config, "admin_state"):
            (config.admin_state,) = entries.states([config])
        state: ProviderState = config.admin_state
        return state

    @admin.display(description=gettext_lazy("place"))
    def place(self, config: Any) -> str:
        address = reverse("admin:mediagen_providerconfig_move", args=[config.pk], current_app=self.admin_site.name)
        return render_to_string("mediagen/admin/_place.html", {"config": config, "address": address})

    @admin.display(description=gettext_lazy("model, mode and credential"))
    def service(self, config: Any) -> str:
        state = self._state(config)
        context = {"state": state, "credential": state.credential, "text": credential_text(state.credential)}
        return render_to_string("mediagen/admin/_service.html", context)

    @admin.display(description=gettext_lazy("credential"))
    def credential(self, config: Any) -> str:
        state = self._state(config).credential
        context = {"credential": state, "text": credential_text(state)}
        return render_to_string("mediagen/admin/_credential.html", context)

    @admin.display(description=gettext_lazy("goes to"))
    def key_goes_to(self, config: ProviderConfig) -> str:
        place = elsewhere(config)
        if entries.credential_state(config).source == "withheld":
            return withheld(config, stored=bool(config.credentials))
        if not entries.is_consented(config):
            return place or _("the vendor")
        about = {"place": place, "by": config.key_consent_by or "?", "when": formats.localize(config.key_consent_at)}
        return _("%(place)s, as %(by)s allowed on %(when)s") % about

    @admin.display(description=gettext_lazy("breaker"))
    def breaker(self, config: Any) -> str:
        return render_to_string("mediagen/admin/_breaker.html", {"state": self._state(config)})

    @admin.display(description=gettext_lazy("health, last 24 hours and 30 days"))
    def health(self, config: Any) -> str:
        context = {"state": self._state(config), "figures": config.admin_figures}
        return render_to_string("mediagen/admin/_health.html", context)

    # ------------------------------------------------------------------ actions

    @admin.action(description=gettext_lazy("Check now (costs nothing)"), permissions=["change"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[ProviderConfig]) -> None:
        try:
            reports = get_media_engine().check_providers_sync([config.name for config in queryset])
        except MediagenError as exc:
            self.message_user(request, translated(exc), messages.ERROR)
            return
        for report in reports:
            words = _("healthy") if report.healthy else _("not healthy")
            detail = f": {report.detail}" if report.detail else "."
            for breaker in report.breakers:
                detail += f" {breaker.operation}: {breaker.state.replace('_', ' ')} ({breaker.reason.rstrip('.')}); "
                detail += f"{breaker.until or ''} {breaker.next}.".lstrip()
            level = messages.SUCCESS if report.can_serve else messages.ERROR
            self.message_user(request, f"{report.name}: {words}{detail}", level)

    @admin.action(description=gettext_lazy("Reset the breakers"), permissions=["change"])
    def reset_breakers(self, request: HttpRequest, queryset: QuerySet[ProviderConfig]) -> None:
        number = entries.reset(queryset)
        text = ngettext("%(number)d breaker was reset.", "%(number)d breakers were reset.", number)
        self.message_user(request, text % {"number": number}, messages.SUCCESS)

    def has_test_permission(self, request: HttpRequest) -> bool:
        """To ask a provider for a picture: it may cost money, and becomes an asset."""
        return self.has_change_permission(request) and Access(request.user).has(Right.GENERATE)

    @admin.action(description=gettext_lazy("Generate a test picture (its price first)"), permissions=["test"])
    def generate_test(self, request: HttpRequest, queryset: QuerySet[ProviderConfig]) -> HttpResponse | None:
        access = Access(request.user)
        form = TestPictureForm(access, request.POST if "confirmed" in request.POST else None)
        configs = list(queryset)
        if form.is_valid():
            self._test(request, configs, form)
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Generate a test picture"),
            "form": form,
            "trials": [trial(config) for config in configs],
            "ids": [config.pk for config in configs],
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "mediagen/admin/test_picture.html", context)

    def _test(self, request: HttpRequest, configs: list[ProviderConfig], form: TestPictureForm) -> None:
        for config in configs:
            if not trial(config).is_possible:
                continue
            try:
                asset = form.ask(config, by=request.user)
            except MediagenError as exc:
                self.message_user(request, f"{config.name}: {translated(exc)}", messages.ERROR)
                continue
            self.log_change(request, config, _("Asked for a test picture."))
            address = reverse("admin:mediagen_mediaasset_change", args=[asset.pk], current_app=self.admin_site.name)
            text = _("A test picture of %(name)s is on its way:") % {"name": config.name}
            self.message_user(request, format_html('{} <a href="{}">{}</a>', text, address, asset), messages.SUCCESS)
