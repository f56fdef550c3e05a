"""Every fault, at every step where it can be put, does on the wire what it says."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from io import BytesIO

import httpx
import pytest
from PIL import Image

from tests.covering import covering
from tests.servers import SERVERS, Fault, FaultKind, ProviderServer
from tests.servers.bare import Call, absolute, ask, key_header, opened, right_call
from tests.servers.faults import DEAD_PORT_URL
from tests.servers.fixtures import RunningServers


def what_can_break(name: str, step: str, fault: Fault) -> set[tuple[str, ...]]:
    """A server's own code at a step and for a status, and what all have in common for a kind of fault."""
    return {(name, step), ("any", str(fault)), (name, "says", str(fault.status))}


EVERY = covering(
    [
        pytest.param(name, step, fault, id=f"{name}-{step}-{fault}")
        for name, server in SERVERS.items()
        for step in server.steps
        if step != "other"
        for fault in server.faults_for(step)
        if not (fault.kind is FaultKind.CONNECT_REFUSED and step in server.generate_steps[1:])
    ],
    what_can_break,
)
# Here the door closes behind the step before, which has a test of its own.
DOOR_CASES = [(name, step) for name, server in SERVERS.items() for step in server.generate_steps[1:]]
SHORT_S = 0.1


def picture_in(server: ProviderServer, response: httpx.Response) -> bytes:
    """The bytes where the picture belongs."""
    if server.name in ("openai_images", "openrouter"):
        return base64.b64decode(response.json()["data"][0]["b64_json"])
    if server.name == "gemini":
        return base64.b64decode(response.json()["candidates"][0]["content"]["parts"][0]["inlineData"]["data"])
    return response.content


