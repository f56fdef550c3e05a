"""What a power cut must not take back is on the disk before work goes on, as SQLite and the system are told it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.core import checks
from django.db import connection

from mediagen.checks import check_commits_are_kept
from mediagen.engine import get_media_engine
from mediagen.models import MediaAsset
from tests.engine.work.working import batch_of, use_local, work

sqlite_only = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="other databases sync every commit")


@pytest.fixture
def told(monkeypatch):
    """What happens, in order: "begin", "picture" (a row is ready), "commit FULL" or "NORMAL", "sync <file name>"."""
    events: list[str] = []
    level = ["NORMAL"]

    def statement(text: str) -> None:
        words = text.split()
        if text.startswith("PRAGMA synchronous ="):
            level[0] = {"1": "NORMAL", "2": "FULL"}[words[-1]]
        elif text.startswith("INSERT INTO") and "generationattempt" in text:
            events.append("begin")
        elif text.startswith("UPDATE") and "'ready'" in text:
            events.append("picture")
        elif words[0] == "COMMIT":
            events.append(f"commit {level[0]}")

    fsync = os.fsync

    def sync(handle: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", sync)
    connection.ensure_connection()
    connection.cursor().execute("PRAGMA synchronous = NORMAL")
    connection.connection.set_trace_callback(statement)
    yield events
    connection.close()  # the next one has the suite's own settings


def commits_of(events: list[str], what: str) -> list[str]:
    """How each transaction with such a statement was committed."""
    found, is_open = [], False
    for event in events:
        is_open = is_open or event == what
        if is_open and event.startswith("commit"):
            found.append(event)
            is_open = False
    return found


@sqlite_only
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("syncing")
class TestSQLite:
    def test_a_purchase_and_a_picture_are_on_the_disk_before_work_goes_on(self, settings, told):
        use_local(settings)
        asset = get_media_engine().generate_asset_sync("x", 16, 16)
        assert set(commits_of(told, "begin")) == set(commits_of(told, "picture")) == {"commit FULL"}
        assert "commit NORMAL" in told, "only what costs money waits for the disk"
        name = Path(asset.file.name)
        file, folder = told.index(f"sync {name.name}"), told.index(f"sync {name.parent.name}")
        assert told.index("begin") < file < folder < told.index("picture")
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA synchronous").fetchone() == (1,), "as the site has it"

    def test_one_sync_for_a_group(self, tmp_path, settings, told):
        use_local(settings)
        work(batch_of(tmp_path, 8), concurrency=8)
        assert MediaAsset.objects.ready().count() == 8
        assert told.count("begin") >= 1
        assert told.count("commit FULL") < 8, "eight begins and eight pictures"

    def test_a_site_may_go_without(self, settings, told):
        use_local(settings, SYNC_TO_DISK=False)
        get_media_engine().generate_asset_sync("x", 16, 16)
        assert "commit FULL" not in told
        assert not [event for event in told if event.startswith("sync")]


@pytest.mark.django_db
def test_a_database_that_keeps_no_commits_is_said(settings):
    if connection.vendor == "postgresql":
        connection.cursor().execute("SET synchronous_commit = off")
        how = "synchronous_commit = off"
    elif connection.vendor == "sqlite":
        how = "synchronous = 0"  # the suite's own
    else:
        pytest.skip("set for the whole server there")
    [said] = check_commits_are_kept(None, databases=["default"])
    assert (said.id, said.level, how in said.msg) == ("mediagen.W033", checks.WARNING, True)
    assert check_commits_are_kept(None, databases=None) == []
    settings.MEDIAGEN = {"SYNC_TO_DISK": False}
    assert check_commits_are_kept(None, databases=["default"]) == []
