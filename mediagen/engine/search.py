"""Finding assets: those that a user may see, and of them those that fit filters and hold some words."""

from __future__ import annotations

from typing import Any

from mediagen.engine.filters import AssetFilters, narrowed
from mediagen.engine.words import matching, words
from mediagen.models.asset import MediaAssetQuerySet

__all__ = ["AssetFilters", "matching", "narrowed", "sees_everything", "visible", "words"]


def sees_everything(user: Any) -> bool:
    """Whether no library is hidden from the user."""
    return bool(user.is_active and (user.is_superuser or user.has_perm("mediagen.view_all_libraries")))


def visible(assets: MediaAssetQuerySet, user: Any) -> MediaAssetQuerySet:
    """Those that the user may see.

    Where nothing is hidden there is no condition on the library: with one, SQLite sorts the whole table for a page.
    """
    return assets if sees_everything(user) else assets.visible_to(user)
