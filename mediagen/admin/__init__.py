"""The admin, one file per model. Django finds it by itself; nothing else imports it."""

from mediagen.admin.asset import MediaAssetAdmin
from mediagen.admin.attempt import GenerationAttemptAdmin
from mediagen.admin.batch import GenerationBatchAdmin
from mediagen.admin.dashboard import DashboardAdmin
from mediagen.admin.export import AssetExportAdmin
from mediagen.admin.health import ProviderHealthAdmin
from mediagen.admin.job import BackgroundJobAdmin
from mediagen.admin.library import MediaLibraryAdmin
from mediagen.admin.provider import ProviderConfigAdmin
from mediagen.admin.tag import MediaTagAdmin
from mediagen.admin.token import ApiTokenAdmin
from mediagen.admin.usage import AssetUsageAdmin
from mediagen.admin.webhook import WebhookEndpointAdmin, WebhookMessageAdmin

__all__ = [
    "ApiTokenAdmin",
    "AssetExportAdmin",
    "AssetUsageAdmin",
    "BackgroundJobAdmin",
    "DashboardAdmin",
    "GenerationAttemptAdmin",
    "GenerationBatchAdmin",
    "MediaAssetAdmin",
    "MediaLibraryAdmin",
    "MediaTagAdmin",
    "ProviderConfigAdmin",
    "ProviderHealthAdmin",
    "WebhookEndpointAdmin",
    "WebhookMessageAdmin",
]
