"""This site's own signature (C2PA) in files that it has made of others: fitted ones, renditions, variants.

Only where C2PA_CERTIFICATES and C2PA_KEY name its certificate and key, and the extra `c2pa` is installed. A picture
that cannot be signed is left as it is: the log says why, and a system check says it before.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from mediagen import __version__, conf, images
from mediagen.engine.files.originals import Source
from mediagen.errors import NotAPicture
from mediagen.images import signing
from mediagen.images.signing import CannotSign, Made, Signer
from mediagen.models import MediaAsset
from mediagen.secrets import Secret

logger = logging.getLogger("mediagen.engine")

ENDS_SOON = timedelta(days=30)
_DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63f80f0001010100b138f614"
    "0000000049454e44ae426082"
)
"""a PNG of one pixel, to be signed for a try"""
_ACTIONS = {"resized": ["c2pa.resized"], "resized_cropped": ["c2pa.cropped", "c2pa.resized"]}


def is_asked_for() -> bool:
    return bool(conf.get("C2PA_CERTIFICATES") or conf.get("C2PA_KEY"))


def fitted(content: bytes, picture: images.Picture, original: bytes, action: str, source_type: str) -> bytes:
    """A fitted picture, signed with what it was made of; as it was where the site signs nothing, or cannot. `action`:
    as the fit report has it."""
    made = Made(original, picture.mime, _ACTIONS.get(action, ["c2pa.edited"]), source_type)
    return _signed(content, picture.mime, made)


def of_rendition(made: images.Scaled, format: str, asset: MediaAsset, source: Source, *, cover: bool) -> images.Scaled:
    """The same of another size or format of an asset's picture: of one that a model made or that came signed, from
    C2PA_RENDITIONS_FROM_PX on."""
    least = conf.get("C2PA_RENDITIONS_FROM_PX")
    is_wanted = is_asked_for() and least is not None and max(made.width, made.height) >= least
    if not is_wanted or asset.is_placeholder or not (asset.digital_source_type or asset.content_credentials):
        return made
    actions = ["c2pa.cropped"] if cover else []
    actions += ["c2pa.resized"] + (["c2pa.transcoded"] if format != source.picture.format else [])
    of = Made(source.content, source.picture.mime, actions, asset.digital_source_type)
    return replace(made, content=_signed(made.content, f"image/{format}", of))


def _signed(content: bytes, mime: str, made: Made) -> bytes:
    try:
        found = signing.signed(content, mime, made, signer())
        images.inspect(found, max_pixels=conf.get("MAX_IMAGE_PIXELS"), max_bytes=conf.get("MAX_IMAGE_BYTES"))
        return found
    except (CannotSign, NotAPicture) as exc:
        logger.error("a picture is not signed: %s", exc)
        return content


def signer() -> Signer:
    """The site's. `CannotSign` when its files cannot be used, or the certificate has ended; the message names the
    setting and nothing of the key."""
    found, ends_at = _as_it_stands()
    if ends_at < datetime.now(UTC):
        raise CannotSign(f"The certificate in MEDIAGEN['C2PA_CERTIFICATES'] ended on {ends_at:%Y-%m-%d}.")
    return found


def _as_it_stands() -> tuple[Signer, datetime]:
    stamps = []
    for name in ("C2PA_CERTIFICATES", "C2PA_KEY"):
        path = conf.get(name)
        try:
            stamps.append((str(path or ""), Path(path).stat().st_mtime_ns))
        except (OSError, TypeError, ValueError) as exc:
            named = f"names a file that cannot be read ({type(exc).__name__})" if path else "is not set"
            raise CannotSign(f"MEDIAGEN[{name!r}] {named}.") from None
    return _signer(*stamps)


@lru_cache(maxsize=2)
def _signer(certificates: tuple[str, int], key: tuple[str, int]) -> tuple[Signer, datetime]:
    """Read anew when a file has changed: certificates are renewed while a site runs."""
    chain, pem = _read("C2PA_CERTIFICATES", certificates[0]), _read("C2PA_KEY", key[0])
    private, certificate = _private_key(pem), _chain(chain)[0]
    if _public_bytes(certificate.public_key()) != _public_bytes(private.public_key()):
        raise CannotSign("MEDIAGEN['C2PA_KEY'] is not the key of the first certificate in C2PA_CERTIFICATES.")
    by = Signer(_algorithm(private), chain, Secret(pem.decode("latin-1")), version=__version__)
    return by, certificate.not_valid_after_utc


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise CannotSign(f"MEDIAGEN[{name!r}] names a file that cannot be read ({type(exc).__name__}).") from None


def _chain(pem: bytes) -> list[Any]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CannotSign("MEDIAGEN['C2PA_CERTIFICATES'] holds no certificates in PEM.") from None


def _private_key(pem: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their text may quote it
        raise CannotSign("MEDIAGEN['C2PA_KEY'] holds no private key in PEM, without a password.") from None


def _public_bytes(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def _algorithm(key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise CannotSign("MEDIAGEN['C2PA_KEY'] is none of P-256, P-384, P-521, Ed25519, or RSA of 2048 bits or more.")


_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


def trouble() -> tuple[str, str]:
    """(what keeps the site from signing, what soon will), for people; "" each for nothing. It signs a small picture."""
    if not is_asked_for():
        return "", ""
    try:
        by = signer()
        content = signing.signed(_DOT, "image/png", Made(_DOT, "image/png", ["c2pa.resized"]), by)
        said = images.checked_credentials(content, images.inspect(content))
        if said.get("validation") != "valid":
            return "What it signs does not hold: the certificate is not one for content credentials (C2PA).", ""
    except CannotSign as exc:
        return str(exc), ""
    ends_at = _as_it_stands()[1]
    if ends_at < datetime.now(UTC) + ENDS_SOON:
        return "", f"The certificate in MEDIAGEN['C2PA_CERTIFICATES'] ends on {ends_at:%Y-%m-%d}."
    return "", ""
