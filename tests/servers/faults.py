"""Misbehaviour on demand, as data: what goes wrong. Where and how often is said by `ProviderServer.fault`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum


class FaultKind(StrEnum):
    """The ways to go wrong."""

    # of the connection
    CONNECT_REFUSED = "connect_refused"
    RESET_BEFORE_BODY_READ = "reset_before_body_read"
    RESET_AFTER_BODY_READ = "reset_after_body_read"
    HANG = "hang"
    TRICKLE = "trickle"
    TRUNCATED_BODY = "truncated_body"
    # of the answer as a whole
    HTTP = "http"
    REDIRECT = "redirect"
    HTML_200 = "html_200"
    EMPTY_200 = "empty_200"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    # of the picture
    TRUNCATED_PICTURE = "truncated_picture"
    NOT_A_PICTURE = "not_a_picture"
    BOMB = "bomb"
    NO_PICTURE = "no_picture"
    # of moderation
    MODERATION = "moderation"
    CONTENT_FILTERED = "content_filtered"
    # of jobs and the URLs that they hand out
    JOB_NEVER_ENDS = "job_never_ends"
    UNKNOWN_STATUS = "unknown_status"
    TASK_NOT_FOUND = "task_not_found"
    JOB_FAILED = "job_failed"
    FOREIGN_URL = "foreign_url"
    EXPIRED = "expired"


_AFTERWARDS = frozenset(
    {
        FaultKind.RESET_AFTER_BODY_READ,
        FaultKind.HANG,
        FaultKind.TRICKLE,
        FaultKind.TRUNCATED_BODY,
        FaultKind.HTML_200,
        FaultKind.EMPTY_200,
        FaultKind.WRONG_CONTENT_TYPE,
    }
)
_INSTEAD = frozenset({FaultKind.HTTP, FaultKind.REDIRECT, FaultKind.EXPIRED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. Make it with the methods below; `str()` names it in test ids."""

    kind: FaultKind
    status: int = 0
    """HTTP status, where the kind has one"""
    code: str = ""
    """the vendor's name of the error, or the form of a refusal; empty = the usual one"""
    retry_after: str | int | float | timedelta | None = None
    url: str = ""
    text: str = ""
    bought: bool = False
    """whether a `http` answer hides a purchase that was made all the same"""
    chunk_bytes: int = 0
    delay_s: float = 0.0

    def __str__(self) -> str:
        words = [self.kind.value]
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "kind" or value == field.default:
                continue
            if isinstance(value, timedelta):
                value = f"in {value.total_seconds():g} s"
            words.append(f"{field.name}={value}")
        return ",".join(words)

    @property
    def replaces_answer(self) -> bool:
        """Whether the server says no in place of doing what was asked; nothing is bought then."""
        return self.kind in _INSTEAD and not self.bought

    @property
    def spoils_answer(self) -> bool:
        """Whether the server does what was asked and spoils the answer afterwards."""
        return self.kind in _AFTERWARDS or (self.kind in _INSTEAD and self.bought)

    def retry_after_header(self) -> str | None:
        """The value of Retry-After now: a timedelta becomes the HTTP date that far ahead."""
        if self.retry_after is None:
            return None
        if isinstance(self.retry_after, timedelta):
            return format_datetime(datetime.now(UTC) + self.retry_after, usegmt=True)
        return str(self.retry_after)

    # of the connection
    @classmethod
    def connect_refused(cls, for_s: float | None = None) -> Fault:
        """Nobody listens. For `for_s` seconds; None = until `accept_connections()` or `reset()`."""
        return cls(FaultKind.CONNECT_REFUSED, delay_s=for_s or 0.0)

    @classmethod
    def reset_before_body_read(cls) -> Fault:
        """TCP reset when only the head of the request has been read: nothing can have been done."""
        return cls(FaultKind.RESET_BEFORE_BODY_READ)

    @classmethod
    def reset_after_body_read(cls) -> Fault:
        """TCP reset when the work has been done, without a byte of an answer."""
        return cls(FaultKind.RESET_AFTER_BODY_READ)

    @classmethod
    def hang(cls) -> Fault:
        """The work is done, and silence; until `release()` (then the true answer) or the client goes."""
        return cls(FaultKind.HANG)

    @classmethod
    def trickle(cls, chunk_bytes: int = 64, delay_s: float = 0.05) -> Fault:
        """The true answer, `chunk_bytes` bytes every `delay_s` seconds."""
        return cls(FaultKind.TRICKLE, chunk_bytes=chunk_bytes, delay_s=delay_s)

    @classmethod
    def truncated_body(cls) -> Fault:
        """A content-length for the whole, then half of it and the end of the connection."""
        return cls(FaultKind.TRUNCATED_BODY)

    # of the answer as a whole
    @classmethod
    def http(
        cls,
        status: int,
        *,
        code: str = "",
        retry_after: str | int | float | timedelta | None = None,
        bought: bool = False,
    ) -> Fault:
        """An error in the vendor's shape, although the request was right. See README.md for the arguments."""
        return cls(FaultKind.HTTP, status=status, code=code, retry_after=retry_after, bought=bought)

    @classmethod
    def rate_limited(cls, retry_after: str | int | float | timedelta | None = None, *, code: str = "") -> Fault:
        """429 in the vendor's shape."""
        return cls.http(429, retry_after=retry_after, code=code)

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> Fault:
        """A redirect to `url`."""
        return cls(FaultKind.REDIRECT, url=url, status=status)

    @classmethod
    def html_200(cls) -> Fault:
        """A web page with status 200, as proxies and captive portals send it."""
        return cls(FaultKind.HTML_200)

    @classmethod
    def empty_200(cls) -> Fault:
        """Status 200 and not one byte of body."""
        return cls(FaultKind.EMPTY_200)

    @classmethod
    def wrong_content_type(cls, content_type: str = "text/html") -> Fault:
        """The true answer under a wrong content type."""
        return cls(FaultKind.WRONG_CONTENT_TYPE, text=content_type)

    # of the picture
    @classmethod
    def truncated_picture(cls) -> Fault:
        """Half a picture in a complete answer."""
        return cls(FaultKind.TRUNCATED_PICTURE)

    @classmethod
    def not_a_picture(cls) -> Fault:
        """JSON where the bytes of the picture belong."""
        return cls(FaultKind.NOT_A_PICTURE)

    @classmethod
    def bomb(cls) -> Fault:
        """A few kilobytes of PNG that open to 100 megapixels."""
        return cls(FaultKind.BOMB)

    @classmethod
    def no_picture(cls) -> Fault:
        """Success in the vendor's shape, with an empty list or null where pictures or their URLs belong."""
        return cls(FaultKind.NO_PICTURE)

    # of moderation
    @classmethod
    def moderation(cls, form: str = "") -> Fault:
        """The vendor refuses. `form` picks one where a vendor has several (flux: "Content Moderated")."""
        return cls(FaultKind.MODERATION, code=form)

    @classmethod
    def content_filtered(cls) -> Fault:
        """Stability's 200 with CONTENT_FILTERED and a blurred picture, which is billed."""
        return cls(FaultKind.CONTENT_FILTERED)

    # of jobs and the URLs that they hand out
    @classmethod
    def job_never_ends(cls) -> Fault:
        """Still running. Usually placed with times=None."""
        return cls(FaultKind.JOB_NEVER_ENDS)

    @classmethod
    def unknown_status(cls, word: str = "Warming") -> Fault:
        """Still running, in a word that no documentation has."""
        return cls(FaultKind.UNKNOWN_STATUS, text=word)

    @classmethod
    def task_not_found(cls) -> Fault:
        """The vendor does not know the job (any more)."""
        return cls(FaultKind.TASK_NOT_FOUND)

    @classmethod
    def job_failed(cls, error: str = "E1001: out of memory", status: str = "", http_status: int = 200) -> Fault:
        """The job has failed for good. `status` picks the vendor's word (replicate: canceled, aborted)."""
        return cls(FaultKind.JOB_FAILED, text=error, code=status, status=http_status)

    @classmethod
    def foreign_url(cls, url: str) -> Fault:
        """`url` in place of the URL that this step hands out."""
        return cls(FaultKind.FOREIGN_URL, url=url)

    @classmethod
    def expired(cls, status: int = 403) -> Fault:
        """The result URL no longer serves its file."""
        return cls(FaultKind.EXPIRED, status=status)

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """A fault as a command line names it, by its method: `hang`, `http=503`, `http=429,retry_after=7`."""
        first, *others = text.split(",")
        name, _, value = first.partition("=")
        try:
            make = getattr(cls, FaultKind(name).value)
        except ValueError:
            raise ValueError(f"No fault is called {name!r}. There are: {', '.join(FaultKind)}.") from None
        given = [_plain(value)] if value else []
        named = {key: _plain(word) for key, _, word in (other.partition("=") for other in others)}
        try:
            fault = make(*given, **named)
        except TypeError as exc:
            raise ValueError(f"Fault {text!r} does not have the values it needs: {exc}.") from None
        assert isinstance(fault, Fault)
        return fault


def _plain(word: str) -> str | int | float | bool:
    """A word of the command line as the value it looks like."""
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


METADATA_URL = "http://169.254.169.254/latest/meta-data"
DEAD_PORT_URL = "http://127.0.0.1:1/"

# What can happen at any step of any service.
ANYWHERE = (
    Fault.connect_refused(),
    Fault.reset_before_body_read(),
    Fault.reset_after_body_read(),
    Fault.hang(),
    Fault.trickle(),
    Fault.truncated_body(),
    *(Fault.http(status) for status in (400, 401, 402, 403, 404, 408)),
    Fault.rate_limited(),
    Fault.rate_limited(7),
    Fault.rate_limited(timedelta(seconds=30)),
    *(Fault.http(status) for status in (500, 502, 503)),
    Fault.redirect(METADATA_URL),
    Fault.redirect(DEAD_PORT_URL),
    Fault.html_200(),
    Fault.empty_200(),
    Fault.wrong_content_type(),
)
OF_THE_PICTURE = (Fault.truncated_picture(), Fault.not_a_picture(), Fault.bomb())
