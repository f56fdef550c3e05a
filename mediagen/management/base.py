"""What all commands share: output that fails touches no work, and a database that is full or not migrated says so."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.db import Error, InterfaceError, OperationalError, ProgrammingError, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import translation

from mediagen.engine.database import is_full
from mediagen.management.streams import ForgivingStream
from mediagen.models import routing
from mediagen.types import near

SOME_FAILED = 1
USAGE = 2
STOPPED = 3
DISK_IS_FULL = (
    "The disk of the database is full: not all could be written, and nothing more was begun. Make room; then the same "
    "command goes on, and takes what was stored meanwhile."
)
NOT_MIGRATED = (
    "The database lacks tables or columns of this version. Run manage.py migrate; then the same command again."
)


EXAMPLES = "examples:"


class _Help(DjangoHelpFormatter):
    """Leaves examples as they are: a line that is broken is no command any more."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLES) else super()._fill_text(text, width, indent)


class MediagenCommand(BaseCommand):
    """Base of our commands."""

    examples: Sequence[str] = ()
    """lines for a shell, which --help shows"""

    def __init__(self, stdout: Any = None, stderr: Any = None, no_color: bool = False, **kwargs: Any) -> None:
        out: Any = ForgivingStream(stdout or sys.stdout)
        err: Any = ForgivingStream(stderr or sys.stderr)
        # https://no-color.org; --force-color has the last word.
        is_plain = no_color or (bool(os.environ.get("NO_COLOR")) and not kwargs.get("force_color"))
        super().__init__(out, err, no_color=is_plain, **kwargs)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.setdefault("formatter_class", _Help)
        kwargs.setdefault("epilog", "\n  ".join([EXAMPLES, *self.examples]))
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.error = partial(_refuse, parser)  # type: ignore[method-assign]
        return parser

    @property
    def reader(self) -> ForgivingStream:
        """Standard output, of which it is known whether anybody still reads it."""
        stream: Any = self.stdout._out
        return cast(ForgivingStream, stream)

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        finally:
            # What others (a log) have left in them is not to fail when the interpreter ends.
            self.stdout.flush()
            self.stderr.flush()

    def execute(self, *args: Any, **options: Any) -> str | None:
        for name in ("stdout", "stderr"):
            if options.get(name) is not None:
                options[name] = ForgivingStream(options[name])
        try:
            # In English, as logs and docs are, whatever the site speaks: programs and searches read it.
            with translation.override(None):
                return super().execute(*args, **options)
        except (OperationalError, InterfaceError, ProgrammingError) as exc:
            if is_not_migrated():
                raise CommandError(NOT_MIGRATED, returncode=STOPPED) from exc
            if isinstance(exc, ProgrammingError):
                raise
            raise CommandError(_explained(exc), returncode=STOPPED) from exc

    def needs_our_tables(self) -> None:
        """For commands whose work goes on beside a failure and logs it: one line, before it is begun."""
        if is_not_migrated():
            raise CommandError(NOT_MIGRATED, returncode=STOPPED)


def _refuse(parser: CommandParser, message: str) -> None:
    """A wrong command line, in one line; with the option or the word that is near, where there is one."""
    text = message
    if match := re.match(r"unrecognized arguments: .*?(--[\w-]+)", message):
        options = [option for action in parser._actions for option in action.option_strings if option[:2] == "--"]
        text += _did_you_mean(match[1], options)
    elif match := re.match(r"argument (\S+): invalid choice: '(.*?)'", message):
        text += _did_you_mean(match[2], _choices(parser, match[1]))
    if not getattr(parser, "called_from_command_line", False):
        raise CommandError(f"Error: {text}", returncode=USAGE)
    parser.exit(USAGE, f"{parser.prog}: {text.rstrip('.')}. {parser.prog} --help says what there is.\n")


def _choices(parser: ArgumentParser, argument: str) -> list[str]:
    names = argument.split("/")
    found = [one for one in parser._actions if set(names) & {*one.option_strings, one.dest, str(one.metavar)}]
    return [str(choice) for one in found for choice in one.choices or ()]


def _did_you_mean(word: str, known: list[str]) -> str:
    like = near(word, known)
    return f". {like.rstrip('?')}" if like.startswith("Did") else ""


def is_not_migrated() -> bool:
    """Whether migrations of ours wait to be applied; False where the database does not answer."""
    try:
        executor = MigrationExecutor(connections[routing.alias()])
        ours = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "mediagen"]
        return bool(executor.migration_plan(ours))
    except Error:
        return False


def _explained(exc: Exception) -> str:
    if is_full(exc):
        return DISK_IS_FULL
    return f"The database cannot be used: {exc}. When it can, the same command goes on."
