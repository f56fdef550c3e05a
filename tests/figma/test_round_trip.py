"""The one command that shows the whole way is run as a person would, and says what docs/figma.md shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMAND = "python -m tests.figma.round_trip"


@pytest.mark.whole
@pytest.mark.skipif(shutil.which("node") is None, reason="There is no node here to run the plugin with.")
def test_it_says_what_the_page_shows():
    page = (ROOT / "docs" / "figma.md").read_text()
    shown = re.search(rf"```sh\n{re.escape(COMMAND)}\n```\n\n```text\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    done = subprocess.run(
        [sys.executable, *COMMAND.split()[1:]], cwd=ROOT, capture_output=True, text=True, timeout=170, check=False
    )
    assert (done.returncode, done.stdout) == (0, shown[1]), done.stderr
