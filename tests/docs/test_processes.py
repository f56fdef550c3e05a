"""The pages on which a newcomer begins, in bash: real processes, a server, curl, a project that Django has just made.

Supplied: the vendor's stand-in for a key, a port of one's own for 8000, time until the server is there, and for `make`
what it would do in an environment that is there already; `make demo` itself, `make test` and `make rehearse` have steps
of their own in .ci/run.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks
from tests.docs.terminal import check_output
from tests.http.raw import free_port
from tests.servers import ProviderServer

pytestmark = pytest.mark.whole
ASKED = "sdxl"  # the one service that these pages ask live
OF_THE_CHECKOUT = ("manage.py", "config", "mediagen", "templates", "tests")

MAKE = """#!/bin/sh
case "$1" in
demo) python manage.py migrate --verbosity 0 && exec python -m config.demo pictures ;;
serve) export DJANGO_SETTINGS_MODULE=config.settings.dev
    exec python -m uvicorn config.asgi:application --port "$PORT_OF_THE_TEST" --lifespan off ;;
esac
"""
PYTHON = """#!/bin/sh
if [ "$2" = runserver ]; then exec {python} manage.py runserver --noreload "127.0.0.1:$PORT_OF_THE_TEST"; fi
exec {python} "$@"
"""
CURL = """#!/bin/sh
exec /usr/bin/curl --silent --fail-with-body --retry-connrefused --retry 30 --retry-delay 1 \\
    --connect-to "127.0.0.1:8000:127.0.0.1:$PORT_OF_THE_TEST" "$@"
"""


class Bash:
    """A folder, and one bash for all of a page's blocks."""

    def __init__(self, folder: Path, servers: Mapping[str, ProviderServer]) -> None:
        self.folder = folder
        self.server = servers[ASKED]
        tools = folder / ".venv/bin"
        tools.mkdir(parents=True)
        for name, text in (
            ("make", MAKE),
            ("python", PYTHON.format(python=shlex.quote(sys.executable))),
            ("curl", CURL),
        ):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TMPDIR")}
        self.environment = {
            **kept,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "MEDIAGEN_DATA_DIR": str(folder / "var"),
            "PORT_OF_THE_TEST": str(free_port()),
            f"MEDIAGEN_{ASKED.upper()}_BASE_URL": self.server.base_url,
        }

    def type(self, page: Iterable[Block]) -> str:
        """Everything that was printed. The first command that fails ends it, and the test."""
        script = "".join(self.typed(block) for block in page)
        ended = "\nfor job in $(jobs -p); do kill $job; done\nwait\n"
        done = subprocess.run(
            ["bash", "-e", "-c", f"{script}{ended}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def typed(self, block: Block) -> str:
        if block.language == "sh":
            text = block.text.replace("your-key", self.server.key)
            return f"\n# {block}\n" + text.replace("make serve\n", "make serve &\ncurl http://127.0.0.1:8000/healthz\n")
        if block.language == "python" and "run" in block.words:
            file = self.folder / f"block-{block.line}.py"
            file.write_text(block.text)
            return f"\necho '<<{block.line}'\npython manage.py shell -v 0 <{file.name}\necho '{block.line}>>'\n"
        return ""


@pytest.fixture
def checkout(tmp_path, provider_servers) -> Bash:
    for name in OF_THE_CHECKOUT:
        (tmp_path / name).symlink_to(ROOT / name)
    return Bash(tmp_path, provider_servers)


def before_and_after(page: str, heading: str) -> tuple[list[Block], list[Block]]:
    line = (ROOT / page).read_text().splitlines().index(heading)
    found = blocks(page)
    return [block for block in found if block.line < line], [block for block in found if block.line > line]


def test_the_readme_in_a_checkout(checkout):
    printed = checkout.type(before_and_after("README.md", "## Put it into your own site")[0])

    assert printed.count("1 made, 0 failed") == 3
    assert "healthy" in printed


def test_the_readme_in_a_project_that_django_has_just_made(tmp_path, provider_servers):
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", tmp_path], check=True)
    page = before_and_after("README.md", "## Put it into your own site")[1]
    for block in page:
        if block.words in (("settings",), ("urls",)):
            with (tmp_path / "mysite" / f"{block.words[0]}.py").open("a") as file:
                file.write(block.text)
    printed = Bash(tmp_path, provider_servers).type(page)

    [run] = [block for block in page if "run" in block.words]
    check_output(run, printed.split(f"<<{run.line}\n")[1].split(f"{run.line}>>")[0])
    assert '"state": "ready"' in printed.replace('":"', '": "')


def test_the_quick_start(checkout):
    printed = checkout.type(blocks("docs/quickstart.md"))

    assert "4 made, 0 failed" in printed
    assert "100 credits left" in printed


def test_the_first_picture_of_the_api(checkout):
    [begin, ask] = [block for block in blocks("docs/api.md") if block.language == "sh"]
    printed = checkout.type([Block("", 0, "sh", (), "make demo\n"), begin, ask])

    assert "HTTP/1.1 202" in printed
    assert '"events_url"' in printed


def test_the_recipe_of_a_headless_frontend(checkout):
    rest = before_and_after("docs/recipes.md", "## A headless frontend")[1]
    many = next(number for number, block in enumerate(rest) if "animals" in block.text)
    checkout.type([Block("", 0, "sh", (), "make demo\n"), *rest[:many]])

    assert (checkout.folder / "picture.png").read_bytes().startswith(b"\x89PNG")
