"""What work costs in numbers that no other load of the machine moves: statements, commits, trips to threads, calls."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from asgiref.current_thread_executor import CurrentThreadExecutor
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper


@dataclass(slots=True)
class Counts:
    """Of the whole process while `counted` runs. Divide by the pictures that were made."""

    statements: int = 0
    """savepoints and PRAGMAs included"""
    commits: int = 0
    """transactions that were ended; a statement outside one is not among them"""
    hops: int = 0
    """pieces of work that were given to a thread"""
    calls: int = 0
    """of Python functions; 0 unless they were asked for"""
    texts: Counter[str] = field(default_factory=Counter)
    """how often each statement ran"""
    functions: Counter[str] = field(default_factory=Counter)

    def per(self, pictures: int) -> dict[str, float]:
        return {name: round(getattr(self, name) / pictures, 2) for name in ("statements", "commits", "hops", "calls")}


@contextmanager
def counted(*, calls: bool = False, by_function: bool = False) -> Iterator[Counts]:
    """Count what happens in all threads. `calls`: of Python functions too, in this thread and those begun inside."""
    counts = Counts()
    originals = [
        (CursorWrapper, "execute", CursorWrapper.execute),
        (CursorWrapper, "executemany", CursorWrapper.executemany),
        (BaseDatabaseWrapper, "commit", BaseDatabaseWrapper.commit),
        (ThreadPoolExecutor, "submit", ThreadPoolExecutor.submit),
        (CurrentThreadExecutor, "submit", CurrentThreadExecutor.submit),
    ]
    ours: dict[str, Any] = {
        "execute": lambda original: lambda self, sql, *rest: _note(counts, sql) or original(self, sql, *rest),
        "executemany": lambda original: lambda self, sql, *rest: _note(counts, sql) or original(self, sql, *rest),
        "commit": lambda original: lambda self: _add(counts, "commits") or original(self),
        "submit": lambda original: lambda self, *a, **k: _add(counts, "hops") or original(self, *a, **k),
    }

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            counts.calls += 1
            if by_function:
                code = frame.f_code
                counts.functions[f"{code.co_filename.rpartition('/')[2]}:{code.co_qualname}"] += 1

    for owner, name, original in originals:
        setattr(owner, name, ours[name](original))
    if calls or by_function:
        threading.setprofile(profile)
        sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        for owner, name, original in originals:
            setattr(owner, name, original)


def _note(counts: Counts, sql: Any) -> None:
    counts.statements += 1
    counts.texts[str(sql)[:160]] += 1


def _add(counts: Counts, name: str) -> None:
    setattr(counts, name, getattr(counts, name) + 1)
