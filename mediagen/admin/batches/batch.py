"""Batches in the admin: how far each is, and the buttons that pause, resume, cancel and retry it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mediagen.admin.base import LargeListAdmin, ReadOnlyAdmin
from mediagen.admin.batches.pages import BatchPages
from mediagen.engine.batches import lifecycle
from mediagen.engine.dispatch import task_engine
from mediagen.engine.library import Access, Right
from mediagen.engine.work import in_server
from mediagen.errors import InvalidRequest
from mediagen.models import BatchState, GenerationBatch
from mediagen.templatetags.mediagen import pretty_json, usd
from mediagen.wording import translated

STATES = ("ready", "failed", "running", "pending", "cancelled")
SHOWN = ("lines", "limit", "created_by", "created_at", "finished_at", "file_name", "asked")
"""below what `BatchPages.watched` shows, which follows the batch"""
BUTTONS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "pause": (gettext_lazy("Pause"), ("running",)),
    "resume": (gettext_lazy("Resume"), ("paused",)),
    "retry": (gettext_lazy("Retry failed lines"), ("finished", "cancelled", "paused", "running")),
    "cancel": (gettext_lazy("Cancel"), ("loading", "running", "paused")),
}
"""action: (what its button says, the states in which it can do something)"""


class BatchList(ChangeList):
    """Counts the lines of the batches on one page and what they cost, in two queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        shown = [batch.pk for batch in self.result_list]
        rows = GenerationBatch.objects.filter(pk__in=shown).with_counts().select_related("created_by")
        counted: dict[Any, Any] = {batch.pk: batch for batch in rows}
        for pk, cost in GenerationBatch.costs(counted.values()).items():
            counted[pk].billing = cost
        self.result_list = [counted[pk] for pk in shown if pk in counted]


