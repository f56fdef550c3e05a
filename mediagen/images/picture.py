"""What is known of a picture whose structure has been checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_MIME = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "avif": "image/avif", "gif": "image/gif"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose structure has been checked.

    `width` and `height` in pixels as stored: a JPEG's EXIF orientation is not applied. `sha256` is the hex digest of
    the content, `size_bytes` its length.
    """

    format: str
    """"png", "jpeg", "webp", "avif" or "gif" """
    width: int
    height: int
    sha256: str
    size_bytes: int
    has_alpha: bool = False
    """it declares transparency; whether any pixel uses it is not looked at"""
    is_animated: bool = False
    is_lossless: bool = False
    left_out: tuple[str, ...] = ()
    """what came with it and was no part of it, in words (see `tidied`), or was lost when it was written anew"""

    @property
    def mime(self) -> str:
        return _MIME[self.format]

    @property
    def extension(self) -> str:
        """Without the dot."""
        return "jpg" if self.format == "jpeg" else self.format

    @property
    def fit_report(self) -> dict[str, Any]:
        """`left_out` as an entry of a fit report; {} when nothing was."""
        return {"content": {"why": f"left out: {'; '.join(self.left_out)}"}} if self.left_out else {}
