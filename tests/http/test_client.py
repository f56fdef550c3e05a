"""`send` and `session` on real sockets: what each way of going wrong is taken for, and that nothing stays open."""

from __future__ import annotations

import asyncio
import gzip
import socket
import sys
import time
import traceback

import pytest

from mediagen import http
from mediagen.errors import BadResponse, Misconfigured, OutcomeUnknown, Unavailable, UnsupportedRequest
from mediagen.http import AddressRefused, client, guard
from mediagen.http.client import CONNECTIONS_PER_POOL, httpx, send
from tests.http.raw import OK, answering, free_port, raw_server, say_ok

LOST = pytest.mark.parametrize(("purchase", "lost"), [(True, OutcomeUnknown), (False, Unavailable)])


class Watch:
    """How long something took, seconds."""

    def __enter__(self) -> Watch:
        self.began = time.monotonic()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.seconds = time.monotonic() - self.began


# ---------------------------------------------------------------- what goes well


async def test_the_request_and_the_answer_as_they_are():
    async with raw_server(answering(418, b"teapot", x_kind="Brown", set_cookie="a=1")) as server:
        found = await send(
            "POST", f"{server.url}/brew", headers={"x-key": "k"}, json={"a": "ü"}, params={"q": "a b"}, purchase=True
        )
    assert (found.status, found.body, found.headers["x-kind"]) == (418, b"teapot", "Brown")
    sent = server.exchanges[0]
    assert sent.path in ("/brew?q=a+b", "/brew?q=a%20b")
    assert sent.body.decode() == '{"a":"ü"}'
    assert sent.headers["x-key"] == "k"
    assert sent.headers["user-agent"].startswith("mediagen/")
    assert sent.headers["accept-encoding"] == "identity"


async def test_redirects_are_not_followed():
    async with raw_server(answering(302, location="/elsewhere")) as server:
        assert (await send("GET", server.url)).status == 302
    assert len(server.exchanges) == 1


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    async with raw_server(say_ok) as server:
        assert (await send("GET", server.url)).body == b"ok"


async def test_the_configured_proxy_is_used(settings):
    async with raw_server(say_ok) as proxy:
        settings.MEDIAGEN = {"PROXY": proxy.url}
        assert (await send("GET", "http://api.example.com/v1")).body == b"ok"
    assert proxy.exchanges[0].path == "http://api.example.com/v1"


# ---------------------------------------------------------------- nothing was sent


@LOST
async def test_connection_refused(purchase, lost):
    with pytest.raises(Unavailable, match=r"could not connect to .*; nothing was sent"):
        await send("POST", f"http://127.0.0.1:{free_port()}/", json={}, purchase=purchase)


@pytest.mark.skipif(sys.platform != "linux", reason="fills the backlog of a listening socket as Linux counts it")
@pytest.mark.parametrize("limit", ["connect", "whole"])
async def test_a_connection_that_does_not_come_about(limit, settings):
    settings.MEDIAGEN = {"CONNECT_TIMEOUT_S": 0.2 if limit == "connect" else 30}
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with Watch() as watch, pytest.raises(Unavailable, match="nothing was sent"):
            await send("POST", url, purchase=True, timeout_s=30 if limit == "connect" else 0.3)
    assert watch.seconds < 5


@pytest.mark.parametrize("key", ["schlüssel-0123456789", "two\nlines-0123456789", "nul\x00-0123456789"])
async def test_a_header_that_cannot_be_sent(key):
    async with raw_server(say_ok) as server:
        with pytest.raises(UnsupportedRequest, match=r"the request to 127\.0\.0\.1") as raised:
            await send("POST", server.url, headers={"x-key": key}, purchase=True)
    assert server.exchanges == []
    assert "0123456789" not in "".join(traceback.format_exception(raised.value))


async def test_json_that_cannot_be_written():
    with pytest.raises(UnsupportedRequest, match="could not be built"):
        await send("POST", "http://127.0.0.1:1/", json={"a": float("nan")}, purchase=True)


@pytest.mark.parametrize("url", ["http://", "http://exa\nmple.com/", "http://a:99999/", "gopher://a/", "http://[::1/"])
async def test_an_address_of_ours_that_is_none(url):
    with pytest.raises(Misconfigured, match="base_url"):
        await send("GET", url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://cdn.example.com\t.evil.example/", "cdn.example.com.evil.example"),
        ("https://good.example\\@evil.example/", "good.example"),
        ("https://good。example/", "good.example.evil"),
        ("https://good.example:444/", "good.example"),
    ],
)
async def test_an_address_that_two_parsers_read_differently(url, host):
    with pytest.raises(AddressRefused):
        await send("GET", guard.Target(url, host, 443, "https", None))


