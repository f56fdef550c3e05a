"""What Gemini's answers hold, and which of Google's hosts gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mediagen.providers.editing import in_base64
from mediagen.types import GeneratedImage

# Why an answer ends, where that is a refusal. The others (STOP, MAX_TOKENS, NO_IMAGE, IMAGE_OTHER ...) are none.
REFUSALS = frozenset(
    {
        *("SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "RECITATION", "MODEL_ARMOR", "JAILBREAK"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    }
)
LOCATION = r"(?:global|us|eu|[a-z]+-[a-z]+\d+)"
_MULTI_REGIONS = ("us", "eu")
_DELAY = re.compile(r"(\d{1,7}(?:\.\d+)?)s")
# A quota that no wait of seconds fills up again.
USED_UP = re.compile(r"limit: 0\b|PerDay", re.IGNORECASE)


def vertex_host(location: str) -> str:
    if location == "global":
        return "aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"aiplatform.{location}.rep.googleapis.com"
    return f"{location}-aiplatform.googleapis.com"


def inline(image: GeneratedImage) -> dict[str, Any]:
    return {"inlineData": {"mimeType": f"image/{image.format}", "data": in_base64(image)}}


def candidates(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = answer.get("candidates")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def parts_of(candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def last_picture(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """The last picture that is no draft out of the model's thoughts, of the first candidate that has one."""
    for candidate in candidates(answer):
        for part in reversed(parts_of(candidate)):
            inline = part.get("inlineData", part.get("inline_data"))
            if isinstance(inline, dict) and inline.get("data") and part.get("thought") is not True:
                return inline
    return None


def text_of(candidate: Mapping[str, Any]) -> str:
    parts = [part for part in parts_of(candidate) if part.get("thought") is not True]
    return " ".join(part["text"] for part in parts if isinstance(part.get("text"), str))


def details(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [entry for entry in details if isinstance(entry, dict)] if isinstance(details, list) else []


def reasons(error: Mapping[str, Any]) -> set[str]:
    return {str(entry.get("reason")) for entry in details(error)}


def quota_ids(error: Mapping[str, Any]) -> str:
    found = [violation for entry in details(error) for violation in entry.get("violations") or []]
    return " ".join(str(violation.get("quotaId")) for violation in found if isinstance(violation, dict))


def retry_delay_s(error: Mapping[str, Any]) -> float | None:
    for entry in details(error):
        delay = entry.get("retryDelay")
        if isinstance(delay, str) and (found := _DELAY.fullmatch(delay)):
            return float(found[1])
    return None
