"""Credentials in memory, and text with every credential taken out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus
from weakref import WeakValueDictionary

MASK = "[secret]"

# Prefixes that the supported vendors give their keys, and header forms; a key we were not told of is masked too.
_LOOKS_LIKE_A_KEY = re.compile(
    r"\b(?:sk|r8|figd|figu|figo|bfl|whsec|mgt|pk|rk)[-_][A-Za-z0-9_\-]{8,}"
    r"|(?i:\b(?:bearer|basic|token|key)\s+)[A-Za-z0-9._~+/\-]{15,}[A-Za-z0-9=]"
)
_URL_SAFE = str.maketrans("+/", "-_")


class Secret:
    """A credential that shows itself to nobody who does not ask with `reveal()`."""

    __slots__ = ("__weakref__", "_value", "_ways")

    def __init__(self, value: str) -> None:
        self._value = value
        self._ways: tuple[str, ...] | None = None
        if value:
            _alive[id(self)] = self

    @staticmethod
    def alive() -> list[Secret]:
        """One of each value that somebody in this process still holds, for those who write what others say."""
        # A list of the references is made in one step: other threads make secrets meanwhile.
        found = [secret for reference in _alive.valuerefs() if (secret := reference()) is not None]
        return list({secret.reveal(): secret for secret in found}.values())

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "<Secret set>" if self._value else "<Secret not set>"

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        raise TypeError("A Secret is not pickled: a pickle is a place where keys leak.")

    def written(self) -> tuple[str, ...]:
        """The ways in which it may be written, the longest first; none for a value too short to be looked for."""
        if self._ways is None:  # looked for in every text of every answer
            self._ways = tuple(sorted(_forms(self._value), key=len, reverse=True)) if len(self._value) >= 4 else ()
        return self._ways

    def fingerprint(self) -> str:
        """16 hex digits that change with the value and do not give it away."""
        return hashlib.sha256(b"mediagen:" + self._value.encode()).hexdigest()[:16]


_alive: WeakValueDictionary[int, Secret] = WeakValueDictionary()


def scrub(text: str, secrets: Iterable[Secret | str] = ()) -> str:
    """`text` without the given secrets, in whatever form they were quoted, nor anything that looks like a key."""
    for secret in secrets:
        for form in (secret if isinstance(secret, Secret) else Secret(secret)).written():
            # Services echo keys in capitals, too. Nearly every text holds none, which is quickly seen.
            if form.lower() in text.lower():
                text = re.sub(re.escape(form), MASK, text, flags=re.IGNORECASE)
    return _LOOKS_LIKE_A_KEY.sub(MASK, text)


def _forms(value: str) -> set[str]:
    """The ways in which a value may be written, case aside: as it is, in an address, in JSON, in Python, in base64."""
    quoted = {quote(value, safe=""), quote(value), quote_plus(value)}
    in_json = json.dumps(value)[1:-1]
    forms = {value, *quoted, in_json, in_json.replace("/", "\\/"), repr(value)[1:-1]}
    for cased in {value, value.upper(), value.lower()}:  # base64 of another case is another text
        forms |= _in_base64(cased)
    return forms


def _in_base64(value: str) -> set[str]:
    """Also where it stands inside of something longer."""
    raw = value.encode()
    in_base64 = {base64.b64encode(raw).decode()}
    for shift in range(3):
        # Only whole groups of three bytes look the same whatever stands around them.
        whole = (b"\0" * shift + raw)[: (shift + len(raw)) // 3 * 3]
        inner = base64.b64encode(whole).decode()[4 * (shift > 0) :]
        if len(inner) >= 8:
            in_base64.add(inner)
    in_base64 |= {form.translate(_URL_SAFE) for form in in_base64}
    return in_base64
