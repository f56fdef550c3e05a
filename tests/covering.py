"""Which cases of a product the everyday run proves; the rest has the mark `whole` (see docs/contributing.md)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import pytest


def covering(entries: Sequence[Any], pairs_of: Callable[..., Iterable[Hashable]]) -> list[Any]:
    """The `pytest.param` entries, all of them; those that prove no pair that another one does not prove get `whole`.

    `pairs_of(*values)` names the pairs of an entry that can break by themselves: a provider with a step, say, and a
    step with a fault. Entries with two new pairs or more are taken first, which leaves few for the rest.
    """
    pairs = [frozenset(pairs_of(*entry.values)) for entry in entries]
    proved: set[Hashable] = set()
    taken: set[int] = set()
    for at_least in (3, 2, 1):
        for number, found in enumerate(pairs):
            if number not in taken and len(found - proved) >= at_least:
                taken.add(number)
                proved |= found
    return [entry if number in taken else whole(entry) for number, entry in enumerate(entries)]


def all_but(entries: Iterable[Any], *kept: Any) -> list[Any]:
    """The entries (a tuple is several values), with the mark `whole` at all but `kept`."""
    values = [(entry, entry if isinstance(entry, tuple) else (entry,)) for entry in entries]
    return [entry if entry in kept else pytest.param(*many, marks=pytest.mark.whole) for entry, many in values]


def whole(entry: Any) -> Any:
    return pytest.param(*entry.values, id=entry.id, marks=[*entry.marks, pytest.mark.whole])
