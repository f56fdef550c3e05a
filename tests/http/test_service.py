"""One provider's service: who gets the key, where redirects may lead, and fetching what was paid for."""

from __future__ import annotations

import asyncio
import time

import pytest

from mediagen import http
from mediagen.errors import BadResponse, NotAPicture, OutcomeUnknown, Unavailable
from mediagen.http import AddressRefused, service
from mediagen.http.client import httpx
from tests.fake_dns import PRIVATE, PUBLIC
from tests.http.raw import OK, answering, free_port, raw_server, say_ok
from tests.providers.wire import Wire, answer

KEY = {"x-key": "planted-0123456789"}
BASE = "https://api.example.com/v1"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(service, "FETCH_BACKOFF_S", 0.002)


def made(base_url: str = BASE, *key_hosts: str, timeout_s: float = 5.0) -> http.Service:
    return http.Service(base_url, auth=KEY, key_hosts=key_hosts, timeout_s=timeout_s)


# ---------------------------------------------------------------- requests under base_url


@pytest.mark.parametrize("base_url", ["https://api.example.com/v1", "https://api.example.com/v1/"])
async def test_a_request_goes_below_base_url_with_the_key(base_url):
    with Wire(answer(201, json={"a": 1})) as wire:
        found = await made(base_url).request("POST", "/things", json={"b": 2}, headers={"x-more": "1"})
    assert (found.status, found.json()) == (201, {"a": 1})
    assert str(wire.only.url) == "https://api.example.com/v1/things"
    assert (wire.only.headers["x-key"], wire.only.headers["x-more"]) == (KEY["x-key"], "1")


@pytest.mark.parametrize(("purchase", "lost"), [(True, OutcomeUnknown), (False, Unavailable)])
async def test_a_lost_purchase_is_unknown(purchase, lost):
    with Wire(httpx.ReadError), pytest.raises(lost):
        await made().request("POST", "/things", purchase=purchase)


# ---------------------------------------------------------------- who gets the key


@pytest.mark.parametrize(
    ("url", "gets_key"),
    [
        ("https://api.example.com/poll", True),  # base_url's own host
        ("https://eu.vendor.example/poll", True),  # declared: ".vendor.example"
        ("https://vendor.example/poll", True),
        ("https://EU.Vendor.Example/poll", True),
        ("https://evilvendor.example/poll", False),
        ("https://vendor.example.evil.example/poll", False),
        ("https://evil.example/?vendor.example", False),
        ("https://evil.example/.vendor.example", False),
        ("https://api.example.com:8443/poll", False),  # another port is another service
    ],
)
@pytest.mark.parametrize("way", ["poll", "download with key", "download"])
async def test_who_gets_the_key(url, gets_key, way, dns):
    for name in ("eu.vendor.example", "vendor.example", "evilvendor.example", "vendor.example.evil.example"):
        dns.table[name] = [PUBLIC]
    dns.table["evil.example"] = [PUBLIC]
    ours = made(BASE, ".vendor.example")
    with Wire(answer(content=b"x")) as wire:
        if way == "poll":
            await ours.get_url(url)
        else:
            await ours.download(url, with_key=way == "download with key")
    assert ("x-key" in wire.only.headers) is (gets_key and way != "download")


async def test_no_key_goes_out_unencrypted_but_to_the_host_of_base_url(settings, dns):
    settings.MEDIAGEN = {"TRUSTED_HOSTS": ["eu.vendor.example", "api.example.com"]}
    with Wire(answer(content=b"x")) as wire:
        await made(BASE, ".vendor.example").get_url("http://eu.vendor.example/poll")
        await made(BASE).get_url("http://api.example.com:443/poll")
        await made("http://eu.vendor.example:8080").get_url("http://eu.vendor.example:8080/poll")
    assert ["x-key" in request.headers for request in wire.requests] == [False, False, True]


async def test_the_key_does_not_follow_a_redirect_to_a_stranger(dns):
    there = answer(302, headers={"location": "https://cdn.example.com/a.png"})
    with Wire(there, answer(content=b"picture")) as wire:
        assert await made().download("https://api.example.com/file", with_key=True) == b"picture"
    assert ["x-key" in request.headers for request in wire.requests] == [True, False]


