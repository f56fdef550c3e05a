"""Our own transport on real sockets, plain and with TLS: large bodies both ways, kept connections, broken ends."""

from __future__ import annotations

import asyncio
import hashlib
import socket

import pytest

from mediagen import http
from mediagen.errors import BadResponse, OutcomeUnknown, Unavailable
from mediagen.http import client, guard, transport
from mediagen.http.client import httpx, send
from tests.http.raw import OK, answering, raw_server

LARGE = bytes(range(256)) * 12_000


@pytest.fixture(params=["plain", "tls"])
def tls(request, tls_of, monkeypatch):
    """The server's TLS context, or None."""
    if request.param == "plain":
        return None
    server_tls, client_tls = tls_of("localhost")
    monkeypatch.setattr(client, "_ssl_context", lambda: client_tls)
    return server_tls


def at(server) -> str:
    return f"{server.scheme}://localhost:{server.port}/"


async def test_it_is_what_sends_unless_there_is_a_proxy(settings):
    assert isinstance(client._new_client()._transport, transport.Transport)
    settings.MEDIAGEN = {"PROXY": "http://127.0.0.1:9"}
    proxied = client._new_client()
    assert isinstance(proxied._transport, httpx.AsyncHTTPTransport)
    await proxied.aclose()


async def test_large_bodies_both_ways_on_a_kept_connection(tls):
    async def digest(exchange):
        head = (
            f"HTTP/1.1 200 OK\r\ncontent-length: {len(LARGE)}\r\nx-digest: {hashlib.sha256(exchange.body).hexdigest()}"
        )
        await exchange.write(head.encode() + b"\r\n\r\n" + LARGE)

    async with raw_server(digest, tls) as server:
        async with http.session():
            for _ in range(3):
                found = await send("POST", at(server), content=LARGE, timeout_s=20)
                assert found.body == LARGE
                assert found.headers["x-digest"] == hashlib.sha256(LARGE).hexdigest()
        assert await server.all_closed()
    assert server.connections == 1


async def test_large_bodies_that_wait_for_their_turn(tls):
    room = http.BodyRoom(1)

    async def one() -> bytes:
        async with http.body_room(room):
            found = await send("GET", at(server), timeout_s=20)
            await asyncio.sleep(0.01)
            return bytes(found.body)

    async with raw_server(answering(200, LARGE), tls) as server:
        assert await asyncio.gather(*(one() for _ in range(12))) == [LARGE] * 12
        assert room.taken_bytes == 0
        assert await server.all_closed()


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_large_body_that_breaks_off(tls, how):
    async def cuts(exchange):
        await exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + LARGE)
        exchange.reset() if how == "reset" else exchange.writer.close()

    async with raw_server(cuts, tls) as server:
        found = await send("GET", at(server), purchase=True, max_bytes=10_000_000)
        assert isinstance(found.broken, BadResponse)
        assert "broke off after" in str(found.broken)
        assert await server.all_closed()


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_an_end_after_the_request(tls, how):
    async def ends(exchange):
        exchange.reset() if how == "reset" else exchange.writer.close()

    async with raw_server(ends, tls) as server:
        with pytest.raises(OutcomeUnknown, match="took the request and broke the connection"):
            await send("POST", at(server), json={"a": 1}, purchase=True)
        assert await server.all_closed()


async def test_a_connection_that_the_server_has_closed_is_not_used_again(tls):
    async def closes(exchange):
        await exchange.write(OK)
        exchange.writer.close()

    async with raw_server(closes, tls) as server, http.session():
        for _ in range(3):
            assert (await send("POST", at(server), json={}, purchase=True)).body == b"ok"
            assert await server.all_closed()
    assert server.connections == 3


async def test_what_comes_unasked_ends_a_connection(tls):
    async def says_more(exchange):
        await exchange.write(OK)
        await asyncio.sleep(0.02)
        await exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")

    async with raw_server(says_more, tls) as server, http.session():
        for _ in range(2):
            assert (await send("GET", at(server))).body == b"ok"
            await asyncio.sleep(0.1)
    assert server.connections == 2


async def test_an_upload_that_nobody_reads():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        with pytest.raises(OutcomeUnknown, match="did not answer"):
            await send("POST", url, content=bytes(40_000_000), purchase=True, timeout_s=0.5)


async def test_a_handshake_that_does_not_come(tls_of, monkeypatch, settings):
    monkeypatch.setattr(client, "_ssl_context", lambda: tls_of("localhost")[1])
    settings.MEDIAGEN = {"CONNECT_TIMEOUT_S": 0.2}
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unavailable, match="nothing was sent"):
        await send("POST", f"https://127.0.0.1:{silent.getsockname()[1]}/", purchase=True, timeout_s=20)


async def test_a_cancelled_read_leaves_nothing_open(tls):
    async def begins(exchange):
        await exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n" + LARGE)
        await asyncio.sleep(30)

    async with raw_server(begins, tls) as server:
        async with http.session():
            task = asyncio.create_task(send("GET", at(server), max_bytes=10_000_000))
            while not server.exchanges:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await server.all_closed()


async def test_a_name_of_an_address_that_nobody_listens_at():
    target = guard.Target("http://results.example:9/", "results.example", 9, "http", "127.0.0.1")
    with pytest.raises(Unavailable, match="nothing was sent"):
        await send("POST", target, purchase=True)
