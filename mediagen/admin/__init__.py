"""The admin, one file per model. Django finds it by itself; nothing else imports it."""

from mediagen.admin.asset import MediaAssetAdmin
from mediagen.admin.attempt import GenerationAttemptAdmin
from mediagen.admin.health import ProviderHealthAdmin
from mediagen.admin.library import MediaLibraryAdmin
from mediagen.admin.provider import ProviderConfigAdmin
from mediagen.admin.tag import MediaTagAdmin

__all__ = [
    "GenerationAttemptAdmin",
    "MediaAssetAdmin",
    "MediaLibraryAdmin",
    "MediaTagAdmin",
    "ProviderConfigAdmin",
    "ProviderHealthAdmin",
]
