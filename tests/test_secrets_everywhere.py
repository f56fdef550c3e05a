"""A key is planted with every provider. It may be found in the requests that a service received, and nowhere else."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

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
from mediagen.providers import FigmaAPIAdapter
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
    """What gives a key away: plain, quoted for a URL, in base64 also where it stands in the middle of something."""
    yield key
    yield quote(key, safe="")
    yield quote(key)
    for shift in range(3):
        whole = (b"\0" * shift + key.encode())[: (shift + len(key)) // 3 * 3]
        encoded = base64.b64encode(whole).decode()[4 * (shift > 0) :]
        yield encoded
        yield encoded.translate(str.maketrans("+/", "-_"))


def ways_to_write(key: str) -> Iterator[str]:
    """What a service, a proxy or a library may make of a key."""
    yield key
    yield quote(key, safe="")
    yield quote(key)
    for user in ("", "u:", "us:", "use:"):
        text = f"{user}{key}".encode()
        yield base64.b64encode(text).decode()
        yield base64.b64encode(text).decode().rstrip("=")
        yield base64.urlsafe_b64encode(text + b":realm").decode()


FORMS = {form for key in PLANTED.values() for form in forms_of(key)}


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
        yield from spread_of_causes(thing)


def spread_of_causes(exc: BaseException) -> Iterator[str]:
    """The texts of what led to `exc`, also where the traceback leaves it out."""
    for inner in (exc.__cause__, exc.__context__):
        if inner is not None:
            yield f"{inner} {inner!r} {vars(inner)}"
            yield from spread_of_causes(inner)


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
    monkeypatch.setattr(JobProvider, "poll_timeout_s", 0.05)

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


@pytest.mark.parametrize("text", list(ways_to_write(PLANTED["canva_api"])))
def test_what_this_file_listens_with_does_hear(text):
    heard = Overheard()
    heard.things("error", ValueError(f"it is <{text}>"))
    heard.handle(logging.LogRecord("httpx", 1, "", 0, "headers %r", ({"x-key": text},), None))
    assert {where for where, _ in heard.leaks()} == {"error", "log httpx"}


# ---------------------------------------------------------------- adapters and the chain


@pytest.mark.parametrize("case", [case for case in MAKERS if case.steps is None], ids=str)
def test_adapters(case, planted, overheard):
    server = planted(case.name)

    async def run() -> None:
        adapter = case.build(server)
        overheard.things("adapter", adapter, await case.call(adapter))
        overheard.note("service", f"{adapter.service} {adapter.service!r}")
        for step, fault in sample(case):
            server.reset()
            server.fault(step, fault, times=None)
            timeout_s = 0.3 if fault.kind is FaultKind.HANG else 10.0
            _, image, error = await asked(case, case.build(server, timeout_s=timeout_s))
            overheard.things(f"{step} {fault}", image if error is None else error)
            assert was_sent(server) or (step, fault.kind) == ("submit", FaultKind.CONNECT_REFUSED)

    async_to_sync(run)()
    assert {"log asyncio", *(f"log {name}" for name in HTTP_LOGGERS)} <= {where for where, _ in overheard.said}


def test_the_chain(planted, overheard):
    """All providers one behind the other, each in another trouble; then the same with breakers open."""
    servers = [planted(case.name) for case in ONE_OF_EACH]
    chain = MediaGeneratorChain([case.build(server) for case, server in zip(ONE_OF_EACH, servers, strict=True)])

    async def run() -> None:
        for trouble in (Fault.http(500), Fault.html_200(), Fault.http(401), Fault.rate_limited(7), Fault.empty_200()):
            for case, server in zip(ONE_OF_EACH, servers, strict=True):
                server.reset()
                if case.operation:
                    server.fault("submit", trouble, times=None)
            outcome = await chain.execute("generate_image", prompt="A lighthouse", width=64, height=64)
            assert outcome.result is None
            overheard.things("outcome", outcome, outcome.error, *outcome.attempts, outcome.explain())
            overheard.things("chain", chain, chain.get_provider_health(), chain._breaker.known())

    async_to_sync(run)()
    assert "log mediagen.chain" in {where for where, _ in overheard.said}


@pytest.mark.parametrize("case", [*MAKERS, *ONE_OF_EACH], ids=str)
def test_a_key_that_is_refused(case, provider_servers, overheard, settings):
    """Vendors quote the key that they do not know: one in full, one in part."""
    server = provider_servers[case.name]
    key = PLANTED[case.name]
    adapter = case.build(server, **{case.adapter.credential_argument: key})
    overheard.things("probe", async_to_sync(adapter.probe)())
    if case.operation:
        _, _, error = async_to_sync(asked)(case, adapter)
        overheard.things("error", error)
        assert error.http_status == 401
    assert any(key in value for request in server.requests for value in request.headers.values())


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_health_checks(case, planted, overheard):
    server = planted(case.name)
    overheard.things("healthy", async_to_sync(case.build(server).probe)())
    assert was_sent(server)
    for fault in server.faults_for("health"):
        if fault.kind in (FaultKind.HANG, FaultKind.TRICKLE):
            continue
        server.reset()
        server.fault("health", fault)
        overheard.things(str(fault), async_to_sync(case.build(server).probe)())


# ---------------------------------------------------------------- services that repeat what they were sent


def parrot(status: int, shape: str) -> Any:
    """An answer that repeats the key in every form, in the body and in the headers."""

    def repeat(request: Any) -> Any:
        sent = " ".join(value for name, value in request.headers.items() if name in KEY_HEADERS)
        text = " ".join([sent, *(way for key in PLANTED.values() if key in sent for way in ways_to_write(key))])
        error = {"message": text, "code": text, "type": text}
        many = dict.fromkeys(("message", "detail", "err", "title", "name", "code", "status", "id", "type"), text)
        body = {
            "text": f"<html><body>{text}</body></html>",
            "object": json.dumps(
                {**many, "error": error, "errors": [text], "polling_url": text, "urls": {"get": text}}
            ),
            "list": json.dumps({"detail": [{"loc": [text], "msg": text, "type": text}], "errors": [error]}),
            "picture": json.dumps(
                {"data": [{"b64_json": text}], "artifacts": [{"base64": text, "finishReason": text}]}
            ),
            "data": json.dumps({"data": [{"url": text}], "credits": text, "handle": text, "username": text}),
        }[shape]
        headers = {"x-request-id": text, "retry-after": text, "location": text, "finish-reason": text, "seed": text}
        kind = "text/html" if shape == "text" else "application/json"
        return httpx.Response(status, content=body.encode(), headers={**headers, "content-type": kind})

    return repeat


KEY_HEADERS = ("authorization", "x-key", "x-figma-token")
STATUSES = (200, 201, 302, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 503)
SHAPES = ("text", "object", "list", "picture", "data")
ACCEPTED = answer(json={"id": "job-1", "polling_url": "http://parrot.test/v1/get_result?id=job-1", "cost": 1})


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_a_service_that_repeats_the_key(case, overheard, settings, monkeypatch):
    monkeypatch.setattr(JobProvider, "poll_timeout_s", 0.0)
    key = {case.adapter.credential_argument: PLANTED[case.name], "base_url": "http://parrot.test"}
    model = {"model": case.model} if case.model else {}

    async def run(*answers: Any) -> None:
        adapter = case.adapter(**key, **model, dry_run=False)
        with Wire(*answers) as wire:
            overheard.things("probe", await adapter.probe())
        if case.operation:
            with Wire(*answers) as wire:
                _, image, error = await asked(case, adapter)
                overheard.things("answer", image if error is None else error)
        assert any(PLANTED[case.name] in value for value in wire.requests[0].headers.values())

    for status in STATUSES:
        for shape in SHAPES:
            async_to_sync(run)(parrot(status, shape))
            if case.has_jobs:
                async_to_sync(run)(ACCEPTED, parrot(status, shape))


# ---------------------------------------------------------------- what nobody foresaw


def boom(key: str) -> RuntimeError:
    cause = KeyError(f"headers {key}")
    error = RuntimeError(" ".join(["it broke with", *ways_to_write(key)]))
    error.__cause__ = cause
    return error


class Careless(Duck):
    """Written by somebody else: its key is a plain attribute, and stands in every text."""

    def __init__(self) -> None:
        super().__init__("careless", api_key=PLANTED["flux"], access_token=PLANTED["canva_api"])

    async def generate_image(self, prompt: str, width: int, height: int, **options: Any) -> Any:
        raise boom(self.api_key) from boom(self.access_token)


@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
def test_an_exception_that_nobody_foresaw(case, planted, overheard, monkeypatch):
    server = planted(case.name)

    async def fails(self: Any, request: Any) -> Any:
        raise boom(server.key)

    monkeypatch.setattr(case.adapter, "_generate_image", fails)
    chain = MediaGeneratorChain([case.build(server), Careless()])
    outcome = async_to_sync(chain.execute)("generate_image", **case.arguments)
    assert [attempt.outcome.value for attempt in outcome.attempts] == ["error", "error"]
    assert all("RuntimeError" in attempt.message for attempt in outcome.attempts)
    # The providers' own attributes are theirs; everything that the chain makes of them is looked at.
    overheard.things("outcome", outcome.error, outcome.explain(), *outcome.attempts)
    assert "Traceback" in "".join(text for where, text in overheard.said if where == "log mediagen.chain")


# ---------------------------------------------------------------- engine, rows and commands


def every_row() -> Iterator[str]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            yield f"{table}: {cursor.fetchall()!r}"


def every_file(root: Path) -> Iterator[str]:
    for path in root.rglob("*"):
        if path.is_file():
            yield f"{path}: {path.read_bytes().decode('latin-1')}"


@pytest.fixture(params=["stored", "environment", "settings"])
def site(request, planted, settings, monkeypatch, db) -> Callable[..., list[ProviderServer]]:
    """`site("flux", ...)`: these alone are enabled and live; their keys come from where the parameter says."""

    def make(*names: str) -> list[ProviderServer]:
        ProviderConfig.objects.exclude(name__in=names).update(enabled=False)
        servers = []
        for name in names:
            server = planted(name)
            cls = next(case.adapter for case in ONE_OF_EACH if case.name == name)
            config = ProviderConfig.objects.get(name=name)
            config.base_url, config.dry_run = server.base_url, False
            if request.param == "stored":
                config.credentials = server.key
            elif request.param == "environment":
                monkeypatch.setenv(cls.credential_env, server.key)
            else:
                entry = {"OPTIONS": {cls.credential_argument: server.key}}
                providers = {**settings.MEDIAGEN.get("PROVIDERS", {}), name: entry}
                settings.MEDIAGEN = {**settings.MEDIAGEN, "PROVIDERS": providers}
            config.save()
            servers.append(server)
        return servers

    return make


def with_locals(exc: BaseException) -> Iterator[str]:
    """What an error tracker keeps of an exception, and Django's page for developers shows."""
    yield "".join(traceback.TracebackException.from_exception(exc, capture_locals=True).format())
    reporter = ExceptionReporter(RequestFactory().get("/"), type(exc), exc, exc.__traceback__)
    yield reporter.get_traceback_html()
    yield reporter.get_traceback_text()


