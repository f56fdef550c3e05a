"""Long actions in the admin: how far each is, on a page that follows it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mediagen.admin.base import LargeListAdmin, ReadOnlyAdmin, access_of
from mediagen.engine.library import Right
from mediagen.engine.work import jobs
from mediagen.models import BackgroundJob, JobState
from mediagen.views_files import stored_file_response

SHOWN = 24
"""errors, and assets that were made; the list of assets has them all"""

WORDS = {
    "zip": gettext_lazy("Zip of assets"),
    "variants": gettext_lazy("Variants"),
    "generate_again": gettext_lazy("Generate again"),
    "retry_failed": gettext_lazy("Try failed ones again"),
    "review": gettext_lazy("Review"),
    "tag": gettext_lazy("Tag"),
    "move": gettext_lazy("Move"),
    "export": gettext_lazy("Export"),
    "delete": gettext_lazy("Delete"),
}


class BackgroundJobAdmin(LargeListAdmin, ReadOnlyAdmin):
    """Everybody sees what they have started themselves, superusers all."""

    list_display = ("title", "stage", "progress", "created_by", "created_at", "finished_at")
    list_display_links = ("title",)
    list_select_related = ("created_by",)
    list_filter = ("state", "created_at")
    sortable_by = ()
    ordering = ("-id",)
    change_form_template = "mediagen/admin/job_page.html"
    fieldsets = ((None, {"fields": ("created_by", "created_at", "finished_at")}),)

    class Media:
        css = {"all": ("mediagen/admin.css",)}

    # ------------------------------------------------------------------ who may do what

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        jobs: Any = super().get_queryset(request)
        found: QuerySet[Any] = jobs if request.user.is_superuser else jobs.visible_to(request.user)
        return found

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Whoever starts something may see how far it is; the list shows nobody else's.
        return access_of(request).has(Right.READ)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    # ------------------------------------------------------------------ pages

    def get_urls(self) -> list[Any]:
        own = [
            path(
                "<uuid:pk>/progress/",
                self.admin_site.admin_view(self.progress_view),
                name="mediagen_backgroundjob_progress",
            ),
            path(
                "<uuid:pk>/cancel/", self.admin_site.admin_view(self.cancel_view), name="mediagen_backgroundjob_cancel"
            ),
            path("<uuid:pk>/file/", self.admin_site.admin_view(self.file_view), name="mediagen_backgroundjob_file"),
        ]
        return own + super().get_urls()

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        job = context.get("original")
        if job is not None:
            context |= self._context(request, job)
        return super().render_change_form(request, context, *args, **kwargs)

    def progress_view(self, request: HttpRequest, pk: uuid.UUID) -> JsonResponse:
        """What the page shows of the job, as it is now: {"is_over", "html"}."""
        job = self._job(request, pk)
        html = render_to_string("mediagen/admin/_job.html", self._context(request, job), request)
        return JsonResponse({"is_over": _is_over(job), "html": html})

    def cancel_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        """POST only. What is done so far stays done."""
        job = self._job(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if jobs.cancel(job):
            self.message_user(request, _("Cancelled. What was done so far stays."), messages.SUCCESS)
        else:
            self.message_user(request, _("It is over already."), messages.INFO)
        address = reverse("admin:mediagen_backgroundjob_change", args=[pk], current_app=self.admin_site.name)
        return HttpResponseRedirect(address)

    def file_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        """What the job made, for who started it."""
        job = self._job(request, pk)
        if not job.file:
            raise Http404("This job has no file, or it is gone.")
        response = stored_file_response(request, str(job.file.name), "application/zip", f"{job.kind}-{job.pk}.zip")
        response["Cache-Control"] = "private, no-store"
        return response

    def _job(self, request: HttpRequest, pk: uuid.UUID) -> BackgroundJob:
        job: BackgroundJob | None = self.get_queryset(request).filter(pk=pk).first()
        if job is None or not self.has_view_permission(request):
            raise Http404("There is no such job.")
        return job

    def _context(self, request: HttpRequest, job: BackgroundJob) -> dict[str, Any]:
        def address(view: str) -> str:
            return reverse(f"admin:mediagen_backgroundjob_{view}", args=[job.pk], current_app=self.admin_site.name)

        ids = job.result.get("made", [])[:SHOWN]
        # What was made may have been moved or deleted since, and belongs to who may see it.
        made = list(access_of(request).assets().select_related("library").filter(pk__in=ids).order_by("pk"))
        return {
            "job": job,
            "job_title": self.title(job),
            "job_progress": self.progress(job),
            "is_over": _is_over(job),
            "poll_address": address("progress"),
            "page_address": address("change"),
            "file_address": address("file") if jobs.has_file(job) else "",
            "cancel_address": address("cancel"),
            "errors": job.result.get("errors", [])[:SHOWN],
            "made": made,
            "made_number": len(job.result.get("made", [])),
            "assets_address": reverse("admin:mediagen_mediaasset_changelist", current_app=self.admin_site.name),
        }

    # ------------------------------------------------------------------ columns

    @admin.display(description=gettext_lazy("what"))
    def title(self, job: BackgroundJob) -> str:
        return str(WORDS.get(job.kind) or job.kind.replace("_", " ").capitalize())

    @admin.display(description=gettext_lazy("state"))
    def stage(self, job: BackgroundJob) -> SafeString:
        return render_to_string("mediagen/admin/_job_state.html", {"job": job})

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, job: BackgroundJob) -> str:
        done = job.done + job.failed
        text = _("%(done)s of %(total)s") % {"done": f"{done:,}", "total": f"{job.total:,}"}
        if job.failed:
            text = _("%(progress)s, %(number)s failed") % {"progress": text, "number": f"{job.failed:,}"}
        label = _("Progress of %(job)s") % {"job": self.title(job)}
        context = {"done": done, "total": job.total, "text": text, "label": label}
        return render_to_string("mediagen/admin/_progress.html", context)


def _is_over(job: BackgroundJob) -> bool:
    return job.state not in (JobState.PENDING, JobState.RUNNING)
