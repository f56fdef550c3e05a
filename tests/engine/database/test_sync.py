"""Coroutines for callers without an event loop: in the process's own, unless they have a transaction to be kept in."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from asgiref.sync import AsyncToSync, SyncToAsync

from mediagen.engine.database import grouped, in_database, run_sync, sync

told = contextvars.ContextVar("told", default="nothing")


@pytest.fixture
def as_in_a_site(monkeypatch):
    monkeypatch.delitem(sys.modules, "django.test.testcases", raising=False)
    # What earlier tests of this process have left.
    monkeypatch.delattr(AsyncToSync.executors, "current", raising=False)
    monkeypatch.delattr(SyncToAsync.threadlocal, "main_event_loop", raising=False)
    database = SimpleNamespace(in_atomic_block=False, connection=None, vendor="postgresql")
    monkeypatch.setattr(sync, "connection", database)


async def where() -> tuple[str, int, str]:
    await asyncio.sleep(0)
    return threading.current_thread().name, id(asyncio.get_running_loop()), told.get()


def test_all_callers_share_one_loop_and_keep_their_context(as_in_a_site):
    told.set("a language")
    first, second = run_sync(where), run_sync(where)
    assert first == second
    assert (first[0], first[2]) == ("mediagen", "a language")


def test_what_it_raises_is_raised_where_the_caller_is(as_in_a_site):
    async def fails() -> None:
        raise LookupError("ours")

    with pytest.raises(LookupError, match="ours"):
        run_sync(fails)


def test_ctrl_c_cancels_it_and_is_raised_when_that_has_ended(as_in_a_site):
    ended = []

    async def waits() -> None:
        threading.Thread(target=_interrupt_main).start()
        try:
            await asyncio.sleep(30)
        finally:
            ended.append(True)

    # A shell that starts its command in the background has it ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_sync(waits)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True]


def _interrupt_main() -> None:
    time.sleep(0.1)
    os.kill(os.getpid(), signal.SIGINT)  # a real one: it wakes who waits for a lock


async def test_in_a_coroutine_it_is_refused(as_in_a_site):
    with pytest.raises(RuntimeError, match="just await"):
        run_sync(where)


@pytest.mark.django_db(transaction=True)
def test_a_receiver_in_the_thread_that_writes_does_not_wait_for_itself(as_in_a_site):
    async def writes() -> str:
        with grouped():
            return await asyncio.wait_for(in_database(lambda: run_sync(where)[0]), 10)

    assert run_sync(writes)  # in whichever thread asgiref has it run: it ends


@pytest.mark.django_db
def test_a_transaction_of_the_callers_takes_the_work_along(monkeypatch):
    monkeypatch.delitem(sys.modules, "django.test.testcases", raising=False)
    assert run_sync(where)[0] != "mediagen"
