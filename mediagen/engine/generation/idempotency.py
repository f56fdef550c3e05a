"""A request that a client may send twice, and that is carried out once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError

from mediagen.engine.library import Access, Right
from mediagen.errors import InvalidRequest, KeyReused, NotAllowed
from mediagen.models import IdempotentRequest
from mediagen.models.asset import MediaAssetQuerySet
from mediagen.models.clock import db_now
from mediagen.models.routing import atomic
from mediagen.types import checked_text
from mediagen.wording import say as _

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 255


def digest(*parts: Any) -> str:
    """SHA-256 of JSON-able data; the order of members does not matter."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def check_key(key: str) -> str:
    """`InvalidRequest` for a key that is empty, too long or not printable."""
    if not 1 <= len(checked_text(key, "Idempotency-Key")) <= LONGEST_KEY or not key.isprintable():
        raise InvalidRequest(
            _(
                "Idempotency-Key must be 1 to %(longest_key)s printable characters. A UUID is a good one.",
                longest_key=LONGEST_KEY,
            ),
            field="Idempotency-Key",
        )
    return key


def earlier(access: Access, key: str, digest: str, within: timedelta = KEPT_FOR) -> Mapping[str, Any] | None:
    """The result of the same request, by the same token or by the user's sessions; None when there was none.

    `KeyReused` when the key came with another request. What the result names is not theirs for that: see
    `still_theirs`.
    """
    row = _sent(access, key).filter(created_at__gt=db_now() - within).first()
    if row is None:
        return None
    if row.digest != digest:
        raise KeyReused(
            _(
                "This Idempotency-Key came with another request in the last 24 hours. Send the same "
                "one again, or take another key."
            )
        )
    return dict(row.result)


def still_theirs(access: Access) -> MediaAssetQuerySet:
    """The assets that a repeated request may be answered with: those in libraries where it could be made now."""
    return access.all_assets(Right.GENERATE)


def gone() -> NotAllowed:
    """The refusal of a repeated request of which nothing is left, or nothing that may be seen: no word differs."""
    return NotAllowed(
        _(
            "The pictures of the first request with this key are gone, or where you may not make "
            "any now. Take another key."
        )
    )


@atomic()
def once(access: Access, key: str, digest: str, make: Callable[[], dict[str, Any]]) -> tuple[Mapping[str, Any], bool]:
    """(what `make` returned, True) the first time; (what it returned then, False) for the same request again.

    `make` only writes rows: they and the key are committed together, and whoever comes with the same key at the same
    moment waits for that. When it raises, the key is not used up.
    """
    _sent(access, key).filter(created_at__lte=db_now() - KEPT_FOR).delete()
    try:
        with atomic():
            row = IdempotentRequest.objects.create(**_of(access, key), digest=digest)
    except IntegrityError:
        found = earlier(access, key, digest)
        if found is None:
            raise
        return found, False
    row.result = make()
    row.save(update_fields=["result"])
    return row.result, True


@atomic()
def remember(access: Access, key: str, digest: str, make: Callable[[], dict[str, Any]]) -> None:
    """Carry it out whatever came before with the key, which stands for this request from now on."""
    result = make()
    IdempotentRequest.objects.update_or_create(
        **_of(access, key), defaults={"digest": digest, "result": result, "created_at": db_now()}
    )


def _of(access: Access, key: str) -> dict[str, Any]:
    return {"user_id": access.user.pk, "caller": str(access.token.pk) if access.token is not None else "", "key": key}


def _sent(access: Access, key: str) -> Any:
    return IdempotentRequest.objects.filter(**_of(access, key))


def remove_old() -> int:
    """Forget keys of requests that are older than a day; how many."""
    return IdempotentRequest.objects.filter(created_at__lte=db_now() - KEPT_FOR).delete()[0]
