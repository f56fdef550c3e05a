"""How one use of a picture is cut: a shape, and the point that stays in it. Kept with the use, not with the asset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from mediagen.engine.files.renditions import checked_focus
from mediagen.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Crop:
    """Of an asset that a `MediaAssetField` with a `MediaCropField` gives, as `asset.crop_of_use`."""

    ratio: str
    """ "16:9"; "": as the page has it"""
    focus: tuple[float, float]
    """fractions from the left and the top, the middle of what is shown where that can be"""

    @classmethod
    def read(cls, text: str, ratios: Iterable[str] | None = None) -> Crop | None:
        """From "16:9@0.3,0.45" or "@0.3,0.45"; None for "". `InvalidRequest` for another text, and for a shape that is
        none of `ratios`."""
        if not text:
            return None
        ratio, at, focus = str(text).partition("@")
        point = checked_focus(focus)
        if not at or point is None:
            raise InvalidRequest(_("A crop is written as 16:9@0.3,0.45, not %(text)r.") % {"text": str(text)[:40]})
        if ratios is not None and ratio and ratio not in ratios:
            raise InvalidRequest(
                _("The shape can be %(ratios)s, not %(ratio)r.") % {"ratios": ", ".join(ratios), "ratio": ratio[:20]}
            )
        return cls(ratio, point)

    def __str__(self) -> str:
        return f"{self.ratio}@{self.focus[0]:g},{self.focus[1]:g}"
