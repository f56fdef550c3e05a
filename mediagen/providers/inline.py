"""Pictures that come inside a JSON answer, as base64."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from mediagen import conf
from mediagen.errors import BadResponse
from mediagen.http.inline import from_base64


def json_limit() -> int:
    """Bytes that a JSON answer may have when the largest picture we accept is inside."""
    # Base64 makes 4 bytes of 3; the rest is for what stands around it.
    return int(conf.get("MAX_IMAGE_BYTES") * 1.4) + 64 * 1024


def picture_bytes(text: Any, *, cost: Decimal | None = None) -> bytes:
    """The bytes behind base64, also in a data URL; `BadResponse` (with the `cost` that was paid) for anything else.

    The URL-safe letters, line breaks and missing padding are read too: the picture is paid.
    """
    if not isinstance(text, str | memoryview) or not text:
        raise BadResponse(f"answered with {_what(text)} where the picture should be.", http_status=200, cost=cost)
    head = bytes(text[:100]) if isinstance(text, memoryview) else text[:100].encode("ascii", "replace")
    if head[:5].lower() == b"data:":
        text = text[head.find(b",") + 1 :]
    try:
        return from_base64(text)
    except ValueError:
        raise BadResponse(
            f"answered with a picture of {len(text):,} characters that is no base64, or is cut off.",
            http_status=200,
            cost=cost,
        ) from None


def _what(value: Any) -> str:
    return "nothing" if value is None or value == "" else f"a JSON {type(value).__name__}"
