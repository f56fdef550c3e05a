"""`make rehearse` goes through its story, and buys nothing twice."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.servers.rehearse import ROOT


@pytest.mark.whole
def test_the_story_is_told_to_its_end(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.servers.rehearse", "--folder", str(tmp_path / "rehearsal")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "attempt 4: openai_images  succeeded" in done.stdout
    assert "(provider_refused)" in done.stdout
    assert "library 'Small' has $0.02 left" in done.stdout
    assert "Purchases in all: 4, for 4 pictures." in done.stdout
    assert "Received: asset.ready of asset" in done.stdout
