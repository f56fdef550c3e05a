"""The admin, one file per model. Django finds it by itself; nothing else imports it."""

from mediagen.admin.asset import MediaAssetAdmin
from mediagen.admin.batches.batch import GenerationBatchAdmin
from mediagen.admin.events.webhook import WebhookEndpointAdmin, WebhookMessageAdmin
from mediagen.admin.exports.export import AssetExportAdmin
from mediagen.admin.generation.answer import KeptAnswerAdmin
from mediagen.admin.generation.attempt import GenerationAttemptAdmin
from mediagen.admin.insight.dashboard import DashboardAdmin
from mediagen.admin.library.library import MediaLibraryAdmin
from mediagen.admin.library.tag import MediaTagAdmin
from mediagen.admin.library.token import ApiTokenAdmin
from mediagen.admin.library.usage import AssetUsageAdmin
from mediagen.admin.providers.health import ProviderHealthAdmin
from mediagen.admin.providers.provider import ProviderConfigAdmin
from mediagen.admin.work.job import BackgroundJobAdmin

__all__ = [
    "ApiTokenAdmin",
    "AssetExportAdmin",
    "AssetUsageAdmin",
    "BackgroundJobAdmin",
    "DashboardAdmin",
    "GenerationAttemptAdmin",
    "GenerationBatchAdmin",
    "KeptAnswerAdmin",
    "MediaAssetAdmin",
    "MediaLibraryAdmin",
    "MediaTagAdmin",
    "ProviderConfigAdmin",
    "ProviderHealthAdmin",
    "WebhookEndpointAdmin",
    "WebhookMessageAdmin",
]
