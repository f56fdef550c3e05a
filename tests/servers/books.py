"""What a provider server keeps: purchases, running jobs, and the faults that are still to happen."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from tests.servers.faults import Fault
from tests.servers.web import Request


@dataclass(frozen=True, slots=True)
class Purchase:
    """One accepted request that a vendor would charge for (or that made something, at Figma and Canva)."""

    request: Request
    model: str = ""
    prompt: str = ""
    width: int = 0
    height: int = 0
    job_id: str = ""
    cost: float = 0.0
    """credits of the vendor; 0.0 where it names no price"""


@dataclass(slots=True)
class Job:
    """Work that a vendor does for us while we poll."""

    id: str
    model: str = ""
    prompt: str = ""
    width: int = 0
    height: int = 0
    format: str = "png"
    seed: int = 0
    count: int = 1
    polls: int = 0
    ended: str = ""
    """the vendor's word for how it ended; empty while it runs"""
    error: str = ""
    created_at: float = 0.0
    data: Any = None


@dataclass(slots=True)
class _Placed:
    fault: Fault
    left: int | None
    """how many times more; None = always"""
    after: int
    """how many requests pass first"""


class FaultPlan:
    """Faults by step, taken in the order in which they were placed. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._placed: dict[str, list[_Placed]] = {}

    def put(self, step: str, fault: Fault, times: int | None, after: int) -> None:
        with self._lock:
            self._placed.setdefault(step, []).append(_Placed(fault, times, after))

    def take(self, step: str) -> Fault | None:
        """The fault of the next request at `step`, if it is to have one."""
        with self._lock:
            for placed in self._placed.get(step, []):
                if placed.after:
                    placed.after -= 1
                    return None
                if placed.left != 0:
                    placed.left = None if placed.left is None else placed.left - 1
                    return placed.fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._placed.clear()
