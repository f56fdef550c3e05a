"""The operator's dashboard: a period in numbers, bars and tables, as CSV too."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.admin.base import ReadOnlyAdmin
from mediagen.admin.insight.charts import Chart, stacked
from mediagen.engine.batches import protect
from mediagen.engine.insight import Overview, Period, statistics
from mediagen.engine.library import Access
from mediagen.errors import InvalidRequest, Outcome
from mediagen.templatetags.mediagen import outcome_text, usd
from mediagen.wording import translated

PERIOD_CHOICES = [
    ("24h", gettext_lazy("24 hours")),
    ("7d", gettext_lazy("7 days")),
    ("30d", gettext_lazy("30 days")),
]
MOST_SERIES = 7


class DashboardAdmin(ReadOnlyAdmin):
    """A page in a list's place. Whoever may view attempts may view it, and sees the libraries that are theirs."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_see(request)

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("", guarded(self.changelist_view), name="mediagen_dashboard_changelist"),
            path("<str:what>.csv", guarded(self.csv_view), name="mediagen_dashboard_csv"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not may_see(request):
            raise PermissionDenied
        problem, period = _asked(request)
        overview = statistics.overview(Access(request.user), period)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Dashboard"),
            "overview": overview,
            "total": overview.total,
            "charts": charts(overview),
            "periods": PERIOD_CHOICES,
            "problem": problem,
            "first": request.GET.get("from", ""),
            "last": request.GET.get("to", ""),
            "query": request.GET.urlencode() if not problem else "",
            "may_see_attempts": True,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        status = 400 if problem else 200
        return TemplateResponse(request, "mediagen/admin/dashboard.html", context, status=status)

    def csv_view(self, request: HttpRequest, what: str) -> HttpResponse:
        if not may_see(request):
            raise PermissionDenied
        tables = {"days": _days, "providers": _providers, "budgets": _budgets}
        if what not in tables:
            raise Http404
        problem, period = _asked(request)
        if problem:
            return HttpResponse(problem, status=400, content_type="text/plain; charset=utf-8")
        response = HttpResponse(content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="mediagen-{what}-{period.name}.csv"'
        writer = csv.writer(response)
        for row in tables[what](statistics.overview(Access(request.user), period)):
            writer.writerow([protect(cell) if isinstance(cell, str) else cell for cell in row])
        return response


def may_see(request: HttpRequest) -> bool:
    """Attempts, and assets at all; which ones is up to the library."""
    return request.user.has_perms(("mediagen.view_generationattempt", "mediagen.view_mediaasset"))


def _asked(request: HttpRequest) -> tuple[str, Period]:
    """(what is wrong with the period that the address names, the period or the usual one)."""
    asked = {name: request.GET.get(name, "").strip() for name in ("period", "from", "to")}
    try:
        return "", Period.asked(asked["period"], asked["from"], asked["to"])
    except InvalidRequest as exc:
        return translated(exc), Period.named()


# ---------------------------------------------------------------------- charts


def charts(overview: Overview) -> list[Chart]:
    slots = overview.slots
    labels = [_label(slot.starts_at, overview.period) for slot in slots]
    by_spend = sorted(overview.providers, key=lambda name: -overview.providers[name].spent)
    shown = [name for name in by_spend[:MOST_SERIES] if overview.providers[name].spent]
    others = [name for name in by_spend[MOST_SERIES:] if overview.providers[name].spent]
    spend: dict[str, list[Decimal]] = {
        name: [slot.providers[name].spent if name in slot.providers else Decimal(0) for slot in slots] for name in shown
    }
    css = {name: f"mediagen-series-{number}" for number, name in enumerate(shown, start=1)}
    if others:
        rest = _("others")
        spend[rest] = [
            sum((slot.providers[n].spent for n in others if n in slot.providers), Decimal(0)) for slot in slots
        ]
        css[rest] = "mediagen-series-8"
    outcomes = [outcome.value for outcome in Outcome if overview.total.outcomes[outcome.value]]
    return [
        stacked(
            "spend",
            _("Spend by provider"),
            labels=labels,
            series=spend,
            css=css,
            text=_money,
            summary=_("%(amount)s in all.") % {"amount": usd(overview.total.spent)},
        ),
        stacked(
            "images",
            _("Pictures"),
            labels=labels,
            series={
                "images": [slot.figures.images for slot in slots],
                "placeholders": [slot.figures.placeholders for slot in slots],
            },
            css={"images": "mediagen-series-1", "placeholders": "mediagen-series-8"},
            names={"images": _("real"), "placeholders": _("placeholders")},
            text=_number,
            summary=_("%(images)d real pictures and %(placeholders)d placeholders.")
            % {"images": overview.total.images, "placeholders": overview.total.placeholders},
        ),
        stacked(
            "outcomes",
            _("Attempts by outcome"),
            labels=labels,
            series={outcome: [slot.figures.outcomes[outcome] for slot in slots] for outcome in outcomes},
            css=_OUTCOME_CSS,
            names={outcome: outcome_text(outcome) for outcome in outcomes},
            text=_number,
            summary=_("%(delivered)d of %(asked)d attempts delivered.")
            % {"delivered": overview.total.delivered, "asked": overview.total.asked},
        ),
    ]


# One colour each: red for all that failed would show only that something did.
_OUTCOME_CSS = {
    Outcome.SUCCEEDED.value: "mediagen-fill-succeeded",
    Outcome.UNAVAILABLE.value: "mediagen-series-5",
    Outcome.UNKNOWN.value: "mediagen-fill-unavailable",
    Outcome.RATE_LIMITED.value: "mediagen-series-2",
    Outcome.MISCONFIGURED.value: "mediagen-series-4",
    Outcome.REFUSED.value: "mediagen-series-7",
    Outcome.UNSUPPORTED.value: "mediagen-series-6",
    Outcome.BAD_RESPONSE.value: "mediagen-series-1",
    Outcome.SKIPPED.value: "mediagen-series-8",
    Outcome.ERROR.value: "mediagen-series-8",
}


def _label(at: Any, period: Period) -> str:
    return f"{at:%H}:00" if period.step == "hour" else date_format(at, "j M")


def _money(value: Any) -> str:
    return usd(round(Decimal(value), 4 if value and abs(value) < 1 else 2))


def _number(value: Any) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


# ---------------------------------------------------------------------- tables to take away


def _days(overview: Overview) -> Iterator[Iterable[Any]]:
    outcomes = [outcome.value for outcome in Outcome if outcome is not Outcome.SKIPPED]
    yield ["from", "provider", "images", "placeholders", "attempts", *outcomes, "spent_usd", "possible_usd"]
    for slot in overview.slots:
        for name, figures in sorted(slot.providers.items()):
            counted = [figures.outcomes[outcome] for outcome in outcomes]
            money = [figures.spent, figures.possible]
            yield [
                f"{slot.starts_at:%Y-%m-%d %H:%M}",
                name,
                figures.images,
                figures.placeholders,
                figures.asked,
                *counted,
                *money,
            ]


def _providers(overview: Overview) -> Iterator[Iterable[Any]]:
    yield [
        *("provider", "attempts", "delivered", "success_rate", "images", "placeholders", "p50_s", "p95_s"),
        *("spent_usd", "possible_usd", "unknown", "unknown_usd", "attempts_of_unknown_cost"),
    ]
    for name, one in overview.providers.items():
        rate = "" if one.success_rate is None else f"{one.success_rate:.4f}"
        yield [
            *(name, one.asked, one.delivered, rate, one.images, one.placeholders, one.p50_s, one.p95_s),
            *(one.spent, one.possible, one.unknown, one.unknown_cost, one.of_unknown_cost),
        ]


def _budgets(overview: Overview) -> Iterator[Iterable[Any]]:
    yield ["kind", "name", "period", "limit_usd", "spent_usd", "held_usd", "left_usd", "share"]
    for one in overview.budgets:
        yield [one.kind, one.name, one.period, one.limit, one.spent, one.held, one.left, f"{one.share:.4f}"]
