"""Sites whose processes are killed. Every test has a database of its own, copied from one that was migrated once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from config.env import use_pymysql
from config.settings.base import SQLITE_OPTIONS
from tests.kill.site import ALIAS, Site, connected

MARKERS = {
    "slow": "takes minutes; its own run: pytest -m slow",
    "postgres": "needs PostgreSQL on 127.0.0.1:5432, or at MEDIAGEN_CI_DATABASE_URL; its own run: pytest -m postgres",
    "mariadb": "needs MariaDB on 127.0.0.1:3306, or at MEDIAGEN_CI_MARIADB_URL; its own run: pytest -m mariadb",
}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked runs only when it is asked for by name."""
    unasked = [name for name in MARKERS if name not in (config.option.markexpr or "")]
    left_out = [item for item in items if any(item.get_closest_marker(name) for name in unasked)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def sqlite(path: Path) -> dict[str, Any]:
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": SQLITE_OPTIONS}


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any) -> Path:
    """A migrated, empty database file without a journal beside it."""
    path = tmp_path_factory.mktemp("kill") / "template.sqlite3"
    with django_db_blocker.unblock(), connected({**sqlite(path), "OPTIONS": {}}):
        call_command("migrate", database=ALIAS, verbosity=0)
    return path


@pytest.fixture
def site(tmp_path: Path, migrated_sqlite: Path, provider_servers: Any, django_db_blocker: Any) -> Iterator[Site]:
    """On SQLite. Servers start when they are first used."""
    shutil.copyfile(migrated_sqlite, tmp_path / "db.sqlite3")
    yield from _site(tmp_path, sqlite(tmp_path / "db.sqlite3"), provider_servers, django_db_blocker)


def _site(folder: Path, database: Mapping[str, Any], servers: Any, blocker: Any) -> Iterator[Site]:
    used = {name: servers[name] for name in ("sdxl", "flux", "replicate_sdxl")}
    with blocker.unblock(), connected(database):
        site = Site(folder, database, used)
        try:
            yield site
        finally:
            site.close()


@pytest.fixture(scope="session")
def migrated_postgres(django_db_blocker: Any) -> Iterator[tuple[str, str]]:
    """(server address, name of a migrated database) on the PostgreSQL that MEDIAGEN_CI_DATABASE_URL names, or here."""
    import psycopg

    url = os.environ.get("MEDIAGEN_CI_DATABASE_URL") or "postgresql://postgres@127.0.0.1:5432/postgres"
    name = f"mediagen_kill_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            with django_db_blocker.unblock(), connected(postgres(url, name)):
                call_command("migrate", database=ALIAS, verbosity=0)
            yield url, name
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def postgres(url: str, name: str) -> dict[str, Any]:
    return database(url, name, "postgresql")


def database(url: str, name: str, backend: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": f"django.db.backends.{backend}",
        "NAME": name,
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "OPTIONS": {},
        "URL": parts._replace(path=f"/{name}").geturl(),
    }


@pytest.fixture
def postgres_site(
    tmp_path: Path, migrated_postgres: tuple[str, str], provider_servers: Any, django_db_blocker: Any
) -> Iterator[Site]:
    import psycopg

    url, template = migrated_postgres
    name = f"{template}_site"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield from _site(tmp_path, postgres(url, name), provider_servers, django_db_blocker)
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def mariadb_site(tmp_path: Path, provider_servers: Any, django_db_blocker: Any) -> Iterator[Site]:
    use_pymysql()
    import MySQLdb

    url = os.environ.get("MEDIAGEN_CI_MARIADB_URL") or "mysql://root@127.0.0.1:3306/mysql"
    parts, name = urlsplit(url), f"mediagen_kill_{os.getpid()}"
    who = {"user": parts.username, "password": parts.password or ""}
    server = MySQLdb.connect(host=parts.hostname, port=parts.port or 3306, **who, autocommit=True)
    with closing(server), server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            made = database(url, name, "mysql")
            with django_db_blocker.unblock(), connected(made):
                call_command("migrate", database=ALIAS, verbosity=0)
            yield from _site(tmp_path, made, provider_servers, django_db_blocker)
        finally:
            cursor.execute(f"DROP DATABASE {name}")
