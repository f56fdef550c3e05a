"""Runs the documentation: its examples, its commands, the files it tells a newcomer to write; follows its links."""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command, get_commands, load_command_class
from PIL import Image

from mediagen.engine import get_media_engine
from mediagen.factory import get_media_generator_chain
from mediagen.models import GenerationAttempt, ProviderConfig
from tests.docs import pages
from tests.docs.pages import PAGES, ROOT, Block, Command
from tests.factories import moved_to

KINDS = {"run", "alone", "settings", "urls", "compile"}
RUNNABLE = sorted(page for page in PAGES if pages.marked(page, "run"))
WITH_COMMANDS = sorted(page for page in PAGES if pages.commands(page))
WRITING_ONE = "docs/providers/writing-one.md"


# --- every page


@pytest.mark.parametrize("doc", PAGES)
def test_every_python_block_is_python_and_has_a_kind_that_exists(doc):
    for block in pages.blocks(doc):
        assert block.language != "py", f"{block}: write python"
        if block.language == "python":
            compile(block.source, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            assert not block.words or block.file_name or block.words[0] in KINDS, f"{block}: {block.words}"


@pytest.mark.parametrize("doc", PAGES)
def test_links_and_anchors_exist(doc):
    wrong = []
    for link in pages.links(doc):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (PAGES[doc].parent / parts.path).resolve() if parts.path else PAGES[doc]
        if not target.is_file():
            wrong.append(f"{link}: there is no such file")
        elif parts.fragment and parts.fragment not in pages.anchors(target.relative_to(ROOT).as_posix()):
            wrong.append(f"{link}: there is no such heading")
    assert not wrong, f"{doc}: {wrong}"


def test_every_page_can_be_reached_from_the_index():
    reached, unread = set(), {"docs/index.md"}
    while unread:
        page = unread.pop()
        reached.add(page)
        targets = {(PAGES[page].parent / urlsplit(link).path).resolve() for link in pages.links(page)}
        unread |= {name for name, path in PAGES.items() if path in targets} - reached
    lost = PAGES.keys() - reached

    assert not lost, f"link {', '.join(sorted(lost))} in docs/index.md"


@pytest.mark.parametrize("doc", PAGES)
def test_make_knows_what_is_named(doc):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make (?:[A-Z]+=\S+ )?([a-z-]+)", pages.text_of(doc)))
    named |= {
        line.split()[1]
        for block in pages.blocks(doc)
        if block.language == "sh"
        for line in block.text.splitlines()
        if line.startswith("make ")
    }

    assert named <= targets


# --- examples


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings) -> Iterator[Callable[[str], Path]]:
    """`site(page)` writes the files that a page shows where a site can import them, with the settings it shows."""
    before = set(sys.modules)

    def prepare(page: str) -> Path:
        folder = tmp_path / "site"
        folder.mkdir(exist_ok=True)
        files = [block for block in pages.blocks(page) if block.file_name]
        for block in files:
            (folder / block.file_name).write_text(block.text)
        if files:
            monkeypatch.syspath_prepend(str(folder))
            settings.MEDIAGEN = {
                "PROVIDERS": {
                    name: path
                    for block in pages.marked(page, "settings")
                    for name, path in executed(block)["MEDIAGEN"]["PROVIDERS"].items()
                }
            }
        return folder

    yield prepare
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def executed(block: Block, **names: Any) -> dict[str, Any]:
    exec(compile(block.source, str(block), "exec"), names)
    return names


