"""Exports from the admin: assets to Figma and to Canva by actions with a page of their own; once more, not any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen.admin.base import ModelAdmin, access_of
from mediagen.admin.work.asset_jobs import AssetJobs
from mediagen.engine.exports import ExportConflict, ExportOrder, requests
from mediagen.engine.library import Right
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import AssetExport, ExportState, ExportTarget, MediaAsset
from mediagen.wording import translated

if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object

MAX_TO_FIGMA = 20
"""each is asked of Figma while the page waits"""
MAX_TO_CANVA = 200
SHOWN_PROBLEMS = 10


class ToFigmaForm(forms.Form):
    file_key = forms.CharField(
        label=gettext_lazy("Figma file"),
        max_length=2000,
        help_text=gettext_lazy("Its address as copied from Figma, or its key."),
    )
    page_id = forms.CharField(
        label=gettext_lazy("Page"), max_length=100, required=False, help_text=gettext_lazy("Empty: the open page.")
    )
    comment = forms.CharField(
        label=gettext_lazy("Comment"),
        max_length=2000,
        required=False,
        help_text=gettext_lazy("Pinned in the file, if you write one."),
    )

    target = ExportTarget.FIGMA


class ToCanvaForm(forms.Form):
    title = forms.CharField(
        label=gettext_lazy("Title"), max_length=255, required=False, help_text=gettext_lazy("Empty: the asset's name.")
    )
    folder = forms.CharField(
        label=gettext_lazy("Folder"),
        max_length=2000,
        required=False,
        help_text=gettext_lazy("Id or address of a folder in Canva. Empty: none."),
    )
    create_design = forms.BooleanField(
        label=gettext_lazy("Make a design with the picture inside"), required=False, initial=True
    )

    target = ExportTarget.CANVA


class AssetExports(AssetJobs):
    """The assets' admin with “Export to ...”."""

    actions = (*AssetJobs.actions, "export_figma", "export_canva")

    @admin.action(description=gettext_lazy("Export to Figma ..."), permissions=["change"])
    def export_figma(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        form = ToFigmaForm(request.POST if "_go" in request.POST else None)
        return self._export(request, queryset, "export_figma", form, MAX_TO_FIGMA)

    @admin.action(description=gettext_lazy("Export to Canva ..."), permissions=["change"])
    def export_canva(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        form = ToCanvaForm(request.POST if "_go" in request.POST else None)
        return self._export(request, queryset, "export_canva", form, MAX_TO_CANVA)

    def _export(self, request: HttpRequest, queryset: Any, action: str, form: Any, limit: int) -> HttpResponse | None:
        ids = self._chosen(request, queryset.ready(), Right.CHANGE, limit)
        if len(ids) > limit:
            text = _("At most %(number)d assets are exported at once from here.") % {"number": limit}
            self.message_user(request, text, messages.ERROR)
            return None
        if form.is_valid():
            order = ExportOrder(target=form.target, **form.cleaned_data)
            try:
                order.check()
            except InvalidRequest as exc:
                form.add_error(exc.field if exc.field in form.fields else None, translated(exc))
        if not form.is_valid():
            return self._ask(request, ids, action, form, gettext_lazy("Export"))
        self._place(request, ids, order)
        return self._back(request, ids)

    def _place(self, request: HttpRequest, ids: list[Any], order: ExportOrder) -> None:
        sent, problems = [], []
        for asset in MediaAsset.objects.filter(pk__in=ids).select_related("library"):
            try:
                export = requests.place(asset, order, by=request.user)
            except MediagenError as exc:
                problems.append(f"{asset}: {translated(exc)}")
                continue
            if export.state == ExportState.FAILED:
                problems.append(f"{asset}: {export.message.splitlines()[-1] if export.message else ''}")
            else:
                sent.append(asset.pk)
        if sent:
            waits = (
                _("Open mediagen's plugin in the Figma file to place them.")
                if order.target == ExportTarget.FIGMA
                else _("They are sent now; the list of exports says how it goes.")
            )
            text = ngettext("%(number)d asset is on its way.", "%(number)d assets are on their way.", len(sent))
            self.message_user(request, f"{text % {'number': len(sent)}} {waits}", messages.SUCCESS)
            self._log(request, sent, _("Exported to %(target)s.") % {"target": order.target.title()})
        for problem in problems[:SHOWN_PROBLEMS]:
            self.message_user(request, problem, messages.ERROR)
        if len(problems) > SHOWN_PROBLEMS:
            text = _("%(number)d more were not exported: see the list of exports.")
            self.message_user(request, text % {"number": len(problems) - SHOWN_PROBLEMS}, messages.ERROR)


class ExportActions(_Base):
    """The list of exports with its two actions, for those who may change the asset."""

    actions = ("retry", "cancel")

    def has_changing_permission(self, request: HttpRequest) -> bool:
        return access_of(request).has(Right.CHANGE)

    @admin.action(description=gettext_lazy("Try again"), permissions=["changing"])
    def retry(self, request: HttpRequest, queryset: QuerySet[AssetExport]) -> None:
        self._each(request, queryset, requests.retry, _("%(number)d on their way again."))

    @admin.action(description=gettext_lazy("Cancel"), permissions=["changing"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[AssetExport]) -> None:
        self._each(request, queryset, requests.cancel, _("%(number)d cancelled."))

    def _each(self, request: HttpRequest, queryset: QuerySet[AssetExport], step: Any, done: str) -> None:
        chosen = list(queryset.values_list("pk", flat=True)[:MAX_TO_CANVA])
        able = requests.changeable(access_of(request)).filter(pk__in=chosen)
        number, problems = 0, []
        for export in able:
            try:
                step(export)
                number += 1
            except (InvalidRequest, ExportConflict) as exc:
                problems.append(f"{export.asset}: {translated(exc)}")
        if number:
            self.message_user(request, done % {"number": number}, messages.SUCCESS)
        for problem in problems[:SHOWN_PROBLEMS]:
            self.message_user(request, problem, messages.WARNING)
        if not number and not problems:
            self.message_user(request, _("None of these are yours to change."), messages.WARNING)
