"""Descriptions of pictures: how they are asked for, and how the words that come back are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from unicodedata import category

from mediagen.errors import InvalidRequest
from mediagen.types import GeneratedImage, ImageDescription, checked_text
from mediagen.wording import say as _

ALT_TEXT_CHARS = 160
"""what a description has at most, where nobody says: what screen readers read without a pause is about that"""
LEAST_CHARS, MOST_CHARS = 20, 2_000
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRequest:
    """A request to say what a picture shows. Build it with `checked()`."""

    image: GeneratedImage
    language: str = "en"
    """as in HTML: "en", "pt-br" """
    max_chars: int = ALT_TEXT_CHARS
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def checked(
        cls, *, image: GeneratedImage, language: Any = "en", max_chars: Any = ALT_TEXT_CHARS, **options: Any
    ) -> DescribeRequest:
        """The request, or `InvalidRequest` that names the field."""
        language, max_chars = checked_wish(language, max_chars)
        return cls(image=image, language=language, max_chars=max_chars, options=options)


def checked_wish(language: Any, max_chars: Any) -> tuple[str, int]:
    """(language in lower case, most characters) of a description; `InvalidRequest` for what cannot be."""
    if not _LANGUAGE.fullmatch(checked_text(language, "language")):
        raise InvalidRequest(
            _('language must be a code such as "en" or "pt-br", not %(language)s.', language=f"{language!r:.40}"),
            field="language",
        )
    if isinstance(max_chars, bool) or not isinstance(max_chars, int) or not LEAST_CHARS <= max_chars <= MOST_CHARS:
        raise InvalidRequest(
            _(
                "max_chars must be a whole number from %(least)s to %(most)s, not %(max_chars)s.",
                least=LEAST_CHARS,
                most=f"{MOST_CHARS:,}",
                max_chars=f"{max_chars!r:.40}",
            ),
            field="max_chars",
        )
    return language.replace("_", "-").lower(), max_chars


def rehearsed(name: str, request: DescribeRequest) -> ImageDescription:
    """What a dry run says of a picture: the same for the same request, and that it is none."""
    image = request.image
    seen = f"{image.width}x{image.height} pixels" if image.width and image.height else "of unknown size"
    text = f"Dry run: {name} was not asked what this picture ({seen}) shows, in {request.language}."
    return ImageDescription(
        text=shortened(text, request.max_chars),
        language=request.language,
        provider_name=name,
        cost=Decimal(0),
        metadata={"provider": name, "dry_run": True},
        dry_run=True,
    )


def one_line(text: Any) -> str:
    """What stands in a text, on one line, without what no database holds; "" for what is no text."""
    if not isinstance(text, str):
        return ""
    # Half a surrogate pair and NUL fit into no row; what turns the reading direction belongs to no attribute.
    kept = (" " if category(char) in ("Cc", "Cs", "Co", "Cn") or char in _TURNS else char for char in text)
    return " ".join("".join(kept).split())


def shortened(text: str, most: int) -> str:
    """At most so many characters, cut behind a word."""
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    head, _, _ = cut.rpartition(" ")
    return f"{(head if len(head) > most // 2 else cut).rstrip(' ,;:.-')}…"
