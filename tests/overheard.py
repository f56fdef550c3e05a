"""Listens to everything that a program says, and finds a key in it in whatever way it is written."""

from __future__ import annotations

import base64
import logging
import pickle
import traceback
import warnings
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from mediagen.http.client import httpx

HTTP_LOGGERS = (httpx.__name__, httpx.__name__.replace("httpx", "httpcore") + ".http11")
LOGGERS = (*HTTP_LOGGERS, "asyncio", "mediagen", "mediagen.chain", "django", "django.db.backends")
_USUAL = {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime"}
"""what every log record has; what else it has somebody has put there"""
_URL_SAFE = str.maketrans("+/", "-_")


def forms_of(key: str) -> set[str]:
    """What gives a key away: plain, quoted for a URL, in base64 also where it stands in the middle of something."""
    found = {key, quote(key, safe=""), quote(key)}
    for shift in range(3):
        whole = (b"\0" * shift + key.encode())[: (shift + len(key)) // 3 * 3]
        encoded = base64.b64encode(whole).decode()[4 * (shift > 0) :]
        found |= {encoded, encoded.translate(_URL_SAFE)}
    return found


def ways_to_write(key: str) -> Iterator[str]:
    """What a service, a proxy or a library may make of a key."""
    yield from (key, quote(key, safe=""), quote(key))
    for user in ("", "u:", "us:", "use:"):
        text = f"{user}{key}".encode()
        yield base64.b64encode(text).decode()
        yield base64.b64encode(text).decode().rstrip("=")
        yield base64.urlsafe_b64encode(text + b":realm").decode()


def spread(thing: Any) -> Iterator[str]:
    """Everything that a log, an error tracker or a debugger would make of it."""
    yield f"{thing} {thing!r}"
    if hasattr(thing, "__dict__"):
        yield repr(vars(thing))
    for slot in getattr(type(thing), "__slots__", ()):
        yield repr(getattr(thing, slot, ""))
    try:
        yield pickle.dumps(thing).decode("latin-1")
    except Exception as exc:  # most things cannot be pickled, and a key refuses to be
        yield repr(exc)
    if isinstance(thing, BaseException):
        yield "".join(traceback.format_exception(thing))
        yield from _causes(thing)


def _causes(exc: BaseException) -> Iterator[str]:
    """The texts of what led to `exc`, also of what its traceback leaves out."""
    for inner in (exc.__cause__, exc.__context__):
        if inner is not None:
            yield f"{inner} {inner!r}"
            yield from _causes(inner)


class Overheard(logging.Handler):
    """Whatever was said, with where it was said."""

    def __init__(self, keys: Collection[str]) -> None:
        super().__init__(level=0)
        self.forms = set().union(*(forms_of(key) for key in keys))
        self.said: dict[tuple[str, str], None] = {}  # in order, and what is said twice is looked at once

    def emit(self, record: logging.LogRecord) -> None:
        self.note(f"log {record.name}", record.getMessage(), repr(record.args))
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        self.note(f"log {record.name}", repr(extra))
        if record.exc_info and record.exc_info[1] is not None:
            self.note(f"log {record.name}", *spread(record.exc_info[1]))

    def note(self, where: str, *texts: str) -> None:
        self.said.update(dict.fromkeys((where, text) for text in texts))

    def things(self, where: str, *things: Any) -> None:
        for thing in things:
            self.note(where, *spread(thing))

    @property
    def places(self) -> set[str]:
        return {where for where, _ in self.said}

    def leaks(self) -> list[tuple[str, str]]:
        """(where, what stands around it) of every key that was given away."""
        return [
            (where, text[max(0, at - 60) : at + 80])
            for where, text in self.said
            for form in self.forms
            if (at := text.find(form)) >= 0
        ]


def listening(
    keys: Collection[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Overheard]:
    """The body of a fixture: every logger at level 0, warnings, both outputs; fails when a key was given away."""
    heard = Overheard(keys)
    for name in LOGGERS:
        logging.getLogger(name)
    known = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [(logger, logger.level, logger.disabled) for logger in (logging.root, *known)]
    for logger, *_ in before:
        logger.disabled = False
        logger.setLevel(0)
        if logger is logging.root or not logger.propagate:
            logger.addHandler(heard)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setattr(connection, "force_debug_cursor", True)  # every statement with its values, in the log
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield heard
    for logger, level, disabled in before:
        logger.removeHandler(heard)
        logger.setLevel(level)
        logger.disabled = disabled
    heard.note("warning", *(f"{one.message!r} {one.source!r}" for one in caught))
    heard.note("output", *capfd.readouterr())
    if leaks := heard.leaks():
        pytest.fail(f"A planted key was given away {len(leaks)} times, first in {leaks[0][0]}: {leaks[0][1]!r}")
