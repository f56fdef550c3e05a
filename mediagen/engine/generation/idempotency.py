"""A request that a client may send twice, and that is carried out once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError

from mediagen.errors import InvalidRequest, KeyReused
from mediagen.models import IdempotentRequest
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import checked_text

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 255


def digest(*parts: Any) -> str:
    """SHA-256 of JSON-able data; the order of members does not matter."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def check_key(key: str) -> str:
    """`InvalidRequest` for a key that is empty, too long or not printable."""
    if not 1 <= len(checked_text(key, "Idempotency-Key")) <= LONGEST_KEY or not key.isprintable():
        raise InvalidRequest(
            f"Idempotency-Key must be 1 to {LONGEST_KEY} printable characters. A UUID is a good one.",
            field="Idempotency-Key",
        )
    return key


def earlier(user: Any, key: str, digest: str) -> Mapping[str, Any] | None:
    """The result of the same request of the last 24 hours; None when there was none. `KeyReused` when the key came
    with another request."""
    row = IdempotentRequest.objects.filter(user=user.pk, key=key, created_at__gt=db_now() - KEPT_FOR).first()
    if row is None:
        return None
    if row.digest != digest:
        raise KeyReused(
            "This Idempotency-Key came with another request in the last 24 hours. Send the same one again, or take "
            "another key."
        )
    return dict(row.result)


@atomic()
def once(user: Any, key: str, digest: str, make: Callable[[], dict[str, Any]]) -> tuple[Mapping[str, Any], bool]:
    """(what `make` returned, True) the first time; (what it returned then, False) for the same request again.

    `make` only writes rows: they and the key are committed together, and whoever comes with the same key at the same
    moment waits for that. When it raises, the key is not used up.
    """
    IdempotentRequest.objects.filter(user=user.pk, key=key, created_at__lte=db_now() - KEPT_FOR).delete()
    try:
        with atomic():
            row = IdempotentRequest.objects.create(user_id=user.pk, key=key, digest=digest)
    except IntegrityError:
        found = earlier(user, key, digest)
        if found is None:
            raise
        return found, False
    row.result = make()
    row.save(update_fields=["result"])
    return row.result, True


def remove_old() -> int:
    """Forget keys of requests that are older than a day; how many."""
    return IdempotentRequest.objects.filter(created_at__lte=db_now() - KEPT_FOR).delete()[0]
