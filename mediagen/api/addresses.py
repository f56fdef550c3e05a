"""Whole addresses of what the API shows, as the asking client reaches this site."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.urls import get_script_prefix, get_urlconf, reverse

from mediagen.api.authentication import access_of
from mediagen.engine.library import Access, Right


@dataclass(slots=True)
class Known:
    """What the assets of an answer have in common, read once: a stream has no database at hand."""

    rights: dict[Any, frozenset[Right]] = field(default_factory=dict)
    """by library, to write there"""
    users: dict[Any, str] = field(default_factory=dict)
    """names by id"""

    def learn(self, assets: Iterable[Any], access: Access | None) -> None:
        """What is not known yet of their libraries and people. At most two queries."""
        rows = list(assets)
        libraries = {row.library_id for row in rows if hasattr(row, "library_id")} - self.rights.keys()
        if libraries and access is not None:
            self.rights |= access.rights_in(libraries)
        ids: set[Any] = {getattr(row, name, None) for row in rows for name in PEOPLE} - {None} - self.users.keys()
        if ids:
            found = get_user_model()._default_manager.filter(pk__in=ids)
            self.users |= {user.pk: user.get_username() for user in found}


PEOPLE = ("created_by_id", "reviewed_by_id", "deleted_by_id")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Made of a request, and kept where the request is not: in a stream that runs for minutes."""

    origin: str
    """https://site.example"""
    namespace: str
    """of the include through which the request came"""
    access: Access | None = None
    """of whoever asks: an answer says what they may do"""
    known: Known = field(default_factory=Known)

    @classmethod
    def of(cls, request: Any) -> Addresses:
        match = request.resolver_match
        namespace = (match and match.namespace) or "mediagen_api"
        return cls(request.build_absolute_uri("/").rstrip("/"), namespace, access_of(request))

    def to(self, name: str, *args: Any) -> str:
        """Of one of the API's routes."""
        return self.origin + reverse(f"{self.namespace}:{name}", args=args)

    def whole(self, path: str) -> str | None:
        """Of a path on this site; what is a whole address already stays. None for ""."""
        return (self.origin + path if path.startswith("/") else path) or None

    def around(self, name: str) -> tuple[str, str]:
        """What stands before and behind a row's id in its address, for the many rows of a list."""
        pattern = _pattern(get_urlconf() or settings.ROOT_URLCONF, get_script_prefix(), f"{self.namespace}:{name}")
        before, _, behind = pattern.partition(str(NOBODY))
        return self.origin + before, behind


NOBODY = UUID(int=0)


@lru_cache(maxsize=64)
def _pattern(urlconf: str, prefix: str, name: str) -> str:
    return reverse(name, args=[NOBODY])
