"""Finding assets: those that a user may see, and of them those that hold some words."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Q, QuerySet
from django.utils.text import smart_split, unescape_string_literal

from mediagen.models import MediaAsset, MediaTag
from mediagen.models.asset import MediaAssetQuerySet

MAX_CHARS = 200
MAX_WORDS = 10
FIELDS = ("prompt", "name", "description", "alt_text")

Assets = TypeVar("Assets", bound="QuerySet[MediaAsset]")


def sees_everything(user: Any) -> bool:
    """Whether no library is hidden from the user."""
    return bool(user.is_active and (user.is_superuser or user.has_perm("mediagen.view_all_libraries")))


def visible(assets: MediaAssetQuerySet, user: Any) -> MediaAssetQuerySet:
    """Those that the user may see.

    Where nothing is hidden there is no condition on the library: with one, SQLite sorts the whole table for a page.
    """
    return assets if sees_everything(user) else assets.visible_to(user)


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
