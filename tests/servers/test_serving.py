"""The little HTTP server under the provider servers, and the command that runs them for a person."""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.servers import SERVERS, BFLServer, Fault, ProviderServer, nobody_listens
from tests.servers.bare import Call, ask, right_call
from tests.servers.fixtures import RunningServers
from tests.servers.web import MalformedBody, parse_multipart


@contextmanager
def raw(server: ProviderServer) -> Iterator[socket.socket]:
    """A TCP connection to the server."""
    host, _, port = server.origin.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    pieces = bytearray()
    while piece := connection.recv(65_536):
        pieces += piece
    return bytes(pieces)


def head(server: ProviderServer, *more: str, method: str = "GET", path: str = "/v1/credits") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: x", f"x-key: {server.key}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_connections_are_kept_alive(provider_servers: RunningServers) -> None:
    server = provider_servers["flux"]
    with raw(server) as connection:
        for _ in range(3):
            connection.sendall(head(server))
            answer = connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"connection: close" not in answer
        connection.sendall(head(server, "connection: close"))
        assert b"connection: close" in read_all(connection)


def test_requests_may_be_pipelined_chunked_and_announced(provider_servers: RunningServers) -> None:
    server = provider_servers["flux"]
    body = b'{"prompt": "x"}'
    is_json = "content-type: application/json"
    chunked = head(server, "transfer-encoding: chunked", is_json, method="POST", path="/v1/flux-dev")
    chunked += b"5\r\n" + body[:5] + b"\r\n" + b"%x;note=1\r\n" % len(body[5:]) + body[5:] + b"\r\n0\r\n\r\n"
    announced = head(
        server,
        "expect: 100-continue",
        f"content-length: {len(body)}",
        is_json,
        "connection: close",
        method="POST",
        path="/v1/flux-dev",
    )
    with raw(server) as connection:
        connection.sendall(head(server) + chunked)
        connection.sendall(announced)
        answers = b""
        while b"100 Continue" not in answers:
            answers += connection.recv(65_536)
        connection.sendall(body)
        answers += read_all(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert [request.body for request in server.requests] == [b"", body, body]


def test_nonsense_is_no_request(provider_servers: RunningServers) -> None:
    server = provider_servers["flux"]
    for nonsense in (b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", head(server, "content-length: many")):
        with raw(server) as connection:
            connection.sendall(nonsense)
            assert read_all(connection).startswith(b"HTTP/1.1 400 ")
    assert not server.requests


def test_a_reset_is_a_reset_on_the_wire_before_any_body(provider_servers: RunningServers) -> None:
    server = provider_servers["flux"]
    server.fault("submit", Fault.reset_before_body_read())
    with raw(server) as connection:
        connection.sendall(head(server, "content-length: 100", method="POST", path="/v1/flux-dev"))
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert (server.requests[0].body, server.requests[0].accepted) == (b"", False)


def test_a_client_that_goes_in_the_middle_of_its_body_is_no_purchase(provider_servers: RunningServers) -> None:
    server = provider_servers["flux"]
    with raw(server) as connection:
        connection.sendall(head(server, "content-length: 100", method="POST", path="/v1/flux-dev") + b"{}")
    [request] = server.wait_for_requests("submit")
    assert (request.body, request.status, server.purchases) == (b"{}", None, [])


def test_a_client_that_goes_ends_a_hanging_request(provider_servers: RunningServers, client: httpx.Client) -> None:
    server = provider_servers["flux"]
    server.fault("health", Fault.hang(), times=None)
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            ask(client, server, Call("GET", "/v1/credits"), timeout=0.05)
    deadline = time.monotonic() + 5
    while server._hanging and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not server._hanging


def test_a_closed_door_keeps_its_port(provider_servers: RunningServers) -> None:
    server = provider_servers["flux"]
    origin = server.origin
    server.refuse_connections()
    with pytest.raises(ConnectionRefusedError), raw(server):
        pass
    server.accept_connections()
    server.accept_connections()
    with raw(server) as connection:
        connection.sendall(head(server, "connection: close"))
        assert b"200 OK" in read_all(connection)
    assert server.origin == origin


def test_reset_cuts_what_is_under_way(provider_servers: RunningServers) -> None:
    server = provider_servers["flux"]
    server.fault("health", Fault.hang())
    with raw(server) as connection:
        connection.sendall(head(server))
        server.wait_for_requests("health")
        server.reset()
        assert select.select([connection], [], [], 5)[0]
        assert not server.requests


def test_starting_and_stopping_leaves_no_thread_and_no_port() -> None:
    before = threading.active_count()
    with SERVERS["flux"]() as server, httpx.Client(verify=False) as client:
        ask(client, server, right_call(client, server, "health"))
        server.deliver_elsewhere()
        assert threading.active_count() == before + 2
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError), raw(server):
        pass
    server.stop()


def test_a_taken_port_is_said_at_the_start(provider_servers: RunningServers) -> None:
    port = int(provider_servers["flux"].origin.rpartition(":")[2])
    with pytest.raises(OSError, match="ddress already in use"):
        BFLServer(port).start()


def test_nobody_listens_where_nobody_listens() -> None:
    with nobody_listens() as origin, httpx.Client(verify=False) as client, pytest.raises(httpx.ConnectError):
        client.get(origin)


def test_the_programs_run_under_another_asgi_server(client: httpx.Client) -> None:
    program = BFLServer()
    server = uvicorn.Server(uvicorn.Config(program, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        headers = {"x-key": program.key}
        made = client.post(f"http://127.0.0.1:{port}/v1/flux-dev", json={"prompt": "x"}, headers=headers)
        assert made.json()["id"] == program.purchases[0].job_id
        program.fault("health", Fault.empty_200())
        program.fault("health", Fault.reset_after_body_read())
        assert client.get(f"http://127.0.0.1:{port}/v1/credits", headers=headers).content == b""
        # What needs the wire is refused, and not silently left out.
        assert client.get(f"http://127.0.0.1:{port}/v1/credits", headers=headers).status_code == 500
    finally:
        server.should_exit = True
        thread.join(10)


def test_many_clients_at_once(provider_servers: RunningServers) -> None:
    server = provider_servers["sdxl"]
    server.latency_s = 0.2
    began = time.monotonic()

    def generate() -> None:
        with httpx.Client(timeout=10, verify=False) as client:
            assert ask(client, server, right_call(client, server, "submit")).status_code == 200

    threads = [threading.Thread(target=generate) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.purchases) == 20
    assert time.monotonic() - began < 20 * server.latency_s


@pytest.mark.parametrize(
    ("content_type", "body", "wrong"),
    [
        ("text/plain", b"", "not multipart"),
        ("multipart/form-data", b"", "boundary"),
        ("multipart/form-data; boundary=b", b"--b\r\nx", "not closed"),
        ("multipart/form-data; boundary=b", b"junk\r\n--b--", "not closed"),
        ("multipart/form-data; boundary=b", b"--b\r\nno blank line\r\n--b--", "no headers"),
        ("multipart/form-data; boundary=b", b"--b\r\ncontent-type: text/plain\r\n\r\nx\r\n--b--", "no name"),
    ],
)
def test_broken_multipart_is_refused(content_type: str, body: bytes, wrong: str) -> None:
    with pytest.raises(MalformedBody, match=wrong):
        parse_multipart(content_type, body)


def test_multipart_is_read_to_the_byte() -> None:
    content = b"\r\n--not the boundary\r\n\x00\xff"
    request = httpx.Request("POST", "http://x", files={"a": (None, "é"), "b": ('q"x.png', content, "image/png")})
    parts = parse_multipart(request.headers["content-type"], request.read())
    assert [(part.name, part.filename, part.content_type) for part in parts] == [
        ("a", None, None),
        ("b", 'q"x.png', "image/png"),
    ]
    assert (parts[0].text, parts[1].content) == ("é", content)


def test_the_command_starts_servers_and_ends_on_ctrl_c() -> None:
    command = [sys.executable, "-m", "tests.servers", "flux", "--fault", "flux:health:http=503", "--polls", "1"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("Ctrl-C"):
                break
        words = lines[0].split()
        assert (words[0], words[3]) == ("flux", "test-key-flux-0123456789")
        assert "export BFL_API_KEY=test-key-flux-0123456789" in lines
        answer = httpx.get(words[1] + "/v1/credits", headers={"x-key": words[3]}, trust_env=False)
        assert answer.status_code == 503
        process.send_signal(signal.SIGINT)
        assert "flux: 1 requests, 0 purchases" in process.stdout.read()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fluxx"], "no server 'fluxx'"),
        (["flux", "--fault", "flux:poll"], "name:step:fault"),
        (["flux", "--fault", "sdxl:submit:hang"], "name:step:fault"),
        (["flux", "--fault", "flux:submit:bomb"], "cannot happen"),
        (["flux", "--fault", "flux:submit:http"], "values it needs"),
    ],
)
def test_the_command_says_what_is_wrong(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.servers.__main__ import main

    with pytest.raises(SystemExit):
        main(words)
    assert said in capsys.readouterr().err
