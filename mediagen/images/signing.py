"""Content credentials (C2PA) checked and signed, with the library of the extra `c2pa`. It asks nobody: no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any

from mediagen.images import credentials, origin
from mediagen.images.picture import Picture
from mediagen.secrets import MASK, Secret

_SETTINGS = {
    # A file may name an address for its manifest, or for what becomes of a certificate: neither is gone to.
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


INGREDIENT = "what it was made of"


class CannotSign(Exception):
    """In words, without a word of the key."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Whoever signs."""

    algorithm: str
    """ "es256", "es384", "es512", "ps256" or "ed25519" """
    certificates: bytes
    """PEM: the signer's, then that of whoever vouches for it, and so on"""
    key: Secret
    """PEM, of the first"""
    generator: str = "mediagen"
    version: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What a picture was made of, and how."""

    content: bytes
    mime: str
    actions: Sequence[str]
    """the C2PA's words: "c2pa.resized", "c2pa.cropped", "c2pa.transcoded" """
    source_type: str = ""
    """the IPTC's word"""


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


def signed(content: bytes, mime: str, made: Made, signer: Signer) -> bytes:
    """The picture with a manifest of its own, in which that of what it was made of stands as ingredient. `CannotSign`
    when it cannot be done."""
    c2pa = library()
    if c2pa is None:
        raise CannotSign("c2pa-python is not installed: install the extra `c2pa`.")
    opened: dict[str, Any] = {"action": "c2pa.opened", "parameters": {"ingredientIds": [INGREDIENT]}}
    if made.source_type:
        opened["digitalSourceType"] = origin.VOCABULARY + made.source_type
    generator = {"name": signer.generator, "version": signer.version} if signer.version else {"name": signer.generator}
    actions = [opened, *({"action": action} for action in made.actions)]
    manifest = {
        "claim_generator_info": [generator],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }
    ingredient = {"relationship": "parentOf", "label": INGREDIENT}
    target = BytesIO()
    try:
        info = c2pa.C2paSignerInfo(signer.algorithm, signer.certificates, signer.key.reveal().encode(), None)
        with c2pa.Signer.from_info(info) as by, c2pa.Builder(json.dumps(manifest), context=context()) as builder:
            builder.add_ingredient(json.dumps(ingredient), made.mime, BytesIO(made.content))
            builder.sign(by, mime, BytesIO(content), target)
    except c2pa.C2paError as exc:
        raise CannotSign(_without(str(exc), signer.key)[:300]) from None
    return target.getvalue()


def _without(text: str, key: Secret) -> str:
    """What the library says, without a line of the key."""
    for line in key.reveal().splitlines():
        if len(line) > 8 and not line.startswith("-----"):
            text = text.replace(line, MASK)
    return text
