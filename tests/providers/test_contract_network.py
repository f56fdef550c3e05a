"""The contract on where bytes go and come from: keys to their own host only, and no picture too large to open."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mediagen.errors import Outcome
from tests.providers.cases import (
    JOB_MAKERS,
    ONE_MAKER_EACH,
    addresses,
    asked,
    connected,
    forms_of,
    hurry,
    serve,
)
from tests.servers import Fault, FaultKind, pictures

__all__ = ["connected", "hurry", "serve"]

pytestmark = pytest.mark.usefixtures("hurry")

MB = 1024 * 1024
CLEAR, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@pytest.fixture
def stranger(provider_servers, settings):
    """A host of somebody else, which the operator has said may be asked; it is not told any key."""
    server = provider_servers["figma_api"]

    def trusted():
        settings.MEDIAGEN["TRUSTED_HOSTS"].append(urlsplit(server.origin).netloc)
        return server

    return trusted


def seen_by(server) -> str:
    return "\n".join(f"{r.method} {r.path}?{r.raw_query} {r.headers} {r.body!r}" for r in server.requests)


@pytest.mark.parametrize("case", [case for case in JOB_MAKERS if case.delivers_elsewhere], ids=str)
async def test_a_result_on_a_host_that_nobody_trusts_is_not_fetched(case, serve, settings, connected):
    server = serve(case)
    settings.MEDIAGEN["TRUSTED_HOSTS"] = []
    outcome, _, error = await asked(case, case.build(server))
    assert outcome is Outcome.BAD_RESPONSE
    assert "refused" in str(error)
    assert error.job.id == server.purchases[0].job_id
    assert server.requests_for("download") == []
    assert urlsplit(server.delivery_origin).port not in {port for _, port in connected}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("case", JOB_MAKERS, ids=str)
async def test_a_redirected_download_takes_no_key_along(case, status, provider_servers, settings, stranger):
    server = provider_servers[case.name]  # delivers from its own host, which may have the key
    settings.MEDIAGEN = {"TRUSTED_HOSTS": []}
    other = stranger()
    server.fault("download", Fault.redirect(f"{other.origin}/elsewhere", status))
    outcome, _, _ = await asked(case, case.build(server))
    assert outcome is Outcome.BAD_RESPONSE  # the stranger has no such file
    (request,) = other.requests
    assert (request.method, request.path) == ("GET", "/elsewhere")
    assert not [form for form in forms_of(server.key) if form in seen_by(other)]
    assert len(server.purchases) == 1


@pytest.mark.parametrize(
    ("case", "step"),
    [
        pytest.param(case, step, id=f"{case}-{step}")
        for case in JOB_MAKERS
        for step in ("submit", "poll")
        if FaultKind.FOREIGN_URL in {fault.kind for fault in case.server.faults_for(step)}
        and case.outcome(step, Fault.foreign_url("http://any/")) is Outcome.BAD_RESPONSE
    ],
)
async def test_a_foreign_address_in_an_answer_gets_no_key(case, step, serve, stranger, connected):
    server = serve(case)
    other = stranger()
    server.fault(step, Fault.foreign_url(f"{other.origin}/elsewhere"), times=None)
    outcome, _, error = await asked(case, case.build(server, timeout_s=0.7))
    assert outcome in (Outcome.BAD_RESPONSE, Outcome.UNKNOWN)
    assert error.job.id == server.purchases[0].job_id
    assert {request.path for request in other.requests} == {"/elsewhere"}
    assert not [form for form in forms_of(server.key) if form in seen_by(other)]
    assert connected <= addresses(server) | addresses(other)
    assert len(server.purchases) == 1


@pytest.mark.skipif(not CLEAR.exists(), reason="needs Linux: the peak of a process's memory is read from /proc")
@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_a_bomb_is_refused_in_little_memory(case, serve):
    server = serve(case)
    await case.call(case.build(server))  # so that everything that stays in memory is there
    pictures.bomb()
    server.fault(case.server.picture_step, Fault.bomb(), times=None)
    CLEAR.write_text("5")  # the peak begins anew
    before = peak_bytes()
    outcome, _, error = await asked(case, case.build(server))
    used = peak_bytes() - before
    assert outcome is Outcome.BAD_RESPONSE
    assert "100.0 megapixels" in str(error)
    # Opened, its hundred million pixels take at least that many bytes.
    assert used < 20 * MB


def peak_bytes() -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("case", ONE_MAKER_EACH, ids=str)
async def test_more_bytes_than_allowed_are_not_read(case, serve, settings):
    server = serve(case)
    settings.MEDIAGEN["MAX_IMAGE_BYTES"] = 100
    outcome, _, error = await asked(case, case.build(server))
    assert outcome is Outcome.BAD_RESPONSE
    assert "100" in str(error)
    assert len(server.purchases) == 1
