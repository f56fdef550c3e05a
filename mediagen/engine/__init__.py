"""The engine: every ORM write of the app. `from mediagen.engine import get_media_engine`.

Rooms, bottom to top: database, dispatch, events, files, library, money, providers, generation, batches, work, exports,
insight, maintenance; `core` (MediaEngine) on top. Each room's docstring says what is in it; docs/contributing.md has
the map.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediagen.engine.core import MediaEngine, get_media_engine

__all__ = ["MediaEngine", "get_media_engine"]


def __getattr__(name: str) -> Any:
    # On first use: with the façade come the chain and the HTTP library, which a site does not pay for when it starts.
    if name in __all__:
        return getattr(import_module("mediagen.engine.core"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
