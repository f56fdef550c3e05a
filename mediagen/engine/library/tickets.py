"""Tickets: signed text with which a browser watches one generation, where it can send no header (EventSource).

Whoever has one is who it was made for, with the rights that they have now, and for nothing but that generation.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core import signing

from mediagen.engine.library.access import Access
from mediagen.models import ApiToken

VALID_S = 3600.0
"""A ticket is good for so long, and a page that reads its generation again has a new one."""
SALT = "mediagen.tickets"
LONGEST_TEXT = 400


def issue(access: Access, generation_id: Any) -> str:
    """A ticket of whoever has this access, for this generation."""
    token = access.token.pk if access.token is not None else None
    about = (str(generation_id), str(access.user.pk), str(token) if token else "")
    return signing.dumps(about, salt=SALT)


def bearer(text: str, generation_id: UUID) -> tuple[Any, ApiToken | None] | None:
    """The user and token of a ticket for this generation; None when it is not one of ours, is over, or when they may
    not sign in any more."""
    if len(text) > LONGEST_TEXT:
        return None
    try:
        about, user, token = signing.loads(text, salt=SALT, max_age=VALID_S)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if about != str(generation_id):
        return None
    if token:
        found = ApiToken.objects.valid().filter(pk=token).select_related("user", "library").first()
        return (found.user, found) if found is not None and str(found.user.pk) == user else None
    who = get_user_model()._default_manager.filter(pk=user, is_active=True).first()
    return (who, None) if who is not None else None
