"""What all commands share: output that fails touches no work, and a database that is full or not migrated says so."""

from __future__ import annotations

import sys
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError
from django.db import Error, InterfaceError, OperationalError, ProgrammingError, connections
from django.db.migrations.executor import MigrationExecutor

from mediagen.engine.database import is_full
from mediagen.management.streams import ForgivingStream
from mediagen.models import routing

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


class MediagenCommand(BaseCommand):
    """Base of our commands."""

    def __init__(self, stdout: Any = None, stderr: Any = None, *args: Any, **kwargs: Any) -> None:
        out: Any = ForgivingStream(stdout or sys.stdout)
        err: Any = ForgivingStream(stderr or sys.stderr)
        super().__init__(out, err, *args, **kwargs)

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
