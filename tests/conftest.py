"""What every test gets: no way out of this machine, no keys, a storage of its own, the provider servers."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tests.network_guard", "tests.migrated_once", "tests.servers.fixtures", "tests.live_providers"]

# A developer's own keys and switches must decide nothing here, and a bug must not be able to spend money.
_FROM_OUTSIDE = (
    "SDXL_API_KEY",
    "OPENAI_API_KEY",
    "BFL_API_KEY",
    "REPLICATE_API_KEY",
    "FIGMA_API_TOKEN",
    "CANVA_API_KEY",
    "OPENROUTER_API_KEY",
    "FAL_KEY",
    "COMFYUI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_SERVICE_ACCOUNT_JSON",
    "AZURE_OPENAI_API_KEY",
    "XAI_API_KEY",
    "ARK_API_KEY",
    "TOGETHER_API_KEY",
    "VLLM_API_KEY",
    "LOCALAI_API_KEY",
    "DRY_RUN_MODE",
    *(f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")),
    *(f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")),
)


# How long an example takes says more about what else the machine does than about the code. `.ci/run whole`: thorough.
hypothesis.settings.register_profile("everyday", deadline=None, print_blob=True, max_examples=20)
hypothesis.settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=300)
hypothesis.settings.load_profile("everyday")


def asks_database(item: pytest.Item) -> bool:
    fixtures = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


def pytest_itemcollected(item: pytest.Item) -> None:
    """`-m database`: what another database can break, which .ci/run tries."""
    if asks_database(item):
        item.add_marker("database")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is there now stays to the end: not looked through by each of the collector's rounds, a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_configure(config: pytest.Config) -> None:
    selected = config.option.markexpr.replace("not live", "")
    if "live" not in selected:
        for name in _FROM_OUTSIDE:
            os.environ.pop(name, None)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test's id goes to and fro between xdist's processes, and must not be megabytes long."""
    if isinstance(val, str | bytes) and len(val) > 200:
        return f"{argname} of {len(val)}"
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: a good part of these tests waits for a socket, a lock or a process."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session")
def media_roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Path]]:
    """Names for folders that are made with their first file: most tests make none."""
    base = tmp_path_factory.mktemp("media")
    numbers = itertools.count(1)
    yield lambda: base / str(next(numbers))
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(autouse=True)
def media_root(media_roots: Callable[[], Path], settings) -> Path:
    """The folder where this test's default storage keeps its files: its own, and not there before the first file."""
    root = media_roots()
    settings.MEDIA_ROOT = str(root)
    return root


@pytest.fixture(autouse=True)
def nothing_kept(request: pytest.FixtureRequest) -> None:
    """What the process knows of the tables it knows from another test's."""
    if asks_database(request.node):
        from mediagen import circuits
        from mediagen.engine.library import LibrariesNow
        from mediagen.factory import ChainsNow

        circuits.forget()
        ChainsNow.forget()
        LibrariesNow.forget()


@pytest.fixture
def syncing() -> None:
    """For tests that want files on the disk as a site does."""


@pytest.fixture
def at_once() -> None:
    """For tests that want work done as in a site's own tests."""


@pytest.fixture(autouse=True)
def no_disk_waits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of small pictures need not outlive a power cut."""
    if "syncing" not in request.fixturenames and asks_database(request.node):
        from mediagen.engine.files import storage

        monkeypatch.setattr(storage, "_sync", lambda *args: None)


@pytest.fixture(autouse=True)
def nothing_beside_a_transaction(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server process's own thread gets no work from a test that holds a transaction: it would not see the rows,
    and is refused the database in the middle of a transaction of its own, whose locks then stay for the tests after."""
    mark = request.node.get_closest_marker("django_db")
    is_its_own = "transactional_db" in request.fixturenames or (mark and mark.kwargs.get("transaction"))
    if is_its_own or not asks_database(request.node):
        return
    from mediagen.engine.work import in_server

    monkeypatch.setattr(in_server._thread, "call", lambda *args: None)
    if "at_once" not in request.fixturenames:
        # What is asked for stays to be looked at, where a site's tests would have it made.
        monkeypatch.setattr(in_server, "is_at_once", lambda: False)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker, share_database):
    """As pytest-django's; before the database goes, connections of threads that have ended go too.

    Django's test client does not close a request's connection, so that a test sees its own transaction: an ASGI
    request, which has a thread of its own, leaves one behind. A real server closes it.
    """
    if share_database is not None:
        with django_db_blocker.unblock():
            share_database()
    yield
    from django.db import connection

    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
