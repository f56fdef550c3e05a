"""Times as the site's database keeps them: aware, or with USE_TZ = False naive in the site's own zone."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils import timezone


def db_now() -> datetime:
    return timezone.now() if settings.USE_TZ else datetime.now()


def to_db(at: datetime | None) -> datetime | None:
    """An aware time as the database keeps it."""
    return at if at is None or settings.USE_TZ or timezone.is_naive(at) else timezone.make_naive(at)


def from_db(at: datetime | None) -> datetime | None:
    """What the database gave, aware."""
    return at if at is None or timezone.is_aware(at) else timezone.make_aware(at)
