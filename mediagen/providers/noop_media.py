"""The provider at the end of the chain: always there, costs nothing, and says on its face what it is."""

from __future__ import annotations

from mediagen.operations import EDIT, OPERATIONS
from mediagen.providers.base import HealthReport
from mediagen.providers.editing import (
    WHITE,
    EditsImages,
    OutpaintsImages,
    RemovesBackgrounds,
    UpscalesImages,
    VariesImages,
)


class NoOpMediaAdapter(EditsImages, VariesImages, UpscalesImages, RemovesBackgrounds, OutpaintsImages):
    """A placeholder for every prompt, and Pillow's work on every picture, live or dry. Flagged, and replaced when the
    asset is made for real."""

    name = "noop_media"
    label = "Placeholder (no-op)"
    default_model = "placeholder"
    is_placeholder = True
    supports_seed = True
    supports_negative_prompt = True
    mask_says_by = WHITE

    @property
    def most_sources(self) -> int:
        return OPERATIONS[EDIT].most_sources

    async def probe(self) -> HealthReport:
        return HealthReport(ok=True, detail="always there")
