"""What an adapter makes of a webhook: who sent it, for which job, and whether it is genuine."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mediagen.errors import MediagenError

TOLERANCE_S = 300
MAX_BODY_BYTES = 1024 * 1024


class WebhookRefused(MediagenError):
    """Not genuine, too old, or not what the provider sends. The text is for our log, not for the sender."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A genuine delivery."""

    id: str
    """the same for a repetition of the same delivery"""
    job_id: str
    payload: dict[str, Any]
    """what a poll of the job would have answered"""


def payload_of(body: bytes) -> dict[str, Any]:
    """The JSON object of a delivery, or `WebhookRefused`."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise WebhookRefused("the body is no JSON object.")
    return payload


def check_shared_secret(given: str, secret: str) -> None:
    """For services that send the secret itself. Constant time."""
    if not secret or not hmac.compare_digest(given.encode(), secret.encode()):
        raise WebhookRefused("the secret is wrong or missing.")


def check_signature(headers: Mapping[str, str], body: bytes, key: str, *, now: float | None = None) -> str:
    """The delivery id of a message signed as Standard Webhooks says; `WebhookRefused` otherwise.

    `key` is "whsec_" and base64. Signed is `id.timestamp.body` with HMAC-SHA256; any of the signatures in the header
    may fit. A message more than five minutes away from now is a replay.
    """
    delivery_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not delivery_id or len(delivery_id) > 200 or not timestamp.isdecimal() or len(timestamp) > 12:
        raise WebhookRefused("webhook-id or webhook-timestamp is missing.")
    if abs((time.time() if now is None else now) - int(timestamp)) > TOLERANCE_S:
        raise WebhookRefused("the message is too old, or from the future.")
    try:
        secret = base64.b64decode(key.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise WebhookRefused("the signing key is no base64.") from None
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
    given = [part.partition(",")[2] for part in headers.get("webhook-signature", "").split() if part.startswith("v1,")]
    if not any(hmac.compare_digest(expected, signature.encode()) for signature in given):
        raise WebhookRefused("no signature fits.")
    return delivery_id


def check_ed25519(keys: Iterable[bytes], signed: bytes, signature_hex: str) -> None:
    """`WebhookRefused` unless one of the public keys (32 bytes each) has made the signature."""
    # Here, because only those who take webhooks need it; nothing else of start-up does.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        signature = bytes.fromhex(signature_hex)
    except ValueError:
        raise WebhookRefused("the signature is no hexadecimal number.") from None
    for key in keys:
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
        except (InvalidSignature, ValueError):
            continue
        return
    raise WebhookRefused("no signature fits.")
