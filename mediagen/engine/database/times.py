"""How often something has happened lately, in the site's cache: for limits that protect, not for money."""

from __future__ import annotations

import logging
import time

from django.core.cache import cache

logger = logging.getLogger("mediagen.engine")


def counted(what: str, per_s: int) -> int:
    """How often `what` was counted in this window."""
    try:
        return int(cache.get(_key(what, per_s), 0))
    except Exception as exc:
        logger.warning("%s could not be read (%s)", what.partition(":")[0], type(exc).__name__)
        return 0


def _key(what: str, per_s: int) -> str:
    return f"mediagen:times:{what}:{per_s}:{int(time.time() // per_s)}"


def count(what: str, per_s: int) -> int:
    """How often `what` (without blanks: it is part of a key) was counted in this window of `per_s` seconds, with this
    time. 0 when the cache is away: nobody is kept out because of that."""
    key = _key(what, per_s)
    try:
        cache.add(key, 0, timeout=per_s + 1)
        return int(cache.incr(key))
    except Exception as exc:
        logger.warning("%s could not be counted (%s)", what.partition(":")[0], type(exc).__name__)
        return 0


def fits(what: str, most: int, per_s: int) -> bool:
    """Count it; whether it is one of the first `most` in this window."""
    return count(what, per_s) <= most
