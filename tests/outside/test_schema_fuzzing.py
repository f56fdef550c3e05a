"""The API over a real socket, asked by somebody who knows nothing but its schema: no 500, no undeclared answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.outside

ROOT = Path(__file__).resolve().parents[2]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
MAKE_TOKEN = """
from django.contrib.auth import get_user_model
from mediagen.engine.library import tokens
user = get_user_model().objects.create_superuser("somebody")
issued = tokens.issue(user, "fuzzing", scopes=["read", "generate", "change", "approve", "figma"])
print(issued.text.reveal())
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """(address of the API, a token for everything) of a server with an SQLite file, in dry run."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")},
        "DJANGO_SETTINGS_MODULE": "tests.outside.site_settings",
        "MEDIAGEN_DATA_DIR": str(tmp_path),
        "LOG_LEVEL": "ERROR",
    }

    def manage(*words: str) -> str:
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    manage("migrate", "--verbosity", "0")
    token = manage("shell", "--verbosity", "0", "-c", MAKE_TOKEN).strip().splitlines()[-1]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(port), "--lifespan", "off"]
    server = subprocess.Popen([*command, "--log-level", "error"], cwd=ROOT, env=environment)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/api/v1/", token
    finally:
        server.terminate()
        server.wait(30)


def test_whatever_is_asked_is_answered_as_the_schema_says(site, tmp_path):
    address, token = site
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}schema/"]
    options = {
        "--header": f"Authorization: Bearer {token}",
        "--checks": CHECKS,
        "--phases": "examples,coverage,fuzzing",
        "--max-examples": "12",
        "--request-timeout": "30",
        "--suppress-health-check": "all",
        "--generation-database": "none",
    }
    words = [word for pair in options.items() for word in pair]

    # Elsewhere, because it keeps what it found where it runs.
    done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout[-8000:].replace(token, "...")
