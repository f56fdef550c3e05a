"""What is said to somebody who mistypes, has a narrow terminal, no colours, another encoding, or has not migrated."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from mediagen.management.base import MediagenCommand
from mediagen.management.output import Result
from mediagen.models.costs import NOTHING
from tests.factories import GenerationBatchFactory, MediaLibraryFactory

OURS = sorted(name for name, app in get_commands().items() if app == "mediagen")
STAY = {
    "generate_assets",
    "describe_assets",
    "verify_origin",
    "check_providers",
    "generate_worker",
    "figma_import",
    "figma_plugin",
}


def test_names_that_others_may_have_bear_the_prefix():
    assert {name for name in OURS if not name.startswith("mediagen_")} == STAY


@pytest.mark.parametrize("name", OURS)
def test_help_has_examples_that_can_be_typed(name):
    command = load_command_class("mediagen", name)
    assert isinstance(command, MediagenCommand)
    shown = command.create_parser("manage.py", name).format_help()

    assert command.examples
    for line in command.examples:
        assert f"\n  {line}\n" in shown
        program, subcommand, *arguments = shlex.split(line)
        assert (program, subcommand) == ("manage.py", name)
        command.create_parser("manage.py", name).parse_args(arguments)


def manage(*arguments, **environment):
    """(exit code, standard output, standard error) of the demo's manage.py in a process of its own, bytes as text."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env={**kept, "DJANGO_SETTINGS_MODULE": "config.settings.test", **environment},
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode("ascii", "replace"), done.stderr.decode("ascii", "replace")


def test_a_wrong_line_is_answered_in_one_line_with_what_is_near():
    code, _, said = manage("generate_assets", "a boat", "--librry", "x")

    assert code == 2
    assert said == (
        "manage.py generate_assets: unrecognized arguments: --librry x. Did you mean --library or --create-library. "
        "manage.py generate_assets --help says what there is.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mediagen_batches", "resum"], "Did you mean resume"),
        (["generate_assets", "a boat", "--progress=plan"], "Did you mean plain"),
    ],
)
def test_a_wrong_word_is_answered_with_the_near_one(arguments, says):
    with pytest.raises(CommandError, match=says) as raised:
        call_command(*arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["generate_assets", "a boat", "--library", "Pres"], "There is no media library 'Pres'. Did you mean Press?"),
        (["mediagen_export_assets", "--library", "press office", "--to", "canva"], "There is no media library"),
        (["mediagen_batches", "resume", "promts.csv"], "There is no batch 'promts.csv'. Did you mean prompts.csv?"),
        (["generate_assets", "a boat", "--provider", "sdxll"], "There is no provider 'sdxll'. Did you mean sdxl?"),
        (["check_providers", "fluxx"], "There is no provider 'fluxx'. Did you mean flux?"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_the_near_one(arguments, says):
    MediaLibraryFactory(name="Press")
    GenerationBatchFactory(name="prompts.csv")

    with pytest.raises(CommandError, match=re.escape(says)) as raised:
        call_command(*arguments, stdout=StringIO())
    assert raised.value.returncode == 2


class Terminal(StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def summary(monkeypatch, columns, **environment):
    rich_output = pytest.importorskip("mediagen.management.rich_output")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    reporter = rich_output.RichReporter(type("Out", (), {"_out": out})(), 1, no_color=False)
    result = Result(
        prompt="a lighthouse in the thick fog of a november morning",
        asset_id="01a2275d-ee9f-7000-8000-01abd43a1c09",
        made=False,
        provider="sdxl",
        model="core",
        placeholder=False,
        dry_run=True,
        attempts=1,
        cost=NOTHING,
        seconds=0.2,
        file="/srv/site/media/mediagen/2026/11/01a2275d-ee9f-7000-8000-01abd43a1c09-1.png",
        error="",
    )
    made = Result(**{name: getattr(result, name) for name in Result.__slots__} | {"made": True})
    reporter.summary([result, made], earlier=0, waiting=0)
    return out.getvalue()


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_ids_and_paths_are_whole_on_every_terminal(columns, monkeypatch):
    said = summary(monkeypatch, columns)

    assert said.count("01a2275d-ee9f-7000-8000-01abd43a1c09") == 3
    assert "/srv/site/media/mediagen/2026/11/01a2275d-ee9f-7000-8000-01abd43a1c09-1.png" in said


def test_no_color_is_obeyed(monkeypatch):
    assert "\x1b[31m" in summary(monkeypatch, 120)
    assert "\x1b[31m" not in summary(monkeypatch, 120, NO_COLOR="1")

    command = load_command_class("mediagen", "mediagen_doctor")
    assert command.style.ERROR("no") == "no"


@pytest.mark.whole
def test_a_terminal_without_utf8_and_a_database_without_tables_get_a_sentence(tmp_path):
    code, _, said = manage(
        "generate_assets",
        "un phare \u00e0 No\u00ebl \u2603",
        DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3",
        DJANGO_SETTINGS_MODULE="config.settings.dev",
        MEDIAGEN_DATA_DIR=str(tmp_path),
        LC_ALL="C",
        PYTHONIOENCODING="ascii",
        PYTHONUTF8="0",
    )
    assert code == 3
    assert "Run manage.py migrate" in said
    assert "Traceback" not in said
