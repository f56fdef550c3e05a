"""Primary keys as people and programs give them."""

from __future__ import annotations

import uuid
from typing import Any

from mediagen.errors import InvalidRequest
from mediagen.wording import say as _


def as_uuid(value: Any, name: str) -> uuid.UUID | None:
    """A primary key given as UUID, text or model instance; `InvalidRequest` when it is none."""
    value = getattr(value, "pk", value)
    if value is None or isinstance(value, uuid.UUID):
        return value
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise InvalidRequest(
            _("%(name)s must be a UUID, not %(value)s.", name=name, value=f"{value!r:.60}"), field=name
        ) from None
