"""Pages of batches in the admin: a manifest is sent and checked, and a batch is watched."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen.admin.base import ModelAdmin, access_of
from mediagen.admin.theme import themed
from mediagen.engine.batches import BatchRequest, Checked, ManifestError, lifecycle, pace, uploads
from mediagen.engine.generation import Estimate
from mediagen.engine.library import Access
from mediagen.errors import InvalidRequest, MediagenError
from mediagen.models import BatchState
from mediagen.models.routing import outside_transactions
from mediagen.studio.generation.choices import Providers
from mediagen.studio.generation.prompt import LibraryForm, Price
from mediagen.wording import translated

if TYPE_CHECKING:
    _Base = ModelAdmin
else:
    _Base = object

MOVING = (BatchState.LOADING, BatchState.RUNNING)
SHOWN_PROBLEMS = 100
MAX_SIDE_PX = 16_384


class ManifestForm(LibraryForm):
    """A manifest, and what its rows have in common where they do not say it themselves."""

    manifest = forms.FileField(
        label=gettext_lazy("Manifest"),
        help_text=gettext_lazy("CSV, JSON lines, or a text file with a prompt in every line; at most 16 MiB."),
        widget=forms.ClearableFileInput(attrs={"accept": ",".join(uploads.FORMAT_BY_SUFFIX)}),
    )
    field_order = ("manifest", "library")
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=200, required=False, help_text=gettext_lazy("Empty: that of the file.")
    )
    template = forms.CharField(
        label=gettext_lazy("Template"),
        max_length=4000,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=gettext_lazy("Makes the prompts from columns: A {colour} {animal} on a beach."),
    )
    width = forms.IntegerField(label=gettext_lazy("Width"), min_value=1, max_value=MAX_SIDE_PX, required=False)
    height = forms.IntegerField(label=gettext_lazy("Height"), min_value=1, max_value=MAX_SIDE_PX, required=False)
    provider = forms.ChoiceField(label=gettext_lazy("Provider"), required=False)
    max_cost = forms.DecimalField(
        label=gettext_lazy("It may cost at most, USD"),
        min_value=0,
        max_digits=12,
        decimal_places=6,
        required=False,
        help_text=gettext_lazy("Then it pauses. Empty: what the library and the providers may spend."),
    )
    placeholders = forms.BooleanField(label=gettext_lazy("Placeholders only"), required=False)
    skip_invalid = forms.BooleanField(
        label=gettext_lazy("Leave wrong rows out"),
        required=False,
        help_text=gettext_lazy("Otherwise one wrong row is enough for nothing to be made."),
    )

    def __init__(self, access: Access, data: Any = None, files: Any = None) -> None:
        super().__init__(access, data)
        if files is not None:
            self.files = files
        if isinstance(provider := self.fields["provider"], forms.ChoiceField):
            provider.choices = [("", _("The whole chain")), *((name, name) for name in Providers.now().names)]

    @property
    def asked(self) -> BatchRequest:
        """What a valid form asks for, with the file at its beginning."""
        given = self.cleaned_data
        given["manifest"].seek(0)
        defaults = {
            "width": given["width"],
            "height": given["height"],
            "providers": [given["provider"]] if given["provider"] else None,
            "dry_run": True if given["placeholders"] else None,
        }
        return BatchRequest(
            content=given["manifest"],
            file_name=given["manifest"].name or "",
            template=given["template"] or None,
            library=str(given["library"].pk) if given["library"] else None,
            defaults=defaults,
            name=given["name"],
            max_cost=given["max_cost"],
            skip_invalid=given["skip_invalid"],
        )


class BatchPages(_Base):
    """Mixed into the batches' admin. The batch that an upload makes waits until somebody starts it."""

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("upload/", guarded(self.upload_view), name="mediagen_generationbatch_upload"),
            path("<uuid:pk>/progress/", guarded(self.progress_view), name="mediagen_generationbatch_progress"),
            *super().get_urls(),
        ]

    # ------------------------------------------------------------------ sent and checked

    @method_decorator(outside_transactions)
    def upload_view(self, request: HttpRequest) -> HttpResponse:
        """The form; by POST the rows at fault with their lines, or a batch that waits to be started."""
        if not self.has_operate_permission(request):  # type: ignore[attr-defined]
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = themed(ManifestForm)(access_of(request), *((request.POST, request.FILES) if is_sent else ()))
        checked = None
        if form.is_valid():
            try:
                checked = uploads.check(form.access, form.asked)
                report = checked.report
                if report.items and not report.is_fatal and (report.ok or form.cleaned_data["skip_invalid"]):
                    return self._made(request, form)
                if not report.items and report.ok:
                    form.add_error("manifest", _("The manifest asks for no picture. Give it at least one row."))
            except ManifestError as exc:
                for problem in exc.problems[:SHOWN_PROBLEMS]:
                    form.add_error("manifest", str(problem))
            except MediagenError as exc:
                field = exc.field if isinstance(exc, InvalidRequest) and exc.field in form.fields else None
                form.add_error(field, translated(exc))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _("Upload a manifest"),
            "form": form,
            "fields": list(form),
            "changelist_url": self._page("changelist"),
            **(_told(checked) if checked else {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "mediagen/admin/manifest.html", context)

    def _made(self, request: HttpRequest, form: ManifestForm) -> HttpResponse:
        batch, is_new, checked = uploads.start(form.access, form.asked, paused=True)
        if is_new:
            LogEntry.objects.log_actions(request.user.pk, [batch], ADDITION, _("Uploaded."))  # type: ignore[arg-type]
            text = _("Checked. Nothing is bought until you press “Start”.")
        else:
            text = _("This file with these settings is a batch already: here it is.")
        self.message_user(request, text, messages.SUCCESS)
        if left_out := checked.report.invalid_rows:
            text = ngettext("%(number)d wrong row is left out:", "%(number)d wrong rows are left out:", left_out)
            lines = "; ".join(str(problem) for problem in checked.report.problems[:10])
            self.message_user(request, f"{text % {'number': left_out}} {lines}", messages.WARNING)
        return HttpResponseRedirect(self._page("change", batch.pk))

    # ------------------------------------------------------------------ watched

    def progress_view(self, request: HttpRequest, pk: uuid.UUID) -> JsonResponse:
        """What the page shows of a batch, as it is now: {"is_over", "html"}."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        batch = self.get_object(request, str(pk))
        if batch is None:
            raise Http404("There is no such batch.")
        context = self.watched(batch)
        if batch.state == BatchState.RUNNING:  # should a server have died with it
            uploads.work_on(batch)
        html = render_to_string("mediagen/admin/_batch.html", context, request)
        return JsonResponse({"is_over": context["is_over"], "html": html})

    def watched(self, batch: Any) -> dict[str, Any]:
        """What the page shows of a batch that has its counts."""
        told = batch.options.get("estimate")
        is_new = batch.state == BatchState.PAUSED and batch.state_reason == lifecycle.NOT_STARTED
        return {
            "batch": batch,
            "waits_for_start": is_new,
            "price": Price(Estimate.from_json(told), None).text if told else "",
            "pace": pace.pace_of(batch, batch.pending + batch.running),
            "progress": self.progress(batch),  # type: ignore[attr-defined]
            "cost": self.spent(batch),  # type: ignore[attr-defined]
            "is_over": batch.state not in MOVING,
            "poll_address": self._page("progress", batch.pk),
            "page_address": self._page("change", batch.pk),
        }

    def _page(self, view: str, *args: Any) -> str:
        return reverse(f"admin:mediagen_generationbatch_{view}", args=args, current_app=self.admin_site.name)


def _told(checked: Checked) -> dict[str, Any]:
    """What is wrong with a manifest, and what its other rows would cost."""
    report = checked.report
    return {
        "report": report,
        "problems": report.problems[:SHOWN_PROBLEMS],
        "more_problems": report.problem_count - min(SHOWN_PROBLEMS, len(report.problems)),
        "price": Price(checked.estimate, None).text if checked.estimate and report.items else "",
    }