async def test_international_names_are_one_address_in_both_forms():
    async def handle(request):
        return httpx.Response(200, content=request.headers["host"])

    with http.override_transport(httpx.MockTransport(handle)):
        for host in ("münchen.example", "xn--mnchen-3ya.example"):
            found = await send("GET", guard.Target(f"https://{host}/", host, 443, "https", "93.184.216.34"))
            assert found.body == b"xn--mnchen-3ya.example"
            assert found.url == "https://93.184.216.34/"


# ---------------------------------------------------------------- sent, and then


@LOST
@pytest.mark.parametrize("how", ["reset", "close"])
async def test_the_connection_breaks_after_the_request(how, purchase, lost):
    async def breaks(exchange):
        exchange.reset() if how == "reset" else exchange.writer.close()

    async with raw_server(breaks) as server:
        with pytest.raises(lost, match="took the request and broke the connection"):
            await send("POST", server.url, json={"a": 1}, purchase=purchase)
    assert len(server.exchanges) == 1


@LOST
async def test_silence(purchase, lost):
    async def hangs(exchange):
        await asyncio.sleep(30)

    async with raw_server(hangs) as server:
        with Watch() as watch, pytest.raises(lost, match=r"did not answer in 0\.\d s"):
            await send("POST", server.url, json={}, purchase=purchase, timeout_s=0.3)
        assert await server.all_closed()
    assert 0.25 < watch.seconds < 3


@LOST
@pytest.mark.parametrize("part", ["head", "body"])
async def test_a_trickle_ends_with_the_total_timeout(part, purchase, lost):
    async def trickles(exchange):
        text = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
        if part == "body":
            await exchange.write(text)
        for _ in range(1000):
            await exchange.write(b"x" if part == "body" else text[:1])
            await asyncio.sleep(0.02)

    async with raw_server(trickles) as server:
        with Watch() as watch, pytest.raises(lost):
            await send("GET", server.url, purchase=purchase, timeout_s=0.3)
        assert await server.all_closed()
    assert watch.seconds < 3


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_is_cut_off(framing):
    async def cuts(exchange):
        if framing == "length":
            await exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n0123456789")
        else:
            await exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\n0123456789\r\n")
        exchange.writer.close()

    async with raw_server(cuts) as server:
        found = await send("GET", server.url)
    assert found.status == 200
    assert bytes(found.body) == b"0123456789"  # whoever asked can tell whether it is whole
    assert isinstance(found.broken, BadResponse)
    assert "broke off after 10 bytes" in str(found.broken)
    assert found.broken.http_status == 200
    with pytest.raises(BadResponse, match="broke off after 10 bytes"):
        found.json_object()


async def test_an_error_that_is_cut_off_still_says_its_status():
    async def cuts(exchange):
        await exchange.write(b"HTTP/1.1 503 X\r\nretry-after: 9\r\ncontent-length: 100\r\n\r\nover")
        exchange.writer.close()

    async with raw_server(cuts) as server:
        found = await send("GET", server.url, purchase=True)
    assert (found.status, found.body, found.headers["retry-after"]) == (503, b"over", "9")


async def test_what_is_no_http():
    async def talks(exchange):
        await exchange.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        exchange.writer.close()

    async with raw_server(talks) as server:
        with pytest.raises(OutcomeUnknown):
            await send("POST", server.url, purchase=True)


# ---------------------------------------------------------------- how much is read


async def test_an_announced_size_over_the_limit_is_not_read():
    async with raw_server(answering(200, b"x" * 2000)) as server:
        with pytest.raises(BadResponse, match="announced 2,000 bytes; the limit is 1,000") as raised:
            await send("GET", server.url, max_bytes=1000)
        assert await server.all_closed()
    assert raised.value.http_status is None


async def test_an_endless_body_is_stopped_while_it_streams():
    written = 0

    async def endless(exchange):
        nonlocal written
        await exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(10_000):
            await exchange.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            written += 65536

    async with raw_server(endless) as server:
        with pytest.raises(BadResponse, match="sent more than 100,000 bytes"):
            await send("GET", server.url, max_bytes=100_000, timeout_s=20)
        assert await server.all_closed()
    assert written < 64 * 1024 * 1024  # sockets have buffers; the 600 MB were not waited for


async def test_a_compressed_bomb_is_stopped():
    packed = gzip.compress(b"\0" * 50_000_000)
    async with raw_server(answering(200, packed, content_encoding="gzip")) as server:
        with pytest.raises(BadResponse, match="sent more than"):
            await send("GET", server.url, max_bytes=1_000_000)


