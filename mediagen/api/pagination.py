"""Pages of a list by the id of the last row: as quick at row 900,000 as at row 1, and stable while rows come in."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from rest_framework.request import Request

from mediagen.api.problems import BAD_CURSOR, INVALID, Problem
from mediagen.engine.database import counted_to
from mediagen.wording import say as _

PAGE = 50
LARGEST_PAGE = 200
MOST_COUNTED = 10_000
"""so that a list of a million is as quick as one of a hundred"""

Row = TypeVar("Row", bound=Model)


def encode(pk: Any) -> str:
    return base64.urlsafe_b64encode(b"1" + pk.bytes).decode().rstrip("=")


def decode(cursor: str) -> uuid.UUID:
    """The id in a cursor; a problem for text that is none."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if len(content) != 17 or content[:1] != b"1":
        raise Problem(BAD_CURSOR, _('Take the cursor from the "next" of a page, or begin without one.'), field="cursor")
    return uuid.UUID(bytes=content[1:])


def page_size(request: Request) -> int:
    text = request.query_params.get("page_size", str(PAGE))
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= LARGEST_PAGE):
        raise Problem(
            INVALID, _("page_size must be a whole number from 1 to %(most)s.", most=LARGEST_PAGE), field="page_size"
        )
    return int(text)


def paged(
    request: Request,
    rows: QuerySet[Row],
    shown: Callable[[list[Any]], Any],
    *,
    read: Callable[[Any], list[Any]] = list,
    oldest_first: bool = False,
) -> dict[str, Any]:
    """{"next": address or None, "results": [...]}, the newest first. `shown` makes plain data of the page's rows, as
    `read` makes them of the query; each has a `pk`. With `count=true` in the address also `count`, up to
    `MOST_COUNTED`.

    The rows' primary key must be a time-ordered UUID.
    """
    size = page_size(request)
    wants_count = request.query_params.get("count", "false")
    if wants_count not in ("true", "false"):
        raise Problem(INVALID, _("count must be true or false."), field="count")
    counted = {"count": counted_to(rows, MOST_COUNTED)} if wants_count == "true" else {}
    if (cursor := request.query_params.get("cursor")) is not None:
        rows = rows.filter(**{"pk__gt" if oldest_first else "pk__lt": decode(cursor)})
    found = read(rows.order_by("pk" if oldest_first else "-pk")[: size + 1])
    page = found[:size]
    following = None
    if len(found) > size:
        query = request.query_params.copy()
        query["cursor"] = encode(page[-1].pk)
        following = f"{request.build_absolute_uri(request.path)}?{query.urlencode()}"
    return {"next": following, **counted, "results": shown(page)}


def with_query(address: str, **query: str) -> str:
    return f"{address}?{urlencode(query)}"