def url_in(answer: object) -> set[str]:
    """Every text in a JSON answer that looks like a URL."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list):
        return set().union(*(url_in(one) for one in answer))
    return {answer} if isinstance(answer, str) and answer.startswith("http") else set()


# What to see for each kind of fault: (client, server, call, fault) -> nothing, or a failed assertion.
Check = Callable[[httpx.Client, ProviderServer, Call, Fault], None]


def connection_is_refused(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    with pytest.raises(httpx.ConnectError):
        ask(client, server, call)
    assert not server.requests


def connection_is_reset(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    # A client that is still sending when the reset comes may see it as an end instead.
    with pytest.raises((httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)):
        ask(client, server, call)
    assert server.requests[-1].status is None
    assert server.requests[-1].accepted == (fault.kind is FaultKind.RESET_AFTER_BODY_READ)


def nothing_comes(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    with pytest.raises(httpx.ReadTimeout):
        ask(client, server, call, timeout=SHORT_S)
    deadline = time.monotonic() + 5
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.01)  # it may be making the picture still
    assert server.requests[-1].accepted


def bytes_come_slowly(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    headers = {**key_header(server), **call.how.get("headers", {})}
    began = time.monotonic()
    with client.stream(call.method, absolute(server, call), **{**call.how, "headers": headers}) as response:
        length, got = int(response.headers["content-length"]), 0
        for piece in response.iter_raw():
            got += len(piece)
            if got > fault.chunk_bytes:
                break
        # What is longer than one piece cannot be here before the pause after the first.
        assert time.monotonic() - began >= fault.delay_s * 0.5 * (length > fault.chunk_bytes)


def body_ends_early(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        ask(client, server, call)


def error_is_answered(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert response.status_code == fault.status
    if fault.code:
        words = {("fal", "balance"): "Exhausted balance", ("openrouter", "moderation"): "reasons"}
        assert words.get((server.name, fault.code), fault.code) in response.text
    wait = response.headers.get("retry-after")
    if isinstance(fault.retry_after, timedelta):
        ahead = parsedate_to_datetime(wait) - datetime.now(UTC)
        assert abs(ahead - fault.retry_after) < timedelta(seconds=5)
    else:
        assert wait == (None if fault.retry_after is None else str(fault.retry_after))
    if server.requests[-1].step == "download":
        assert b"<Error>" in response.content
    else:
        assert response.text if server.name == "comfyui" else response.json()


def redirect_is_answered(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert (response.status_code, response.headers["location"]) == (302, fault.url)


def web_page_is_answered(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert response.status_code == 200
    assert response.text.startswith("<!doctype html>")


def nothing_is_answered(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert (response.status_code, response.content) == (200, b"")


def type_is_wrong(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert (response.is_success, response.headers["content-type"]) == (True, "text/html")
    assert not response.text.startswith("<!doctype html>")


def picture_is_cut(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    content = picture_in(server, ask(client, server, call))
    with Image.open(BytesIO(content)) as image, pytest.raises(OSError, match="truncated"):
        image.load()


def picture_is_json(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    assert picture_in(server, ask(client, server, call)).startswith(b"{")


def picture_is_a_bomb(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    content = picture_in(server, ask(client, server, call))
    assert len(content) < 50_000
    with pytest.warns(Image.DecompressionBombWarning):
        assert Image.open(BytesIO(content)).size == (10_000, 10_000)


def picture_is_missing(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert response.is_success
    if server.name == "sdxl":
        assert response.content == b""
    else:
        urls = {url for url in url_in(response.json()) if "delivery" in url or "/files/" in url}
        assert not urls
        assert "b64_json" not in response.text


def moderation_refuses(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    body = response.json()
    usual = {
        "sdxl": (403, "content_moderation"),
        "openai_images": (400, fault.code or "moderation_blocked"),
        "flux": (200, fault.code or "Request Moderated"),
        "replicate_sdxl": (200, "NSFW content detected. Try running it again, or try a different prompt."),
        "canva_api": (400, "input_unsafe"),
        "gemini": (200, fault.code.removeprefix("prompt:") or "PROHIBITED_CONTENT"),
        "openrouter": (400, "content_policy_violation"),
        "fal": (422, "content_policy_violation"),
    }
    if server.name == "gemini":
        why = body.get("promptFeedback") or body["candidates"][0]
        assert (response.status_code, why.get("blockReason", why.get("finishReason"))) == usual["gemini"]
        return
    if server.name == "fal":
        body = {"code": body["detail"][0]["type"]} if "detail" in body else {"code": body["has_nsfw_concepts"]}
        usual["fal"] = (200, [True]) if fault.code else usual["fal"]
    if server.name == "openrouter":
        body = {"code": body["error"]["metadata"]["error_type"]}
    word = {"sdxl": "name", "flux": "status", "replicate_sdxl": "error", "canva_api": "code"}
    seen = body["error"]["code"] if server.name == "openai_images" else body[word.get(server.name, "code")]
    assert (response.status_code, seen) == usual[server.name]


def picture_is_filtered(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert (response.status_code, response.headers["finish-reason"]) == (200, "CONTENT_FILTERED")
    assert opened(response.content)


def job_runs_on(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    states = [status_of(ask(client, server, call))]
    server.fault(server.requests[-1].step, fault, times=3)
    states += [status_of(ask(client, server, call)) for _ in range(3)]
    running = {"Pending", "processing", "in_progress", "in-progress", "IN_PROGRESS", "", fault.text}
    assert all(state in running for state in states)


def job_is_unknown(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    if server.name == "flux":
        assert response.json()["status"] == "Task not found"
    elif server.name == "comfyui":
        assert response.json() == {}
    else:
        assert response.status_code == 404


def job_has_failed(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    response = ask(client, server, call)
    assert response.status_code == fault.status
    failed = {"flux": "Error", "replicate_sdxl": fault.code or "failed", "fal": "COMPLETED", "comfyui": "error"}.get(
        server.name, "failed"
    )
    assert status_of(response) == failed
    assert fault.text in response.text
    # It has failed for good.
    assert status_of(ask(client, server, call)) == failed


def url_is_foreign(client: httpx.Client, server: ProviderServer, call: Call, fault: Fault) -> None:
    assert fault.url in url_in(ask(client, server, call).json())


def status_of(response: httpx.Response) -> str:
    body = response.json()
    if not body or "outputs" in next(iter(body.values()), ()):  # ComfyUI's, by job
        return (body and next(iter(body.values()))["status"]["status_str"]) or ""
    state = body.get("job", body)["status"]
    assert isinstance(state, str)
    return state


CHECKS: dict[FaultKind, Check] = {
    FaultKind.CONNECT_REFUSED: connection_is_refused,
    FaultKind.RESET_BEFORE_BODY_READ: connection_is_reset,
    FaultKind.RESET_AFTER_BODY_READ: connection_is_reset,
    FaultKind.HANG: nothing_comes,
    FaultKind.TRICKLE: bytes_come_slowly,
    FaultKind.TRUNCATED_BODY: body_ends_early,
    FaultKind.HTTP: error_is_answered,
    FaultKind.REDIRECT: redirect_is_answered,
    FaultKind.HTML_200: web_page_is_answered,
    FaultKind.EMPTY_200: nothing_is_answered,
    FaultKind.WRONG_CONTENT_TYPE: type_is_wrong,
    FaultKind.TRUNCATED_PICTURE: picture_is_cut,
    FaultKind.NOT_A_PICTURE: picture_is_json,
    FaultKind.BOMB: picture_is_a_bomb,
    FaultKind.NO_PICTURE: picture_is_missing,
    FaultKind.MODERATION: moderation_refuses,
    FaultKind.CONTENT_FILTERED: picture_is_filtered,
    FaultKind.JOB_NEVER_ENDS: job_runs_on,
    FaultKind.UNKNOWN_STATUS: job_runs_on,
    FaultKind.TASK_NOT_FOUND: job_is_unknown,
    FaultKind.JOB_FAILED: job_has_failed,
    FaultKind.FOREIGN_URL: url_is_foreign,
    FaultKind.EXPIRED: error_is_answered,
}


@pytest.mark.parametrize(("name", "step", "fault"), EVERY)
def test_a_fault_does_what_it_says(
    provider_servers: RunningServers, client: httpx.Client, name: str, step: str, fault: Fault
) -> None:
    server = provider_servers[name]
    call = right_call(client, server, step)
    server.requests.clear()
    server.purchases.clear()
    server.fault(step, fault)
    CHECKS[fault.kind](client, server, call, fault)
    if fault.replaces_answer or fault.kind in (FaultKind.CONNECT_REFUSED, FaultKind.RESET_BEFORE_BODY_READ):
        assert not server.purchases
    if step == "submit" and (fault.spoils_answer or fault.kind is FaultKind.CONTENT_FILTERED):
        assert len(server.purchases) == 1


@pytest.mark.parametrize(("name", "step"), DOOR_CASES)
def test_the_door_closes_behind_the_step_before(
    provider_servers: RunningServers, client: httpx.Client, name: str, step: str
) -> None:
    server = provider_servers[name]
    server.fault(step, Fault.connect_refused())
    call = right_call(client, server, step)
    before = len(server.requests)
    if (name, step) == ("canva_api", "design"):  # a design needs no upload of its own
        ask(client, server, right_call(client, server, "poll"))
        before = len(server.requests)
    with pytest.raises(httpx.ConnectError):
        ask(client, server, call)
    assert len(server.requests) == before
    server.accept_connections()
    assert ask(client, server, call).is_success


def test_the_door_opens_again_by_itself(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["flux"]
    call = right_call(client, server, "health")
    server.fault("health", Fault.connect_refused(for_s=0.2))
    with pytest.raises(httpx.ConnectError):
        ask(client, server, call)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert ask(client, server, call).is_success
            return
        except httpx.ConnectError:
            time.sleep(0.02)
    pytest.fail("the server did not listen again")


def test_faults_take_turns_and_end(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["flux"]
    call = right_call(client, server, "health")
    server.fault("health", Fault.http(503), times=2, after=1)
    server.fault("health", Fault.rate_limited(1))
    statuses = [ask(client, server, call).status_code for _ in range(5)]
    assert statuses == [200, 503, 503, 429, 200]
    server.fault("health", Fault.http(500), times=None)
    assert [ask(client, server, call).status_code for _ in range(3)] == [500, 500, 500]
    server.clear_faults()
    assert ask(client, server, call).status_code == 200


def test_trouble_in_between_polls_costs_no_second_job(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["flux"]
    call = right_call(client, server, "poll")
    server.polls_until_ready = 3
    server.fault("poll", Fault.http(503, retry_after=1), after=1)
    server.fault("poll", Fault.rate_limited())
    seen = [ask(client, server, call) for _ in range(5)]
    assert [one.status_code for one in seen] == [200, 503, 429, 200, 200]
    assert seen[-1].json()["status"] == "Ready"
    assert len(server.purchases) == 1


def test_a_hanging_request_answers_when_released(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["openai_images"]
    call = right_call(client, server, "submit")
    server.fault("submit", Fault.hang())
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(ask(client, server, call)))
    asking.start()
    server.wait_for_requests("submit")
    assert len(server.purchases) == 1
    assert not answers
    server.release()
    asking.join(5)
    assert answers[0].json()["data"]


def test_a_gateway_that_gives_up_hides_a_purchase(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["sdxl"]
    call = right_call(client, server, "submit")
    server.fault("submit", Fault.http(504, bought=True))
    assert ask(client, server, call).status_code == 504
    assert len(server.purchases) == 1


def test_a_wrong_request_is_refused_before_the_fault(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["openai_images"]
    server.fault("submit", Fault.hang())
    response = ask(client, server, Call("POST", "/images/generations", {"json": {"prompt": "x", "model": "dall-e-3"}}))
    assert (response.status_code, server.purchases) == (404, [])


@pytest.mark.parametrize(
    ("name", "step", "fault", "named"),
    [
        ("flux", "generate", Fault.hang(), "no step"),
        ("flux", "submit", Fault.bomb(), "cannot happen"),
        ("flux", "submit", Fault.moderation(), "cannot happen"),
        ("sdxl", "health", Fault.content_filtered(), "cannot happen"),
        ("openai_images", "submit", Fault.task_not_found(), "cannot happen"),
    ],
)
def test_what_cannot_happen_is_refused(
    provider_servers: RunningServers, name: str, step: str, fault: Fault, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        provider_servers[name].fault(step, fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hang", Fault.hang()),
        ("http=503", Fault.http(503)),
        ("http=429,retry_after=7,code=insufficient_quota", Fault.http(429, code="insufficient_quota", retry_after=7)),
        ("http=504,bought=true", Fault.http(504, bought=True)),
        ("connect_refused=0.5", Fault.connect_refused(0.5)),
        (f"redirect={DEAD_PORT_URL}", Fault.redirect(DEAD_PORT_URL)),
        ("moderation=Content Moderated", Fault.moderation("Content Moderated")),
    ],
)
def test_faults_are_read_from_text(text: str, fault: Fault) -> None:
    assert Fault.from_text(text) == fault


@pytest.mark.parametrize("text", ["nonsense", "http", "hang=1", "redirect,place=x", "from_text"])
def test_nonsense_is_no_fault(text: str) -> None:
    with pytest.raises(ValueError, match="ault"):
        Fault.from_text(text)


def test_every_fault_has_a_name_of_its_own() -> None:
    for name, server in SERVERS.items():
        for step in server.steps:
            names = [str(fault) for fault in server.faults_for(step)]
            assert len(names) == len(set(names)), (name, step)