async def test_just_at_the_limit():
    async with raw_server(answering(200, b"x" * 1000)) as server:
        assert len((await send("GET", server.url, max_bytes=1000)).body) == 1000


# ---------------------------------------------------------------- connections


async def test_a_connection_outlives_its_session_for_a_while_and_is_closed_with_its_loop(lingering):
    async with raw_server(say_ok) as server:
        for _ in range(2):
            await send("GET", server.url)
        assert (server.connections, server.open) == (1, 1)
        lingering(0.05)
        await send("GET", server.url)
        assert (server.connections, await server.all_closed()) == (1, True)


async def test_a_session_keeps_a_connection_and_closes_it():
    async with raw_server(say_ok) as server:
        async with http.session():
            for _ in range(3):
                async with http.session():  # nested: the outermost decides
                    await send("GET", server.url)
            assert (server.connections, server.open) == (1, 1)
        assert await server.all_closed()


async def test_without_a_session_every_call_closes_behind_itself():
    async with raw_server(say_ok) as server:
        for _ in range(2):
            await send("GET", server.url)
            assert await server.all_closed()
    assert server.connections == 2


async def test_a_session_that_ends_by_an_error_closes_too():
    async def hangs(exchange):
        await asyncio.sleep(30)

    async def fails_in_a_session():
        async with http.session():
            with pytest.raises(Unavailable):
                await send("GET", server.url, timeout_s=0.1)
            raise RuntimeError("ours")

    async with raw_server(hangs) as server:
        with pytest.raises(RuntimeError, match="ours"):
            await fails_in_a_session()
        assert await server.all_closed()


async def test_many_requests_at_once_go_out_at_once_and_leave_nothing_open():
    many = 5 * CONNECTIONS_PER_POOL + 3
    together = asyncio.Event()

    async def waits_for_all(exchange):
        if len(exchange.server.exchanges) == many:
            together.set()
        await asyncio.wait_for(together.wait(), 10)
        await exchange.write(OK)

    async with raw_server(waits_for_all) as server:
        async with http.session():
            found = await asyncio.gather(*(send("GET", f"{server.url}/{n}", timeout_s=10) for n in range(many)))
            assert [answer.status for answer in found] == [200] * many
            pools = client._pools[asyncio.get_running_loop()].by_host[f"127.0.0.1:{server.port}"]
            assert [pool.busy for pool in pools] == [0] * 6
            # The same again: kept connections are used, no pool more.
            await asyncio.gather(*(send("GET", server.url) for _ in range(many)))
            assert len(pools) == 6
        assert await server.all_closed()
    assert server.connections <= 2 * many


async def test_a_cancelled_request_gives_its_place_back():
    async def hangs(exchange):
        await asyncio.sleep(30)

    async with raw_server(hangs) as server:
        async with http.session():
            task = asyncio.create_task(send("GET", server.url))
            while not server.exchanges:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            pools = client._pools[asyncio.get_running_loop()].by_host[f"127.0.0.1:{server.port}"]
            assert [pool.busy for pool in pools] == [0]
        assert await server.all_closed()


def test_every_event_loop_has_its_own_connections():
    async def twice() -> int:
        async with raw_server(say_ok) as server, http.session():
            await send("GET", server.url)
            await send("GET", server.url)
            return server.connections

    assert [asyncio.run(twice()), asyncio.run(twice())] == [1, 1]


# ---------------------------------------------------------------- the checked address is the one that is asked


async def test_a_pinned_address_keeps_the_name_in_tls_and_host(tls_of, monkeypatch):
    server_tls, client_tls = tls_of("results.example")
    monkeypatch.setattr(client, "_ssl_context", lambda: client_tls)
    async with raw_server(say_ok, server_tls) as server:
        url = f"https://results.example:{server.port}/a.png"
        found = await send("GET", guard.Target(url, "results.example", server.port, "https", "127.0.0.1"))
        assert found.body == b"ok"
    assert server.exchanges[0].headers["host"] == f"results.example:{server.port}"


async def test_a_certificate_for_another_name_is_refused(tls_of, monkeypatch):
    server_tls, client_tls = tls_of("other.example")
    monkeypatch.setattr(client, "_ssl_context", lambda: client_tls)
    async with raw_server(say_ok, server_tls) as server:
        url = f"https://results.example:{server.port}/a.png"
        with pytest.raises(Unavailable, match="nothing was sent"):
            await send("POST", guard.Target(url, "results.example", server.port, "https", "127.0.0.1"), purchase=True)
    assert server.exchanges == []
