"""As much of CBOR (RFC 8949) as content credentials are written in, read out of bytes that anybody may have made."""

from __future__ import annotations

import struct
from typing import Any

_DEEPEST = 16
_MOST_ITEMS = 20_000
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_MORE = {24: 1, 25: 2, 26: 4, 27: 8}
_OPEN = 31
_BREAK = object()


def loads(data: bytes) -> Any:
    """The first value; tags are left out. `ValueError` for what is none, or is too deep or too much."""
    return _Reader(data).value(0)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.items = data, 0, 0

    def value(self, depth: int) -> Any:
        self.items += 1
        if depth > _DEEPEST or self.items > _MOST_ITEMS:
            raise ValueError("too deep or too much")
        first = self._taken(1)[0]
        major, low = first >> 5, first & 31
        if major == 7:
            return self._simple(low)
        count = self._count(low)
        if major == 0:
            return _known(count)
        if major == 1:
            return -1 - _known(count)
        if major in (2, 3):
            found = self._taken(count) if count is not None else b"".join(self._until_break(depth, bytes))
            return found if major == 2 else found.decode("utf-8", "replace")
        if major == 4:
            return self._until_break(depth) if count is None else [self.value(depth + 1) for _ in range(count)]
        if major == 5:
            parts = self._until_break(depth) if count is None else [self.value(depth + 1) for _ in range(2 * count)]
            return {_key(key): value for key, value in zip(parts[::2], parts[1::2], strict=False)}
        return self.value(depth + 1)

    def _simple(self, low: int) -> Any:
        if low == _OPEN:
            return _BREAK
        if low in _FLOATS:
            return struct.unpack(_FLOATS[low], self._taken(_MORE[low]))[0]
        return _SIMPLE.get(self._taken(1)[0] if low == 24 else low)

    def _count(self, low: int) -> int | None:
        if low < 24:
            return low
        if low == _OPEN:
            return None
        if low not in _MORE:
            raise ValueError("no such length")
        return int.from_bytes(self._taken(_MORE[low]), "big")

    def _until_break(self, depth: int, kind: type = object) -> list[Any]:
        found = []
        while (item := self.value(depth + 1)) is not _BREAK:
            found.append(item if isinstance(item, kind) else str(item).encode() if kind is bytes else item)
        return found

    def _taken(self, count: int | None) -> bytes:
        found = self.data[self.at : self.at + _known(count)]
        if len(found) < _known(count):
            raise ValueError("cut off")
        self.at += len(found)
        return found


def _known(count: int | None) -> int:
    if count is None:
        raise ValueError("a length is missing")
    return count


def _key(key: Any) -> Any:
    return key if isinstance(key, str | int | bytes) else repr(key)[:100]
