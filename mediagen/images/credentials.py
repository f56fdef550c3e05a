"""Content credentials (C2PA): a signature over the file as it is, and what is signed.

Where they lie in a file, and the claim they make, is read here. Whether the signature holds is another question, see
`signing`. C2PA specification 2.2, "Embedding manifests", and ISO/IEC 19566-5 (JUMBF).
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from typing import Any

from mediagen.errors import NotAPicture
from mediagen.images import cbor, isobmff, png, structure
from mediagen.images.picture import Picture

logger = logging.getLogger("mediagen.images")

LEFT_OUT = "its content credentials (C2PA), which sign the file as it came"
NOT_CHECKED, VALID, INVALID = "not checked", "valid", "invalid"

_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""of the box in an AVIF"""
_GIF_EXTENSION = b"\x21\xff\x0bC2PA_GIF"
_CLAIMS = ("c2pa.claim.v2", "c2pa.claim")
_X5CHAIN = (33, "x5chain")
_MOST_BYTES = 16 * 1024 * 1024
_MOST_BOXES = 500


def lost_by_writing(content: bytes, picture: Picture) -> tuple[str, ...]:
    """What of a picture that `inspect` has let pass is lost when its file changes, in words for `Picture.left_out`."""
    return (LEFT_OUT,) if are_in(content, picture) else ()


def are_in(content: bytes, picture: Picture) -> bool:
    with memoryview(content) as view:
        return next(_parts(view, picture.format), None) is not None


def credentials_in(content: bytes, picture: Picture) -> dict[str, str]:
    """What a file's credentials say: `generator` (the program that made the claim), `signer` (whom the certificate
    names), each "" where it cannot be read, and `validation`, which is "not checked" here. {} without any."""
    try:
        if not are_in(content, picture):
            return {}
    except NotAPicture:  # it came so, and was tidied since
        return {}
    generator = signer = ""
    try:
        claim, signature = _claim_and_signature(manifest_store(content, picture))
        generator, signer = _generator(claim), _signer(signature)
    except Exception:  # whatever somebody has written there, and whatever decoders raise for it
        logger.debug("content credentials that cannot be read", exc_info=True)
    return {"generator": _plain(generator), "signer": _plain(signer), "validation": NOT_CHECKED}


def manifest_store(content: bytes, picture: Picture) -> bytes:
    """The JUMBF box with all manifests, the last of which is about this file; b"" without one."""
    with memoryview(content) as view:
        found = (bytes(part) for part in _parts(view, picture.format))
        if picture.format != "jpeg":
            return next(found, b"")[:_MOST_BYTES]
        parts = list(found)
    if not parts:
        return b""
    # Each segment: "JP", the box's number, the segment's, and then the box's head, which the first one has too.
    head = 16 if parts[0][8:12] == b"\0\0\0\1" else 8
    of_one = [part for part in parts if part[2:4] == parts[0][2:4]]
    return (of_one[0][8:] + b"".join(part[8 + head :] for part in of_one[1:]))[:_MOST_BYTES]


def _parts(view: memoryview, format: str) -> Iterator[memoryview | bytes]:
    """The pieces of the file in which the manifests are."""
    if format == "png":
        yield from (view[start:end] for kind, start, end in png.chunks(view) if kind == b"caBX")
    elif format == "jpeg":
        for code, start, end in structure.jpeg_segments(view):
            if code == 0xEB and bytes(view[start + 2 : start + 4]) == b"JP":
                yield view[start + 2 : end]
    elif format == "webp":
        end = 8 + int.from_bytes(view[4:8], "little")
        yield from (view[start:stop] for kind, start, stop in structure.riff_chunks(view, 12, end) if kind == b"C2PA")
    elif format == "avif":
        for box in isobmff.boxes(view, 0, len(view), at_top=True):
            if box.kind == b"uuid" and bytes(view[box.start : box.start + 16]) == _UUID:
                # Version and flags, a word on its purpose, and a place for which there is no use here.
                body = bytes(view[box.start + 20 : box.end])
                yield body.partition(b"\0")[2][8:]
    else:
        content = bytes(view)
        if (start := content.find(_GIF_EXTENSION)) >= 0:
            yield _gif_blocks(content, start + 14)


def _gif_blocks(content: bytes, at: int) -> bytes:
    found = []
    while at < len(content) and (length := content[at]):
        found.append(content[at + 1 : at + 1 + length])
        at += 1 + length
    return b"".join(found)


# JUMBF: boxes in boxes, each with a label


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        end = len(data) if length == 0 else at + length
        if length and length < head:
            return
        yield kind, data[at + head : end]
        at = end


def _labelled(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(label, what is in it) of the boxes that hold others."""
    for kind, body in _boxes(data):
        if kind != b"jumb":
            continue
        first = next(_boxes(body), None)
        if first is None or first[0] != b"jumd" or len(first[1]) < 18 or not first[1][16] & 2:
            continue
        yield first[1][17:].partition(b"\0")[0].decode("utf-8", "replace"), body[8 + len(first[1]) :]


def _claim_and_signature(store: bytes) -> tuple[Any, Any]:
    """Of the last manifest, which is about the file itself; the ones before it are about what it was made of."""
    manifests = [body for label, body in _labelled(store) if label == "c2pa"]
    parts = dict(_labelled([body for _, body in _labelled(manifests[0])][-1]))
    claim = next(parts[name] for name in _CLAIMS if name in parts)
    return tuple(
        cbor.loads(next(body for kind, body in _boxes(box) if kind == b"cbor"))
        for box in (claim, parts["c2pa.signature"])
    )


def _generator(claim: Any) -> str:
    info = claim.get("claim_generator_info")
    first = info[0] if isinstance(info, list) and info else info
    if isinstance(first, dict) and first.get("name"):
        return " ".join(str(first[key]) for key in ("name", "version") if first.get(key))
    return str(claim.get("claim_generator") or "")


def _signer(signature: Any) -> str:
    """Whom the certificate names: its organisation, or else its common name. COSE_Sign1 (RFC 9052)."""
    from cryptography import x509

    protected, unprotected, *_ = signature
    headers = {**(cbor.loads(protected) if protected else {}), **(unprotected or {})}
    chain = next((headers[key] for key in _X5CHAIN if key in headers), b"")
    subject = x509.load_der_x509_certificate(chain if isinstance(chain, bytes) else chain[0]).subject
    for kind in (x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME):
        if names := subject.get_attributes_for_oid(kind):
            return str(names[0].value)
    return ""


def _plain(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:200].strip()
