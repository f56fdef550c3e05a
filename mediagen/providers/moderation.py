"""How services say that they refuse: many words for the same, in codes and in texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Letters and digits only: contentFilter, content_filter and CONTENT-FILTERED are one.
_CODES = re.compile(
    r"contentfilter(ed)?|contentpolicy(violation)?|contentmoderat(ion|ed)|moderationblocked|inputmoderation|"
    r"moderat(ion|ed)|responsibleaipolicyviolation|safetyviolations?|safetysystem|promptblocked|sensitivecontent|nsfw|"
    r"policyviolation|(input|output|prompt|image)(text|image)?(sensitivecontent|contentfilter|moderation)\w*"
)
_WORDS = re.compile(
    r"nsfw|safety (?:checker|filter|system)|moderation|moderated|flagged|sensitive (?:content|material)|"
    r"(?:content|usage|safety|acceptable[ -]use) polic(?:y|ies)|polic(?:y|ies) violation|violat\w+ .{0,40}polic|"
    r"prohibited content|inappropriate content",
    re.IGNORECASE,
)
_LEVELS = 4


def is_refusal(code: Any) -> bool:
    """Whether an error's code means that moderation refused."""
    return isinstance(code, str) and bool(_CODES.fullmatch(re.sub(r"[^a-z0-9]", "", code.lower())))


def reads_as_refusal(text: str) -> bool:
    """Whether a text says so. Only for services that give no code."""
    return bool(_WORDS.search(text))


def codes_of(error: Mapping[str, Any], levels: int = _LEVELS) -> Iterator[str]:
    """The codes of an error and of those inside it (`inner_error`, as gateways have it), the outer first."""
    for key in ("code", "type"):
        if isinstance(code := error.get(key), str):
            yield code
    for key in ("inner_error", "innererror", "innerError", "error"):
        if levels and isinstance(inner := error.get(key), Mapping):
            yield from codes_of(inner, levels - 1)
