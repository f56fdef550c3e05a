"""Providers, one file each. Names are imported when they are first used: an HTTP client is no part of start-up."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediagen.providers.base import Generated, HealthReport, JobProvider, MediaGeneratorProvider
    from mediagen.providers.canva_api import CanvaAPIAdapter
    from mediagen.providers.comfyui import ComfyUIAdapter
    from mediagen.providers.fal import FalAdapter
    from mediagen.providers.figma_api import FigmaAPIAdapter
    from mediagen.providers.flux import FluxAdapter
    from mediagen.providers.gemini import GeminiAdapter
    from mediagen.providers.noop_media import NoOpMediaAdapter
    from mediagen.providers.openai_images import OpenAIImagesAdapter
    from mediagen.providers.openrouter import OpenRouterAdapter
    from mediagen.providers.options import Option
    from mediagen.providers.replicate_sdxl import ReplicateSDXLAdapter
    from mediagen.providers.sdxl import SDXLAdapter
    from mediagen.providers.service import ServiceProvider
    from mediagen.types import CanvaExportResult, FigmaExportResult, GeneratedImage

_HOME = {
    "CanvaAPIAdapter": "mediagen.providers.canva_api",
    "CanvaExportResult": "mediagen.types",
    "ComfyUIAdapter": "mediagen.providers.comfyui",
    "FalAdapter": "mediagen.providers.fal",
    "FigmaAPIAdapter": "mediagen.providers.figma_api",
    "FigmaExportResult": "mediagen.types",
    "FluxAdapter": "mediagen.providers.flux",
    "GeminiAdapter": "mediagen.providers.gemini",
    "Generated": "mediagen.providers.base",
    "GeneratedImage": "mediagen.types",
    "HealthReport": "mediagen.providers.base",
    "JobProvider": "mediagen.providers.base",
    "MediaGeneratorProvider": "mediagen.providers.base",
    "NoOpMediaAdapter": "mediagen.providers.noop_media",
    "OpenAIImagesAdapter": "mediagen.providers.openai_images",
    "OpenRouterAdapter": "mediagen.providers.openrouter",
    "Option": "mediagen.providers.options",
    "ReplicateSDXLAdapter": "mediagen.providers.replicate_sdxl",
    "SDXLAdapter": "mediagen.providers.sdxl",
    "ServiceProvider": "mediagen.providers.service",
}

__all__ = [
    "CanvaAPIAdapter",
    "CanvaExportResult",
    "ComfyUIAdapter",
    "FalAdapter",
    "FigmaAPIAdapter",
    "FigmaExportResult",
    "FluxAdapter",
    "GeminiAdapter",
    "Generated",
    "GeneratedImage",
    "HealthReport",
    "JobProvider",
    "MediaGeneratorProvider",
    "NoOpMediaAdapter",
    "OpenAIImagesAdapter",
    "OpenRouterAdapter",
    "Option",
    "ReplicateSDXLAdapter",
    "SDXLAdapter",
    "ServiceProvider",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