@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
def test_the_engine_and_every_row(case, site, overheard, media_root):
    (server,) = site(case.name)
    asset = engine.generate_asset_sync("A lighthouse", 64, 64)
    overheard.things("asset", asset, asset.fit_report, asset.parameters)
    assert was_sent(server)
    failed = 0
    for step, fault in sample(case):
        if fault.kind is FaultKind.HANG:
            continue
        ProviderHealth.objects.all().delete()
        server.reset()
        server.fault(step, fault, times=None)
        try:
            overheard.things("asset", engine.generate_asset_sync("A lighthouse", 64, 64))
        except GenerationFailed as exc:
            failed += 1
            overheard.things(f"{step} {fault}", exc, *exc.attempts)
            overheard.note("page", *with_locals(exc))
        overheard.note("rows", *every_row())
    overheard.note("files", *every_file(media_root))
    assert failed > 10
    assert "log django.db.backends" in {where for where, _ in overheard.said}
    assert any("mediagen_generationattempt" in text for where, text in overheard.said if where == "rows")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["text", "json"])
def test_commands(site, overheard, form):
    servers = site("sdxl", "openai_images", "flux", "replicate_sdxl", "figma_api", "canva_api")
    makers = servers[:4]

    def run(*command: str, code: int) -> None:
        out, err = StringIO(), StringIO()
        try:
            call_command(*command, *form, "--traceback", stdout=out, stderr=err)
            ended = 0
        except CommandError as exc:
            ended = exc.returncode
            overheard.things("command", exc)
            overheard.note("page", *with_locals(exc))
        overheard.note(f"output of {command[0]}", out.getvalue(), err.getvalue())
        overheard.note("rows", *every_row())
        assert (ended, bool(out.getvalue())) == (code, True)

    run("check_providers", "--live", code=0)
    run("generate_assets", "A lighthouse", "--live", "--size=64x64", "--count=2", "-v3", code=0)
    for trouble in (Fault.http(401), Fault.html_200(), Fault.reset_after_body_read()):
        ProviderHealth.objects.all().delete()
        for server in servers:
            server.reset()
            server.fault("health", trouble, times=None)
        for server in makers:
            server.fault("submit", trouble, times=None)
        run("check_providers", "--live", code=1)
        run("generate_assets", "A lighthouse", "--live", "--size=64x64", "-v3", code=1)
        assert all(was_sent(server) for server in servers)


def test_an_export(site, overheard):
    """Nothing is sent live yet, and what is said about it does not name the token."""
    (server,) = site("figma_api")
    ProviderConfig.objects.filter(name="noop_media").update(enabled=True)
    asset = engine.generate_asset_sync("A lighthouse", 64, 64)
    try:
        overheard.things("export", async_to_sync(engine.export_asset_to_figma)(asset.pk, "abcDEF123456"))
    finally:
        overheard.note("rows", *every_row())
    image = GeneratedImage(content=b"picture", format="png")
    adapter = FigmaAPIAdapter(server.key, server.base_url, dry_run=False)
    with pytest.raises(ProviderError) as caught:
        async_to_sync(adapter.export_to_figma)(image, "abcDEF123456")
    overheard.things("error", caught.value)
