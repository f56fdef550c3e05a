"""Long actions on many assets: begun, followed, cancelled, and what they made fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.http import QueryDict
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase, demand
from mediagen.api.fields import Choice, Flag, Object, StrictSerializer, Text, Time, Usd, Whole, iso
from mediagen.api.library.assets import FILTERS, AssetsBase, filters_from
from mediagen.api.pagination import paged
from mediagen.api.problems import CONFLICT, INVALID, Problem, not_found
from mediagen.api.schema import PAGING, describe, page_of
from mediagen.api.shown import EstimateSerializer, shown_estimate
from mediagen.descriptions import LEAST_CHARS, MOST_CHARS
from mediagen.engine.files import MAX_SIZES, links
from mediagen.engine.generation import descriptions
from mediagen.engine.library import STEPS, Right, narrowed
from mediagen.engine.work import EXPORT_ARGUMENTS, HOW, KINDS, describing, jobs
from mediagen.errors import InvalidRequest
from mediagen.models import BackgroundJob, ExportTarget, JobState
from mediagen.types import near
from mediagen.views_files import stored_file_response
from mediagen.wording import say as _
from mediagen.wording import translated

NEEDS = {
    "zip": Right.READ,
    "variants": Right.GENERATE,
    "generate_again": Right.GENERATE,
    "retry_failed": Right.GENERATE,
    "delete": Right.DELETE,
    "review": Right.APPROVE,
    "tag": Right.CHANGE,
    "move": Right.CHANGE,
    "describe": Right.GENERATE,
    "export": Right.CHANGE,
}
GO_WITH: dict[str, frozenset[str]] = {
    "variants": frozenset({"sizes"}),
    "generate_again": frozenset({"how", "provider"}),
    "delete": frozenset({"even_if_used"}),
    "review": frozenset({"step", "notes"}),
    "tag": frozenset({"add", "remove"}),
    "move": frozenset({"library"}),
    "describe": frozenset({"language", "max_chars", "max_cost", "providers", "dry_run"}),
    "export": frozenset(EXPORT_ARGUMENTS),
}
JOB_KINDS = tuple(KINDS)
FILTER_NAMES = frozenset(one.name for one in FILTERS)


class WhichSerializer(StrictSerializer):
    """Which assets: by their ids, or by the filters of the list."""

    kind = Choice(choices=JOB_KINDS)
    asset_ids = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=jobs.MAX_ASSETS, required=False
    )
    filter = Object(required=False, help_text='Instead of ids, as in the list: {"library": "press", "tag": ["sea"]}.')


class NewJobSerializer(WhichSerializer):
    """`sizes` goes with variants; `how` and `provider` with generate_again; `even_if_used` with delete; `step` and
    `notes` with review; `add` and `remove` with tag; `library` with move; `target` and what follows it with export;
    `language`, `max_chars`, `max_cost`, `providers` with describe; `dry_run` with both."""

    expected = Whole(
        min_value=0, required=False, help_text="With a filter: how many you were told. 409 when there are others now."
    )
    step = Choice(choices=tuple(STEPS), required=False)
    notes = Text(max_length=32_000, required=False, allow_blank=True)
    add = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)
    remove = serializers.ListField(child=Text(max_length=100), required=False, max_length=100)
    library = Text(max_length=200, required=False, help_text="Id, slug or name.")
    sizes = serializers.ListField(child=Text(max_length=20), required=False, min_length=1, max_length=MAX_SIZES)
    how = Choice(choices=HOW, required=False)
    provider = Text(max_length=100, required=False)
    even_if_used = Flag(required=False)
    language = Text(max_length=40, required=False, help_text='As in HTML: "en", "pt-br". Your own.')
    max_chars = Whole(min_value=LEAST_CHARS, max_value=MOST_CHARS, required=False, help_text="160.")
    max_cost = Usd(required=False, min_value=0, help_text="USD. When the next ones might cost more, the rest is left.")
    providers = serializers.ListField(child=Text(max_length=100), required=False, max_length=20)
    target = Choice(choices=ExportTarget.choices, required=False)
    title = Text(max_length=255, required=False, allow_blank=True)
    file_key = Text(max_length=2000, required=False, help_text="Figma, needed there: the file's key or address.")
    page_id = Text(max_length=100, required=False, allow_blank=True, help_text='Figma: "0:1". The open page.')
    comment = Text(max_length=2000, required=False, allow_blank=True, help_text="Figma: pinned in the file, for each.")
    folder = Text(max_length=2000, required=False, allow_blank=True, help_text="Canva: id or address of a folder.")
    create_design = Flag(required=False, help_text="Canva: make a design with the picture inside. true")
    dry_run = Flag(required=False, allow_null=True, help_text="Of exports and descriptions. The site decides.")


class CountSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField(help_text="Assets that it would go for.")
    estimate = EstimateSerializer(allow_null=True, help_text="Of describe: what it may cost. Null: nothing.")


class JobErrorSerializer(serializers.Serializer[Any]):
    asset_id = serializers.UUIDField()
    message = serializers.CharField()


class JobSerializer(serializers.Serializer[Any]):
    """A long action, and how far it is."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    kind = Choice(choices=JOB_KINDS)
    state = Choice(choices=JobState.choices)
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    failed = serializers.IntegerField()
    message = serializers.CharField(help_text="Why it failed.")
    made = serializers.ListField(child=serializers.UUIDField(), help_text="New assets.")
    exports = serializers.ListField(child=serializers.UUIDField(), help_text="What an export has begun: see exports/.")
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
        "exports": job.result.get("exports", []),
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

    def found_job(self, pk: UUID) -> BackgroundJob:
        job: BackgroundJob | None = self.mine().filter(pk=pk).first()
        if job is None:
            raise not_found()
        return job