# ---------------------------------------------------------------- where redirects lead


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_to_the_checked_address(status, dns):
    there = answer(status, headers={"location": "/elsewhere?a=1"})
    with Wire(there, answer(content=b"picture")) as wire:
        assert await made().download("https://cdn.example.com/a.png") == b"picture"
    second = wire.requests[1]
    assert (second.url.host, second.url.raw_path, second.headers["host"]) == (
        PUBLIC,
        b"/elsewhere?a=1",
        "cdn.example.com",
    )
    assert dns.asked == ["cdn.example.com"] * 2  # looked up, and checked, again


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/latest/meta-data",
        "https://inside.example.com/",
        "http://cdn.example.com/a.png",  # no longer encrypted
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "file:///etc/passwd",
        "https://[broken",
        "//127.0.0.1/",
    ],
)
async def test_a_redirect_is_guarded_again(location, dns):
    dns.table["inside.example.com"] = [PRIVATE]
    with Wire(answer(302, headers={"location": location})) as wire, pytest.raises(AddressRefused):
        await made().download("https://cdn.example.com/a.png")
    assert len(wire.requests) == 1


async def test_a_name_that_turns_private_after_the_check_is_not_asked_again(dns):
    """The address that was checked is the one in the request: a second answer of the resolver has no say."""
    with Wire(answer(content=b"picture")) as wire:
        await made().download("https://cdn.example.com/a.png")
    assert (wire.only.url.host, dns.asked) == (PUBLIC, ["cdn.example.com"])


async def test_redirects_without_an_end(dns):
    with Wire(answer(302, headers={"location": "/again"})) as wire, pytest.raises(BadResponse, match="more than 5"):
        await made().download("https://cdn.example.com/a.png")
    assert len(wire.requests) == 6


async def test_a_poll_is_not_redirected(dns):
    with Wire(answer(302, headers={"location": "https://cdn.example.com/"})) as wire:
        assert (await made().get_url("https://api.example.com/poll")).status == 302
    assert len(wire.requests) == 1


# ---------------------------------------------------------------- downloads


@pytest.mark.parametrize(
    "trouble",
    [
        answer(500),
        answer(503),
        answer(408),
        answer(429),
        answer(429, headers={"retry-after": "0.01"}),
        answer(200),  # empty
        httpx.ConnectError,
        httpx.ReadError,
        httpx.ReadTimeout,
    ],
)
async def test_a_fetch_that_fails_is_done_again(trouble, dns):
    with Wire(trouble, trouble, answer(content=b"picture")) as wire:
        assert await made().download("https://cdn.example.com/a.png") == b"picture"
    assert len(wire.requests) == 3


async def test_four_tries_and_then_a_bad_response(dns):
    with Wire(answer(503)) as wire, pytest.raises(BadResponse, match="could not be fetched: 503"):
        await made().download("https://cdn.example.com/a.png")
    assert len(wire.requests) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
async def test_a_url_that_has_expired_is_not_asked_again(status, dns):
    with Wire(answer(status)) as wire, pytest.raises(BadResponse, match=f"{status}: expired or not ours") as raised:
        await made().download("https://cdn.example.com/a.png")
    assert len(wire.requests) == 1
    assert raised.value.http_status == status


async def test_a_retry_after_beyond_the_time_there_is_ends_it(dns):
    with Wire(answer(503, headers={"retry-after": "60"})) as wire, pytest.raises(BadResponse):
        await made().download("https://cdn.example.com/a.png", timeout_s=5)
    assert len(wire.requests) == 1


async def test_a_retry_after_is_honoured(dns):
    began = time.monotonic()
    with Wire(answer(503, headers={"retry-after": "0.2"}), answer(content=b"picture")):
        await made().download("https://cdn.example.com/a.png")
    assert time.monotonic() - began >= 0.2


