"""Which addresses a URL in a provider's answer may lead to."""

from __future__ import annotations

import pytest

from mediagen.errors import BadResponse, Unavailable
from mediagen.http import AddressRefused, guard
from tests.fake_dns import PRIVATE, PUBLIC

BASE = "https://api.example.com/v1"

NOT_PUBLIC = [
    # this machine, private networks, the link, carrier-grade NAT, a cloud's metadata
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "0.1.2.3",
    # special purposes: protocol assignments, documentation, 6to4 relays, benchmarks, multicast, reserved, broadcast
    "192.0.0.1",
    "192.0.0.9",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    # IPv6: nothing, this machine, the link, sites, private, multicast, discard, documentation, unassigned
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "4000::1",
    # IPv4 inside IPv6: mapped, compatible, translated, NAT64 (well-known and local), 6to4, Teredo
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
]
PUBLIC_ONES = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address):
    assert not guard.is_public(address)


@pytest.mark.parametrize("address", PUBLIC_ONES)
def test_public_addresses(address):
    assert guard.is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",  # decimal
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",  # octal
        "017700000001",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::1]",
        "[fe80::1%25eth0]",
        "127.0.0.1.",  # the root's dot
        "inside.example.com",
        "both.example.com",
        "LOCALHOST",
    ],
)
async def test_hosts_that_lead_inside(host, dns):
    dns.table["inside.example.com"] = [PRIVATE]
    dns.table["both.example.com"] = [PUBLIC, PRIVATE]
    dns.table["localhost"] = ["127.0.0.1", "::1"]
    with pytest.raises(AddressRefused, match="private address"):
        await guard.check(f"https://{host}/picture.png", base_url=BASE)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://cdn.example.com/a.png", "not https"),
        ("ftp://cdn.example.com/a.png", r"no http\(s\) URL"),
        ("file:///etc/passwd", r"no http\(s\) URL"),
        ("data:image/png;base64,AAAA", r"no http\(s\) URL"),
        ("//cdn.example.com/a.png", r"no http\(s\) URL"),
        ("/etc/passwd", r"no http\(s\) URL"),
        ("", r"no http\(s\) URL"),
        ("https://", r"no http\(s\) URL"),
        ("https://[::1", r"no http\(s\) URL"),
        ("https://cdn.example.com:99999/", r"no http\(s\) URL"),
        ("https://user:password@cdn.example.com/a.png", "user name"),
        ("https://cdn.example.com@127.0.0.1/a.png", "user name"),
        ("https://" + "a" * 64 + ".example.com/", "no host name"),
    ],
)
async def test_what_is_no_address_for_us(url, says, dns, monkeypatch):
    def too_long(host, *args, **kwargs):
        raise UnicodeError("label too long")

    if "a" * 64 in url:  # what the real resolver says to such a label
        monkeypatch.setattr("socket.getaddrinfo", too_long)
    with pytest.raises(AddressRefused, match=says) as refused:
        await guard.check(url, base_url=BASE)
    assert "password" not in str(refused.value)


async def test_a_public_https_address_is_pinned(dns):
    target = await guard.check("https://cdn.example.com:8443/a.png?sig=1", base_url=BASE)
    assert target == guard.Target("https://cdn.example.com:8443/a.png?sig=1", "cdn.example.com", 8443, "https", PUBLIC)
    assert dns.asked == ["cdn.example.com"]


async def test_a_name_that_does_not_resolve_may_do_so_later(dns):
    with pytest.raises(Unavailable, match=r"does not resolve \(gone\.example\.com\)"):
        await guard.check("https://gone.example.com/", base_url=BASE)


async def test_a_resolver_that_hangs_is_not_waited_for(dns, settings, monkeypatch):
    import asyncio
    import threading

    settings.MEDIAGEN = {"CONNECT_TIMEOUT_S": 0.05}
    let_go = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: let_go.wait(5) and [])
    began = asyncio.get_running_loop().time()
    try:
        with pytest.raises(Unavailable, match="does not resolve"):
            await guard.check("https://slow.example.com/", base_url=BASE)
        assert asyncio.get_running_loop().time() - began < 2
    finally:
        let_go.set()


@pytest.mark.parametrize(
    ("base_url", "url", "trusted"),
    [
        ("http://127.0.0.1:9000/api", "http://127.0.0.1:9000/file", True),
        ("http://127.0.0.1:9000/api", "http://127.0.0.1:9001/file", False),
        ("http://127.0.0.1:9000/api", "http://127.0.0.1/file", False),
        ("http://inside:80", "http://INSIDE/file", True),
        ("https://inside", "https://inside:443/file", True),
        ("https://inside", "http://inside:443/file", False),
        ("http://inside:443", "https://inside/file", True),
        ("http://[::1]:9000", "http://[::1]:9000/file", True),
        ("", "http://127.0.0.1/file", False),
    ],
)
async def test_only_the_host_of_base_url_is_trusted(base_url, url, trusted, dns):
    dns.table["inside"] = [PRIVATE]
    if trusted:
        target = await guard.check(url, base_url=base_url)
        assert target.address is None
    else:
        with pytest.raises(BadResponse):
            await guard.check(url, base_url=base_url)


@pytest.mark.parametrize(
    ("entries", "trusted"),
    [
        (["files.internal"], True),
        (["files.internal:8080"], True),
        (["files.internal:80"], False),
        ([" Files.Internal "], True),
        (["internal"], False),
        ([], False),
    ],
)
async def test_trusted_hosts_of_the_site(entries, trusted, dns, settings):
    settings.MEDIAGEN = {"TRUSTED_HOSTS": entries}
    dns.table["files.internal"] = [PRIVATE]
    url = "http://files.internal:8080/a.png"
    if trusted:
        assert (await guard.check(url, base_url=BASE)).address is None
    else:
        with pytest.raises(AddressRefused):
            await guard.check(url, base_url=BASE)


async def test_trusted_ipv6_hosts(settings, dns):
    settings.MEDIAGEN = {"TRUSTED_HOSTS": ["[fd00::1]:8080"]}
    assert (await guard.check("http://[fd00::1]:8080/a", base_url=BASE)).address is None
    with pytest.raises(AddressRefused):
        await guard.check("http://[fd00::1]:8081/a", base_url=BASE)
