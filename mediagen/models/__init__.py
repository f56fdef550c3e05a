"""The tables, one file each, the QuerySet beside its model."""

from mediagen.models.alert import Alert, WorkerPresence
from mediagen.models.answer import KeptAnswer
from mediagen.models.asset import (
    AltTextState,
    AssetSource,
    GenerationState,
    LabelRule,
    MediaAsset,
    MediaType,
    ReviewStatus,
    asset_storage,
)
from mediagen.models.attempt import GenerationAttempt
from mediagen.models.attempt_sum import AttemptSum
from mediagen.models.batch import BatchState, GenerationBatch
from mediagen.models.budget import BUDGET_FIELDS, BudgetFields, BudgetPeriod
from mediagen.models.canva import CanvaConnection
from mediagen.models.collection import Collection, CollectionItem
from mediagen.models.dashboard import Dashboard
from mediagen.models.description import AssetDescription, DescriptionState
from mediagen.models.export import AssetExport, ExportState, ExportTarget
from mediagen.models.fields import CredentialField, StoredCredential
from mediagen.models.health import ProviderHealth
from mediagen.models.idempotency import IdempotentRequest
from mediagen.models.job import BackgroundJob, JobState
from mediagen.models.ledger import SpendAccount
from mediagen.models.library import LabelPolicy, MediaLibrary
from mediagen.models.original import AssetOriginal
from mediagen.models.outgoing import MessageState, WebhookEndpoint, WebhookMessage
from mediagen.models.preset import PresetKind, PromptPreset
from mediagen.models.provider import GoOn, ProviderConfig, provider_choices
from mediagen.models.reference import AssetReference
from mediagen.models.rendition import Rendition
from mediagen.models.tag import MediaTag
from mediagen.models.tally import LibraryTally
from mediagen.models.token import ApiToken
from mediagen.models.usage import AssetUsage
from mediagen.models.webhook import WebhookDelivery

__all__ = [
    "BUDGET_FIELDS",
    "Alert",
    "AltTextState",
    "ApiToken",
    "AssetDescription",
    "AssetExport",
    "AssetOriginal",
    "AssetReference",
    "AssetSource",
    "AssetUsage",
    "AttemptSum",
    "BackgroundJob",
    "BatchState",
    "BudgetFields",
    "BudgetPeriod",
    "CanvaConnection",
    "Collection",
    "CollectionItem",
    "CredentialField",
    "Dashboard",
    "DescriptionState",
    "ExportState",
    "ExportTarget",
    "GenerationAttempt",
    "GenerationBatch",
    "GenerationState",
    "GoOn",
    "IdempotentRequest",
    "JobState",
    "KeptAnswer",
    "LabelPolicy",
    "LabelRule",
    "LibraryTally",
    "MediaAsset",
    "MediaLibrary",
    "MediaTag",
    "MediaType",
    "MessageState",
    "PresetKind",
    "PromptPreset",
    "ProviderConfig",
    "ProviderHealth",
    "Rendition",
    "ReviewStatus",
    "SpendAccount",
    "StoredCredential",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookMessage",
    "WorkerPresence",
    "asset_storage",
    "provider_choices",
]