async def test_a_name_that_resolves_a_moment_later(dns, monkeypatch):
    real, calls = dns.getaddrinfo, []

    def fails_once(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise OSError("try again")
        return real(*args, **kwargs)

    monkeypatch.setattr("socket.getaddrinfo", fails_once)
    with Wire(answer(content=b"picture")):
        assert await made().download("https://cdn.example.com/a.png") == b"picture"


@pytest.mark.parametrize(("bodies", "tries"), [([b"junk", b"picture"], 2), ([b"junk", b"junk", b"picture"], 2)])
async def test_bytes_that_are_not_believed_are_fetched_once_more(bodies, tries, dns):
    def believe(body: bytes) -> None:
        if body != b"picture":
            raise NotAPicture("The content is junk.")

    ours = made().download("https://cdn.example.com/a.png", check=believe)
    with Wire(*(answer(content=body) for body in bodies)) as wire:
        if len(bodies) == tries:
            assert await ours == b"picture"
        else:
            with pytest.raises(BadResponse, match="junk"):
                await ours
    assert len(wire.requests) == tries


async def test_too_large_is_not_asked_again(settings, dns):
    settings.MEDIAGEN = {"MAX_IMAGE_BYTES": 10}
    with Wire(answer(content=b"x" * 11)) as wire, pytest.raises(BadResponse, match="limit is 10"):
        await made().download("https://cdn.example.com/a.png")
    assert len(wire.requests) == 1


async def test_a_refused_address_is_not_asked_at_all(dns):
    with Wire(answer(content=b"x")) as wire, pytest.raises(AddressRefused):
        await made().download("https://127.0.0.1/a.png")
    assert wire.requests == []


# ---------------------------------------------------------------- downloads, on real sockets


async def test_the_host_of_base_url_may_be_private_and_plain():
    async with raw_server(answering(200, b"picture")) as server:
        assert await made(server.url).download(f"{server.url}/a.png") == b"picture"
        assert "x-key" not in server.exchanges[0].headers
        assert await server.all_closed()


async def test_another_port_of_this_machine_may_not(settings):
    async with raw_server(answering(200, b"picture")) as server:
        with pytest.raises(AddressRefused):
            await made(f"http://127.0.0.1:{free_port()}").download(f"{server.url}/a.png")
        assert server.connections == 0
        settings.MEDIAGEN = {"TRUSTED_HOSTS": [f"127.0.0.1:{server.port}"]}
        assert await made().download(f"{server.url}/a.png") == b"picture"


async def test_a_redirect_off_the_trusted_host_is_guarded(settings):
    async with raw_server(say_ok) as inside, raw_server(answering(302, location=f"{inside.url}/")) as server:
        with pytest.raises(AddressRefused):
            await made(server.url).download(f"{server.url}/a.png")
        assert inside.connections == 0


@pytest.mark.parametrize("how", ["hang", "trickle"])
async def test_all_tries_together_end_with_the_timeout(how):
    async def slow(exchange):
        if how == "trickle":
            await exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            await asyncio.sleep(0.02)
            if how == "trickle":
                await exchange.write(b"x")

    async with raw_server(slow) as server:
        began = time.monotonic()
        with pytest.raises(BadResponse, match="could not be fetched"):
            await made(server.url).download(f"{server.url}/a.png", timeout_s=0.5)
        assert time.monotonic() - began < 4
        assert await server.all_closed()


async def test_a_first_try_that_hangs_leaves_time_for_a_second():
    async def hangs_once(exchange):
        if len(exchange.server.exchanges) == 1:
            await asyncio.sleep(30)
        await exchange.write(OK)

    async with raw_server(hangs_once) as server:
        assert await made(server.url).download(f"{server.url}/a.png", timeout_s=2.4) == b"ok"


async def test_a_picture_that_breaks_off_is_fetched_again():
    async def breaks_once(exchange):
        if len(exchange.server.exchanges) == 1:
            await exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\npic")
            exchange.writer.close()
        else:
            await exchange.write(OK)

    async with raw_server(breaks_once) as server:
        assert await made(server.url).download(f"{server.url}/a.png") == b"ok"
