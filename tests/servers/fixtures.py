"""Pytest fixtures over the provider servers. Load them with `pytest_plugins = ["tests.servers.fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.servers import SERVERS, CanvaServer, ProviderServer


class RunningServers(Mapping[str, ProviderServer]):
    """The servers by provider name, each started when it is first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, ProviderServer] = {}

    def __getitem__(self, name: str) -> ProviderServer:
        if name not in self._running:
            self._running[name] = SERVERS[name]().start()
        return self._running[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SERVERS)

    def __len__(self) -> int:
        return len(SERVERS)

    def reset(self) -> None:
        """Reset those that run."""
        for server in self._running.values():
            server.reset()

    def stop(self) -> None:
        """Stop those that run."""
        while self._running:
            self._running.popitem()[1].stop()


@pytest.fixture(scope="session")
def running_provider_servers() -> Iterator[RunningServers]:
    """The session's servers. Tests take `provider_servers`, which resets them."""
    servers = RunningServers()
    yield servers
    servers.stop()


@pytest.fixture
def provider_servers(running_provider_servers: RunningServers) -> Iterator[RunningServers]:
    """`provider_servers["flux"]` is a running `ProviderServer`, as freshly started in every test."""
    running_provider_servers.reset()
    yield running_provider_servers
    running_provider_servers.reset()


@pytest.fixture
def canva_server(provider_servers: RunningServers) -> CanvaServer:
    found = provider_servers["canva_api"]
    assert isinstance(found, CanvaServer)
    return found
