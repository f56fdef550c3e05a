"""Runs the documentation: its examples, its commands, the files it tells a newcomer to write; follows its links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from asgiref.sync import async_to_sync
from PIL import Image

from mediagen.engine import get_media_engine
from mediagen.factory import get_media_generator_chain
from mediagen.models import GenerationAttempt, ProviderConfig
from tests.docs import pages
from tests.docs.pages import PAGES, ROOT, Block
from tests.docs.terminal import Terminal, check_output

KINDS = {"run", "alone", "settings", "urls", "compile"}
TYPED = sorted(page for page in PAGES if any(block.language in ("python", "sh") for block in pages.blocks(page)))
WRITING_ONE = "docs/providers/writing-one.md"


# --- every page


@pytest.mark.parametrize("doc", PAGES)
def test_every_python_block_is_python_and_has_a_kind_that_exists(doc):
    for block in pages.blocks(doc):
        assert block.language != "py", f"{block}: write python"
        if block.language == "python":
            compile(block.source, str(block), "exec")
            assert block.file_name or (block.words and block.words[0] in KINDS), f"{block} says not what it is for"


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
    forget_modules_below(tmp_path, before)


def forget_modules_below(folder: Path, before: set[str]) -> None:
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def executed(block: Block, **names: Any) -> dict[str, Any]:
    exec(compile(block.source, str(block), "exec"), names)
    return names


@pytest.fixture
def terminal(db, tmp_path, monkeypatch, settings, provider_servers) -> Iterator[Terminal]:
    before, environment = set(sys.modules), dict(os.environ)
    folder = tmp_path / "site"
    folder.mkdir()
    yield Terminal(folder, monkeypatch, settings, provider_servers)
    os.environ.clear()  # what a page sets is taken back
    os.environ.update(environment)
    forget_modules_below(tmp_path, before)


@pytest.mark.parametrize("doc", TYPED)
def test_a_page_runs_as_typed_from_top_to_bottom(doc, terminal):
    for block in pages.blocks(doc):
        terminal.type(block)


@pytest.mark.parametrize("block", [block for page in PAGES for block in pages.marked(page, "alone")], ids=str)
def test_an_example_runs_without_django_settings(block, tmp_path):
    script = tmp_path / "example.py"
    script.write_text(block.text)

    check_output(block, interpreter([str(script)], cwd=tmp_path))


def test_views_of_the_embedding_page_answer(terminal, rf):
    for block in pages.marked("docs/embedding.md", "run"):
        terminal.typed(block)
    names = terminal.prompt.locals
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
