"""HTTP answers in our terms: what a status means, and how long we are asked to wait."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from secrets import token_hex
from typing import Any

from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    Misconfigured,
    ProviderError,
    RateLimited,
    Unavailable,
    UnsupportedRequest,
)

LONG_BYTES = 16 * 1024
MAX_RETRY_AFTER_S = 31 * 24 * 3600.0


TAKEN_OUT = f"taken out {token_hex(8)}"
"""stands in place of what `Response.json_object_and` has taken out; nobody outside knows it"""


def taken(found: Any, value: memoryview | None) -> Any:
    """What stood where `found` stands in an answer of which `value` was taken out."""
    return value if found == TAKEN_OUT else found


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray
    url: str
    broken: ProviderError | None = None
    """the body of this 2xx did not end as it should, and this is the error if what came is not whole by itself: the
    picture in it may be, and is paid"""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """Without parameters, lower case; "" when absent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The decoded body, or `BadResponse`."""
        return self._decoded(self.body)

    def _decoded(self, text: bytes | bytearray) -> Any:
        try:
            return loads(text)
        except (ValueError, RecursionError):
            raise self.broken or BadResponse(
                f"answered {self.status} with {self.describe_body()} instead of JSON.", http_status=self.status
            ) from None

    def json_object(self) -> dict[str, Any]:
        """The decoded body when it is a JSON object, or `BadResponse`."""
        return self._object(self.json())

    def json_object_and(self, key: str) -> tuple[dict[str, Any], memoryview | None]:
        """As `json_object`, with the first long value of `key` taken out: (the object, where it is `TAKEN_OUT`, the
        value).

        For base64 of megabytes, which would first become a text and then bytes. None when there is no long value,
        or one that only a JSON decoder can read: then it is in the object as always. Where `TAKEN_OUT` stands says
        what the value is: a picture that was made, or one that the service only echoes (see `taken`).
        """
        # Inside a JSON text every quotation mark has a backslash before it: what is found is a key.
        found = re.search(rb'"%s"[ \t\r\n]*:[ \t\r\n]*"' % re.escape(key.encode()), self.body)
        start = found.end() if found else 0
        end = self.body.find(b'"', start) if found else -1
        if end - start < LONG_BYTES or self.body.find(b"\\", start, end) >= 0:
            return self.json_object(), None
        rest = self._decoded(self.body[:start] + TAKEN_OUT.encode() + self.body[end:])
        return self._object(rest), memoryview(self.body)[start:end]

    def _object(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise BadResponse(f"answered {self.status} with a JSON {type(data).__name__}.", http_status=self.status)
        return data

    def error_object(self) -> dict[str, Any]:
        """The body as a JSON object; {} when it is anything else. For reading vendors' error bodies."""
        try:
            data = loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}

    def describe_body(self) -> str:
        if not self.body:
            return "an empty body"
        head = self.body[:200].lstrip().lower()
        if head.startswith((b"<!doctype html", b"<html")):
            return "an HTML page"
        return f"{len(self.body)} bytes of {self.content_type or 'no declared type'}"


loads: Callable[[bytes | bytearray], Any]
try:
    import orjson
except ImportError:
    loads = json.loads
else:

    def _lenient_loads(content: bytes | bytearray) -> Any:
        try:
            return orjson.loads(content)
        except ValueError:
            # The standard library takes half a surrogate pair and NaN; around them may stand a picture that was paid.
            return json.loads(content)

    loads = _lenient_loads


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds the provider asks us to wait, or None if it does not say.

    Reads Retry-After as seconds or as an HTTP date (RFC 9110, 10.2.3), a past date gives 0.0; before it
    retry-after-ms, which OpenAI sends because it is finer. At most 31 days.
    """
    if (milliseconds := headers.get("retry-after-ms", "").strip()).replace(".", "", 1).isdecimal():
        return min(float(milliseconds) / 1000, MAX_RETRY_AFTER_S)
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S)


def error_for_status(response: Response, message: str) -> ProviderError:
    """The error that an HTTP status means when the vendor's own error code says nothing more."""
    status = response.status
    text = f"{status}: {message}" if message else f"answered {status}"
    if status in (401, 403):
        return CredentialsRefused(text, http_status=status)
    if status in (402, 404, 410):
        return Misconfigured(text, http_status=status)
    if status == 429:
        return RateLimited(text, http_status=status, retry_after_s=retry_after_s(response.headers))
    if status in (408, 409, 425) or status >= 500:
        return Unavailable(text, http_status=status, retry_after_s=retry_after_s(response.headers))
    if status >= 400:
        return UnsupportedRequest(text, http_status=status)
    return BadResponse(f"unexpected {text}", http_status=status)
