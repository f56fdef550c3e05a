"""A key is planted with every provider. It may be found in the requests that a service received, and nowhere else."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from mediagen.chain import MediaGeneratorChain
from mediagen.engine import get_media_engine
from mediagen.errors import GenerationFailed, ProviderError
from mediagen.http.client import httpx
from mediagen.models import ProviderConfig, ProviderHealth
from mediagen.providers import FigmaAPIAdapter, FluxAdapter, SDXLAdapter
from mediagen.providers.base import JobProvider
from mediagen.types import GeneratedImage
from tests.fakes import Duck
from tests.providers.cases import MAKERS, ONE_MAKER_EACH, ONE_OF_EACH, Case, asked, hurry
from tests.providers.wire import Wire, answer
from tests.servers import SERVERS, Fault, FaultKind, ProviderServer

__all__ = ["hurry"]

pytestmark = [pytest.mark.usefixtures("hurry"), pytest.mark.filterwarnings("default")]

PLANTED = {name: f"Pl4nted/{name}+key=0123456789~xyz" for name in SERVERS}
HTTP_LOGGERS = (httpx.__name__, httpx.__name__.replace("httpx", "httpcore") + ".http11")
LOGGERS = (*HTTP_LOGGERS, "asyncio", "mediagen", "mediagen.chain", "django", "django.db.backends")
engine = get_media_engine()


def forms_of(key: str) -> Iterator[str]:
    """Plain, quoted for a URL, and in base64, also where it stands in the middle of something."""
    yield key
    yield quote(key, safe="")
    yield quote(key)
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + key.encode()).decode()
        yield encoded[4 * (shift > 0) : len(encoded) // 4 * 4 - 4]
        yield encoded[4 * (shift > 0) : len(encoded) // 4 * 4 - 4].translate(str.maketrans("+/", "-_"))


FORMS = {form for key in PLANTED.values() for form in forms_of(key)}


def spread(thing: Any, depth: int = 8) -> Iterator[str]:
    """Everything that a log, an error tracker or a debugger would make of it."""
    yield f"{thing} {thing!r}"
    if hasattr(thing, "__dict__"):
        yield repr(vars(thing))
    for slot in getattr(type(thing), "__slots__", ()):
        yield repr(getattr(thing, slot, ""))
    try:
        yield pickle.dumps(thing).decode("latin-1")
    except Exception as exc:  # most things cannot be pickled, and a key refuses to be
        yield f"{exc!r}"
    if isinstance(thing, BaseException):
        yield "".join(traceback.format_exception(thing))
        for inner in (thing.__cause__, thing.__context__):
            if inner is not None and depth:
                yield from spread(inner, depth - 1)


class Overheard(logging.Handler):
    """Whatever was said anywhere, with where it was said."""

    def __init__(self) -> None:
        super().__init__(level=0)
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.note(f"log {record.name}", record.getMessage(), repr(record.args), repr(vars(record)))
        if record.exc_info and record.exc_info[1] is not None:
            self.note(f"log {record.name}", *spread(record.exc_info[1]))

    def note(self, where: str, *texts: str) -> None:
        self.said += [(where, text) for text in texts]

    def things(self, where: str, *things: Any) -> None:
        for thing in things:
            self.note(where, *spread(thing))

    def leaks(self) -> list[tuple[str, str]]:
        found = []
        for where, text in self.said:
            for form in FORMS:
                if (at := text.find(form)) >= 0:
                    found.append((where, text[max(0, at - 60) : at + 80]))
        return found


@pytest.fixture
def overheard(monkeypatch, capfd) -> Iterator[Overheard]:
    """Listens to every logger at level 0, to warnings, and to both outputs; fails the test that gives a key away."""
    heard = Overheard()
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
    assert heard.leaks() == []


@pytest.fixture
def planted(provider_servers, monkeypatch, settings) -> Callable[[str], ProviderServer]:
    """`planted("flux")`: its server, which takes the planted key and no other."""
    settings.MEDIAGEN = {"FIT": "keep", "BACKOFF_S": 0.001}
    monkeypatch.setattr(JobProvider, "poll_timeout_s", 0.1)

    def make(name: str) -> ProviderServer:
        server = provider_servers[name]
        monkeypatch.setattr(server, "key", PLANTED[name])
        return server

    return make


def was_sent(server: ProviderServer) -> bool:
    return any(server.key in value for request in server.requests for value in request.headers.values())


def sample(case: Case) -> list[tuple[str, Fault]]:
    """Every kind of fault at every step, but those that only take time."""
    slow = (FaultKind.TRICKLE, FaultKind.HANG)
    found = {
        (step, fault.kind, fault.status): (step, fault)
        for step in case.server.generate_steps
        for fault in case.server.faults_for(step)
        if fault.kind not in slow
    }
    return [*found.values(), (case.server.generate_steps[-1], Fault.hang())]


# ---------------------------------------------------------------- the net holds


@pytest.mark.parametrize("form", sorted(FORMS)[:12])
def test_what_this_file_listens_with_does_hear(form):
    heard = Overheard()
    heard.things("test", ValueError(f"it is <{form}>"))
    heard.handle(logging.LogRecord("httpx", 1, "", 0, "headers %r", ({"x-key": form},), None))
    assert {where for where, _ in heard.leaks()} == {"test", "log httpx"}


def test_a_key_in_the_middle_of_base64_is_found():
    key = PLANTED["canva_api"]
    for user in ("", "u", "us", "use"):
        text = base64.b64encode(f"{user}:{key}:".encode()).decode()
        assert [form for form in forms_of(key) if form in text]


# ---------------------------------------------------------------- adapters and the chain


@pytest.mark.parametrize("case", MAKERS, ids=str)
def test_adapters(case, planted, overheard):
    server = planted(case.name)

    async def run() -> None:
        adapter = case.build(server, timeout_s=0.5)
        overheard.things("adapter", adapter, await case.call(adapter))
        overheard.note("service", f"{adapter.service} {adapter.service!r}")
        for step, fault in sample(case):
            server.reset()
            server.fault(step, fault, times=None)
            _, image, error = await asked(case, case.build(server, timeout_s=0.3))
            overheard.things(f"{step} {fault}", image if error is None else error)
            assert fault.kind is FaultKind.CONNECT_REFUSED or was_sent(server)

    async_to_sync(run)()
    assert {"log asyncio", *(f"log {name}" for name in HTTP_LOGGERS)} <= {where for where, _ in overheard.said}
