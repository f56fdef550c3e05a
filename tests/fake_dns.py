"""A resolver for tests: a table of names, and numbers in every form that the C library takes."""

from __future__ import annotations

import socket
from typing import Any

import pytest

PUBLIC = "93.184.216.34"
PRIVATE = "10.1.2.3"


class FakeDNS:
    """`table` has the addresses of names; a name that is not in it does not exist. `asked` is what was looked up."""

    def __init__(self) -> None:
        self.table: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.asked.append(name)
        found = self.table.get(name) or _as_number(name)
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        families = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in found]
        return [(family, socket.SOCK_STREAM, 6, "", (address, port or 0)) for family, address in families]


def _as_number(name: str) -> list[str]:
    """ "2130706433", "0x7f.1", "0177.0.0.1" and "127.1" are 127.0.0.1 to the C library, and so to every client."""
    try:
        return [socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name.partition("%")[0]))]
    except OSError:
        pass
    try:
        return [socket.inet_ntoa(socket.inet_aton(name))]
    except OSError:
        return []


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> FakeDNS:
    """Names resolve as the test says, to public addresses for the vendors' hosts."""
    fake = FakeDNS()
    for name in (
        "api.bfl.ai",
        "api.eu1.bfl.ai",
        "delivery-eu1.bfl.ai",
        "api.replicate.com",
        "replicate.delivery",
        "pbxt.replicate.delivery",
        "cdn.example.com",
        "results.example.com",
        "api.example.com",
    ):
        fake.table[name] = [PUBLIC]
    monkeypatch.setattr(socket, "getaddrinfo", fake.getaddrinfo)
    return fake