class GenerationBatchAdmin(BatchPages, LargeListAdmin, ReadOnlyAdmin):
    list_display = ("name", "stage", "progress", "spent", "created_by", "created_at")
    list_filter = ("state", "created_at")
    list_per_page = 25
    search_fields = ("name", "file_name")
    sortable_by = ()
    ordering = ("-id",)
    actions = ("pause", "resume", "retry", "cancel")
    change_list_template = "mediagen/admin/batch_list.html"
    change_form_template = "mediagen/admin/batch_page.html"
    fieldsets = ((None, {"fields": SHOWN}),)
    readonly_fields = SHOWN

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ who may do what

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        batches_: Any = super().get_queryset(request)
        found: QuerySet[Any] = batches_.visible_to(request.user).select_related("created_by")
        return found

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """A batch buys pictures: who lets it go on needs the permission to ask for some, too."""
        may_change = request.user.has_perm("mediagen.change_generationbatch")
        return may_change and Access(request.user).has(Right.GENERATE)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BatchList

    # ------------------------------------------------------------------ pages

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        batch = super().get_object(request, object_id, from_field)
        return batch and GenerationBatch.objects.with_counts().select_related("created_by").get(pk=batch.pk)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        upload_url = self._page("upload") if self.has_operate_permission(request) else ""
        return super().changelist_view(request, {"upload_url": upload_url, **(extra_context or {})})

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        batch = context.get("original")
        if batch is not None:
            context |= self.watched(batch)
        if batch is not None and self.has_operate_permission(request):
            context["steps"] = [
                (name, _("Start") if name == "resume" and context["waits_for_start"] else label)
                for name, (label, states) in BUTTONS.items()
                if batch.state in states and not (name == "retry" and context["waits_for_start"])
            ]
            context["changelist_url"] = self._page("changelist")
        return super().render_change_form(request, context, *args, **kwargs)

    # ------------------------------------------------------------------ columns and fields

    @admin.display(description=gettext_lazy("state"))
    def stage(self, batch: Any) -> str:
        return render_to_string("mediagen/admin/_batch_state.html", {"batch": batch})

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, batch: Any) -> str:
        done = batch.ready + batch.failed + batch.cancelled
        text = _("%(done)s of %(total)s") % {"done": f"{done:,}", "total": f"{batch.total:,}"}
        if batch.failed:
            failed = ngettext("%(number)s failed", "%(number)s failed", batch.failed)
            text = f"{text}, {failed % {'number': f'{batch.failed:,}'}}"
        label = _("Progress of %(batch)s") % {"batch": batch}
        context = {"done": done, "total": batch.total, "text": text, "label": label}
        return render_to_string("mediagen/admin/_progress.html", context)

    @admin.display(description=gettext_lazy("lines"))
    def lines(self, batch: Any) -> SafeString:
        """Ways to the batch's assets, by state."""
        address = reverse("admin:mediagen_mediaasset_changelist", current_app=self.admin_site.name)
        numbers = [("", _("all"), batch.total)]
        numbers += [(state, _(state), getattr(batch, state)) for state in STATES if getattr(batch, state)]
        return format_html_join(
            ", ",
            '<a href="{}?batch__id__exact={}{}">{}: {}</a>',
            (
                (address, batch.pk, f"&generation_state__exact={state}" if state else "", word, f"{number:,}")
                for state, word, number in numbers
            ),
        )

    @admin.display(description=gettext_lazy("cost"))
    def spent(self, batch: Any) -> str:
        if not hasattr(batch, "billing"):
            batch.billing = batch.cost()
        return str(batch.billing.in_words(usd))

    @admin.display(description=gettext_lazy("limit"))
    def limit(self, batch: GenerationBatch) -> str:
        return usd(batch.options["max_cost"]) if batch.options.get("max_cost") else "-"

    @admin.display(description=gettext_lazy("what all lines have in common"))
    def asked(self, batch: GenerationBatch) -> SafeString:
        common = {name: value for name, value in batch.options.items() if name != "estimate"}
        return format_html('<pre class="mediagen-code">{}</pre>', pretty_json(common))

    # ------------------------------------------------------------------ actions

    @admin.action(description=gettext_lazy("Pause: begin no further line"), permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._each(request, queryset, _pause)

    @admin.action(description=gettext_lazy("Resume"), permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._each(request, queryset, _resume)

    @admin.action(description=gettext_lazy("Retry failed lines"), permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._each(request, queryset, _retry)

    @admin.action(description=gettext_lazy("Cancel what is not begun"), permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        return self._each(request, queryset, _cancel)

    def _each(
        self, request: HttpRequest, queryset: QuerySet[Any], work: Callable[[GenerationBatch], str]
    ) -> HttpResponse | None:
        """Do it with each batch; say what came of each, and keep that in its history."""
        chosen = list(queryset[: self.list_max_show_all])
        for batch in chosen:
            try:
                said = work(batch)
            except InvalidRequest as exc:
                self.message_user(request, f"{batch}: {translated(exc)}", messages.ERROR)
                continue
            self.message_user(request, f"{batch}: {said}", messages.SUCCESS if said else messages.INFO)
            LogEntry.objects.log_actions(request.user.pk, [batch], CHANGE, said)  # type: ignore[arg-type]
        if "_own_page" in request.POST and len(chosen) == 1:
            return HttpResponseRedirect(self._page("change", chosen[0].pk))
        return None


def _pause(batch: GenerationBatch) -> str:
    if lifecycle.pause(batch, lifecycle.BY_HAND):
        return _("paused; lines under way end.")
    raise InvalidRequest(_("it is %(state)s, so there is nothing to pause.") % {"state": batch.state})


def _tell(batch: GenerationBatch) -> None:
    """Whoever works is to go on with it: the task engine, or this process where there is neither that nor a worker."""
    task_engine.kick_waiting(batch.pk)
    in_server.work_on_batch_soon(batch.pk)


def _resume(batch: GenerationBatch) -> str:
    if batch.state != BatchState.PAUSED:
        raise InvalidRequest(_("it is %(state)s, so there is nothing to resume.") % {"state": batch.state})
    lifecycle.start(batch)
    _tell(batch)
    return _("running; workers go on with it.")


def _retry(batch: GenerationBatch) -> str:
    number = lifecycle.retry_failed(batch)
    _tell(batch)
    text = ngettext("%(number)s line waits for a worker again.", "%(number)s lines wait for a worker again.", number)
    return text % {"number": f"{number:,}"}


def _cancel(batch: GenerationBatch) -> str:
    if batch.state in (BatchState.FINISHED, BatchState.CANCELLED):
        raise InvalidRequest(_("it is %(state)s, so there is nothing to cancel.") % {"state": batch.state})
    number = lifecycle.cancel(batch)
    text = ngettext("cancelled; %(number)s line was not begun.", "cancelled; %(number)s lines were not begun.", number)
    return text % {"number": f"{number:,}"}
