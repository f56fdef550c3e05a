"""HTTP answers in our terms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagen import http
from mediagen.errors import (
    BadResponse,
    CredentialsRefused,
    Misconfigured,
    ProviderError,
    RateLimited,
    Unavailable,
    UnsupportedRequest,
)
from mediagen.http.status import MAX_RETRY_AFTER_S

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def response(status: int = 200, body: bytes = b"", **headers: str) -> http.Response:
    return http.Response(status, {k.replace("_", "-"): v for k, v in headers.items()}, body, "https://a.example/")


def http_date(ahead_s: float, zone: timezone = UTC) -> str:
    return format_datetime((NOW + timedelta(seconds=ahead_s)).astimezone(zone), usegmt=zone is UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        (http_date(30), 30.0),
        (http_date(-30), 0.0),
        (http_date(90, timezone(timedelta(hours=2))), 90.0),
        (http_date(86_400 * 3), 86_400.0 * 3),  # Figma's may be days
        ("Sunday, 22-Nov-26 12:00:20 GMT", 20.0),  # the older form that RFC 9110 still has readers accept
        ("Sun Nov 22 12:00:20 2026", 20.0),
        ("999999999999", MAX_RETRY_AFTER_S),
        ("inf", MAX_RETRY_AFTER_S),
        ("1e400", MAX_RETRY_AFTER_S),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Sun, 99 Nov 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after(value, seconds):
    assert http.retry_after_s({"retry-after": value}, NOW) == seconds


def test_no_retry_after():
    assert http.retry_after_s({}) is None


@given(st.text(max_size=60))
def test_retry_after_never_raises(value):
    found = http.retry_after_s({"retry-after": value})
    assert found is None or 0 <= found <= MAX_RETRY_AFTER_S


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UnsupportedRequest),
        (401, CredentialsRefused),
        (402, Misconfigured),
        (403, CredentialsRefused),
        (404, Misconfigured),
        (405, UnsupportedRequest),
        (408, Unavailable),
        (409, Unavailable),
        (410, Misconfigured),
        (413, UnsupportedRequest),
        (422, UnsupportedRequest),
        (425, Unavailable),
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (529, Unavailable),
        (301, BadResponse),
        (100, BadResponse),
    ],
)
def test_what_a_status_means(status, kind):
    error = http.error_for_status(response(status), "because")
    assert type(error) is kind
    assert error.http_status == status
    assert str(error).endswith(f"{status}: because")


def test_a_429_and_a_503_say_how_long():
    for status in (429, 503):
        assert http.error_for_status(response(status, retry_after="12"), "").retry_after_s == 12.0


@given(st.integers(100, 999))
def test_every_status_is_some_error(status):
    assert isinstance(http.error_for_status(response(status), ""), ProviderError)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"nul", b"\xff\xfe", b"[" * 5000, b'{"a": NaN'])
def test_a_body_that_is_no_json(body):
    answer = response(200, body, content_type="application/json")
    with pytest.raises(BadResponse, match="instead of JSON") as raised:
        answer.json()
    assert raised.value.http_status == 200
    assert answer.error_object() == {}


@pytest.mark.parametrize(("body", "kind"), [(b"null", "NoneType"), (b"[]", "list"), (b"3", "int"), (b'"x"', "str")])
def test_json_that_is_no_object(body, kind):
    with pytest.raises(BadResponse, match=f"a JSON {kind}"):
        response(200, body).json_object()
    assert response(200, body).error_object() == {}


def test_a_json_object():
    assert response(200, b'{"a": [1]}').json_object() == {"a": [1]}
    assert response(500, b'{"a": [1]}').error_object() == {"a": [1]}


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"", "", "an empty body"),
        (b"  <!DOCTYPE html><p>", "text/html", "an HTML page"),
        (b"<HTML>", "application/json", "an HTML page"),
        (b"abc", "text/plain; charset=utf-8", "3 bytes of text/plain"),
        (b"abc", "", "3 bytes of no declared type"),
    ],
)
def test_how_a_body_is_described(body, content_type, says):
    assert response(200, body, content_type=content_type).describe_body() == says


def test_the_content_type_without_its_parameters():
    assert response(content_type="Application/JSON; type=image/png").content_type == "application/json"
