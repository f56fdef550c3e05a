"""Batches: a manifest is sent, checked, started, watched, and comes back with what became of every row."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any, ClassVar
from uuid import UUID

from django.http import FileResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mediagen.api.addresses import Addresses
from mediagen.api.base import APIBase
from mediagen.api.fields import Choice, Flag, Object, StrictSerializer, Text, Time, Usd
from mediagen.api.generation.asked import LONGEST_PROMPT
from mediagen.api.pagination import paged
from mediagen.api.parsing import Body
from mediagen.api.problems import INVALID, Problem, not_found
from mediagen.api.schema import PAGING, Parameter, describe, page_of
from mediagen.api.shown import CostSerializer, EstimateSerializer, shown_estimate
from mediagen.api.throttles import GenerateThrottle, RoleThrottle
from mediagen.engine.batches import BatchRequest, Checked, ManifestError, lifecycle, uploads
from mediagen.engine.library import Right
from mediagen.errors import Conflict, InvalidRequest
from mediagen.models import BatchState, GenerationBatch
from mediagen.models.costs import Cost
from mediagen.wording import say as _
from mediagen.wording import translated

MAX_PROBLEMS = 100
FORMATS = ("csv", "jsonl", "txt")
RESULT_FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


class BatchTextSerializer(StrictSerializer):
    """A manifest as text, and what its rows have in common."""

    manifest = Text(help_text="The rows: see docs/manifests.md.")
    format = Choice(choices=FORMATS, required=False, help_text="csv.")
    template = Text(max_length=LONGEST_PROMPT, required=False, help_text="Makes the prompts from columns.")
    library = Text(max_length=200, required=False, allow_null=True, help_text="Id, slug or name.")
    defaults = Object(required=False, help_text="width, height, seed, count, providers, tags, dry_run, options.")
    name = Text(max_length=200, required=False, allow_blank=True)
    max_cost = serializers.DecimalField(
        max_digits=12, decimal_places=4, min_value=0, required=False, allow_null=True, help_text="USD for all of it."
    )
    skip_invalid = Flag(required=False, help_text="Start with the rows that are right.")
    anew = Flag(required=False, help_text="Another batch, although this manifest is one already.")
    paused = Flag(required=False, help_text="Make it, and start it later.")


class BatchFileSerializer(StrictSerializer):
    """The same as a form with a file."""

    manifest = serializers.FileField(help_text="CSV, JSON lines or text.")
    format = Choice(choices=FORMATS, required=False)
    template = Text(max_length=LONGEST_PROMPT, required=False)
    library = Text(max_length=200, required=False)
    defaults = Text(max_length=LONGEST_PROMPT, required=False, allow_blank=True, help_text="A JSON object.")
    name = Text(max_length=200, required=False, allow_blank=True)
    max_cost = serializers.DecimalField(max_digits=12, decimal_places=4, min_value=0, required=False)
    skip_invalid = serializers.BooleanField(required=False)
    anew = serializers.BooleanField(required=False)
    paused = serializers.BooleanField(required=False)


class RowProblemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="1-based; 0: the file as a whole.")
    column = serializers.CharField(allow_blank=True)
    detail = serializers.CharField()


class BatchCheckSerializer(serializers.Serializer[Any]):
    """What a manifest comes to."""

    ok = serializers.BooleanField()
    rows = serializers.IntegerField()
    valid_rows = serializers.IntegerField()
    pictures = serializers.IntegerField()
    problem_count = serializers.IntegerField()
    problems = RowProblemSerializer(many=True, help_text="The first hundred.")
    estimate = EstimateSerializer(allow_null=True)


class BatchSerializer(CostSerializer):
    """A batch, and how far it is."""

    id = serializers.UUIDField()
    url = serializers.URLField()
    result_url = serializers.URLField()
    name = serializers.CharField()
    file_name = serializers.CharField()
    state = Choice(choices=BatchState.choices)
    state_reason = serializers.CharField()
    total = serializers.IntegerField()
    ready = serializers.IntegerField()
    placeholders = serializers.IntegerField(help_text="Of those that are ready.")
    failed = serializers.IntegerField()
    running = serializers.IntegerField()
    pending = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    max_cost = Usd(allow_null=True)
    created_at = Time()
    finished_at = Time(allow_null=True)


class StartedBatchSerializer(BatchSerializer):
    """A batch that was just sent."""

    check = BatchCheckSerializer()


def shown(batch: Any, cost: Cost, addresses: Addresses) -> dict[str, Any]:
    time = Time()
    counts = {
        name: getattr(batch, name) for name in ("ready", "placeholders", "failed", "running", "pending", "cancelled")
    }
    return {
        "id": str(batch.pk),
        "url": addresses.to("batch", batch.pk),
        "result_url": addresses.to("batch-result", batch.pk),
        "name": batch.name,
        "file_name": batch.file_name,
        "state": batch.state,
        "state_reason": batch.state_reason,
        "total": batch.total,
        **counts,
        **cost.facts(),
        "max_cost": batch.options.get("max_cost"),
        "created_at": time.to_representation(batch.created_at),
        "finished_at": time.to_representation(batch.finished_at) if batch.finished_at else None,
    }


def shown_check(checked: Checked) -> dict[str, Any]:
    report = checked.report
    return {
        "ok": report.ok,
        "rows": report.rows,
        "valid_rows": report.valid_rows,
        "pictures": report.items,
        "problem_count": report.problem_count,
        "problems": [
            {"line": one.line, "column": one.column, "detail": one.message} for one in report.problems[:MAX_PROBLEMS]
        ],
        "estimate": shown_estimate(checked.estimate) if checked.estimate else None,
    }


class _TakesManifests(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {}
    parser_classes: Any = (Body, MultiPartParser)

    def request_of(self) -> tuple[BatchRequest, bool]:
        """(what is asked for, whether it is to be made and not started)."""
        is_form = self.request.content_type.startswith("multipart/")
        given = self.read(BatchFileSerializer if is_form else BatchTextSerializer)
        paused = given.pop("paused", False)
        manifest = given.pop("manifest")
        if is_form:
            given["defaults"] = uploads.defaults_of(given.get("defaults", ""))
            return BatchRequest(content=manifest.file, file_name=manifest.name or "", **given), paused
        given.setdefault("defaults", {})
        given.setdefault("format", "csv")
        return BatchRequest(content=BytesIO(manifest.encode()), **given), paused


BODIES = {"application/json": BatchTextSerializer, "multipart/form-data": BatchFileSerializer}


class BatchesView(_TakesManifests):
    rights: ClassVar[Mapping[str, Right | None]] = {"GET": Right.READ, "POST": Right.GENERATE}

    @describe(
        "Batches of whoever asks",
        operation_id="batches_list",
        parameters=PAGING,
        responses={200: page_of(BatchSerializer)},
    )
    def get(self, request: Request) -> Response:
        addresses = Addresses.of(request)

        def shown_all(rows: list[GenerationBatch]) -> list[dict[str, Any]]:
            counted = GenerationBatch.objects.filter(pk__in=[row.pk for row in rows]).with_counts()
            costs = GenerationBatch.costs(rows)
            return [shown(row, costs[row.pk], addresses) for row in counted.order_by("-pk")]

        return Response(paged(request, uploads.visible(self.access), shown_all))

    @describe(
        "Send a manifest and start it",
        operation_id="batches_create",
        request=BODIES,
        responses={201: StartedBatchSerializer, 200: StartedBatchSerializer},
        problems=[409],
        description=(
            "Every row is checked before anything is made: 400 with the lines at fault, unless `skip_invalid`. The "
            "same manifest with the same defaults is the same batch: 200 with how far it is."
        ),
    )
    def post(self, request: Request) -> Response:
        asked, paused = self.request_of()
        try:
            batch, is_new, checked = uploads.start(self.access, asked, paused=paused)
        except ManifestError as exc:
            raise _wrong_rows(exc) from exc
        body = {**_detail(self, batch.pk), "check": shown_check(checked)}
        return Response(body, status=201 if is_new else 200, headers={"Location": body["url"]})


class CheckView(_TakesManifests):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    @describe(
        "Check a manifest, and say what it may cost",
        operation_id="batches_check",
        request=BODIES,
        responses={200: BatchCheckSerializer},
        description="Nothing is made.",
    )
    def post(self, request: Request) -> Response:
        asked, _ = self.request_of()
        try:
            return Response(shown_check(uploads.check(self.access, asked)))
        except ManifestError as exc:
            raise _wrong_rows(exc) from exc


def _wrong_rows(exc: ManifestError) -> Problem:
    errors = [{"field": "manifest", "detail": str(problem)} for problem in exc.problems[:MAX_PROBLEMS]]
    return Problem(INVALID, translated(exc), field="manifest", errors=errors)


def _found(view: APIBase, pk: UUID) -> GenerationBatch:
    batch: GenerationBatch | None = uploads.visible(view.access).filter(pk=pk).first()
    if batch is None:
        raise not_found()
    return batch


def _detail(view: APIBase, pk: UUID) -> dict[str, Any]:
    batch = uploads.visible(view.access).with_counts().filter(pk=pk).first()
    if batch is None:
        raise not_found()
    return shown(batch, batch.cost(), Addresses.of(view.request))


class BatchView(APIBase):
    @describe("How far a batch is", operation_id="batches_read", responses={200: BatchSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        body = _detail(self, pk)
        if body["state"] == BatchState.RUNNING:  # should a server have died with it
            uploads.work_on(_found(self, pk))
        return Response(body)


class ResultView(APIBase):
    @describe(
        "What became of every row",
        operation_id="batches_result",
        parameters=[Parameter("as", "csv (the default) or jsonl.", enum=tuple(RESULT_FORMATS))],
        responses={(200, "text/csv"): str, (200, "application/jsonl"): str},
        description="A manifest itself: key, prompt, and the result's columns.",
    )
    def get(self, request: Request, pk: UUID) -> Any:
        batch = _found(self, pk)
        wanted = request.query_params.get("as", "csv")
        if wanted not in RESULT_FORMATS:
            raise InvalidRequest(_("as must be one of %(formats)s.", formats=", ".join(RESULT_FORMATS)), field="as")
        file: Any = tempfile.TemporaryFile("w+", encoding="utf-8", newline="")  # noqa: SIM115 - the answer closes it
        uploads.write_results(batch, file, wanted)
        file.flush()
        binary = file.detach()
        binary.seek(0)
        return FileResponse(
            binary, as_attachment=True, filename=f"batch-{batch.pk}.{wanted}", content_type=RESULT_FORMATS[wanted]
        )


class GoOnView(APIBase):
    """Begins a batch that waits, or goes on with a paused one: to the rows it is the same."""

    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}
    throttle_classes: Any = (RoleThrottle, GenerateThrottle)

    def post(self, request: Request, pk: UUID) -> Response:
        uploads.go_on(_found(self, pk), self.access)
        return Response(_detail(self, pk))


class StartView(GoOnView):
    @describe(
        "Start a batch that waits",
        operation_id="batches_start",
        responses={200: BatchSerializer},
        problems=[409],
        description="409 for a cancelled one.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return super().post(request, pk)


class ResumeView(GoOnView):
    @describe(
        "Go on with a paused batch",
        operation_id="batches_resume",
        responses={200: BatchSerializer},
        problems=[409],
        description="409 for a cancelled one.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        return super().post(request, pk)


class PauseView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    @describe(
        "Pause a batch",
        operation_id="batches_pause",
        responses={200: BatchSerializer},
        problems=[409],
        description="No further row is begun; those under way end. 409 when it does not run.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        batch = _found(self, pk)
        if not lifecycle.pause(batch, lifecycle.BY_HAND):
            raise Conflict(_("The batch is %(state)s, and only a running one is paused.", state=batch.state))
        return Response(_detail(self, pk))


class CancelView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}

    @describe(
        "Cancel a batch",
        operation_id="batches_cancel",
        responses={200: BatchSerializer},
        problems=[409],
        description="No further row is begun, ever; those under way end. 409 when it is over.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        batch = _found(self, pk)
        if batch.state in (BatchState.FINISHED, BatchState.CANCELLED):
            raise Conflict(_("The batch is %(state)s already.", state=batch.state))
        lifecycle.cancel(batch)
        return Response(_detail(self, pk))


class RetryView(APIBase):
    rights: ClassVar[Mapping[str, Right | None]] = {"POST": Right.GENERATE}
    throttle_classes: Any = (RoleThrottle, GenerateThrottle)

    @describe(
        "Make failed and cancelled rows again",
        operation_id="batches_retry",
        responses={200: BatchSerializer},
        problems=[409],
        description="409 when there are none.",
    )
    def post(self, request: Request, pk: UUID) -> Response:
        batch = _found(self, pk)
        uploads.demand_dry(batch, self.access)
        if not lifecycle.retry_failed(batch):
            raise Conflict(_("No row of the batch has failed or was cancelled."))
        uploads.work_on(batch)
        return Response(_detail(self, pk))


routes = [
    path("batches/", BatchesView.as_view(), name="batches"),
    path("batches/check/", CheckView.as_view(), name="batches-check"),
    path("batches/<uuid:pk>/", BatchView.as_view(), name="batch"),
    path("batches/<uuid:pk>/result/", ResultView.as_view(), name="batch-result"),
    path("batches/<uuid:pk>/start/", StartView.as_view(), name="batch-start"),
    path("batches/<uuid:pk>/resume/", ResumeView.as_view(), name="batch-resume"),
    path("batches/<uuid:pk>/pause/", PauseView.as_view(), name="batch-pause"),
    path("batches/<uuid:pk>/cancel/", CancelView.as_view(), name="batch-cancel"),
    path("batches/<uuid:pk>/retry/", RetryView.as_view(), name="batch-retry"),
]
