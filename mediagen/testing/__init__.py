"""For the tests of sites and of other people's providers. Nothing here is used by a running site.

`ProviderContract` and `CannedServer` prove a provider; `InstantPictures` and the fixture `instant_pictures` make
pictures without a network; `factories` has rows. docs/providers/writing-one.md and docs/embedding.md show them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mediagen.testing.contract import ProviderContract
    from mediagen.testing.instant import InstantPictures, instantly
    from mediagen.testing.keyed import KeyedAdapter
    from mediagen.testing.pictures import png
    from mediagen.testing.server import Answer, CannedServer

_HOME = {
    "Answer": "mediagen.testing.server",
    "CannedServer": "mediagen.testing.server",
    "InstantPictures": "mediagen.testing.instant",
    "KeyedAdapter": "mediagen.testing.keyed",
    "ProviderContract": "mediagen.testing.contract",
    "instantly": "mediagen.testing.instant",
    "png": "mediagen.testing.pictures",
}

__all__ = ["Answer", "CannedServer", "InstantPictures", "KeyedAdapter", "ProviderContract", "instantly", "png"]


def __getattr__(name: str) -> Any:
    # When first used: pytest is needed by some of these only, Django by others.
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
