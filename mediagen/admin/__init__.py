"""The admin, one file per model. Django finds it by itself; nothing else imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.utils.functional import SimpleLazyObject

from mediagen.lazy import names_from
from mediagen.models import (
    Alert,
    ApiToken,
    AssetExport,
    AssetUsage,
    BackgroundJob,
    Collection,
    Dashboard,
    GenerationAttempt,
    GenerationBatch,
    KeptAnswer,
    MediaAsset,
    MediaLibrary,
    MediaTag,
    PromptPreset,
    ProviderConfig,
    ProviderHealth,
    WebhookEndpoint,
    WebhookMessage,
)

if TYPE_CHECKING:
    from mediagen.admin.asset import MediaAssetAdmin
    from mediagen.admin.batches.batch import GenerationBatchAdmin
    from mediagen.admin.events.webhook import WebhookEndpointAdmin, WebhookMessageAdmin
    from mediagen.admin.exports.export import AssetExportAdmin
    from mediagen.admin.generation.answer import KeptAnswerAdmin
    from mediagen.admin.generation.attempt import GenerationAttemptAdmin
    from mediagen.admin.insight.alert import AlertAdmin
    from mediagen.admin.insight.dashboard import DashboardAdmin
    from mediagen.admin.library.collection import CollectionAdmin
    from mediagen.admin.library.library import MediaLibraryAdmin
    from mediagen.admin.library.preset import PromptPresetAdmin
    from mediagen.admin.library.tag import MediaTagAdmin
    from mediagen.admin.library.token import ApiTokenAdmin
    from mediagen.admin.library.usage import AssetUsageAdmin
    from mediagen.admin.providers.health import ProviderHealthAdmin
    from mediagen.admin.providers.provider import ProviderConfigAdmin
    from mediagen.admin.work.job import BackgroundJobAdmin

__getattr__ = names_from(
    __name__,
    {
        "asset": "MediaAssetAdmin",
        "batches.batch": "GenerationBatchAdmin",
        "events.webhook": "WebhookEndpointAdmin WebhookMessageAdmin",
        "exports.export": "AssetExportAdmin",
        "generation.answer": "KeptAnswerAdmin",
        "generation.attempt": "GenerationAttemptAdmin",
        "insight.alert": "AlertAdmin",
        "insight.dashboard": "DashboardAdmin",
        "library.collection": "CollectionAdmin",
        "library.library": "MediaLibraryAdmin",
        "library.preset": "PromptPresetAdmin",
        "library.tag": "MediaTagAdmin",
        "library.token": "ApiTokenAdmin",
        "library.usage": "AssetUsageAdmin",
        "providers.health": "ProviderHealthAdmin",
        "providers.provider": "ProviderConfigAdmin",
        "work.job": "BackgroundJobAdmin",
    },
)


def later(name: str) -> Any:
    """What `register` takes for the class of this name: made when the admin first asks for it, since with it comes the
    engine, which a site does not pay for when it starts. `unregister` and classes derived from ours work as ever."""
    return lambda model, site: SimpleLazyObject(lambda: __getattr__(name)(model, site))


admin.site.register(Alert, later("AlertAdmin"))
admin.site.register(ApiToken, later("ApiTokenAdmin"))
admin.site.register(AssetExport, later("AssetExportAdmin"))
admin.site.register(AssetUsage, later("AssetUsageAdmin"))
admin.site.register(BackgroundJob, later("BackgroundJobAdmin"))
admin.site.register(Collection, later("CollectionAdmin"))
admin.site.register(Dashboard, later("DashboardAdmin"))
admin.site.register(GenerationAttempt, later("GenerationAttemptAdmin"))
admin.site.register(GenerationBatch, later("GenerationBatchAdmin"))
admin.site.register(KeptAnswer, later("KeptAnswerAdmin"))
admin.site.register(MediaAsset, later("MediaAssetAdmin"))
admin.site.register(MediaLibrary, later("MediaLibraryAdmin"))
admin.site.register(MediaTag, later("MediaTagAdmin"))
admin.site.register(PromptPreset, later("PromptPresetAdmin"))
admin.site.register(ProviderConfig, later("ProviderConfigAdmin"))
admin.site.register(ProviderHealth, later("ProviderHealthAdmin"))
admin.site.register(WebhookEndpoint, later("WebhookEndpointAdmin"))
admin.site.register(WebhookMessage, later("WebhookMessageAdmin"))
