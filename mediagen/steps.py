"""The steps in which a picture is made, for whoever watches them (mediagen.contrib.otel). Nobody does unless told to.

picture > chain > attempt > http, and storage; database stands for itself: one transaction serves several pictures
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol


class Step:
    """A step that nobody watches; the base of those that are. For `with` and `async with`. Never raises."""

    def set(self, **facts: Any) -> None:
        """What became known on the way."""

    def __enter__(self) -> Step:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """`error` is what ends it, if anything does; it goes on its way."""

    async def __aenter__(self) -> Step:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, at)


class Watcher(Protocol):
    def __call__(self, name: str, facts: dict[str, Any]) -> Step: ...


_UNWATCHED = Step()
_watcher: Watcher | None = None


def watch(watcher: Watcher | None) -> None:
    """From now on `watcher` makes every step of this process: of its name and what is known at its beginning. It must
    not raise, nor block. None: nobody watches."""
    global _watcher
    _watcher = watcher


def step(name: str, **facts: Any) -> Step:
    """`facts`: plain values; never a key, never a prompt."""
    return _UNWATCHED if _watcher is None else _watcher(name, facts)
