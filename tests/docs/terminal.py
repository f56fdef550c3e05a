"""A fresh site for one page, in which the page's blocks are typed from its top to its end.

What a page cannot bring along is supplied here, and nothing else: the vendors. A key that the page sets becomes that of
the vendor's stand-in on this machine (tests/servers), and its provider is sent there. Not run here: what is not the
site's (`make`, `pip`, `curl`), which test_processes.py runs where a newcomer begins; blocks that name an engine, which
tests/brokers runs; and `compile`, parts of programs that are the reader's.
"""

from __future__ import annotations

import builtins
import code
import copy
import io
import os
import re
import shlex
import sys
import types
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command, get_commands, load_command_class

from mediagen.models import ProviderConfig
from tests.docs.pages import Block, Command, commands_of
from tests.factories import moved_to

URLS = "urls_of_the_page"
_ERROR = re.compile(r"Traceback|SyntaxError|IndentationError")


class Terminal:
    """One site, its settings and addresses, a shell, and a prompt (`manage.py shell`) that stays open."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Any, servers: Any) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.settings = settings
        self.servers = servers
        self.live: set[str] = set()
        """providers whose key was exported"""
        settings.MEDIAGEN = {}  # a fresh site's, and not the test suite's
        self.urls = types.ModuleType(URLS)
        exec("from django.contrib import admin\nfrom django.urls import path\nurlpatterns = []", self.urls.__dict__)
        monkeypatch.setitem(sys.modules, URLS, self.urls)
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))
        self.prompt = code.InteractiveConsole({"__name__": "__console__", "__doc__": None})

    def type(self, block: Block) -> None:
        """The block, as its words say."""
        if block.engine or "compile" in block.words or "alone" in block.words:
            return
        if block.file_name:
            (self.folder / block.file_name).write_text(block.text)
        elif block.language == "sh":
            for command in commands_of(block):
                self.run(command)
        elif block.language == "python" and "settings" in block.words:
            self.change_settings(block)
        elif block.language == "python" and "urls" in block.words:
            exec(compile(block.source, str(block), "exec"), self.urls.__dict__)
            self.settings.ROOT_URLCONF = URLS
        elif block.language == "python":
            check_output(block, self.typed(block))

    # --- the prompt

    def typed(self, block: Block) -> str:
        """What the prompt prints, given the block line by line. A blank line ends what is indented, as everywhere."""
        echo = []
        with (
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(io.StringIO()) as out,
            redirect_stderr(io.StringIO()) as err,
        ):
            patch.setattr(sys, "displayhook", echo.append)  # values that the prompt would echo are not what is shown
            patch.setattr(sys, "excepthook", sys.__excepthook__)
            waits = False
            for number, line in enumerate([*block.text.splitlines(), ""], block.line):
                waits = self.prompt.push(line)
                said = err.getvalue()
                assert not _ERROR.search(said), f"{block.page}:{number}, typed at the prompt: {line!r}\n{said}"
        assert not waits, f"{block}: the prompt waits for more"
        builtins.__dict__.pop("_", None)
        return out.getvalue()

    # --- settings

    def change_settings(self, block: Block) -> None:
        """The lines at the end of the site's settings, and a restart: Django's checks then find no error."""
        names = {
            name: copy.copy(getattr(django_settings, name))
            for name in dir(django_settings)
            if name.isupper() and name != "DATABASES"
        }
        names["DATABASES"] = copy.deepcopy(django_settings.DATABASES)
        before = dict(names)
        exec(compile(block.source, str(block), "exec"), names)
        for name, value in names.items():
            # The database is that of the test; logging was set up when the process began.
            if name.isupper() and name not in ("DATABASES", "LOGGING") and value != before.get(name):
                setattr(self.settings, name, value)
        try:
            call_command("check", stdout=io.StringIO(), stderr=io.StringIO())
        except CommandError as error:
            raise AssertionError(f"{block} stops every command:\n{error}") from None

    # --- the shell

    def run(self, command: Command) -> None:
        if not command.arguments:
            self.live |= self.set_environment(self.monkeypatch, command.environment)
            return
        with pytest.MonkeyPatch.context() as patch:
            asked = self.live | self.set_environment(patch, command.environment)
            before = {name: len(self.servers[name].requests) for name in asked}
            status, output = run_command(tuple(os.path.expandvars(word) for word in command.arguments))
        assert status == command.exit_code, f"{command} ended with {status}:\n{output}"
        if command.variable:
            self.monkeypatch.setenv(command.variable, output.strip())
        makes = command.arguments[0] == "generate_assets" and not {"--check", "--enqueue"} & set(command.arguments)
        if status == 0 and makes:
            assert re.search(r'"made": true|"failed": 0,| made( \([^)]*\))?, 0 failed', output), output
        goes_live = "--live" in command.arguments or os.environ.get("DRY_RUN_MODE") == "false"
        asks = goes_live and status == 0 and (makes or command.arguments[0] == "check_providers")
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


def check_output(block: Block, printed: str) -> None:
    """Line by line; "..." in the page stands for anything."""
    if not block.output:
        return
    lines = [line.rstrip() for line in printed.splitlines()]
    assert len(lines) == len(block.output), f"{block} printed {lines}"
    for promised, line in zip(block.output, lines, strict=True):
        pattern = ".*".join(re.escape(part) for part in promised.rstrip().split("..."))
        assert re.fullmatch(pattern, line), f"{block} promises {promised!r} and printed {line!r}"


def run_command(arguments: tuple[str, ...]) -> tuple[int, str]:
    """(exit code, output), as on the command line."""
    name, *rest = arguments
    known = get_commands()
    if name not in known:
        return 2, f"Unknown command: {shlex.join(arguments)}"
    app = known[name]
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