def run_block(block: Block, names: dict[str, Any]) -> str:
    """What the block prints. `await` at its top level is allowed."""
    code = compile(block.source, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(io.StringIO()) as out:
        result = eval(code, names)
        if inspect.iscoroutine(result):

            async def awaited() -> None:
                await result

            async_to_sync(awaited)()
    return out.getvalue()


def check_output(block: Block, printed: str) -> None:
    """Line by line; "..." in the page stands for anything."""
    if not block.output:
        return
    lines = [line.rstrip() for line in printed.splitlines()]
    assert len(lines) == len(block.output), f"{block} printed {lines}"
    for promised, line in zip(block.output, lines, strict=True):
        pattern = ".*".join(re.escape(part) for part in promised.rstrip().split("..."))
        assert re.fullmatch(pattern, line), f"{block} promises {promised!r} and printed {line!r}"


@pytest.mark.django_db
@pytest.mark.parametrize("doc", RUNNABLE)
def test_the_examples_of_a_page_run(doc, site, monkeypatch):
    monkeypatch.setenv("FIGMA_API_TOKEN", "")  # what a page sets is taken back
    monkeypatch.delenv("FIGMA_API_TOKEN")
    site(doc)
    names: dict[str, Any] = {"__name__": "example"}
    for block in pages.marked(doc, "run"):
        check_output(block, run_block(block, names))


@pytest.mark.parametrize("block", [block for page in PAGES for block in pages.marked(page, "alone")], ids=str)
def test_an_example_runs_without_django_settings(block, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(block.text)

    check_output(block, interpreter([str(script)], cwd=tmp_path))


def test_views_of_the_embedding_page_answer(db, site, rf):
    names: dict[str, Any] = {"__name__": "example"}
    for block in pages.marked("docs/embedding.md", "run"):
        run_block(block, names)
    made = names["make_picture"](rf.post("/", {"prompt": "A lighthouse"}))
    request = rf.post("/", {"prompt": "A lighthouse"})
    request.user = names["anna"]
    made_in = names["make_picture_in"](request, names["library"].pk)

    assert [len(b"".join(answer)) > 30 for answer in (made, made_in)] == [True, True]
    assert names["library"].assets.count() == 2
    request.user = names["ben"]
    with pytest.raises(Exception, match="No MediaLibrary matches"):
        names["make_picture_in"](request, names["library"].pk)


def interpreter(arguments: list[str], *, cwd: Path, expect: int = 0, **environment: str) -> str:
    """Standard output of a Python of its own that has this checkout and nobody's settings or keys."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


# --- commands


class Shell:
    """Runs commands of a page, one after the other: exports stay, keys become those of local provider servers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, servers: Any) -> None:
        self.monkeypatch = monkeypatch
        self.servers = servers
        self.live: set[str] = set()
        """providers whose key was exported"""

    def run(self, command: Command) -> None:
        if not command.arguments:
            self.live |= self.set_environment(self.monkeypatch, command.environment)
            return
        with pytest.MonkeyPatch.context() as patch:
            asked = self.live | self.set_environment(patch, command.environment)
            before = {name: len(self.servers[name].requests) for name in asked}
            code, output = run_command(command.arguments)
        assert code == command.exit_code, f"{command} ended with {code}:\n{output}"
        makes = command.arguments[0] == "generate_assets" and not {"--check", "--enqueue"} & set(command.arguments)
        if code == 0 and makes:
            assert re.search(r'"made": true|"failed": 0,| made( \([^)]*\))?, 0 failed', output), output
        goes_live = "--live" in command.arguments or os.environ.get("DRY_RUN_MODE") == "false"
        asks = goes_live and code == 0 and (makes or command.arguments[0] == "check_providers")
        for name in asked if asks else ():
            assert len(self.servers[name].requests) > before[name], f"{command} did not ask {name}"

    def set_environment(self, patch: pytest.MonkeyPatch, environment: dict[str, str]) -> set[str]:
        found = set()
        for variable, value in environment.items():
            provider = next((name for name in self.servers if self.servers[name].env_key == variable), None)
            if provider is not None:
                value = self.servers[provider].key
                ProviderConfig.objects.filter(name=provider).update(
                    **moved_to(provider, self.servers[provider].base_url)
                )
                found.add(provider)
            patch.setenv(variable, value)
        return found


def run_command(arguments: tuple[str, ...]) -> tuple[int, str]:
    """(exit code, output), as on the command line."""
    name, *rest = arguments
    app = get_commands()[name]
    command = load_command_class(app, name) if isinstance(app, str) else app
    try:
        command.create_parser("manage.py", name).parse_args(rest)
    except CommandError as exc:
        return 2, str(exc)  # argparse's own
    out = io.StringIO()
    try:
        call_command(command, *rest, stdout=out, stderr=out)
    except CommandError as exc:
        return exc.returncode, f"{out.getvalue()}{exc}"
    return 0, out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("doc", WITH_COMMANDS)
def test_the_commands_of_a_page_run(doc, site, tmp_path, monkeypatch, provider_servers, settings):
    if doc == "docs/operations.md":  # the doctor misses those who work
        settings.MEDIAGEN = {}
    monkeypatch.chdir(site(doc))
    shell = Shell(monkeypatch, provider_servers)
    for command in pages.commands(doc):
        shell.run(command)


def test_the_pages_that_show_commands():
    assert {"README.md", "docs/quickstart.md", "docs/commands.md", "docs/batches.md", "docs/workers.md"} <= set(
        WITH_COMMANDS
    )


# --- a newcomer's eighth provider


@pytest.mark.django_db
def test_one_file_and_one_settings_line_add_a_provider(site, settings, media_root):
    folder = site(WRITING_ONE)
    [line] = pages.marked(WRITING_ONE, "settings", "gradient")
    assert len(line.text.strip().splitlines()) == 1
    settings.MEDIAGEN = executed(line)["MEDIAGEN"]
    for name in ("acme.py", "slow_acme.py", "test_acme.py"):
        (folder / name).unlink()

    chain = get_media_generator_chain()
    assert [provider.get_name() for provider in chain.providers][-2:] == ["gradient", "noop_media"]
    image = async_to_sync(get_media_generator_chain(["gradient"]).execute_generate_image)("A boat", 48, 32, seed=3)
    assert (image.provider_name, image.format, image.width, image.height) == ("gradient", "png", 48, 32)

    ProviderConfig.objects.exclude(name="noop_media").update(enabled=False)
    asset = get_media_engine().generate_asset_sync("A boat", 48, 32, dry_run=False)
    assert (asset.provider_name, asset.is_placeholder, asset.dry_run) == ("gradient", False, False)
    with Image.open(media_root / asset.file.name) as picture:
        assert picture.size == (48, 32)
    assert asset.tag_names == ["generated", "generated-gradient"]
    [attempt] = GenerationAttempt.objects.of(asset)
    assert (attempt.provider_name, attempt.state, attempt.billable) == ("gradient", "succeeded", True)


@pytest.mark.django_db
@pytest.mark.parametrize(("call", "asked"), [(None, False), (False, True), (True, False)])
def test_what_the_page_says_about_dry_run_of_a_plain_class(site, call, asked):
    # Another rule needs another text: "Dry run" in writing-one.md, and in configuration.md.
    site(WRITING_ONE)
    asset = get_media_engine().generate_asset_sync("A boat", 48, 32, provider="gradient", dry_run=call)

    assert asset.is_placeholder is not asked


@pytest.mark.django_db
def test_the_subclass_follows_dry_run_and_is_checked(site, monkeypatch):
    site(WRITING_ONE)
    adapter = get_media_generator_chain(["acme"]).providers[0]
    assert (adapter.dry_run, adapter.is_configured) == (True, False)

    asset = get_media_engine().generate_asset_sync("A boat", 48, 32, provider="acme", style="photo")
    assert (asset.provider_name, asset.is_placeholder) == ("acme", True)

    monkeypatch.setenv("ACME_API_KEY", "made-up-key-1234")
    assert get_media_generator_chain(["acme"], dry_run=False).providers[0].is_configured


@pytest.mark.whole
def test_the_newcomers_test_passes(site):
    folder = site(WRITING_ONE)

    output = interpreter(
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py"],
        cwd=folder,
        DJANGO_SETTINGS_MODULE="config.settings.test",
    )

    passed = re.search(r"(\d+) passed", output)
    assert passed is not None
    assert int(passed[1]) > 40
    assert "failed" not in output


# --- three lines in a site that exists


@pytest.mark.whole
def test_three_lines_in_a_new_site(tmp_path):
    interpreter(["-m", "django", "startproject", "host", str(tmp_path)], cwd=tmp_path)
    host, page = tmp_path / "host", "docs/embedding.md"
    lines, in_tests, storage, reports = pages.marked(page, "settings")
    assert ("tests" in in_tests.words, "storage" in storage.words) == (True, True)
    pictures = tmp_path / "pictures"
    with (host / "settings.py").open("a") as file:
        file.write(lines.text + storage.text.replace("/srv/pictures", str(pictures)) + reports.text)
    with (host / "urls.py").open("a") as file:
        file.write(pages.marked(page, "urls")[0].text)

    for command in pages.commands(page):
        interpreter(["manage.py", *command.arguments], cwd=tmp_path)

    assert len(list((pictures / "made").rglob("*.png"))) == 1


def test_the_readmes_three_lines_are_those_of_the_embedding_page():
    def code(page: str, word: str) -> str:
        return "".join(pages.marked(page, word)[0].text.split("#")[0].split())

    assert code("README.md", "settings") == code("docs/embedding.md", "settings")
    assert code("docs/embedding.md", "urls").endswith(code("README.md", "urls"))
