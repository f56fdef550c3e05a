"""Attempts in the admin: what was asked of whom, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mediagen.admin.base import LargeListAdmin, ReadOnlyAdmin, access_of
from mediagen.admin.filters import ProviderNameFilter
from mediagen.engine.generation import settling
from mediagen.engine.library import sees_everything, within
from mediagen.errors import MediagenError, Outcome
from mediagen.models import GenerationAttempt, MediaLibrary
from mediagen.templatetags.mediagen import attempt_cost, first_line, pretty_json, seconds
from mediagen.types import AttemptState
from mediagen.wording import translated

MOST_AT_ONCE = 100
MOST_LOOKED_FOR = 5
"""each is asked of its provider while the page waits"""
SHOWN_PROBLEMS = 10


class OutcomeFilter(admin.SimpleListFilter):
    """Unknown outcomes come first: each may be a picture that was paid for and is nowhere."""

    title = _("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        yield Outcome.UNKNOWN.value, _("unknown: may have been paid for")
        yield "to_settle", _("to settle: nobody knows what it cost")
        for outcome in Outcome:
            if outcome is not Outcome.UNKNOWN:
                yield outcome.value, gettext(outcome.value.replace("_", " "))
        yield "open", _("no outcome yet")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        value = self.value()
        if value == "to_settle":
            return queryset.to_settle()  # type: ignore[attr-defined, no-any-return]
        if value == Outcome.UNKNOWN:
            return queryset.filter(outcome=value).exclude(state=AttemptState.SETTLED)
        return queryset.filter(outcome="" if value == "open" else value) if value else None


class SettleForm(forms.Form):
    came = forms.ChoiceField(
        label=_("What came of them"),
        choices=[
            ("billed", _("each was billed")),
            ("not_billed", _("none was billed")),
            ("look", _("look for their jobs once more; nothing is bought")),
        ],
        widget=forms.RadioSelect,
    )
    cost = forms.DecimalField(
        label=_("At USD"),
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=6,
        help_text=_("Of each one. Empty: what it was thought to cost when it was sent."),
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("came") in ("not_billed", "look") and data.get("cost"):
            self.add_error("cost", _("Only what was billed has a price: leave it empty."))
        return data


class GenerationAttemptAdmin(LargeListAdmin, ReadOnlyAdmin):
    list_display = (
        "started_at",
        "asset_link",
        "position",
        "provider_name",
        "model_name",
        "outcome_text",
        "http_status",
        "took",
        "cost_text",
        "short_message",
    )
    list_display_links = ("started_at",)
    list_select_related = ("asset",)
    list_filter = (OutcomeFilter, ProviderNameFilter, "state", "dry_run", "billable", "started_at")
    sortable_by = ()
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("asset_link", "operation", "position", "provider_name", "model_name")}),
        (_("Outcome"), {"fields": ("state", "outcome", "http_status", "message", "started_at", "finished_at", "took")}),
        (_("Money"), {"fields": ("billable", "dry_run", "cost", "cost_held", "settled_at", "settled_by")}),
        (
            _("At the provider"),
            {"fields": ("provider_job_id", "where_to_look", "job_data", "purchase_key", "request_digest")},
        ),
    )
    readonly_fields = ("asset_link", "took", "job_data", "where_to_look")
    actions = ("settle",)

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Attempts for assets that the user may see. The asset's library decides, wherever it was at the time; once
        the asset is gone, the library it belonged to."""
        attempts: QuerySet[Any] = super().get_queryset(request)
        if sees_everything(request.user):
            return attempts
        visible = MediaLibrary.objects.visible_to(request.user)
        own, gone = within(visible, "asset__library"), within(visible)
        return attempts.filter(Q(own) | (Q(asset__isnull=True) & Q(gone)))

    @admin.display(description=_("asset"))
    def asset_link(self, attempt: GenerationAttempt) -> str:
        if attempt.asset is None:
            return "-"
        address = reverse("admin:mediagen_mediaasset_change", args=[attempt.asset.pk], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, attempt.asset)

    @admin.display(description=_("outcome"))
    def outcome_text(self, attempt: GenerationAttempt) -> str:
        if attempt.state == AttemptState.SETTLED:
            return gettext("settled by %(who)s") % {"who": attempt.settled_by}
        return attempt.get_outcome_display() or attempt.get_state_display()

    @admin.display(description=_("took"))
    def took(self, attempt: GenerationAttempt) -> str:
        return seconds(attempt.latency_s)

    @admin.display(description=_("cost"))
    def cost_text(self, attempt: GenerationAttempt) -> str:
        return attempt_cost(attempt)

    @admin.display(description=_("message"))
    def short_message(self, attempt: GenerationAttempt) -> str:
        return first_line(attempt.message)

    @admin.display(description=_("job"))
    def job_data(self, attempt: GenerationAttempt) -> SafeString:
        return format_html("<pre>{}</pre>", pretty_json(attempt.provider_job))

    @admin.display(description=_("where to look"))
    def where_to_look(self, attempt: GenerationAttempt) -> str:
        """The vendor's page on which it stands whether it was billed."""
        if not attempt.billable:
            return "-"
        [one] = settling.described([attempt])
        return format_html('<a href="{}" rel="noreferrer">{}</a>', one.look_at, one.where) if one.look_at else one.where

    # ------------------------------------------------------------------ settled

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return settling.may_settle(access_of(request))

    @admin.action(description=_("Settle what nobody knows ..."), permissions=["settle"])
    def settle(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        chosen = list(queryset.select_related("asset").order_by("-id")[: MOST_AT_ONCE + 1])
        if len(chosen) > MOST_AT_ONCE:
            text = gettext("At most %(number)d attempts are settled at once.") % {"number": MOST_AT_ONCE}
            self.message_user(request, text, messages.ERROR)
            return None
        form = SettleForm(request.POST if "_go" in request.POST else None)
        if form.is_valid() and form.cleaned_data["came"] == "look" and len(chosen) > MOST_LOOKED_FOR:
            text = gettext("At most %(number)d jobs are looked for at once.") % {"number": MOST_LOOKED_FOR}
            form.add_error("came", text)
        if not form.is_valid():
            return self._ask(request, chosen, form)
        self._settle(request, chosen, **form.cleaned_data)
        return None

    def _ask(self, request: HttpRequest, chosen: list[GenerationAttempt], form: forms.Form) -> HttpResponse:
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            "mediagen/admin/settle.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "media": self.media,
                "title": gettext("Settle what nobody knows"),
                "action": "settle",
                "button": gettext("Settle"),
                "form": form,
                "unsettled": settling.described(chosen),
                "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
                "select_across": request.POST.get("select_across", "0"),
                "back_url": request.get_full_path(),
            },
        )

    def _settle(self, request: HttpRequest, chosen: list[GenerationAttempt], came: str, cost: Any) -> None:
        by, settled, problems = request.user.get_username(), [], []
        for row in chosen:
            try:
                if came == "look":
                    found = settling.look_again(row.pk, by=by)
                    if found.state in (AttemptState.UNKNOWN, AttemptState.SUBMITTED):  # found, and not stored
                        why = found.message or gettext("nothing was found.")
                        problems.append(f"{row}: {why}")
                        continue
                else:
                    settling.settle(row.pk, cost=cost if came == "billed" else Decimal(0), by=by)
            except MediagenError as exc:
                problems.append(translated(exc))
                continue
            settled.append(row)
        if settled:
            text = ngettext("%(number)d attempt is settled.", "%(number)d attempts are settled.", len(settled))
            self.message_user(request, text % {"number": len(settled)}, messages.SUCCESS)
            said = gettext("Settled: %(came)s %(cost)s") % {"came": came, "cost": "" if cost is None else f"${cost}"}
            LogEntry.objects.log_actions(request.user.pk, settled, CHANGE, said.strip())  # type: ignore[arg-type]
        for problem in problems[:SHOWN_PROBLEMS]:
            self.message_user(request, problem, messages.WARNING)
        if len(problems) > SHOWN_PROBLEMS:
            text = gettext("%(number)d more were not settled.") % {"number": len(problems) - SHOWN_PROBLEMS}
            self.message_user(request, text, messages.WARNING)
