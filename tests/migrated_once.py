"""Of the processes of one run, one migrates its SQLite database; the others begin with a copy of it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def share_database(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings: None
) -> Iterator[Callable[[], None] | None]:
    """What the process that is to migrate calls when it has; None for one that has a copy, or works alone."""
    from django.db import connection

    if "PYTEST_XDIST_WORKER" not in os.environ or connection.vendor != "sqlite":
        yield None
        return
    shared = tmp_path_factory.getbasetemp().parent / "migrated.sqlite3"
    own = Path(connection.settings_dict["TEST"]["NAME"])
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first one keeps it until it has migrated

        def share() -> None:
            connection.cursor().execute("VACUUM INTO %s", [str(shared)])
            fcntl.flock(lock, fcntl.LOCK_UN)

        if is_copy := shared.exists():
            shutil.copyfile(shared, own)
            fcntl.flock(lock, fcntl.LOCK_UN)
        yield None if is_copy else share
    for ending in ("", "-wal", "-shm") if is_copy else ():  # Django keeps what it has not made
        own.with_name(own.name + ending).unlink(missing_ok=True)


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_keepdb: bool, share_database: Callable[[], None] | None) -> bool:
    from django.db import connection

    return django_db_keepdb or Path(str(connection.settings_dict["TEST"]["NAME"])).exists()
