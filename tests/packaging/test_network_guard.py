import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def run_pytest(tmp_path: Path, body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = live: asks a real service\n")
    (tmp_path / "test_inner.py").write_text("import asyncio, socket, threading\nimport pytest\n" + body)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.network_guard", *arguments, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


# 192.0.2.0/24 and 2001:db8::/32 are reserved for documentation: nobody is there.
WAYS_OUT = {
    "socket.create_connection(('192.0.2.1', 80), 0.1)": "connect to 192.0.2.1:80",
    "socket.socket().connect_ex(('169.254.169.254', 80))": "connect to 169.254.169.254:80",
    "socket.socket().connect(('0.0.0.0', 80))": "connect to 0.0.0.0:80",
    "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))": "connect to 2001:db8::1:80",
    "socket.socket(socket.AF_INET6).connect(('::ffff:192.0.2.2', 80))": "connect to ::ffff:192.0.2.2:80",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.3', 53))": "send to 192.0.2.3:53",
    "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', 0, ('192.0.2.4', 53))": "send to 192.0.2.4:53",
    "socket.socket(type=socket.SOCK_DGRAM).sendmsg([b'x'], [], 0, ('192.0.2.5', 53))": "send to 192.0.2.5:53",
    "socket.getaddrinfo('a.example.com', 443)": "look up a.example.com",
    "socket.gethostbyname('b.example.com')": "look up b.example.com",
    "asyncio.run(asyncio.open_connection('c.example.com', 443))": "look up c.example.com",
}


def test_leaving_this_machine_fails_the_test_although_it_is_swallowed(tmp_path):
    swallow = "def test_{0}():\n    try:\n        {1}\n    except Exception:\n        pass\n"
    result = run_pytest(tmp_path, "".join(swallow.format(n, call) for n, call in enumerate(WAYS_OUT)))

    assert result.returncode == 1, result.stdout
    for named in WAYS_OUT.values():
        assert f"This test tried to leave this machine: {named}." in result.stdout
    assert f"{len(WAYS_OUT)} passed, {len(WAYS_OUT)} errors" in result.stdout


def test_the_message_reaches_the_test_that_does_not_swallow_it(tmp_path):
    result = run_pytest(tmp_path, "def test_it():\n    socket.getaddrinfo('api.example.com', 443)\n")

    assert result.returncode == 1
    assert "OutsideConnection: The test tried to look up api.example.com" in result.stdout


def test_loopback_unix_sockets_and_addresses_are_no_matter(tmp_path):
    result = run_pytest(
        tmp_path,
        """
def test_loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1])).close()
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.sendto(b"x", server.getsockname())

def test_unix(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))

def test_an_address_is_not_looked_up():
    assert socket.getaddrinfo("192.0.2.1", 80)
""",
    )

    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n", "1")], ids=["one process", "xdist"])
def test_leaving_it_outside_any_test_fails_the_session(tmp_path, arguments):
    result = run_pytest(
        tmp_path,
        """
class Late:
    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self):
        try:
            socket.getaddrinfo("api.example.com", 443)
        except AssertionError:
            pass

@pytest.fixture(scope="session", autouse=True)
def late(request):
    request.config.pluginmanager.register(Late())  # the last to be registered is the first to be called

def test_it():
    pass
""",
        *arguments,
    )

    assert "1 passed" in result.stdout
    assert result.returncode == 1, result.stdout
    assert "outside any test, this machine was left: look up api.example.com" in result.stdout


def test_a_live_test_is_let_through_and_the_next_one_is_not(tmp_path):
    result = run_pytest(
        tmp_path,
        """
@pytest.mark.live
def test_live():
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.connect(("192.0.2.1", 53))  # sends nothing

def test_other():
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.connect(("192.0.2.1", 53))
""",
    )

    assert "test_other" in result.stdout
    assert "1 failed, 1 passed, 1 error" in result.stdout
