"""A key is planted with every provider. It may be found in the requests that a service received, and nowhere else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

from mediagen.chain import MediaGeneratorChain
from mediagen.destinations import destination
from mediagen.engine import get_media_engine
from mediagen.errors import GenerationFailed, ProviderError
from mediagen.models import ProviderConfig, ProviderHealth
from mediagen.providers import FigmaAPIAdapter
from mediagen.providers.base import JobProvider
from mediagen.types import GeneratedImage
from tests.covering import all_but
from tests.fakes import Duck
from tests.overheard import HTTP_LOGGERS, Overheard, listening, ways_to_write
from tests.providers.cases import MAKERS, ONE_MAKER_EACH, ONE_OF_EACH, Case, asked, hurry
from tests.servers import SERVERS, Fault, FaultKind, ProviderServer

__all__ = ["hurry"]

pytestmark = [pytest.mark.usefixtures("hurry"), pytest.mark.filterwarnings("default")]

PLANTED = {name: f"Pl4nted/{name}+key=0123456789~xyz" for name in SERVERS}
engine = get_media_engine()


@pytest.fixture
def overheard(monkeypatch, capfd) -> Iterator[Overheard]:
    """Hears everything, and fails the test that gives a planted key away."""
    yield from listening(PLANTED.values(), monkeypatch, capfd)


@pytest.fixture
def planted(provider_servers, monkeypatch, settings) -> Callable[[str], ProviderServer]:
    """`planted("flux")`: its server, which takes the planted key and no other."""
    settings.MEDIAGEN = {"FIT": "keep", "BACKOFF_S": 0.001}
    monkeypatch.setattr(JobProvider, "poll_timeout_s", 0.3)

    def make(name: str) -> ProviderServer:
        server = provider_servers[name]
        monkeypatch.setattr(server, "key", PLANTED[name])
        server.reset()
        return server

    return make


def was_sent(server: ProviderServer) -> bool:
    return any(server.key in value for request in server.requests for value in request.headers.values())


def sample(case: Case) -> list[tuple[str, Fault]]:
    """Every kind of fault at every step, but of those that only take time just one."""
    slow = (FaultKind.TRICKLE, FaultKind.HANG)
    found = {
        (step, fault.kind, fault.status): (step, fault)
        for step in case.server.generate_steps
        for fault in case.server.faults_for(step)
        if fault.kind not in slow and not (step == "download" and fault.retry_after)
    }
    return [*found.values(), (case.server.generate_steps[-1], Fault.hang())]


def some_of(cases: Iterable[Case], *names: str) -> list[Any]:
    """Those of these names; the others with the mark `whole`."""
    everyday = [case for case in cases if str(case) in names]
    return all_but([case for case in cases if case.steps is None], *everyday)


# ---------------------------------------------------------------- the net holds


@pytest.mark.parametrize("text", list(ways_to_write(PLANTED["canva_api"])))
def test_what_this_file_listens_with_does_hear(text):
    heard = Overheard(PLANTED.values())
    heard.things("error", ValueError(f"it is <{text}>"))
    heard.handle(logging.LogRecord("httpx", 1, "", 0, "headers %r", ({"x-key": text},), None))
    assert {where for where, _ in heard.leaks()} == {"error", "log httpx"}


# ---------------------------------------------------------------- adapters and the chain


# In the everyday run one that answers at once and one with jobs; the engine's test has the other two.
@pytest.mark.parametrize("case", some_of(MAKERS, "sdxl-core"), ids=str)
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
    assert {"log asyncio", *(f"log {name}" for name in HTTP_LOGGERS)} <= overheard.places


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
                if case.ends_jobs:  # its submission may be lost: the job is looked for
                    server.fault("poll", Fault.task_not_found(), times=None)
            outcome = await chain.execute("generate_image", prompt="A lighthouse", width=64, height=64)
            assert outcome.result is None
            overheard.things("outcome", outcome, outcome.error, *outcome.attempts, outcome.explain())
            overheard.things("chain", chain, chain.get_provider_health(), chain._breaker.known())

    async_to_sync(run)()
    assert "log mediagen.chain" in overheard.places


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
        assert error.http_status == case.wrong_key_status
    assert any(key in value for request in server.requests for value in request.headers.values())


@pytest.mark.parametrize("case", ONE_OF_EACH, ids=str)
def test_health_checks(case, planted, overheard):
    server = planted(case.name)
    report = async_to_sync(case.build(server).probe)()
    overheard.things("healthy", report)
    assert report.ok
    assert was_sent(server)
    for fault in server.faults_for("health"):
        if fault.kind in (FaultKind.HANG, FaultKind.TRICKLE):
            continue
        server.reset()
        server.fault("health", fault)
        overheard.things(str(fault), async_to_sync(case.build(server).probe)())


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
            yield from (f"{table}: {row!r}" for row in cursor.fetchall())


def every_file(root: Path) -> Iterator[str]:
    for path in root.rglob("*"):
        if path.is_file():
            yield f"{path}: {path.read_bytes().decode('latin-1')}"


SOURCES = ("stored", "environment", "settings")


@pytest.fixture
def site(planted, settings, monkeypatch, db) -> Callable[..., list[ProviderServer]]:
    """`site("flux", ...)`: these alone are enabled and live; `source` says where their keys come from."""

    def make(*names: str, source: str = "stored") -> list[ProviderServer]:
        ProviderConfig.objects.exclude(name__in=names).update(enabled=False)
        servers = []
        for name in names:
            server = planted(name)
            cls = next(case.adapter for case in ONE_OF_EACH if case.name == name)
            config = ProviderConfig.objects.get(name=name)
            config.base_url, config.dry_run = server.base_url, False
            config.options = dict(next(case.configuration for case in ONE_OF_EACH if case.name == name))
            config.key_consent = destination(config)
            if source == "stored":
                config.credentials = server.key
            elif source == "environment":
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


def make_one(overheard: Overheard, *, pages: bool = False) -> GenerationFailed | None:
    """One asset through the whole house; None when it was made."""
    failure = None
    try:
        asset = engine.generate_asset_sync("A lighthouse", 64, 64)
        overheard.things("asset", asset, asset.fit_report, asset.parameters)
    except GenerationFailed as exc:
        failure = exc
        overheard.things("failure", exc, *exc.attempts)
        if pages:
            overheard.note("page", *with_locals(exc))
    overheard.note("rows", *every_row())
    return failure


@pytest.mark.parametrize("case", some_of(ONE_MAKER_EACH, "openai_images-gpt-image-2"), ids=str)
def test_the_engine_and_every_row(case, site, overheard, media_root):
    (server,) = site(case.name)
    assert make_one(overheard) is None
    assert was_sent(server)
    failed = 0
    for step, fault in sample(case):
        if fault.kind is FaultKind.HANG:
            continue
        ProviderHealth.objects.all().delete()
        server.reset()
        server.fault(step, fault, times=None)
        failed += make_one(overheard) is not None
    overheard.note("files", *every_file(media_root))
    assert failed > 10
    assert "log django.db.backends" in overheard.places
    for table in ("mediagen_generationattempt", "mediagen_providerhealth", "mediagen_providerconfig"):
        assert any(text.startswith(table) for where, text in overheard.said if where == "rows")


# Each provider once in the everyday run, each source with some of them.
@pytest.mark.parametrize(
    ("case", "source"),
    all_but(
        [(case, source) for case in ONE_MAKER_EACH for source in SOURCES],
        *[(case, SOURCES[number % len(SOURCES)]) for number, case in enumerate(ONE_MAKER_EACH)],
    ),
    ids=str,
)
def test_wherever_the_key_comes_from(case, source, site, overheard):
    (server,) = site(case.name, source=source)
    assert make_one(overheard) is None
    for trouble in (Fault.http(401), Fault.reset_after_body_read()):
        ProviderHealth.objects.all().delete()
        server.reset()
        server.fault("submit", trouble, times=None)
        if case.ends_jobs:
            server.fault("poll", Fault.task_not_found(), times=None)
        assert make_one(overheard, pages=True) is not None
        assert was_sent(server)


@pytest.mark.parametrize(
    ("form", "source"),
    all_but(
        [(form, source) for form in ((), ("--json",)) for source in SOURCES],
        (("--json",), "stored"),
    ),
)
def test_commands(site, overheard, form, source):
    servers = site(*(case.name for case in ONE_OF_EACH), source=source)

    def run(*command: str, code: int) -> None:
        out, err = StringIO(), StringIO()
        try:
            call_command(*command, *form, "--traceback", stdout=out, stderr=err)
            ended = 0
        except CommandError as exc:
            ended = exc.returncode
            overheard.things("command", exc)
        overheard.note(f"output of {command[0]}", out.getvalue(), err.getvalue())
        overheard.note("rows", *every_row())
        assert (ended, bool(out.getvalue())) == (code, True), out.getvalue() + err.getvalue()

    run("check_providers", "--live", code=0)
    run("generate_assets", "A lighthouse", "--live", "--size=64x64", "--count=2", "-v3", code=0)
    for trouble in (Fault.http(401), Fault.html_200(), Fault.reset_after_body_read()):
        ProviderHealth.objects.all().delete()
        for server in servers:
            server.reset()
            server.fault("health", trouble, times=None)
            server.fault("submit", trouble, times=None)
            if server.name == "comfyui":
                server.fault("poll", Fault.task_not_found(), times=None)
        run("check_providers", "--live", code=1)
        run("generate_assets", "A lighthouse", "--live", "--size=64x64", "-v3", code=1)
        assert [server.name for server in servers if not was_sent(server)] == []


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
