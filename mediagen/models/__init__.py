"""The tables, one file each, the QuerySet beside its model."""

from mediagen.models.asset import GenerationState, MediaAsset, MediaType, ReviewStatus, asset_storage
from mediagen.models.attempt import GenerationAttempt
from mediagen.models.batch import BatchState, GenerationBatch
from mediagen.models.fields import CredentialField, StoredCredential
from mediagen.models.health import ProviderHealth
from mediagen.models.ledger import SpendAccount
from mediagen.models.library import BudgetPeriod, MediaLibrary
from mediagen.models.provider import GoOn, ProviderConfig, provider_choices
from mediagen.models.tag import MediaTag
from mediagen.models.webhook import WebhookDelivery

__all__ = [
    "BatchState",
    "BudgetPeriod",
    "CredentialField",
    "GenerationAttempt",
    "GenerationBatch",
    "GenerationState",
    "GoOn",
    "MediaAsset",
    "MediaLibrary",
    "MediaTag",
    "MediaType",
    "ProviderConfig",
    "ProviderHealth",
    "ReviewStatus",
    "SpendAccount",
    "StoredCredential",
    "WebhookDelivery",
    "asset_storage",
    "provider_choices",
]
