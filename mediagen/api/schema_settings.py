"""What drf-spectacular is told when it describes our API. Imports nothing of Django's, so that settings may use it."""

from __future__ import annotations

from typing import Any

from mediagen import __version__

SETTINGS: dict[str, Any] = {
    "TITLE": "mediagen",
    "DESCRIPTION": "One prompt in, one managed picture out, whichever provider is up.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_NO_READ_ONLY_REQUIRED": False,
    "SCHEMA_PATH_PREFIX": "",
    "SORT_OPERATIONS": True,
    "ENUM_NAME_OVERRIDES": {
        "AssetStateEnum": "mediagen.models.asset.GenerationState",
        "ReviewStatusEnum": "mediagen.models.asset.ReviewStatus",
        "AssetSourceEnum": "mediagen.models.asset.AssetSource",
        "AttemptStateEnum": "mediagen.models.attempt.STATES",
        "TokenStateEnum": "mediagen.models.token.STATES",
        "MessageStateEnum": "mediagen.models.outgoing.MessageState",
        "ManifestFormatEnum": "mediagen.api.batches.batches.FORMATS",
        "PictureFormatEnum": "mediagen.api.shown.PICTURE_FORMATS",
        "RenditionFormatEnum": "mediagen.images.scale.FORMATS",
        "JobKindEnum": "mediagen.api.work.jobs.JOB_KINDS",
        "BudgetKindEnum": "mediagen.api.insight.stats.BUDGET_KINDS",
        "RenderFormatEnum": "mediagen.api.exports.imports.RENDERS",
        "BatchStateEnum": "mediagen.models.batch.BatchState",
        "JobStateEnum": "mediagen.models.job.JobState",
        "ExportStateEnum": "mediagen.models.export.ExportState",
        "BudgetPeriodEnum": "mediagen.models.budget.BudgetPeriod",
        "GenerationStateEnum": "mediagen.api.shown.GENERATION_STATES",
        "FailureCodeEnum": "mediagen.models.asset.FailureCode",
        "ProblemTypeEnum": "mediagen.api.problems.TYPES",
    },
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "PREPROCESSING_HOOKS": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "mediagen.api.schema.add_problems",
        "mediagen.api.schema.name_the_bearer",
        "mediagen.api.schema.close_requests",
        "mediagen.api.schema_extras.add_components",
        "mediagen.api.schema_extras.add_webhooks",
    ],
    "APPEND_COMPONENTS": {},
    "SECURITY": [],
}
