"""Content credentials (C2PA) checked, with the library of the extra `c2pa`. It asks nobody: no network."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any

from mediagen.images import credentials
from mediagen.images.picture import Picture

_SETTINGS = {
    # A file may name an address for its manifest, or for what becomes of a certificate: neither is gone to.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@cache
def library() -> Any | None:
    """c2pa-python; None where it is not installed, or not for this machine."""
    try:
        return import_module("c2pa")
    except (ImportError, OSError, RuntimeError):
        return None


@cache
def context() -> Any:
    return library().Context.from_dict(_SETTINGS)  # type: ignore[union-attr]


def checked_credentials(content: bytes, picture: Picture, came: bytes | None = None) -> dict[str, str]:
    """As `credentials_in`, with `validation`: "valid" when the file is to the last byte as it was signed, "invalid"
    when it is not, "not checked" without the library. Who the signer is, is asked of nobody. `came`: the file before it
    was tidied."""
    found = credentials.credentials_in(content, picture)
    if found:
        found["validation"] = _validation(content if came is None else came, picture.mime)
    return found


def _validation(content: bytes, mime: str) -> str:
    c2pa = library()
    if c2pa is None:
        return credentials.NOT_CHECKED
    try:
        with c2pa.Reader(mime, BytesIO(content), context=context()) as reader:
            state = reader.get_validation_state()
    except c2pa.C2paError:  # what is there cannot be read
        return credentials.INVALID
    # "Trusted" is for signers on a list, and there is none.
    return credentials.VALID if state in ("Valid", "Trusted") else credentials.INVALID
