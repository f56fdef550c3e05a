"""Finding assets by words."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Q, QuerySet
from django.utils.text import smart_split, unescape_string_literal

from mediagen.models import MediaAsset, MediaTag

MAX_CHARS = 200
MAX_WORDS = 10
FIELDS = ("prompt", "name", "description", "alt_text")

Assets = TypeVar("Assets", bound="QuerySet[MediaAsset]")


def matching(assets: Assets, text: str) -> Assets:
    """Those that hold every word of `text` in their prompt, name, description, alt text or tags.

    Words in quotes belong together. Letters are compared without case. Only the first 10 words of the first 200
    characters count: databases refuse longer patterns. No joins, so that no asset comes twice.
    """
    for word in words(text):
        tags = MediaTag.objects.filter(key__contains=word.casefold())
        tagged = MediaAsset.tags.through.objects.filter(mediatag__in=tags).values("mediaasset")
        found = Q(pk__in=tagged)
        for field in FIELDS:
            found |= Q(**{f"{field}__icontains": word})
        assets = assets.filter(found)
    return assets


def words(text: str) -> list[str]:
    """The words to look for, quotes taken off."""
    # PostgreSQL refuses NUL in any text.
    bits = smart_split(text.replace("\x00", " ")[:MAX_CHARS])
    plain = (unescape_string_literal(bit) if bit[0] in "\"'" and bit[0] == bit[-1] else bit for bit in bits)
    return [word for word in plain if word][:MAX_WORDS]
