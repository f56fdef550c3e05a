"""The provider at the end of the chain: always there, costs nothing, and says on its face what it is."""

from __future__ import annotations

from mediagen.errors import UnsupportedRequest
from mediagen.operations import EDIT, OPERATIONS
from mediagen.providers.base import HealthReport
from mediagen.providers.describing import Described, DescribesImages
from mediagen.providers.editing import (
    WHITE,
    EditsImages,
    OutpaintsImages,
    RemovesBackgrounds,
    UpscalesImages,
    VariesImages,
)


class NoOpMediaAdapter(DescribesImages, EditsImages, VariesImages, UpscalesImages, RemovesBackgrounds, OutpaintsImages):
    """A placeholder for every prompt, and Pillow's work on every picture, live or dry. Flagged, and replaced when the
    asset is made for real. It describes pictures in dry run only: a text that is none would be taken for one."""

    name = "noop_media"
    label = "Placeholder (no-op)"
    default_model = "placeholder"
    is_placeholder = True
    supports_seed = True
    supports_negative_prompt = True
    mask_says_by = WHITE

    def cannot(self, operation: str) -> str:
        return ""

    def model_asked_for(self, operation: str) -> str:
        return self.model

    async def _describe(self, instruction: str, jpeg: bytes) -> Described:
        raise UnsupportedRequest("a placeholder can look at no picture.")

    @property
    def most_sources(self) -> int:
        return OPERATIONS[EDIT].most_sources

    async def probe(self) -> HealthReport:
        return HealthReport(ok=True, detail="always there")
