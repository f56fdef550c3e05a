"""Whole addresses of what the API shows, as the asking client reaches this site."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import get_script_prefix, get_urlconf, reverse


@dataclass(frozen=True, slots=True)
class Addresses:
    """Made of a request, and kept where the request is not: in a stream that runs for minutes."""

    origin: str
    """https://site.example"""
    namespace: str
    """of the include through which the request came"""

    @classmethod
    def of(cls, request: Any) -> Addresses:
        match = request.resolver_match
        return cls(request.build_absolute_uri("/").rstrip("/"), (match and match.namespace) or "mediagen_api")

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
