"""Bytes that come as text: base64, and addresses that hold their content (data:, RFC 2397)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

b64decode: Callable[..., bytes]
try:
    import pybase64
except ImportError:
    b64decode = base64.b64decode
else:
    b64decode = pybase64.b64decode


def from_base64(text: str | memoryview | bytes) -> bytes:
    """The bytes, or ValueError. The URL-safe letters, line breaks and missing padding are read too."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b64decode(_plain(text), validate=True)


def is_data_url(text: str) -> bool:
    return text[:5].lower() == "data:"


def from_data_url(url: str) -> bytes:
    """What is inside a data: address, or ValueError."""
    head, comma, text = url.partition(",")
    if not is_data_url(url) or not comma:
        raise ValueError("no data address")
    if ";base64" not in head.lower():
        return unquote_to_bytes(text)
    return from_base64(text if "%" not in text else unquote_to_bytes(text))


def _plain(text: str | memoryview | bytes) -> bytes:
    """Base64 in the standard letters, without white space, padded."""
    content = text.encode("ascii") if isinstance(text, str) else bytes(text)
    content = content.translate(bytes.maketrans(b"-_", b"+/"), b" \t\r\n").rstrip(b"=")
    return content + b"=" * (-len(content) % 4)
