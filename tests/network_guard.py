"""Fails the tests that reach beyond this machine, also when the code under test swallows the error.

A pytest plugin (`-p tests.network_guard`, or by name in a conftest). Loopback and Unix sockets are allowed; any other
connection or name look-up raises `OutsideConnection` and is written down. What was written down fails the test it
happened in, and outside a test the session. Tests marked `live` are let through.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Generator
from typing import Any

import pytest

_INTERNET = {socket.AF_INET, socket.AF_INET6}
_attempts: list[str] = []
_is_live = False


class OutsideConnection(AssertionError):
    """A test tried to reach something beyond loopback. Point it at a server in tests/servers instead."""


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _is_number(host: str) -> bool:
    """Whether `host` is an address already: looking that up asks nobody."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _refuse(what: str) -> None:
    _attempts.append(what)
    raise OutsideConnection(f"The test tried to {what}. No test may leave this machine.")


def _check_address(sock: socket.socket, address: Any, verb: str) -> None:
    if _is_live or sock.family not in _INTERNET or not isinstance(address, tuple):
        return
    host = address[0].decode() if isinstance(address[0], bytes) else str(address[0])
    if not _is_loopback(host):
        _refuse(f"{verb} {host}:{address[1]}")


def _check_name(host: Any) -> None:
    if _is_live or not host:
        return
    name = host.decode() if isinstance(host, bytes) else str(host)
    if not _is_loopback(name) and not _is_number(name):
        _refuse(f"look up {name}")


def _guarded_look_up(original: Callable[..., Any]) -> Callable[..., Any]:
    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _check_name(host)
        return original(host, *args, **kwargs)

    return look_up


def _guard(patch: pytest.MonkeyPatch) -> None:
    connect, connect_ex, sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _check_address(self, address, "connect to")
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _check_address(self, address, "connect to")
        return connect_ex(self, address)

    def guarded_sendto(self: socket.socket, data: Any, *rest: Any) -> int:
        _check_address(self, rest[-1], "send to")
        return sendto(self, data, *rest)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket.socket, "sendto", guarded_sendto)
    if hasattr(socket.socket, "sendmsg"):
        sendmsg = socket.socket.sendmsg

        def guarded_sendmsg(self: socket.socket, buffers: Any, *rest: Any) -> int:
            if len(rest) == 3:  # ancillary data, flags, address
                _check_address(self, rest[2], "send to")
            return sendmsg(self, buffers, *rest)

        patch.setattr(socket.socket, "sendmsg", guarded_sendmsg)
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        patch.setattr(socket, name, _guarded_look_up(getattr(socket, name)))


_PATCH = pytest.StashKey[pytest.MonkeyPatch]()


def pytest_configure(config: pytest.Config) -> None:
    patch = config.stash[_PATCH] = pytest.MonkeyPatch()
    _guard(patch)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_PATCH].undo()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    global _is_live
    _is_live = item.get_closest_marker("live") is not None
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, Any, Any]:
    global _is_live
    try:
        result = yield
    finally:
        _is_live = False
    if _attempts:
        seen = "; ".join(_attempts)
        _attempts.clear()
        pytest.fail(f"This test tried to leave this machine: {seen}.", pytrace=False)
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not _attempts:
        return
    if hasattr(session.config, "workeroutput"):  # an xdist worker: the controller decides
        session.config.workeroutput["outside"] = list(_attempts)
    else:
        _fail_session(session, _attempts)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """xdist's controller takes over what a worker saw outside its tests; its own session ends later."""
    _attempts.extend(getattr(node, "workeroutput", {}).get("outside", []))


def _fail_session(session: pytest.Session, attempts: list[str]) -> None:
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"ERROR: outside any test, this machine was left: {'; '.join(attempts)}", red=True)