class Choosing(AssetsBase):
    """Which assets somebody means."""

    def chosen(self, kind: str, body: Mapping[str, Any]) -> list[Any]:
        """Ids of the assets; those of a filter are the ones with which they may do it, at most 10,000."""
        demand(self.access, NEEDS[kind])
        ids, words = body.get("asset_ids"), body.get("filter")
        if (ids is None) == (words is None):
            raise Problem(INVALID, _("Say asset_ids or filter, and not both."), field="asset_ids")
        if ids is not None:
            return list(ids)
        if not words:
            raise Problem(INVALID, _("An empty filter means every asset. Narrow it."), field="filter")
        if unknown := sorted(set(words) - FILTER_NAMES):
            name = unknown[0][:60]
            raise Problem(
                INVALID,
                _("There is no filter %(name)s. %(near)s", name=repr(name), near=near(name, FILTER_NAMES)),
                field=f"filter.{name}",
            )
        try:
            filters = filters_from(self.request, as_query(words))
        except InvalidRequest as exc:
            raise Problem(INVALID, translated(exc), field=f"filter.{exc.field}") from None
        found = (
            narrowed(self.access.assets(NEEDS[kind]), filters, self.access).order_by("-pk").values_list("pk", flat=True)
        )
        chosen = list(found[: jobs.MAX_ASSETS + 1])
        if len(chosen) > jobs.MAX_ASSETS:
            text = f"More than {jobs.MAX_ASSETS:,} assets fit. Narrow it, and begin several."
            raise Problem(INVALID, text, field="filter")
        return chosen


class CountView(Choosing):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.READ}

    @describe(
        "How many assets a job would go for",
        operation_id="jobs_count",
        request=WhichSerializer,
        responses={200: CountSerializer},
        description="Before a job with a filter is begun: say the number to a person, and send it as `expected`.",
    )
    def post(self, request: Request) -> Response:
        body = self.read(WhichSerializer)
        ids, estimate = self.chosen(body["kind"], body), None
        if body["kind"] == "describe" and ids:
            estimate = shown_estimate(describing.plan_many(self.access, ids, descriptions.Wish.of()))
        return Response({"count": len(ids), "estimate": estimate})


def as_query(words: Mapping[str, Any]) -> QueryDict:
    """A filter out of a body, as if it stood in an address."""
    query = QueryDict(mutable=True)
    for name, value in words.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float | bool) for one in values):
            raise Problem(
                INVALID, _("must be text, a number, true or false, or a list of texts."), field=f"filter.{name}"
            )
        query.setlist(name, [str(one).lower() if isinstance(one, bool) else str(one) for one in values])
    return query


class JobsView(Choosing, JobsBase):
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
        problems=[409],
        description=(
            "zip, variants, generate_again, retry_failed, delete, review, tag, move, export or describe, of up to "
            "10,000 assets, by ids or by a filter. What one may not do, when it runs, is counted in `failed` with its "
            "reason; the others go on."
        ),
    )
    def post(self, request: Request) -> Response:
        body = self.read(NewJobSerializer)
        kind = body.pop("kind")
        demand(self.access, NEEDS[kind])
        if unknown := sorted(set(body) - {"asset_ids", "filter", "expected"} - GO_WITH.get(kind, frozenset())):
            raise Problem(
                INVALID, _("%(unknown)s does not go with %(kind)s.", unknown=unknown[0], kind=kind), field=unknown[0]
            )
        ids, expected = self.chosen(kind, body), body.pop("expected", None)
        if expected is not None and expected != len(ids):
            raise Problem(
                CONFLICT,
                _(
                    "%(number)s assets fit now, not %(expected)s. Count again.",
                    number=f"{len(ids):,}",
                    expected=f"{expected:,}",
                ),
                field="expected",
            )
        if "dry_run" in body:
            body["dry_run"] = self.access.dry(body["dry_run"])
        if kind == "move":
            body["library"] = self.library(body.get("library"), Right.CHANGE).pk if body.get("library") else None
        arguments = {name: value for name, value in body.items() if name != "filter"} | {"asset_ids": ids}
        job = jobs.start(kind, arguments, by=request.user, token=self.access.token)
        answer = shown_job(job, Addresses.of(request))
        return Response(answer, status=202, headers={"Location": answer["url"]})


class JobView(JobsBase):
    @describe("How far it is", operation_id="jobs_read", responses={200: JobSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        return Response(shown_job(self.found_job(pk), Addresses.of(request)))


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
        job = self.found_job(pk)
        if not jobs.cancel(job):
            raise Problem(CONFLICT, _("The job is %(state)s.", state=job.state))
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
        job = self.found_job(pk)
        if not jobs.has_file(job):
            raise Problem(CONFLICT, _("The job is %(state)s and has no file, or not any more.", state=job.state))
        name = f"{job.kind}-{job.pk}.zip"
        return stored_file_response(request._request, str(job.file.name), "application/zip", name)


routes = [
    path("jobs/count/", CountView.as_view(), name="jobs-count"),
    path("jobs/", JobsView.as_view(), name="jobs"),
    path("jobs/<uuid:pk>/", JobView.as_view(), name="job"),
    path("jobs/<uuid:pk>/cancel/", CancelView.as_view(), name="job-cancel"),
    path("jobs/<uuid:pk>/file/", JobFileView.as_view(), name="job-file"),
]
