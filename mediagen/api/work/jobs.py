"""Long actions on many assets: begun, followed, cancelled, and what they made fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase, demand
from mediagen.api.fields import Choice, Flag, StrictSerializer, Text, Time, iso
from mediagen.api.pagination import paged
from mediagen.api.problems import CONFLICT, INVALID, Problem, not_found
from mediagen.api.schema import PAGING, describe, page_of
from mediagen.engine.files import MAX_SIZES, links
from mediagen.engine.library import Right
from mediagen.engine.work import HOW, KINDS, jobs
from mediagen.models import BackgroundJob, JobState
from mediagen.views_files import stored_file_response

NEEDS = {
    "zip": Right.READ,
    "variants": Right.GENERATE,
    "generate_again": Right.GENERATE,
    "retry_failed": Right.GENERATE,
    "delete": Right.DELETE,
}


class NewJobSerializer(StrictSerializer):
    """`sizes` goes with variants; `how` and `provider` with generate_again; `even_if_used` with delete."""

    kind = Choice(choices=tuple(KINDS))
    asset_ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=jobs.MAX_ASSETS)
    sizes = serializers.ListField(child=Text(max_length=20), required=False, min_length=1, max_length=MAX_SIZES)
    how = Choice(choices=HOW, required=False)
    provider = Text(max_length=100, required=False)
    even_if_used = Flag(required=False)


class JobErrorSerializer(serializers.Serializer[Any]):
    asset_id = serializers.UUIDField()
    message = serializers.CharField()


class JobSerializer(serializers.Serializer[Any]):
    """A long action, and how far it is."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    kind = Choice(choices=tuple(KINDS))
    state = Choice(choices=JobState.choices)
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    message = serializers.CharField(help_text="Why it failed.")
    made = serializers.ListField(child=serializers.UUIDField(), help_text="New assets.")
    errors = JobErrorSerializer(many=True, help_text="The first hundred.")  # type: ignore[assignment]
    file_url = serializers.URLField(allow_null=True, help_text="Signed: of what it made, a zip.")
    created_at = Time()
    finished_at = Time(allow_null=True)
    expires_at = Time(allow_null=True, help_text="When its file goes.")


def shown_job(job: BackgroundJob, addresses: Addresses) -> dict[str, Any]:
    has_file = job.state == JobState.DONE and bool(job.file)
    return {
        "id": str(job.pk),
        "url": addresses.to("job", job.pk),
        "kind": job.kind,
        "state": job.state,
        "total": job.total,
        "done": job.done,
        "failed": job.failed,
        "message": job.message,
        "made": job.result.get("made", []),
        "errors": job.result.get("errors", []),
        "file_url": addresses.whole(links.signed_job_url(job)) if has_file else None,
        "created_at": iso(job.created_at),
        "finished_at": iso(job.finished_at) if job.finished_at else None,
        "expires_at": iso(job.expires_at) if job.expires_at else None,
    }


class JobsBase(APIBase):
    """Everybody sees what they have begun themselves; with a token, what was begun with it."""

    def mine(self) -> Any:
        rows = BackgroundJob.objects.visible_to(self.request.user).filter(kind__in=KINDS)
        return rows.filter(arguments__token=str(self.access.token.pk)) if self.access.token else rows

    def found(self, pk: UUID) -> BackgroundJob:
        job: BackgroundJob | None = self.mine().filter(pk=pk).first()
        if job is None:
            raise not_found()
        return job


class JobsView(JobsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.READ}

    @describe("List one's jobs", operation_id="jobs_list", parameters=PAGING, responses={200: page_of(JobSerializer)})
    def get(self, request: Request) -> Response:
        addresses = Addresses.of(request)
        return Response(paged(request, self.mine(), lambda rows: [shown_job(row, addresses) for row in rows]))

    @describe(
        "Begin a long action",
        operation_id="jobs_start",
        request=NewJobSerializer,
        responses={202: JobSerializer},
        description=(
            "zip, variants, generate_again, retry_failed or delete, of up to 10,000 assets. What one may not do, when "
            "it runs, is counted in `failed` with its reason; the others go on."
        ),
    )
    def post(self, request: Request) -> Response:
        body = self.read(NewJobSerializer)
        kind = body.pop("kind")
        demand(self.access, NEEDS[kind])
        known = {"variants": {"sizes"}, "generate_again": {"how", "provider"}, "delete": {"even_if_used"}}
        if unknown := sorted(set(body) - {"asset_ids"} - known.get(kind, set())):
            raise Problem(INVALID, f"{unknown[0]} does not go with {kind}.", field=unknown[0])
        job = jobs.start(kind, body, by=request.user, token=self.access.token)
        answer = shown_job(job, Addresses.of(request))
        return Response(answer, status=202, headers={"Location": answer["url"]})


class JobView(JobsBase):
    @describe("How far it is", operation_id="jobs_read", responses={200: JobSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(shown_job(self.found(pk), Addresses.of(request)))


class CancelView(JobsBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.READ}

    @describe(
        "End it before its next step",
        operation_id="jobs_cancel",
        request=None,
        responses={200: JobSerializer},
        problems=[409],
    )
    def post(self, request: Request, pk: UUID) -> Response:
        job = self.found(pk)
        if not jobs.cancel(job):
            raise Problem(CONFLICT, f"The job is {job.state}.")
        return Response(shown_job(job, Addresses.of(request)))


class JobFileView(JobsBase):
    @describe(
        "What it made",
        operation_id="jobs_file",
        responses={(200, "application/zip"): bytes},
        problems=[409],
        description="A zip, with the token of the request. 409 while there is none, and when it has expired.",
    )
    def get(self, request: Request, pk: UUID) -> Any:
        job = self.found(pk)
        if not jobs.has_file(job):
            raise Problem(CONFLICT, f"The job is {job.state} and has no file, or not any more.")
        name = f"{job.kind}-{job.pk}.zip"
        return stored_file_response(request._request, str(job.file.name), "application/zip", name)


routes = [
    path("jobs/", JobsView.as_view(), name="jobs"),
    path("jobs/<uuid:pk>/", JobView.as_view(), name="job"),
    path("jobs/<uuid:pk>/cancel/", CancelView.as_view(), name="job-cancel"),
    path("jobs/<uuid:pk>/file/", JobFileView.as_view(), name="job-file"),
]
