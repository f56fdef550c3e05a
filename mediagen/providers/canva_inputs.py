"""What may be sent to Canva: ids and addresses, titles, sizes of designs, pictures."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Any
from urllib.parse import urlsplit

from mediagen import images
from mediagen.errors import InvalidRequest, NotAPicture, UnsupportedRequest
from mediagen.providers.base import inspected
from mediagen.providers.service import export_digest
from mediagen.types import CanvaExportResult, GeneratedImage, checked_text
from mediagen.wording import say as _

MAX_TITLE_CHARS = 255
DEFAULT_TITLE = "mediagen"
MAX_PAGE = 500
MAX_UPLOAD_BYTES = 50_000_000
"""Canva says "under 50 MB" and not which megabytes: the smaller ones"""
UPLOADABLE = frozenset({"png", "jpeg", "webp", "gif"})
MIN_SIDE_PX, MAX_SIDE_PX, MAX_AREA_PX = 40, 8000, 25_000_000
ID = re.compile(r"[a-zA-Z0-9_-]{1,50}")


def design_size(width: int, height: int) -> tuple[int, int]:
    """The size of a design for a picture: its own, or the nearest of its shape that Canva makes."""
    scale = min(1.0, MAX_SIDE_PX / max(width, height), math.sqrt(MAX_AREA_PX / (width * height)))
    scale = max(scale, MIN_SIDE_PX / min(width, height))
    sides = [min(MAX_SIDE_PX, max(MIN_SIDE_PX, math.floor(side * scale))) for side in (width, height)]
    if sides[0] * sides[1] > MAX_AREA_PX:
        longer = sides.index(max(sides))
        sides[longer] = MAX_AREA_PX // sides[1 - longer]
    return sides[0], sides[1]


def parse_design(text: Any) -> str:
    """A design's id, from that or from the design's address. `InvalidRequest` when it is neither."""
    return _parsed(text, "design_id", "design", "https://www.canva.com/design/ID/edit")


def parse_folder(text: Any) -> str:
    """A folder's id ("root" is the projects' own), from that or from its address; "" for none."""
    return "" if text in (None, "") else _parsed(text, "folder", "folder", "https://www.canva.com/folder/ID")


def _parsed(text: Any, name: str, word: str, example: str) -> str:
    value = text.strip() if isinstance(text, str) else ""
    if "/" in value:
        value = _id_in_address(value, word)
    if not ID.fullmatch(value):
        raise InvalidRequest(
            _(
                "%(name)s must be the id of a Canva %(word)s or its address (%(example)s), not %(text)s.",
                name=name,
                word=word,
                example=example,
                text=f"{text!r:.80}",
            ),
            field=name,
        )
    return value


def _id_in_address(address: str, word: str) -> str:
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not (host == "canva.com" or host.endswith(".canva.com")):
        return ""
    match parts.path.strip("/").split("/"):
        case [kind, found, *_] if kind == word:
            return found
    return ""


def checked_title(title: str | None) -> str:
    text = checked_text(title or DEFAULT_TITLE, "title").strip() or DEFAULT_TITLE
    if len(text) > MAX_TITLE_CHARS:
        raise InvalidRequest(
            _(
                "title must have at most %(max_title_chars)s characters, not %(number)s. Shorten it.",
                max_title_chars=MAX_TITLE_CHARS,
                number=len(text),
            ),
            field="title",
        )
    return text


def checked_page(page: Any) -> int:
    if isinstance(page, bool) or not isinstance(page, int) or not 1 <= page <= MAX_PAGE:
        raise InvalidRequest(
            _(
                "page must be a whole number from 1 to %(max_page)s, not %(page)s.",
                max_page=MAX_PAGE,
                page=f"{page!r:.40}",
            ),
            field="page",
        )
    return page


async def prepared(image: GeneratedImage, report: dict[str, Any]) -> tuple[bytes, images.Picture]:
    """The bytes as Canva takes them. What was changed is in `report`; `UnsupportedRequest` when nothing helps."""
    if not isinstance(image.content, bytes):
        raise UnsupportedRequest("only a picture whose bytes are here can be uploaded.")
    content: bytes = image.content
    try:
        picture = inspected(content)
        if picture.format not in UPLOADABLE or picture.is_animated:
            before, why = picture.format, "an animation" if picture.is_animated else picture.format.upper()
            content, picture = await asyncio.to_thread(images.converted, content, picture, "png")
            report["format"] = {"asked": before, "made": picture.format, "why": f"Canva does not take {why}"}
        if len(content) >= MAX_UPLOAD_BYTES:
            before, size = picture.format, len(content)
            limit = MAX_UPLOAD_BYTES - 1
            content, picture = await asyncio.to_thread(images.converted, content, picture, "jpeg", max_bytes=limit)
            why = f"Canva takes less than 50 MB, and it has {size:,} bytes"
            report["format"] = {"asked": before, "made": picture.format, "why": why}
    except NotAPicture as exc:
        raise UnsupportedRequest(f"the picture cannot be sent: {exc}") from None
    if len(content) >= MAX_UPLOAD_BYTES:
        raise UnsupportedRequest(f"the picture has {len(content):,} bytes; Canva takes less than 50 MB.")
    return content, picture


def dry_result(
    image: GeneratedImage, title: str, create_design: bool, folder: str, report: dict[str, Any]
) -> CanvaExportResult:
    digest = export_digest(image, title)
    design_id = f"dry-{digest}" if create_design else ""
    return CanvaExportResult(
        design_id=design_id,
        edit_url=edit_address(design_id) if create_design else "",
        title=title,
        metadata={
            "status": "dry_run",
            "dry_run": True,
            "asset_id": f"dry-asset-{digest}",
            "job_id": "",
            "folder": folder,
            "fit_report": report,
        },
    )


def edit_address(design_id: str) -> str:
    return f"https://www.canva.com/design/{design_id}/edit"


def web_address(value: Any) -> str:
    """A link that a person may be shown; "" for anything else."""
    if not isinstance(value, str) or not value.startswith("https://") or len(value) > 4000 or not value.isprintable():
        return ""
    return value
