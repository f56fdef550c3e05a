"""The provider at the end of the chain: always there, costs nothing, and says on its face what it is."""

from __future__ import annotations

from typing import Any

from mediagen.providers.base import HealthReport, MediaGeneratorProvider
from mediagen.types import GeneratedImage, GenerationRequest


class NoOpMediaAdapter(MediaGeneratorProvider):
    """A placeholder for every prompt, live or dry. Flagged, and replaced when the asset is generated for real."""

    name = "noop_media"
    label = "Placeholder (no-op)"
    default_model = "placeholder"
    is_placeholder = True
    supports_seed = True
    supports_negative_prompt = True

    async def probe(self) -> HealthReport:
        return HealthReport(ok=True, detail="always there")

    async def generate_image(
        self, prompt: str, width: int = 1024, height: int = 1024, **options: Any
    ) -> GeneratedImage:
        request, fit_report = self.prepared(
            GenerationRequest.checked(prompt=prompt, width=width, height=height, **options)
        )
        return await self._placeholder(request, fit_report)
