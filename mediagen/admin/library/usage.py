"""Usage in the admin: where assets are used, what was counted there, and what does best."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen.admin.base import LargeListAdmin, access_of, may
from mediagen.admin.inputs import Input, InputFilter
from mediagen.engine.library import Right, sees_everything, usage
from mediagen.errors import InvalidRequest
from mediagen.models import AssetUsage
from mediagen.models.usage import METRICS
from mediagen.templatetags.mediagen import percent, thumbnail_url
from mediagen.wording import translated

RATES = ("click_rate_text", "engagement_rate_text", "conversion_rate_text")


class UsageForm(forms.ModelForm):  # type: ignore[type-arg]
    """What is written here goes through the engine, which checks it once for all who write it."""

    class Meta:
        model = AssetUsage
        fields = ("asset", "campaign", "channel", *METRICS)  # the admin adds the address

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        for name in METRICS:
            number = self.cleaned_data.get(name)
            if number is not None and number > usage.MAX_COUNT:
                self.add_error(name, _("That is more than can be counted."))


def save_usage(form: Any) -> AssetUsage:
    """The row of a valid form, written by the engine; a place of the same name is the same row."""
    given = form.cleaned_data
    place = (form.instance.campaign, form.instance.channel)
    # An older row may have ended: a correction of its figures does not begin it again.
    if form.instance.pk is None:
        usage.record_usage(form.instance.asset_id, *place, given.get("url") or "")
    elif "url" in form.changed_data:
        usage.set_address(form.instance.asset_id, *place, given.get("url") or "")
    totals = {name: given[name] for name in METRICS if given.get(name) is not None}
    return usage.record_metrics(form.instance.asset_id, *place, totals=totals)


class CampaignFilter(InputFilter):
    title = gettext_lazy("campaign")
    inputs = (Input("campaign", gettext_lazy("Campaign")), Input("channel", gettext_lazy("Channel")))

    def narrow(self, queryset: Any, given: dict[str, str]) -> QuerySet[Any]:
        found: QuerySet[Any] = queryset.filter(**{name: value.strip() for name, value in given.items()})
        return found


class RunningFilter(admin.SimpleListFilter):
    title = gettext_lazy("use")
    parameter_name = "running"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return (("1", gettext_lazy("in use")), ("0", gettext_lazy("ended")))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        return queryset.filter(ended_at__isnull=self.value() == "1") if self.value() in ("0", "1") else None


class AssetUsageAdmin(LargeListAdmin):
    list_display = ("thumbnail", "asset_link", "campaign", "channel", "impressions", "clicks", *RATES, "in_use")
    list_display_links = ("campaign",)
    list_select_related = ("asset", "asset__library")
    list_filter = (CampaignFilter, RunningFilter, "updated_at")
    search_fields = ("campaign", "channel")
    sortable_by = ("impressions", "clicks")
    ordering = ("-updated_at", "-pk")
    actions = ("end",)
    form = UsageForm
    autocomplete_fields = ("asset",)
    readonly_fields = (*RATES, "first_used_at", "updated_at", "ended_at")
    fieldsets = (
        (None, {"fields": ("asset", "campaign", "channel", "url")}),
        (gettext_lazy("Counted so far"), {"fields": METRICS}),
        (gettext_lazy("Rates and times"), {"fields": (*RATES, "first_used_at", "updated_at", "ended_at")}),
    )

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ who may do what

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        access = access_of(request)
        if sees_everything(request.user) and access.has(Right.READ):
            return rows.filter(~Q(asset__status="deleted"))
        # Joined, so that the few of them lead to their assets, and not all assets to them.
        return rows.filter(~Q(asset__status="deleted"), asset__library__in=access.libraries(Right.READ))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and access_of(request).has(Right.CHANGE)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if not (super().has_change_permission(request, obj) and access_of(request).has(Right.CHANGE)):
            return False
        return not isinstance(obj, AssetUsage) or may(request, Right.CHANGE, obj.asset.library_id)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False  # what was counted stays; end it

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return self.readonly_fields if obj is None else (*self.readonly_fields, "asset", "campaign", "channel")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "url":
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "asset":
            kwargs["queryset"] = access_of(request).assets(Right.CHANGE).ready()
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    # ------------------------------------------------------------------ writing

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        row = save_usage(form)
        obj.pk, obj._state.adding = row.pk, False

    @admin.action(description=gettext_lazy("End: no longer used there"), permissions=["change"])
    def end(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        ended = []
        for row in queryset.select_related("asset").filter(ended_at__isnull=True)[: self.list_max_show_all]:
            if not may(request, Right.CHANGE, row.asset.library_id):
                continue
            try:
                ended.append(usage.end_usage(row.asset_id, row.campaign, row.channel))
            except InvalidRequest as exc:
                self.message_user(request, translated(exc), messages.ERROR)
        if ended:
            LogEntry.objects.log_actions(request.user.pk, ended, CHANGE, _("Ended."))  # type: ignore[arg-type]
        text = ngettext("%(number)d use ended.", "%(number)d uses ended.", len(ended))
        self.message_user(request, text % {"number": len(ended)}, messages.SUCCESS if ended else messages.INFO)

    # ------------------------------------------------------------------ columns

    @admin.display(description=gettext_lazy("picture"))
    def thumbnail(self, row: AssetUsage) -> str:
        return render_to_string("mediagen/admin/_thumbnail.html", {"asset": row.asset, "url": thumbnail_url(row.asset)})

    @admin.display(description=gettext_lazy("asset"))
    def asset_link(self, row: AssetUsage) -> str:
        address = reverse("admin:mediagen_mediaasset_change", args=[row.asset_id], current_app=self.admin_site.name)
        return format_html('<a href="{}">{}</a>', address, row.asset)

    @admin.display(description=gettext_lazy("click rate"))
    def click_rate_text(self, row: AssetUsage) -> str:
        return percent(row.click_rate)

    @admin.display(description=gettext_lazy("engagement rate"))
    def engagement_rate_text(self, row: AssetUsage) -> str:
        return percent(row.engagement_rate)

    @admin.display(description=gettext_lazy("conversion rate"))
    def conversion_rate_text(self, row: AssetUsage) -> str:
        return percent(row.conversion_rate)

    @admin.display(description=gettext_lazy("in use"), boolean=True)
    def in_use(self, row: AssetUsage) -> bool:
        return row.ended_at is None
