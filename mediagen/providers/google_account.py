"""A Google service account: its JSON file as a credential, and the tokens that Google gives out for it.

A token is asked for with a statement signed by the account's private key (RFC 7523), which itself never leaves this
process. Tokens live for an hour and are kept, in this process, until shortly before their end.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediagen import http
from mediagen.errors import CredentialsRefused, Misconfigured, ProviderError, Unavailable
from mediagen.secrets import Secret, scrub

GIVES_TOKENS = "https://oauth2.googleapis.com"
"""where tokens are asked for, whatever an account's file says"""
AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS_S = 3600
MARGIN_S = 300.0
"""a token with less to live is not used: a picture may take minutes"""
TIMEOUT_S = 20.0
MAX_TOKEN_CHARS = 16_384
KEPT_AT_MOST = 100

_kept: dict[str, tuple[Secret, float]] = {}
"""tokens and when they end (monotonic), by the account's fingerprint"""


def is_account(text: str) -> bool:
    """Whether a credential is such a file, right or wrong, and no key."""
    return text.lstrip().startswith("{")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """What is taken out of the file."""

    email: str
    project: str
    """"" when the file names none"""
    key_id: str
    private_key: Secret
    fingerprint: str

    @classmethod
    def read(cls, credential: Secret) -> ServiceAccount:
        """`Misconfigured` for a text that is no such file; the message repeats nothing of it."""
        # What is in the file stands in no variable here: an error's page shows them.
        values = _opened(credential)
        if values is None:
            raise Misconfigured("the credential is no service account's JSON file. Enter the whole file.")
        if not all(isinstance(value, Secret) for value in values.values() if value is not None):
            raise Misconfigured("the service account's JSON file is not as Google writes it. Download it again.")
        missing = [name for name in ("client_email", "private_key") if not values[name]]
        if missing:
            raise Misconfigured(f"the service account's JSON file has no {' and no '.join(missing)}.")
        return cls(
            email=values["client_email"].reveal(),
            project=values["project_id"].reveal() if values["project_id"] else "",
            key_id=values["private_key_id"].reveal() if values["private_key_id"] else "",
            private_key=values["private_key"],
            fingerprint=credential.fingerprint(),
        )

    async def token(self) -> Secret:
        """One that is good for five minutes at least. `CredentialsRefused` when Google does not know the account or
        the key, `Unavailable` when it gives none; nothing is bought by asking."""
        token, ends = _kept.get(self.fingerprint, (Secret(""), 0.0))
        if token and ends > time.monotonic():
            return token
        asked_at, assertion = time.monotonic(), self.assertion(int(time.time()))
        service = http.Service(GIVES_TOKENS, auth={}, timeout_s=TIMEOUT_S)
        form = {"grant_type": GRANT_TYPE, "assertion": assertion.reveal()}
        try:
            response = await service.request("POST", "/token", form=form)
            if not response.is_success:
                raise self._error(response, assertion)
            token, lasts_s = _token_of(response.json_object())
        except (CredentialsRefused, Unavailable):
            raise
        except ProviderError as exc:  # a page, a redirect, half an answer: of a picture nothing was asked yet
            text = scrub(str(exc), (assertion, self.private_key))
            raise Unavailable(f"Google gave no token: {text}", http_status=exc.http_status) from None
        if len(_kept) >= KEPT_AT_MOST:
            _kept.clear()
        _kept[self.fingerprint] = (token, asked_at + lasts_s - MARGIN_S)
        return token

    def forget_token(self) -> None:
        """It was refused: the next one is asked for anew."""
        _kept.pop(self.fingerprint, None)

    def assertion(self, now: int) -> Secret:
        """The signed statement that the account asks, valid for an hour from `now`, in seconds since 1970."""
        # Here, because only those who have such an account need it.
        from cryptography.hazmat.primitives.asymmetric import padding, rsa
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(self.private_key.reveal().encode(), password=None)
        except Exception:  # whatever the library says of it may quote it
            key = None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise Misconfigured("the service account's private key cannot be read. Download its JSON file again.")
        header = {"alg": "RS256", "typ": "JWT", **({"kid": self.key_id} if self.key_id else {})}
        claims = {"iss": self.email, "scope": SCOPE, "aud": AUDIENCE, "iat": now, "exp": now + LASTS_S}
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        return Secret(f"{signed}.{_base64(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}")

    def _error(self, response: http.Response, assertion: Secret) -> ProviderError:
        data = response.error_object()
        name, said = data.get("error"), data.get("error_description")
        words = [word for word in (name, said) if isinstance(word, str)]
        text = scrub(": ".join(words) or response.describe_body(), (assertion, self.private_key))[:300]
        text = f"{response.status} {''.join(char if char.isprintable() else ' ' for char in text)}"
        if isinstance(name, str) and response.status in (400, 401, 403):
            return CredentialsRefused(f"Google gives no token for {self.email}: {text}", http_status=response.status)
        return Unavailable(f"Google gave no token: {text}", http_status=response.status)


def _opened(credential: Secret) -> dict[str, Any] | None:
    """What is needed of the file: each a `Secret`, None where it is missing, False for what is no text. None for what
    is no such file."""
    try:
        data = json.loads(credential.reveal())
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("type") != "service_account":
        return None
    said = {name: data.get(name) for name in ("client_email", "private_key", "private_key_id", "project_id")}
    return {
        name: Secret(text) if isinstance(text, str) else None if text is None else False for name, text in said.items()
    }


def _token_of(data: Mapping[str, Any]) -> tuple[Secret, float]:
    """(the token, how many seconds it lasts)."""
    token, lasts_s = data.get("access_token"), data.get("expires_in")
    if not isinstance(token, str) or not 0 < len(token) <= MAX_TOKEN_CHARS or not all("!" <= c <= "~" for c in token):
        raise Unavailable("Google answered without a token.")
    is_number = isinstance(lasts_s, int | float) and not isinstance(lasts_s, bool) and lasts_s > 0
    return Secret(token), min(float(lasts_s or 0), LASTS_S) if is_number else 0.0


def _encoded(data: Mapping[str, Any]) -> str:
    return _base64(json.dumps(data, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
