"""mediagen in a Wagtail site, in a process of its own: its settings are that site's, tests/outside/wagtail_host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("wagtail")
pytestmark = pytest.mark.outside
HOST = Path(__file__).parent / "wagtail_host"


def test_mediagen_in_a_wagtail_site():
    settings = f"--ds=tests.outside.{HOST.name}.settings"
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-W", "default", "-m", ""]
    command = [sys.executable, "-m", "pytest", *options, settings, str(HOST)]
    done = subprocess.run(command, cwd=HOST.parent.parent.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
