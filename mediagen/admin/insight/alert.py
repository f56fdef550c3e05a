"""Alerts in the admin: what needs somebody, what did, and the doctor's page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.admin.base import ReadOnlyAdmin
from mediagen.engine.insight import Level, doctor
from mediagen.models import Alert
from mediagen.models.routing import outside_transactions
from mediagen.templatetags.mediagen import first_line


class OpenFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", gettext_lazy("still so")), ("over", gettext_lazy("over"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        state = self.value()
        return queryset.filter(over_at__isnull=state == "open") if state in ("open", "over") else queryset


class AlertAdmin(ReadOnlyAdmin):
    """Whoever may view alerts sees those of all libraries and batches: it is a right for those who run the site."""

    list_display = ("summary", "level", "code", "since", "over_at")
    list_filter = (OpenFilter, "level", "code")
    search_fields = ("what", "about")
    fields = ("what", "next_step", "command", "level", "code", "about", "since", "over_at", "told_at", "mailed_at")
    readonly_fields = fields
    change_list_template = "mediagen/admin/alert_list.html"

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    @admin.display(description=gettext_lazy("what"))
    def summary(self, alert: Alert) -> str:
        return first_line(alert.what)

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [path("doctor/", guarded(self.doctor_view), name="mediagen_alert_doctor"), *super().get_urls()]

    # Providers are asked, and files written: no transaction of the site's spans that.
    @method_decorator(outside_transactions)
    def doctor_view(self, request: HttpRequest) -> HttpResponse:
        """What rows and settings show; by POST also what only a try can show, as `mediagen_doctor` has it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        may_ask = request.user.has_perm("mediagen.change_providerconfig")
        if request.method == "POST" and not may_ask:
            raise PermissionDenied
        found = doctor.examine(ask=request.method == "POST")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Doctor"),
            "found": found,
            "is_well": all(finding.level is Level.NOTE for finding in found),
            "may_ask": may_ask,
            "has_asked": request.method == "POST",
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "mediagen/admin/doctor.html", context)
