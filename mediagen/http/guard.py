"""Which addresses a URL that somebody else wrote may lead to.

A URL from a provider's answer must be https and every address of its host public, unless its host and port are
those of the operator's base_url or stand in MEDIAGEN["TRUSTED_HOSTS"]. The address that was checked is the address
that is connected to, so that a second DNS answer cannot change it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from mediagen import conf
from mediagen.errors import BadResponse, Unavailable

DEFAULT_PORTS = {"http": 80, "https": 443}
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Special-purpose blocks that ipaddress (of the Pythons we support) takes for public.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20", "2620:4f:8000::/48")
)


class AddressRefused(BadResponse):
    """A URL in a provider's answer leads where we do not go. Asking again changes nothing."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. `address` is None for a trusted host, which the transport resolves itself."""

    url: str
    host: str
    port: int
    scheme: str
    address: str | None


def split(url: str) -> tuple[SplitResult, str, int]:
    """(parts, lower-case host, port), or ValueError when it is no http(s) URL with a host."""
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("not an http or https URL")
    return parts, parts.hostname.rstrip("."), parts.port or DEFAULT_PORTS[parts.scheme]


def same_host(url: str, base_url: str) -> bool:
    """Whether both name the same host and port, and `url` is not http where `base_url` is https."""
    try:
        parts, *where = split(url)
        base, *base_where = split(base_url)
    except ValueError:
        return False
    return where == base_where and (parts.scheme == "https" or base.scheme == "http")


def is_trusted(url: str, base_url: str) -> bool:
    """Whether `url` is exempt from the public-address rule. ValueError when it is no URL."""
    _, host, port = split(url)
    if same_host(url, base_url):
        return True
    entries = {str(entry).strip().lower() for entry in conf.get("TRUSTED_HOSTS")}
    bare = f"[{host}]" if ":" in host else host
    return bool({host, bare, f"{bare}:{port}"} & entries)


async def check(url: str, *, base_url: str, only_public: bool = False) -> Target:
    """The checked target of a URL that a provider answered, or, with `only_public`, that a person wrote, whom the hosts
    that the operator trusts tell nothing.

    `AddressRefused` says why we do not go there; `Unavailable` when its host cannot be resolved now.
    """
    try:
        parts, host, port = split(url)
        trusted = not only_public and is_trusted(url, base_url)
    except ValueError:
        raise AddressRefused("named a result address that is no http(s) URL; refused.") from None
    if parts.username or parts.password:
        raise AddressRefused(f"named a result address with a user name in it ({host}); refused.")
    if trusted:
        return Target(url, host, port, parts.scheme, None)
    if parts.scheme != "https":
        raise AddressRefused(
            f"named a result address that is not https ({_shown(parts)}); refused. {_to_set(host, port)}"
        )
    return Target(url, host, port, parts.scheme, await public_address(host, port))


def _shown(parts: SplitResult) -> str:
    """Where the picture lies, for whoever will fetch it by hand; without the query, which may hold a signature."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}"[:300]


def _to_set(host: str, port: int) -> str:
    bare = f"[{host}]" if ":" in host else host
    return f"If it is yours, add '{bare}:{port}' to MEDIAGEN['TRUSTED_HOSTS']."


def why_refused(url: str) -> str:
    """What keeps an address that a person wrote from ever being asked, as a sentence; "" when nothing does.

    Names are not looked up: that is done at each request.
    """
    try:
        parts, host, _ = split(url)
        if is_trusted(url, ""):
            return ""
    except ValueError:
        return "It is no http(s) address."
    if parts.username or parts.password:
        return "It must not hold a user name or password."
    if parts.scheme != "https":
        return "It must be https. If the host is yours, add it to MEDIAGEN['TRUSTED_HOSTS']."
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return ""
    return "" if is_public(host) else "It is a private address. If it is yours, add it to MEDIAGEN['TRUSTED_HOSTS']."


async def public_address(host: str, port: int) -> str:
    """One address of `host`, when all of them are public; otherwise `AddressRefused`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(2 * conf.get("CONNECT_TIMEOUT_S")):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise AddressRefused(f"named a result host that is no host name ({host!r:.80}); refused.") from None
    except (OSError, TimeoutError):
        raise Unavailable(f"named a result host that does not resolve ({host}).") from None
    addresses = [str(info[4][0]) for info in infos]
    if not addresses or not all_public(addresses):
        raise AddressRefused(f"named a result host with a private address ({host}); refused. {_to_set(host, port)}")
    return addresses[0]


def all_public(addresses: Iterable[str]) -> bool:
    return all(is_public(address) for address in addresses)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public Internet, also when wrapped in an IPv6 transition form."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        # Whatever else wraps an IPv4 address (::a.b.c.d, ::ffff:0:a.b.c.d, local NAT64) lies outside of this block.
        if ip not in GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in block for block in NOT_PUBLIC)
